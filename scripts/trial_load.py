"""50 clients mix all calls for a minute against a server in its own process.

Bounds: no answer but the expected one; the event loop never computes for more than 50 ms on end
(how late it was in all, waiting for a processor or another thread included, is printed beside how late a
process is that only sleeps); the peak of memory in
the second half is at most 10 % above that in the first.

    python scripts/trial_load.py [--seconds=60] [--clients=50] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tornado.httpclient import HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support import photos
from tests.support.live import Server, form, report

LAG_BOUND_S = 0.050
GROWTH_BOUND = 1.10


class Load:
    """What the clients do, and what came back."""

    def __init__(self, server: Server, clients: int) -> None:
        self.server = server
        self.http = SimpleAsyncHTTPClient(force_instance=True, max_clients=clients)
        self.pictures = [photos.astronaut(), photos.grace_hopper(), photos.two_faces()]
        self.faces: list[int] = []
        self.answers: Counter[tuple[str, int]] = Counter()
        self.errors: list[str] = []
        self.seconds: list[float] = []

    async def call(self, method, path, expected, fields=None, json_body=None):
        """Send one request and note what came back."""
        headers = {"Authorization": f"Token {self.server.key}"}
        body = None
        if fields is not None:
            body, headers["Content-Type"] = form(fields)
        elif json_body is not None:
            body, headers["Content-Type"] = json.dumps(json_body), "application/json"
        start = time.perf_counter()
        reply = await self.http.fetch(
            HTTPRequest(self.server.url + path, method, headers, body, request_timeout=120,
                        allow_nonstandard_methods=True), raise_error=False)  # fmt: skip
        self.seconds.append(time.perf_counter() - start)
        name = f"{method} {path.split('?')[0].rstrip('0123456789')}"
        self.answers[name, reply.code] += 1
        if reply.code not in expected:
            self.errors.append(f"{name}: {reply.code} {(reply.body or b'')[:200]!r} {reply.error}")
        return json.loads(reply.body) if reply.body else None

    async def act(self, dice: random.Random) -> None:
        """Do one thing at random."""
        picture = dice.choice(self.pictures)
        what = dice.randrange(10)
        if what == 0:
            await self.call("POST", "/v1/detect", {200}, {"photo": picture, "age": 1, "gender": 1, "emotions": 1})
        elif what == 1:
            await self.call("POST", "/v0/verify", {200}, {"photo1": picture, "photo2": dice.choice(self.pictures)})
        elif what in (2, 3):
            found = await self.call("POST", "/v1/face", {200}, {"photo": picture, "meta": f"m{dice.randrange(9)}",
                                                                "galleries": "load"})  # fmt: skip
            self.faces += [face["id"] for face in (found or {}).get("results", [])]
        elif what in (4, 5):
            path = dice.choice(["/v1/identify", "/v1/faces/gallery/load/identify"])
            await self.call("POST", path, {200}, {"photo": picture, "n": 3, "mf_selector": "all"})
        elif what == 6 and self.faces:
            await self.call("GET", f"/v1/face/id/{dice.choice(self.faces)}", {200, 404})
        elif what == 7 and self.faces:
            edit = {"meta": f"m{dice.randrange(9)}"}
            await self.call("PUT", f"/v1/face/id/{dice.choice(self.faces)}", {200, 404}, json_body=edit)
        elif what == 8 and self.faces:
            victim = self.faces.pop(dice.randrange(len(self.faces)))
            await self.call("DELETE", f"/v1/face/id/{victim}", {204})
        else:
            path = dice.choice(
                ["/v1/faces?limit=50", "/v1/meta", "/v1/galleries", "/v1/faces/gallery/load", "/v1/persons"]
            )
            await self.call("GET", path, {200})

    async def client(self, number: int, until: float) -> None:
        """Act until the time is over."""
        dice = random.Random(number)
        while time.monotonic() < until:
            await self.act(dice)


async def machine_lag() -> tuple[float, float]:
    """Return how late a process that only sleeps wakes up, 99th percentile and worst, until cancelled."""
    # What runs in the background of a script ignores SIGINT, and so would its children.
    code = ("import signal,time\nsignal.signal(2,signal.default_int_handler)\nlate=[]\ntry:\n while True:\n"
            "  t=time.monotonic(); time.sleep(.02)\n"
            "  late.append(time.monotonic()-t-.02)\nexcept KeyboardInterrupt:\n"
            " print(sorted(late)[int(len(late)*.99)],max(late))")  # fmt: skip
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    try:
        await asyncio.sleep(1e9)
    except asyncio.CancelledError:
        process.send_signal(2)
        out, _ = await process.communicate()
        tail, worst = map(float, out.split())
        return tail, worst
    return 0.0, 0.0


async def run(seconds: float, clients: int) -> tuple[list[tuple[str, str]], dict[str, object], bool]:
    """Run the trial and return table, figures and whether the bounds held."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        load = Load(server, clients)
        await load.call("POST", "/v1/galleries/load", {201})
        sleeper = asyncio.create_task(machine_lag())
        until = time.monotonic() + seconds
        running = [asyncio.create_task(load.client(number, until)) for number in range(clients)]
        warm = peak = 0.0
        while not all(task.done() for task in running):
            await asyncio.sleep(0.1)
            if time.monotonic() < until - seconds / 2:
                warm = max(warm, server.memory_mb())
            else:
                peak = max(peak, server.memory_mb())
        await asyncio.gather(*running)
        sleeper.cancel()
        _, machine = (await asyncio.gather(sleeper))[0]
        loop = server.figure("facenapi_loop_lag_max_seconds")
        busy = server.figure("facenapi_loop_busy_max_seconds")
        load.http.close()
    times = sorted(load.seconds)
    figures: dict[str, object] = {
        "requests": len(times),
        "errors": len(load.errors),
        "requests_per_second": len(times) / seconds,
        "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
        "loop_longest_step_ms": 1000 * busy,
        "loop_lag_ms": 1000 * loop,
        "machine_lag_ms": 1000 * machine,
        "memory_peak_first_half_mb": warm,
        "memory_peak_second_half_mb": peak,
    }
    rows = [(name, f"{value:.1f}" if isinstance(value, float) else str(value)) for name, value in figures.items()]
    rows += [(f"{name} {code}", str(count)) for (name, code), count in sorted(load.answers.items())]
    rows += [("error", line) for line in load.errors[:10]]
    held = not load.errors and busy <= LAG_BOUND_S and peak <= warm * GROWTH_BOUND
    return rows, figures, held


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--quick", action="store_true", help="15 seconds")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows, figures, held = asyncio.run(run(15 if chosen.quick else chosen.seconds, chosen.clients))
    report(rows, f"load: {'held' if held else 'BOUND MISSED'}", figures, chosen.json)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
