"""How ``bench_search.py`` measures: one thread, two threads, and tasks that search at a time."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from search_contenders import MOST, THRESHOLD

from facenapi.search.run.batching import MOST as LARGEST_BATCH
from facenapi.search.run.batching import Batcher
from facenapi.search.shard import Query

TURN = 100  # queries
CLIENTS = 16


def timed(search, probes):
    """Return CPU and wall-clock seconds of each search, (2, probes)."""
    took = np.empty((2, len(probes)))
    for number, probe in enumerate(probes):
        cpu, wall = time.thread_time(), time.perf_counter()
        search(probe)
        took[:, number] = time.thread_time() - cpu, time.perf_counter() - wall
    return took


def in_turns(contenders, probes, turns):
    """Return, by name, CPU and wall-clock seconds of all searches, (2, turns, queries of a turn)."""
    took = {name: [] for name in contenders}
    for turn in range(turns):
        some = np.roll(probes, -turn * TURN, axis=0)[:TURN]
        for name in list(contenders)[:: 1 if turn % 2 else -1]:
            contender = contenders[name]
            took[name].append(timed(contender.search, some[: max(1, int(contender.share * TURN))]))
    return {name: np.stack(turns, axis=1) for name, turns in took.items()}


def summary(took):
    """Return queries/s of a core of its own, and latencies in ms."""
    quantiles = {"p50_cpu": (0, 0.5), "p99_cpu": (0, 0.99), "p50_wall": (1, 0.5), "p99_wall": (1, 0.99)}
    figures = {name: 1e3 * np.quantile(took[clock], share) for name, (clock, share) in quantiles.items()}
    return {"qps": 1 / np.median(took[0].mean(axis=1)), **figures}


def two_threads(search, probes):
    """Return seconds for all probes by two threads."""
    with ThreadPoolExecutor(2) as pool:
        began = time.perf_counter()
        list(pool.map(lambda half: [search(probe) for probe in half], np.array_split(probes, 2)))
    return time.perf_counter() - began


def with_two_threads(contenders, probes, turns):
    """Return, by name, seconds for all probes in each turn."""
    took = {name: [] for name in contenders}
    for turn in range(turns):
        for name in list(contenders)[:: 1 if turn % 2 else -1]:
            took[name].append(two_threads(contenders[name].search, probes))
    return {name: np.array(seconds) for name, seconds in took.items()}


async def _ask(ours, probes, most):
    """Search for all probes, by ``CLIENTS`` at a time, as a server's process does it."""

    def search(queries):
        return ours.collection.search_batch([query.probe for query in queries], MOST, THRESHOLD)

    async def client():
        for probe in left:
            await batcher.search(Query("owner", "model", probe, MOST, THRESHOLD))

    batcher, left = Batcher(search, 2, most), iter(probes)
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    batcher.shutdown()


def in_company(ours, probes, turns):
    """Return queries/s of CPU time for searches at a time: answered together, and each alone."""
    took = {LARGEST_BATCH: [], 1: []}
    for turn in range(turns):
        some = np.roll(probes, -turn * TURN, axis=0)[: 2 * TURN]
        for most, seconds in took.items():
            began = time.process_time()
            asyncio.run(_ask(ours, some, most))
            seconds.append((time.process_time() - began) / len(some))
    return [1 / np.median(seconds) for seconds in took.values()]


def ratio(theirs, ours):
    """Return the median, over the turns, of their time by ours."""
    return np.median(np.divide(*(took.reshape(len(took), -1).sum(axis=1) for took in (theirs, ours))))
