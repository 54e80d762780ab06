"""Mixed traffic at 80 % of the capacity that is measured first, for 20 minutes, against a server in its own process.

The number of stored faces stays level: what is added is deleted again. Bounds: no answer but the expected one;
memory at the end within 2 % of that after the first quarter (medians over a twentieth of the time; 10 % in less than
three minutes, when the server is hardly warm and fills arenas again that it has given back; otherwise 800 requests go
before, however long they take: the pools of the allocator and of the networks grow by what they have seen, not by the
clock); no file descriptor or asyncio task more than then, both idle, and no thread but those of asyncio's own pool.

    python scripts/trial_soak.py [--minutes=20] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.trial_load import Load
from tests.support.live import Server, report

# asyncio.to_thread makes threads up to this number, one by one, whenever so many calls meet.
MORE = {"threads": min(32, (os.cpu_count() or 1) + 4), "files": 0, "tasks": 0}
GROWTH_BOUND, SHORT_GROWTH_BOUND = 1.02, 1.10
SHARE = 0.8
WARM, LONG_ENOUGH = 800, 3.0  # requests; minutes
CLIENTS = 16
FACES = 200
SETTLE_S = 3.0
NAMES = ("memory_mb", "threads", "files", "tasks")


@dataclass(frozen=True)
class Sample:
    """What the server's process holds at a moment."""

    memory_mb: float
    threads: int
    files: int
    tasks: int


def look(server: Server) -> Sample:
    """Take a sample by /proc and /metrics."""
    process = Path(f"/proc/{server.process.pid}")
    # In this order: the connection for /metrics is a file of the server's, too, and does not end at once.
    threads, files = (len(list((process / name).iterdir())) for name in ("task", "fd"))
    return Sample(server.memory_mb(), threads, files, int(server.figure("facenapi_tasks")))


class Soak(Load):
    """The traffic of the load trial, with a level number of faces."""

    async def act(self, dice: random.Random) -> None:
        """Delete a face when there are many; else what the load trial does."""
        if len(self.faces) > FACES:
            victim = self.faces.pop(dice.randrange(len(self.faces)))
            await self.call("DELETE", f"/v1/face/id/{victim}", {204})
        else:
            await super().act(dice)

    async def burst(self, seconds: float) -> float:
        """Ask as fast as the server answers; return requests per second."""
        before, start = len(self.seconds), time.monotonic()
        await asyncio.gather(*(self.client(number, start + seconds) for number in range(CLIENTS)))
        return (len(self.seconds) - before) / (time.monotonic() - start)

    async def pace(self, per_second: float, until: float) -> None:
        """Ask at a rate; a machine that is slower for a while is not hurried afterwards."""
        dice, slots, running = random.Random(1), asyncio.Semaphore(CLIENTS), set()
        due = time.monotonic()

        async def one() -> None:
            try:
                await self.act(dice)
            finally:
                slots.release()

        while time.monotonic() < until:
            await slots.acquire()
            task = asyncio.create_task(one())
            running.add(task)
            task.add_done_callback(running.discard)
            due = max(due + dice.expovariate(per_second), time.monotonic() - 1.0)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*running)


async def run(minutes: float) -> tuple[list[tuple[str, str]], dict[str, object], bool]:
    """Run the trial and return table, figures and whether the bounds held."""
    seconds = minutes * 60
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
        load = Soak(server, CLIENTS)
        await load.call("POST", "/v1/galleries/load", {201})
        capacity = await load.burst(min(20.0, seconds / 6))
        while minutes >= LONG_ENOUGH and len(load.seconds) < WARM:
            await load.burst(5.0)
        samples: list[Sample] = []
        start, asked = time.monotonic(), len(load.seconds)
        await watched(load, server, SHARE * capacity, seconds / 4, samples)
        # Pools make threads and open files one by one, up to a bound that the first quarter reaches.
        await asyncio.sleep(SETTLE_S)
        before = look(server)
        quarter = len(samples)
        await watched(load, server, SHARE * capacity, seconds * 3 / 4, samples)
        rate = (len(load.seconds) - asked) / (time.monotonic() - start)
        await asyncio.sleep(SETTLE_S)
        after = look(server)
        load.http.close()
    return judge(
        load,
        (samples[quarter:], before, after),
        {"capacity_per_s": capacity, "asked_per_s": rate, "minutes": minutes},
    )


async def watched(load: Soak, server: Server, per_second: float, seconds: float, samples: list[Sample]) -> None:
    """Ask at a rate for a time, and take samples meanwhile."""
    traffic = asyncio.create_task(load.pace(per_second, time.monotonic() + seconds))
    while not traffic.done():
        samples.append(await asyncio.to_thread(look, server))
        await asyncio.wait({traffic}, timeout=seconds / 180)
    await traffic


def judge(
    load: Soak, seen: tuple[list[Sample], Sample, Sample], figures: dict[str, object]
) -> tuple[list[tuple[str, str]], dict[str, object], bool]:
    """Compare the end with what there was after the first quarter: under load, and idle ``before`` and ``after``."""
    samples, before, after = seen
    width = max(1, len(samples) // 15)
    first = statistics.median(sample.memory_mb for sample in samples[:width])
    last = statistics.median(sample.memory_mb for sample in samples[-width:])
    bound = GROWTH_BOUND if float(str(figures["minutes"])) >= LONG_ENOUGH else SHORT_GROWTH_BOUND
    held = {
        "errors": not load.errors,
        "memory": last <= first * bound,
        **{name: getattr(after, name) <= getattr(before, name) + more for name, more in MORE.items()},
    }
    figures |= {"requests": len(load.seconds), "errors": len(load.errors), "memory_growth": last / first - 1}
    figures |= {"memory_quarter_mb": first, "memory_end_mb": last}
    figures |= {f"{name}_before": getattr(before, name) for name in NAMES}
    figures |= {f"{name}_after": getattr(after, name) for name in NAMES}
    rows = [(name, f"{value:.3f}" if isinstance(value, float) else str(value)) for name, value in figures.items()]
    rows += [("missed", name) for name, good in held.items() if not good]
    rows += [("error", line) for line in load.errors[:10]]
    return rows, figures, all(held.values())


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows, figures, held = asyncio.run(run(0.6 if chosen.quick else chosen.minutes))
    growth = 100 * float(str(figures["memory_growth"]))
    report(rows, f"soak: memory {growth:+.1f} %: {'held' if held else 'BOUND MISSED'}", figures, chosen.json)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
