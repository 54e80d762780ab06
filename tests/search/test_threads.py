"""Searches that wait are answered together, and each gets what it would have got alone."""

import asyncio
import threading

import numpy as np
import pytest

from facenapi.search.index.index import Index
from facenapi.search.shard import Query, Upsert
from facenapi.search.threads import MOST, Batcher
from tests.search.support import faces_like

VECTORS = faces_like(400)


def query(number, n=5, floor=None, tag=None):
    return Query("o", "m", VECTORS[number], n, floor, tag)


class Held:
    """An index whose first search waits until it is let; it notes which searches came together."""

    def __init__(self):
        self.index, self.batches, self._may = Index(1000), [], threading.Event()
        self.let = self._may.set
        for number, vector in enumerate(VECTORS):
            tags = frozenset({"even"} if number % 2 == 0 else ())
            self.index.take(Upsert("o", "m", number, 1, tags, vector.tobytes()))

    def __call__(self, queries):
        self.batches.append(len(queries))
        assert self._may.wait(10)
        return self.index.search(queries)

    async def ask(self, threads, queries):
        """Return what a search for each query comes to, when all wait while each thread has one to do."""
        batcher = Batcher(self, threads, 256)
        first = [asyncio.create_task(batcher.search(query(0))) for _ in range(threads)]
        while len(self.batches) < threads:
            await asyncio.sleep(0.001)
        tasks = [asyncio.create_task(batcher.search(one)) for one in queries]
        await asyncio.sleep(0)
        yield tasks
        self.let()
        yield await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*first)
        batcher.shutdown()


@pytest.mark.parametrize("threads", [1, 3])
async def test_those_that_wait_are_shared_among_the_threads(threads):
    held = Held()
    queries = [query(number) for number in range(40)]
    *_, answers = [step async for step in held.ask(threads, queries)]
    assert answers == [held.index.search([one])[0] for one in queries]
    assert held.batches[:threads] == [1] * threads
    assert sum(held.batches) == threads + 40
    assert held.batches[threads] == {1: MOST, 3: 14}[threads]


async def test_only_searches_that_differ_in_nothing_but_the_probe_go_together():
    held = Held()
    queries = [query(0), query(1, tag="even"), query(2), query(3, floor=0.5), query(4, n=2), query(5, tag="even")]
    *_, answers = [step async for step in held.ask(1, queries)]
    assert answers == [held.index.search([one])[0] for one in queries]
    assert held.batches == [1, 2, 2, 1, 1]


async def test_a_bad_probe_spoils_no_other_search():
    held = Held()
    bad = Query("o", "m", np.full(32, np.nan, np.float32), 5)
    *_, answers = [step async for step in held.ask(1, [query(1), bad, query(2)])]
    assert [answers[0], answers[2]] == held.index.search([query(1), query(2)])
    with pytest.raises(ValueError, match="finite unit vector"):
        raise answers[1]


async def test_nobody_searches_for_who_has_gone():
    held = Held()
    steps = held.ask(1, [query(1), query(2), query(3)])
    tasks = await anext(steps)
    tasks[1].cancel()
    await asyncio.sleep(0)
    answers = await anext(steps)
    assert isinstance(answers[1], asyncio.CancelledError)
    assert [answers[0], answers[2]] == held.index.search([query(1), query(3)])
    assert held.batches == [1, 2]
    with pytest.raises(StopAsyncIteration):
        await anext(steps)
