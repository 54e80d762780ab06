#!/usr/bin/env python3
"""Speed of the embedded store at 10,000, 100,000 and 500,000 faces, and how it grows with their number.

Three stores are filled (owner with 20 galleries, ten faces to a meta, every other face an event of one of 50
cameras), then measured in turns, so that whatever else the machine does falls on all of them alike.

Times are lower quartiles: what a call takes when no other process has the processor just then.

With --compare the embedded store, the MongoDB store over the tests' double, and over FerretDB if it is built
(scripts/build_ferretdb) stand side by side, of --faces faces each, with the bulk paths too:
reading the whole feed (as a shard's first load does), and for at most 20 seconds each changing faces (as regenerate
does), deleting galleries, and restoring what was deleted.
Neither of the two servers says how fast MongoDB is: the double is Python, and FerretDB reads the whole collection for
each query. No bound. --stores embedded measures the embedded store alone, of more faces.

Bounds: from the smallest to the largest store, the time of a page of faces (of everything and of a
gallery, at a random place), of a page of history, of counting a gallery, and of a page of metas grows by at
most 1.5 times. With --quick the sizes are 4,000, 10,000 and 40,000.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from facenapi.config.options import Config
from facenapi.storage.base import Face, FaceChange, FaceFilter, NewFace, Page, Store
from facenapi.storage.mongo import MongoStore
from facenapi.storage.sqlite import SqliteStore
from tests.support.ferret import Ferret, program
from tests.support.wire import WireDouble

OWNER = "bench"
GALLERIES = [f"gallery-{i}" for i in range(20)]
DAY_MS = 86_400_000
START_MS = 1_700_000_000_000
GROWTH_BOUND = 1.5


@dataclass
class Subject:
    """A store of a size, and what was measured of it."""

    size: int
    store: Store
    dim: int
    random: random.Random
    batch: int = 1000
    first: int = 0
    last: int = 0
    rates: dict[str, float] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)

    def new_face(self, number: int) -> NewFace:
        """A face as a deployment has them; ``number`` decides meta, gallery, camera and time."""
        return NewFace(
            OWNER,
            self.random.randrange(1024),
            100,
            100,
            220,
            240,
            self.random.randbytes(4 * self.dim),
            "bench",
            "0" * 32,
            START_MS + number * 60_000,
            meta=f"person {number // 10}",
            galleries=(GALLERIES[number % len(GALLERIES)],),
            photo="http://example.org/photo.jpg",
            cam_id=f"camera-{number // 2 % 50}" if number % 2 else None,
        )

    async def fill(self) -> None:
        """Make galleries and load the faces in batches."""
        for name in GALLERIES:
            await self.store.add_gallery(OWNER, name)
        started, faces = time.perf_counter(), list[Face]()
        for start in range(0, self.size, self.batch):
            faces = await self.store.add_faces([self.new_face(i) for i in range(start, start + self.batch)])
            self.first = self.first or faces[0].id
        self.last = faces[-1].id
        self.rates["bulk load"] = self.size / (time.perf_counter() - started)

    async def write(self, clients: int, count: int) -> None:
        """Add faces one by one, from clients that each wait for their answer."""

        async def client() -> None:
            for _ in range(count // clients):
                await self.store.add_faces([self.new_face(self.random.randrange(self.size))])

        started = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(clients)))
        self.rates[f"add, {clients} client{'s' * (clients > 1)}"] = count / (time.perf_counter() - started)

    async def scan(self) -> None:
        """Read the whole feed, as a shard does that starts from nothing."""
        started, count, rev, more = time.perf_counter(), 0, 0, True
        while more:
            changes = await self.store.changes_since(rev, 2000)
            count, rev, more = count + len(changes.faces), changes.next_rev, changes.more
        self.rates["full scan"] = count / (time.perf_counter() - started)

    def reads(self) -> dict[str, Callable[[], Awaitable[object]]]:
        """The calls whose growth is bounded, each at a random place."""

        def place() -> Page:
            # In the newer half, so that every page is a full one.
            return Page(100, self.random.randint((self.first + self.last) // 2, self.last))

        def gallery() -> str:
            return self.random.choice(GALLERIES)

        def week() -> FaceFilter:
            start = START_MS + self.random.randrange(self.size) * 60_000
            return FaceFilter(events=True, start_ms=start, end_ms=start + DAY_MS // 4)

        everything = FaceFilter()
        return {
            "page of all": lambda: self.store.list_faces(OWNER, everything, place()),
            "page of a gallery": lambda: self.store.list_faces(OWNER, FaceFilter(gallery=gallery()), place()),
            "page of a camera": lambda: self.store.list_faces(
                OWNER, FaceFilter(cam_ids=(f"camera-{self.random.randrange(50)}",)), Page(20)
            ),
            "history of hours": lambda: self.store.list_faces(OWNER, week(), Page(100)),
            "count of a gallery": lambda: self.store.count_faces(OWNER, gallery()),
            "page of metas": lambda: self.store.list_metas(OWNER, None, place()),
            "metas of a gallery": lambda: self.store.list_metas(OWNER, gallery(), place()),
        }

    async def bulk(self, seconds: float) -> None:
        """Read the feed; for some seconds each change faces, delete by gallery, and restore what was deleted."""
        faces: dict[int, Face] = {}
        more, rev, started = True, 0, time.perf_counter()
        while more:
            changes = await self.store.changes_since(rev, 2000)
            faces |= {face.id: face for face in changes.faces}
            rev, more = changes.next_rev, changes.more
        self.rates["first load"] = len(faces) / (time.perf_counter() - started)
        left, gone, galleries = iter(list(faces)), dict[int, Face](), [*GALLERIES]

        async def regenerate() -> int:
            some = list(itertools.islice(left, 16))
            news = FaceChange(embedding=self.random.randbytes(4 * self.dim), model="newer")
            await asyncio.gather(*(self.store.update_face(OWNER, face_id, news) for face_id in some))
            return len(some)

        async def delete() -> int:
            while galleries:
                some = await self.store.delete_faces(OWNER, FaceFilter(gallery=galleries[-1]), 100)
                gone.update((face.id, face) for face in some)
                if some:
                    return len(some)
                galleries.pop()
            return 0

        async def restore() -> int:
            return await self.store.restore_faces([gone.popitem()[1] for _ in range(min(100, len(gone)))])

        await self.repeat("regenerate", regenerate, seconds)
        await self.repeat("delete galleries", delete, seconds)
        await self.repeat("restore", restore, seconds)

    async def repeat(self, name: str, step: Callable[[], Awaitable[int]], seconds: float) -> None:
        """Repeat a step until it has no more faces to work on, or the time is over."""
        started, count, done = time.perf_counter(), 0, 1
        while done and time.perf_counter() < started + seconds:
            done = await step()
            count += done
        self.rates[name] = count / (time.perf_counter() - started)


def say(text: str) -> None:
    """Tell who waits how far it is."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr)


async def compare(
    names: list[str], size: int, folder: Path, dim: int, *, rounds: int, seconds: float
) -> dict[str, object]:
    """Measure several kinds of stores of one size; return all figures."""
    with ExitStack() as stack:
        subjects = []
        for name in names:
            place = folder / name
            place.mkdir()
            if name == "embedded":
                store: Store = SqliteStore(place)
            else:
                server = stack.enter_context(WireDouble() if name == "double" else Ferret(place))
                store = MongoStore(Config(mongo_host="127.0.0.1", mongo_port=server.port, mongo_timeout=60))
            await store.start()
            subjects.append(Subject(size, store, dim, random.Random(size), batch=100))
            await subjects[-1].fill()
            say(f"{name}: filled")
        await measure(subjects, rounds, news=True)
        for subject, name in zip(subjects, names, strict=True):
            say(f"{name}: writes")
            await subject.write(1, 50)
            await subject.write(50, 200)
            say(f"{name}: bulk")
            await subject.bulk(seconds)
            await subject.store.close()
    return {
        "stores": names,
        "faces": size,
        "dim": dim,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "rates": {name: [subject.rates[name] for subject in subjects] for name in subjects[0].rates},
        "milliseconds": {
            name: [statistics.quantiles(subject.times[name], n=4)[0] * 1000 for subject in subjects]
            for name in subjects[0].times
        },
    }


async def measure(subjects: list[Subject], rounds: int, *, news: bool = False) -> None:
    """Take turns between the stores, so that noise is shared. ``news``: the question of an identify as well."""
    names = [*subjects[0].reads(), *(["question for news"] if news else [])]
    for _ in range(rounds):
        for name in names:
            for subject in subjects:
                call = subject.reads().get(name, lambda subject=subject: subject.store.news_since(0))
                for _ in range(5):
                    started = time.perf_counter()
                    await call()
                    subject.times.setdefault(name, []).append(time.perf_counter() - started)


async def run(sizes: list[int], folder: Path, dim: int, rounds: int) -> dict[str, object]:
    """Fill, measure and return all figures."""
    subjects = []
    for size in sizes:
        store = SqliteStore(folder / str(size))
        await store.start()
        subjects.append(Subject(size, store, dim, random.Random(size)))
        await subjects[-1].fill()
    await measure(subjects, 10)
    for subject in subjects:
        subject.times.clear()  # caches were cold
    await measure(subjects, rounds)
    for subject in subjects:
        await subject.scan()
        await subject.write(1, 200)
        await subject.write(50, 2000)
        await subject.store.close()
    times = {
        name: [statistics.quantiles(subject.times[name], n=4)[0] * 1000 for subject in subjects]
        for name in subjects[0].times
    }
    return {
        "sizes": sizes,
        "dim": dim,
        "rates": {name: [subject.rates[name] for subject in subjects] for name in subjects[0].rates},
        "milliseconds": times,
        "growth": {name: values[-1] / values[0] for name, values in times.items()},
    }


def show(result: dict[str, object]) -> None:
    """Print the figures as tables."""
    sizes, rates, times, growth = (result[name] for name in ("sizes", "rates", "milliseconds", "growth"))
    print(f"{'faces':22}" + "".join(f"{size:>12,}" for size in sizes) + f"{'growth':>10}")
    for name, values in rates.items():
        print(
            f"{name + ', 1/s':22}"
            + "".join(f"{value:>12,.0f}" for value in values)
            + f"{values[0] / values[-1]:>9.2f}x"
        )
    for name, values in times.items():
        print(f"{name + ', ms':22}" + "".join(f"{value:>12.2f}" for value in values) + f"{growth[name]:>9.2f}x")


def show_comparison(result: dict[str, object]) -> None:
    """Print the figures of several kinds of stores as a table."""
    print(f"{result['faces']:,} faces".ljust(26) + "".join(f"{name:>12}" for name in result["stores"]))
    for name, values in result["rates"].items():
        print(f"{name + ', 1/s':26}" + "".join(f"{value:>12,.0f}" for value in values))
    for name, values in result["milliseconds"].items():
        print(f"{name + ', ms':26}" + "".join(f"{value:>12.2f}" for value in values))
    print(f"most memory of this process: {result['memory_mb']:,.0f} MB")


def main() -> int:
    """Run; return 1 when a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small sizes, under a minute")
    parser.add_argument("--json", action="store_true", help="print figures as JSON instead of tables")
    parser.add_argument("--dim", type=int, default=128, help="values in an embedding (128)")
    parser.add_argument("--dir", type=Path, help="folder for the stores (a temporary one; about 1.5 GB)")
    parser.add_argument("--compare", action="store_true", help="several kinds of stores instead of several sizes")
    parser.add_argument("--stores", default="embedded,double,ferretdb", help="which, with --compare (%(default)s)")
    parser.add_argument("--faces", type=int, default=1000, help="of each, with --compare (%(default)s)")
    args = parser.parse_args()
    if args.compare:
        names = [name for name in args.stores.split(",") if name != "ferretdb" or program() is not None]
        with tempfile.TemporaryDirectory(dir=args.dir) as folder:
            rounds, seconds = (1, 3) if args.quick else (4, 20)
            result = asyncio.run(compare(names, args.faces, Path(folder), args.dim, rounds=rounds, seconds=seconds))
        if args.json:
            print(json.dumps(result))
        else:
            show_comparison(result)
        return 0
    sizes = [4_000, 10_000, 40_000] if args.quick else [10_000, 100_000, 500_000]
    with tempfile.TemporaryDirectory(dir=args.dir) as folder:
        result = asyncio.run(run(sizes, Path(folder), args.dim, rounds=40 if args.quick else 60))
    worst = max(result["growth"], key=result["growth"].get)
    missed = result["growth"][worst] > GROWTH_BOUND
    if args.json:
        print(json.dumps(result))
    else:
        show(result)
    print(
        f"bench_store: {'MISSED' if missed else 'ok'}: at {sizes[-1] / sizes[0]:.0f} times the faces, the slowest "
        f"growing call ({worst}) takes {result['growth'][worst]:.2f} times as long (bound {GROWTH_BOUND})",
        file=sys.stderr if args.json else sys.stdout,
    )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
