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
import json
import random
import resource
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from store_subject import Subject

from facenapi.config.options import Config
from facenapi.storage.base import Store
from facenapi.storage.mongo import MongoStore
from facenapi.storage.sqlite import SqliteStore
from tests.support.ferret import Ferret, program
from tests.support.wire import WireDouble

GROWTH_BOUND = 1.5


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
