"""A server in its own process for benchmarks and trials, and what they need to talk to it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from facenapi.config.options import Config
from facenapi.services.auth import create_token
from facenapi.storage.open import open_store

ROOT = Path(__file__).resolve().parents[2]
PACK = Path(os.environ.get("FACENAPI_TEST_PACK", ROOT / "var" / "models" / "default"))


async def new_key(folder: Path) -> str:
    """Make an owner in the embedded store of a folder, beside its server; return the key."""
    store = open_store(Config(data_dir=str(folder)), shared=True)
    await store.start()
    key, _ = await create_token(store, label="trial")
    await store.close()
    return key


class Server:
    """``facenapi serve`` on a free port of 127.0.0.1: a context manager; it may be killed and started again."""

    module = "facenapi"

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = [f"--data_dir={folder}", f"--model_pack={PACK}", "--gae=True", "--port=0", *options]
        self.log = folder / "server.log"
        folder.mkdir(parents=True, exist_ok=True)
        self.start()
        self.key = self.new_key()

    def new_key(self) -> str:
        """Return the key of a new owner: by its database, where it has one of its own, for a command takes longer."""
        if not any(option.startswith("--mongo") for option in self.options):
            with ThreadPoolExecutor(1) as threads:  # here may be a loop that runs
                return threads.submit(asyncio.run, new_key(self.folder)).result()
        arguments = [sys.executable, "-m", self.module, "token", "create", "--label=trial", *self.options]
        return subprocess.run(arguments, check=True, capture_output=True, text=True, cwd=ROOT).stdout.strip()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process, which writes to the log."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", self.module, "serve", *self.options], stderr=log, stdout=log, cwd=ROOT
            )

    def start(self, timeout_s: float = 120.0) -> None:
        """Start the process and wait until it serves."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        self.process = self.spawn()
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = re.search(rb"serves http://127.0.0.1:(\d+)/", self.log.read_bytes()[begin:])
            if found:
                self.url = f"http://127.0.0.1:{int(found[1])}"
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()[begin:][-2000:]}")

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM, and the wait for its end."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def call(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json"):
        """Send one request on a connection of its own; return status and decoded JSON."""
        headers = {"Authorization": f"Token {self.key}", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=200) as reply:
                status, content = reply.status, reply.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        return status, json.loads(content) if content.startswith((b"{", b"[")) else content

    def memory_mb(self) -> float:
        """Memory of the process and its decoders; what they share counts once."""
        processes = {str(self.process.pid)}
        total = 0
        for thread in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it has just ended
                processes |= set((thread / "children").read_text().split())
        for process in processes:
            with contextlib.suppress(OSError):
                rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
                found = re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)
                total += int(found[1]) if found else 0
        return total / 1024

    def figure(self, name: str) -> float:
        """One figure of /metrics, summed over its labels; ``name`` is a pattern and may begin with some of them."""
        with urllib.request.urlopen(self.url + "/metrics", timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if re.match(rf"{name}[{{, }}]", line))


def form(fields: dict[str, object]) -> tuple[bytes, str]:
    """Return a multipart body and its content type; bytes are file parts."""
    boundary, body = "bOuNdArY", b""
    for name, value in fields.items():
        filename = '; filename="photo.jpg"' if isinstance(value, bytes) else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'
        body += head.encode() + (value if isinstance(value, bytes) else str(value).encode()) + b"\r\n"
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def jpeg(pixels: np.ndarray | Image.Image, quality: int = 90) -> bytes:
    """Return a picture as JPEG bytes."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def report(rows: list[tuple[str, str]], summary: str, figures: dict[str, object], as_json: bool) -> None:
    """Print a table and a summary line, or the figures as JSON."""
    if as_json:
        print(json.dumps(figures, indent=2, sort_keys=True))
        return
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    print(summary)
