"""Sixty hostile files and request forms, eight at a time, beside an ordinary client: does it notice?

One owner sends them, over and over in random order: pictures of few bytes and much work, bodies that do not end,
connections that are given up or not read, boxes by the hundred. Another owner asks for /detect and /identify once a
second. In the end the server is told to stop while the attack goes on.

Bounds: the ordinary client's worst answer comes within 2 seconds (on two cores that have nothing else to do) and is
always 200; no 5xx but an honest 503, with Retry-After; afterwards the memory of the server and its decoders is within
10 % of what it was before (after ordinary requests, one large photo and one large file); the server ends within
shutdown_timeout and 5 seconds.

    python scripts/trial_hostile.py [--seconds=180] [--quick] [--json] [-- OPTIONS OF THE SERVER]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support import photos
from tests.support.hostile_files import files
from tests.support.live import Server, form, report

AT_ONCE = 8
WORST_BOUND_S = 2.0
MEMORY_BOUND = 1.10
SHUTDOWN_S = 10
PATIENCE_S = 60.0
SETTLED_S = 25.0


@dataclass(frozen=True)
class Attack:
    """A request, and what its client does: ``ask`` as one should, ``drip`` bytes, ``leave`` early, ``ignore`` the
    answer."""

    name: str
    head: str
    body: bytes
    manner: str = "ask"


def attacks() -> Iterator[Attack]:
    """Yield every one: files first, then forms."""
    for number, (name, data) in enumerate(files().items()):
        yield Attack(name, *_post(("/v1/detect", "/v1/identify", "/v1/face")[number % 3], {"photo": data}))
    face, crowd = photos.grace_hopper(), photos.large_with_small_faces(1600, 1200)
    boxes = json.dumps([[x, y, x + 30, y + 30] for x in range(0, 400, 40) for y in range(0, 400, 40)])
    tiny = json.dumps([[x / 10, 0, x / 10 + 0.1, 0.1] for x in range(100)])
    many = json.dumps([[0, 0, x, 9] for x in range(1, 1001)])
    yield Attack("form: a hundred boxes", *_post("/v1/identify", {"photo": face, "bbox": boxes}))
    yield Attack("form: a hundred boxes again", *_post("/v1/detect", {"photo": crowd, "bbox": boxes, "gender": 1}))
    yield Attack("form: a hundred tiny boxes", *_post("/v1/identify", {"photo": face, "bbox": tiny}))
    yield Attack("form: a thousand boxes", *_post("/v1/detect", {"photo": face, "bbox": many}))
    pair = {"photo1": face, "photo2": face, "bbox1": boxes, "bbox2": boxes}
    yield Attack("form: ten thousand pairs", *_post("/v1/verify", pair))
    yield Attack(
        "form: a thousand parts", *_post("/v1/detect", {f"p{at}": "x" for at in range(1000)} | {"photo": face})
    )
    yield Attack("form: far too large", *_post("/v1/detect", {"photo": bytes(30_000_000)}))
    yield Attack("form: deep JSON", *_text("/v1/detect", b"[" * 900_000))
    bomb = gzip.compress(bytes(300_000_000), 1)
    yield Attack("form: 300 MB of gzip", *_text("/v1/detect", bomb, "Content-Encoding: gzip\r\n"))
    yield Attack("form: a URL inwards", *_text("/v1/detect", b'{"photo": "http://127.0.0.1:22/"}'))
    head, body = _post("/v1/detect", {"photo": face})
    yield Attack("client: drips", head, body, "drip")
    yield Attack("client: leaves in the middle", head, body[: len(body) // 2], "leave")
    yield Attack("client: leaves at the end", *_post("/v1/identify", {"photo": crowd}), "leave")
    yield Attack("client: reads no answer", *_post("/v1/verify", pair), "ignore")


def _post(path: str, fields: dict[str, object]) -> tuple[str, bytes]:
    body, kind = form(fields)
    return f"POST {path} HTTP/1.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n", body


def _text(path: str, body: bytes, more: str = "") -> tuple[str, bytes]:
    head = f"POST {path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head + more, body


class Trial:
    """What was asked and what came back."""

    def __init__(self, server: Server, key: str, seconds: float) -> None:
        self.server, self._key = server, key
        self._until = time.monotonic() + seconds
        self._port = int(server.url.rpartition(":")[2])
        self.answers: Counter[int | str] = Counter()
        self.wrong: list[str] = []
        self.slowest: Counter[str] = Counter()  # seconds, by attack
        self.waits: list[float] = []
        self.stopping = False

    async def attack(self, chosen: list[Attack], seed: int) -> None:
        """Send them in random order until the time is over, then until the server is."""
        dice = random.Random(seed)
        while time.monotonic() < self._until or self.stopping:
            one = dice.choice(chosen)
            start = time.monotonic()
            try:
                status = await asyncio.wait_for(self._send(one), PATIENCE_S)
            except (OSError, EOFError, TimeoutError, asyncio.IncompleteReadError) as error:
                status = type(error).__name__
                if self.stopping and isinstance(error, ConnectionRefusedError):
                    return
            self.slowest[one.name] = max(self.slowest[one.name], time.monotonic() - start)
            self.answers[status] += 1
            if status == "TimeoutError" or (isinstance(status, int) and status >= 500 and not self.stopping):
                self.wrong.append(f"{one.name}: {status}")

    async def _send(self, one: Attack) -> int | str:
        """Return the status; 503 with Retry-After counts as "503 honest"."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(
                f"{one.head}Host: x\r\nAuthorization: Token {self._key}\r\nConnection: close\r\n\r\n".encode()
            )
            if one.manner == "drip":
                for at in range(40):
                    writer.write(one.body[at : at + 1])
                    await asyncio.sleep(0.1)
                return "gave up"
            writer.write(one.body)
            if one.manner == "leave":
                await asyncio.sleep(0.2)
                return "gave up"
            if one.manner == "ignore":
                await asyncio.sleep(5)
                return "gave up"
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            await reader.read()
            status = int(head.split()[1])
            return "503 honest" if status == 503 and "\r\nretry-after: " in head else status
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ordinary(self) -> None:
        """Ask once a second, and note how long it takes."""
        body, kind = form({"photo": photos.grace_hopper()})
        while time.monotonic() < self._until:
            for path in ("/v1/detect", "/v1/identify"):
                start = time.monotonic()
                status, answer = await asyncio.to_thread(self.server.call, "POST", path, body, kind)
                self.waits.append(time.monotonic() - start)
                if status != 200:
                    self.wrong.append(f"ordinary {path}: {status} {answer}")
            await asyncio.sleep(max(0.0, 1 - (time.monotonic() - start)))


def settled_memory(server: Server) -> float:
    """Return the memory when nothing has been asked for so long that the server has given back what it can."""
    time.sleep(SETTLED_S)
    return server.memory_mb()


async def run(seconds: float, options: list[str]) -> tuple[dict[str, object], bool]:
    """Run the trial; return figures and whether the bounds held."""
    chosen = list(attacks())
    more = (f"--shutdown_timeout={SHUTDOWN_S}", "--body_timeout=10", "--write_timeout=5", *options)
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), *more) as server:
        ordinary = form({"photo": photos.grace_hopper()})
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda path: server.call("POST", path, *ordinary), ("/v1/detect", "/v1/identify") * 8))
        server.call("POST", "/v1/identify", *form({"photo": photos.large_with_small_faces(6000, 4000)}))
        server.call("POST", "/v1/detect", *form({"photo": bytes(9_900_000)}))
        alone = []
        for _ in range(10):
            start = time.monotonic()
            server.call("POST", "/v1/identify", *ordinary)
            alone.append(time.monotonic() - start)
        before = settled_memory(server)
        trial = Trial(server, server.new_key(), seconds)
        await asyncio.gather(trial.ordinary(), *(trial.attack(chosen, seed) for seed in range(AT_ONCE)))
        after = settled_memory(server)
        trial.stopping = True
        running = [asyncio.create_task(trial.attack(chosen, seed)) for seed in range(100, 100 + AT_ONCE)]
        await asyncio.sleep(3)
        start = time.monotonic()
        server.process.terminate()
        await asyncio.to_thread(server.process.wait, 120)
        drained = time.monotonic() - start
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        log = server.log.read_text()
    waits = sorted(trial.waits)
    figures: dict[str, object] = {
        "attacks": len(chosen),
        "sent": sum(trial.answers.values()),
        "answers": {str(status): count for status, count in sorted(trial.answers.items(), key=str)},
        "slowest_attack_s": dict(trial.slowest.most_common(5)),
        "ordinary_requests": len(waits),
        "ordinary_alone_median_s": sorted(alone)[len(alone) // 2],
        "ordinary_median_s": waits[len(waits) // 2],
        "ordinary_worst_s": waits[-1],
        "memory_before_mb": before,
        "memory_after_mb": after,
        "drained_s": drained,
        "unexpected_errors": log.count("unexpected error"),
        "wrong": trial.wrong,
    }
    held = not trial.wrong and not figures["unexpected_errors"] and waits[-1] < WORST_BOUND_S
    return figures, held and after < before * MEMORY_BOUND and drained < SHUTDOWN_S + 5


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--quick", action="store_true", help="20 seconds")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("options", nargs="*", help="options of the server, after --")
    chosen = parser.parse_args()
    figures, held = asyncio.run(run(20 if chosen.quick else chosen.seconds, chosen.options))
    rows = [(name, f"{value:.2f}" if isinstance(value, float) else str(value)) for name, value in figures.items()]
    report(rows, f"hostile: {'held' if held else 'BOUND MISSED'}", figures, chosen.json)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
