"""Two servers behind nginx as conf/nginx has it, restarted in turn while 20 clients ask on open connections.

Needs nginx (Debian: nginx-light). The servers have the FakeDetector and a store each, with the same token in both:
what is tried is the way from a client to a server that stops and to one that starts. Bound: no failed request.

    python scripts/trial_upgrade.py [--restarts=10] [--clients=20] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from facenapi.config.options import Config
from facenapi.services.auth import hash_key
from facenapi.storage.base import Token
from facenapi.storage.open import open_store
from tests.support.fake_server import FakeServer
from tests.support.live import ROOT, form, report
from tests.support.server import RED, picture

KEY = "the same key for both servers"
BETWEEN_S = 1.5
ASKED = [("POST", "/v1/detect"), ("POST", "/v1/face"), ("POST", "/v1/identify"), ("GET", "/v1/galleries")]


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def give_token(server: FakeServer) -> None:
    """Put the common token into a server's store."""
    store = open_store(Config(data_dir=str(server.folder)), shared=True)
    await store.start()
    await store.add_token(Token(hash_key(KEY), "trial", "", 1))
    await store.close()


@contextlib.contextmanager
def nginx(folder: Path, ports: list[int]):
    """Run nginx with the example of conf/, on other ports; yield its port."""
    port = free_port()
    text = (ROOT / "conf" / "nginx" / "findface-facenapi.conf").read_text()
    for old, new in (
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        (":8001 ", f":{ports[0]} "),
        (":8002 ", f":{ports[1]} "),
    ):
        assert old in text
        text = text.replace(old, new)
    (folder / "facenapi.conf").write_text(text)
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; error_log {folder}/error.log; daemon off; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"include {folder}/facenapi.conf; }}\n"
    )
    process = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", folder / "nginx.conf"])
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            break
        time.sleep(0.05)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


class Clients:
    """Clients that keep their connections and ask in turn until they are stopped."""

    def __init__(self, port: int, count: int) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.failed: list[str] = []
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        body, kind = form({"photo": picture(RED)})
        while not self._stop.is_set():
            number += 1
            method, path = ASKED[number % len(ASKED)]
            headers = {"Authorization": f"Token {KEY}"} | ({"Content-Type": kind} if method == "POST" else {})
            try:
                connection.request(method, path, body if method == "POST" else None, headers)
                reply = connection.getresponse()
                content = reply.read()
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{path}: {error!r}")
                connection.close()
                continue
            self.answers[path, reply.status] += 1
            if reply.status != 200:
                self.failed.append(f"{path}: {reply.status} {content[:200]!r}")
        connection.close()

    def stop(self) -> None:
        """Let all finish."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def run(restarts: int, count: int) -> tuple[Clients, dict[str, object]]:
    """Restart so often, and return the clients with what they met."""
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        folder = Path(place)
        folder.chmod(0o755)  # nginx' workers are another user
        ports = [free_port(), free_port()]
        servers = [stack.enter_context(FakeServer(folder / str(port), f"--port={port}")) for port in ports]
        for server in servers:
            asyncio.run(give_token(server))
        clients = Clients(stack.enter_context(nginx(folder, ports)), count)
        try:
            time.sleep(BETWEEN_S)
            for number in range(restarts):
                servers[number % 2].stop()
                servers[number % 2].start()
                time.sleep(BETWEEN_S)
        finally:
            clients.stop()
        refused = len(re.findall(r"Connection refused|Connection reset", (folder / "error.log").read_text()))
    figures: dict[str, object] = {"restarts": restarts, "clients": count, "requests": clients.answers.total()}
    return clients, figures | {"failed": len(clients.failed), "given_to_the_other_server": refused}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="4 restarts")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    clients, figures = run(4 if chosen.quick else chosen.restarts, chosen.clients)
    rows = [(name, str(value)) for name, value in figures.items()]
    rows += [(f"{path} {status}", str(count)) for (path, status), count in sorted(clients.answers.items())]
    rows += [("failed", line) for line in clients.failed[:10]]
    verdict = "BOUND MISSED" if clients.failed else "held"
    report(
        rows,
        f"upgrade: {len(clients.failed)} of {figures['requests']} requests failed: {verdict}",
        figures,
        chosen.json,
    )
    return 1 if clients.failed else 0


if __name__ == "__main__":
    sys.exit(main())
