#!/usr/bin/env python3
"""What each list costs beside its first page without filters, among 1,000,000 faces of the embedded store.

All combinations of the filters of history, faces, metas and persons, of values that many, few and no faces have
(tests/support/skewed.py has the faces), each as first page, from the middle, at the end, and backwards. Costs are
steps of SQLite's machine, which are the same every time, and the processor's time, in turns with that of the first
page.

Bound: no combination takes more than twice as many steps, with pages of --limit.

    python scripts/bench_history.py [--faces=1000000] [--dim=192] [--limit=100] [--quick] [--every] [--json]

--quick: 20,000 faces of 4 numbers. --every: a line for each combination, not for each set of filters.
--dir: keeps the store there, and takes it if it is there already.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from facenapi.storage.base import FaceFilter, Page
from facenapi.storage.sqlite import SqliteStore, lists, persons, schema
from facenapi.storage.sqlite.folder import DATABASE
from tests.support.live import report
from tests.support.skewed import HALF, OWNER, World, fill

BOUND = 2.0
GRAIN = 10  # steps are counted so many at a time
FILTERS = ("person", "camera", "friend", "time")

Call = Callable[[sqlite3.Connection], object]
Found = tuple[str, tuple[str, ...], int, float, float]  # kind, names, steps; these and time beside the first page's


def calls(world: World, limit: int) -> dict[str, dict[tuple[str, ...], Call]]:
    """Return what is asked, by kind of list, then by names of filters and of the page; first without filters."""

    def of_faces(where: FaceFilter, page: Page) -> Call:
        return lambda db: lists.faces(db, OWNER, where, page)

    pages = world.pages(limit)
    found: dict[str, dict[tuple[str, ...], Call]] = {}
    for kind, filters in (("history", world.history()), ("faces", world.lists())):
        found[kind] = {
            (*names, page): of_faces(where, pages[page]) for names, where in filters.items() for page in pages
        }
    found["metas"] = {
        (name or "", page): lambda db, name=name, page=page: lists.metas(db, OWNER, name, pages[page])
        for name in (None, HALF, "none")
        for page in pages
    }
    numbers = {"first": Page(limit), "middle": Page(limit, max_id=150), "last": Page(limit, max_id=limit)}
    found["persons"] = {
        ("", name): lambda db, page=page: persons.persons(db, OWNER, page) for name, page in numbers.items()
    }
    return found


def steps(db: sqlite3.Connection, call: Call) -> int:
    """Return how many steps a call takes."""
    taken = [0]
    db.set_progress_handler(lambda: taken.__setitem__(0, taken[0] + 1), GRAIN)
    call(db)
    db.set_progress_handler(None, 0)
    return GRAIN * taken[0]


def seconds(db: sqlite3.Connection, call: Call, other: Call, rounds: int) -> float:
    """Return how many times as long as another a call takes, in turns; 0 without any."""
    if not rounds:
        return 0.0
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for one, taken in zip((call, other), times, strict=True):
            started = time.thread_time()
            one(db)
            taken.append(time.thread_time() - started)
    mine, others = (statistics.median_low(sorted(taken)[: rounds // 2 + 1]) for taken in times)
    return mine / others


def measure(path: Path, world: World, limit: int, rounds: int) -> list[Found]:
    """Return what each call costs beside the first page without filters of its kind."""
    db = schema.connect(path / DATABASE, "normal")
    found = []
    for kind, asked in calls(world, limit).items():
        first = next(iter(asked.values()))
        base = steps(db, first)
        for names, call in asked.items():
            taken = steps(db, call)
            found.append((kind, names, taken, taken / base, seconds(db, call, first, rounds)))
    db.close()
    return found


def show(found: list[Found], *, every: bool) -> list[tuple[str, str]]:
    """Return rows of a table: a line for each combination, or the dearest of each set of filters."""
    groups: dict[str, list[Found]] = {}
    for entry in found:
        kind, (*names, page), *_ = entry
        given = (name if every else label for name, label in zip(names, FILTERS, strict=False) if name)
        labels = [*(given if kind == "history" else [name for name in names if name]), *([page] if every else [])]
        groups.setdefault(": ".join((kind, ", ".join(labels))), []).append(entry)
    rows = []
    for label, entries in groups.items():
        _, names, taken, ratio, _ = max(entries, key=lambda entry: entry[3])
        slowest = max(entry[4] for entry in entries)
        dearest = "" if every else f"  {', '.join(filter(None, names))}"
        rows.append((label, f"{taken:>8,} steps {ratio:6.2f}x  time at most {slowest:5.2f}x{dearest}"))
    return rows


async def make(path: Path, world: World) -> None:
    """Fill a store, unless it is there already."""
    if (path / DATABASE).exists():
        return
    store = SqliteStore(path, "normal")
    await store.start()
    started = time.perf_counter()
    await fill(store, world, 2000)
    taken = time.perf_counter() - started
    await store.close()
    size = (path / DATABASE).stat().st_size
    print(f"{world.count:,} faces in {taken:.0f} s, {size / world.count:,.0f} bytes each", file=sys.stderr)


def main() -> int:
    """Fill, measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=192)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--every", action="store_true")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    world = World(20_000, 4) if chosen.quick else World(chosen.faces, chosen.dim)
    with tempfile.TemporaryDirectory() as folder:
        path = chosen.dir or Path(folder)
        asyncio.run(make(path, world))
        found = measure(path, world, chosen.limit, chosen.rounds)
    worst = max(found, key=lambda entry: entry[3])
    missed = worst[3] > BOUND
    slowest = max(entry[4] for entry in found)
    summary = (
        f"bench_history: among {world.count:,} faces the dearest of {len(found)} lists ({worst[0]}: "
        f"{', '.join(filter(None, worst[1]))}) takes {worst[3]:.2f}x the steps of the first page (bound {BOUND:g}), "
        f"the slowest {slowest:.2f}x the time: " + ("MISSED" if missed else "kept")
    )
    figures = {"faces": world.count, "steps": worst[3], "time": slowest, "lists": len(found), "kept": not missed}
    report(show(found, every=chosen.every), summary, figures, chosen.json)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
