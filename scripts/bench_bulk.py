#!/usr/bin/env python3
"""What moves many faces at once: rate and memory of each, in a process of its own.

    scripts/bench_bulk.py [--store embedded|ferretdb] [--faces 100000] [--load 1000000] [--quick] [--json]

* fill: faces are added, a thousand a call (into FerretDB past the store, which would take hours)
* export, restore: ``facenapi export`` and ``facenapi import`` of ``--faces``
* regenerate: what a new model costs the store, up to 20,000 faces read and given another vector, eight at a time
* gallery: ``DELETE /galleries/NAME`` with all of ``--faces`` in it, its search index beside it
* first load: a search shard of ``--load`` faces starts without a snapshot

Memory is the most that the step's process had beyond what it had before its store was opened: the embedded store's
mapped file is in it, FerretDB's own is not. No bound: speed depends on the disk. Quick: 2,000 and 10,000 faces.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from facenapi.app import Application
from facenapi.config.options import Config
from facenapi.search.local import LocalShard
from facenapi.storage.base import Face, FaceChange, FaceFilter, NewFace, Page, Store
from facenapi.storage.ids import IdMaker
from facenapi.storage.mongo import MongoStore
from facenapi.storage.mongo.documents import document_of
from facenapi.storage.open import open_store
from facenapi.storage.transfer.exports import export_owner
from facenapi.storage.transfer.imports import import_owner
from tests.support.fakes import FakeDetector
from tests.support.ferret import Ferret
from tests.support.live import report

OWNER, CROWD, MODEL = "bench", "crowd", "fake"
BATCH = 1000
PARALLEL = 8
MOST = 20_000  # that are regenerated
DICE = np.random.default_rng()


def vector(dim: int) -> bytes:
    """Return a face's vector as it is stored."""
    numbers = DICE.standard_normal(dim, np.float32)
    return bytes((numbers / np.linalg.norm(numbers)).tobytes())


def new_face(number: int, dim: int) -> NewFace:
    """Return a face; every other one is an event of a camera."""
    return NewFace(
        OWNER,
        random.randrange(1024),
        *(100, 100, 220, 240),
        vector(dim),
        MODEL,
        "0" * 32,
        1_700_000_000_000 + number * 60_000,
        meta=f"person {number // 10}",
        galleries=("default", CROWD),
        cam_id=f"camera-{number % 50}" if number % 2 else None,
    )


async def fill(store: Store, count: int, dim: int, _: Path) -> int:
    """Add faces."""
    await store.add_gallery(OWNER, CROWD)
    ids = IdMaker(clock=lambda: time.time() - 3600)
    for start in range(0, count, BATCH):
        some = [new_face(number, dim) for number in range(start, min(count, start + BATCH))]
        if not isinstance(store, MongoStore):
            await store.add_faces(some)
            continue
        faces = [
            Face(**{name: getattr(face, name) for name in NewFace.__slots__}, id=ids.next(face.cell), rev=start + rev)
            for rev, face in enumerate(some, 1)
        ]
        await store.faces.insert_many([document_of(face, 0) for face in faces])
        await store.counters.update_one({"_id": "rev"}, {"$set": {"value": start + len(faces)}})
    return count


async def export(store: Store, _: int, __: int, folder: Path) -> int:
    """Write them to a file."""
    return await export_owner(store, OWNER, folder / "export")


async def restore(store: Store, _: int, __: int, folder: Path) -> int:
    """Read them from the file."""
    return await import_owner(store, folder / "export")


async def regenerate(store: Store, _: int, dim: int, __: Path) -> int:
    """Give every face another vector."""
    last, count, slots = 0, 0, asyncio.Semaphore(PARALLEL)

    async def move(face: Face) -> None:
        async with slots:
            await store.update_face(OWNER, face.id, FaceChange(embedding=vector(dim), model="newer"))

    while count < MOST and (page := await store.list_faces(OWNER, FaceFilter(), Page(500, min_id=last))):
        last, count = page[0].id, count + len(page)
        await asyncio.gather(*map(move, page))
    return count


async def first_load(store: Store, _: int, __: int, folder: Path) -> int:
    """Start a search shard from nothing."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        shard = LocalShard(Path(place), store)
        await shard.start()
        count = int(shard.info()["faces"])
        shard._ready = False  # no snapshot at the end
        await shard.close()
    return count


STEPS = {"fill": fill, "export": export, "restore": restore, "regenerate": regenerate, "first load": first_load}


def config_of(options: dict[str, object]) -> Config:
    """Return a configuration in which these options were given."""
    return Config(**options, given=frozenset(options))


def memory_mb() -> float:
    """Return the most memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def step(name: str, config: Config, count: int, dim: int, folder: Path) -> dict[str, float]:
    """Run one step in this process."""
    before = memory_mb()
    if name == "gallery":
        app = Application(config, detector=FakeDetector())
        await app.start()
        count = await app.store.count_faces(OWNER, CROWD)
        began = time.perf_counter()
        await app.galleries.delete(OWNER, CROWD)
        took = time.perf_counter() - began
        assert await app.store.count_faces(OWNER) == 0
        await app.close()
    else:
        store = open_store(config)
        await store.start()
        began = time.perf_counter()
        count = await STEPS[name](store, count, dim, folder)
        took = time.perf_counter() - began
        await store.close()
    return {"faces": count, "seconds": took, "rate": count / took, "memory_mb": memory_mb() - before}


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=("embedded", "ferretdb"), default="embedded")
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--load", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=192, help="numbers in a vector (192)")
    parser.add_argument("--dir", type=Path, help="folder for the stores (a temporary one)")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--step", nargs=3, help=argparse.SUPPRESS)  # name, options as JSON, number of faces
    chosen = parser.parse_args()
    if chosen.step:
        name, options, count = chosen.step
        print(json.dumps(asyncio.run(step(name, config_of(json.loads(options)), int(count), chosen.dim, chosen.dir))))
        return 0
    faces, load = (2_000, 10_000) if chosen.quick else (chosen.faces, chosen.load)
    figures, rows = {}, []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=chosen.dir)))
        ferret = stack.enter_context(Ferret(folder)) if chosen.store == "ferretdb" else None
        plan = [("a", name, faces) for name in ("fill", "export")]
        plan += [("b", name, faces) for name in ("restore", "regenerate", "gallery")]
        plan += [("c", name, load) for name in ("fill", "first load")]
        for place, name, count in plan:
            options = {"data_dir": str(folder / place)}
            if ferret is not None:
                options |= {"mongo_host": "127.0.0.1", "mongo_port": ferret.port, "mongo_db": place}
                options |= {"mongo_timeout": 100.0}
            words = [f"--dir={folder}", f"--dim={chosen.dim}", "--step", name, json.dumps(options), str(count)]
            done = subprocess.run([sys.executable, __file__, *words], stdout=subprocess.PIPE, text=True, check=True)
            found = figures[f"{name} {place}"] = json.loads(done.stdout)
            rows.append(
                (
                    f"{name} of {found['faces']:,}",
                    f"{found['rate']:>10,.0f} a second  {found['seconds']:>8,.1f} s {found['memory_mb']:>8,.0f} MB",
                )
            )
            print(*rows[-1], sep=": ", file=sys.stderr)
    report(rows, f"bench_bulk: {chosen.store}", figures, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
