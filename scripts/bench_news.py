#!/usr/bin/env python3
"""What it costs an identify to know what other API servers have acknowledged.

    scripts/bench_news.py [--rounds 40] [--json]

One server on FerretDB (scripts/build_ferretdb makes it), with each driver: searches in a shard that asks the database
for news first, and in one that does not, in turns. The question is asked when a request arrives, and answered beside
the work on its photo (here a pause of 20 ms); what is left of it is what the search then waits longer for. "At once":
no work on a photo at all.

Bound: with work on a photo the median search takes at most 1 ms longer. Exit status 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from facenapi.config.options import Config
from facenapi.search.client import ShardClient
from facenapi.search.local import LocalShard
from facenapi.search.shard import Query
from facenapi.storage.mongo import MongoStore
from tests.storage.samples import new_face
from tests.support.ferret import Ferret
from tests.support.live import report

FACES, DIM, WORK_S, BOUND_MS = 200, 128, 0.02, 1.0


async def search(client: ShardClient, probe: np.ndarray, work_s: float) -> float:
    """Return how long a search takes after the work on its photo, in milliseconds."""
    since = client.arrive()
    if work_s:
        await asyncio.sleep(work_s)
    began = time.perf_counter()
    answer = await client.search(Query("ann", "net-1", probe, 1, since=since), strict=True)
    took = time.perf_counter() - began
    assert answer.hits
    return took * 1000


async def measure(driver: str, rounds: int, folder: Path) -> dict[str, float]:
    """Return medians in milliseconds."""
    times: dict[str, list[float]] = defaultdict(list)
    vectors = np.random.default_rng(0).standard_normal((FACES, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with Ferret(folder) as server:
        store = MongoStore(Config(mongo_host="127.0.0.1", mongo_port=server.port, mongo_driver=driver))
        await store.start()
        await store.add_faces([new_face(embedding=vector.tobytes()) for vector in vectors])
        clients = {}
        for name, asks in (("asks", True), ("does not ask", False)):
            shard = LocalShard(folder / name, store, hears=asks, poll_s=1e6)
            clients[name] = ShardClient([(shard, None)], hear=shard.hear if asks else None)
            await clients[name].start()
        for _ in range(rounds):
            for work, work_s in (("after work", WORK_S), ("at once", 0.0)):
                for name, client in clients.items():
                    times[f"{name}, {work}"] += [await search(client, vectors[0], work_s) for _ in range(5)]
            for _ in range(5):
                began = time.perf_counter()
                await store.driver.command("ping")
                times["the driver's ping"].append((time.perf_counter() - began) * 1000)
        for client in clients.values():
            await client.close()
        await store.close()
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> int:
    """Run; return 1 when the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="10 rounds")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    figures, rows, most = {}, [], 0.0
    for driver in ("pymongo", "motor"):
        with tempfile.TemporaryDirectory() as folder:
            medians = asyncio.run(measure(driver, 10 if chosen.quick else chosen.rounds, Path(folder)))
        most = max(most, medians["asks, after work"] - medians["does not ask, after work"])
        figures[driver] = medians
        rows += [(f"{driver}: {name}", f"{value:.2f} ms") for name, value in medians.items()]
    held = most <= BOUND_MS
    report(rows, f"bench_news: {'held' if held else 'BOUND MISSED'}: {most:+.2f} ms", figures, chosen.json)
    return int(not held)


if __name__ == "__main__":
    sys.exit(main())
