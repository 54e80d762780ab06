"""Searches that wait for a thread are answered together: what all of them read is read once.

A search among many faces spends most of its time on reading memory. Whenever a thread is free, it takes its
share of those that wait and differ in their probes only. One that comes alone is searched for alone.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facenapi.search.shard import Hit, Query

    SearchTogether = Callable[[Sequence[Query]], list[list[Hit]]]

MOST = 16  # searches at a time: more gain little, and the first of them would wait for long


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    query: Query
    answer: asyncio.Future[list[Hit]]

    @property
    def kind(self) -> tuple[str, str, int, float | None, str | None]:
        """Equal for searches that differ in their probes only."""
        query = self.query
        return query.owner, query.model, query.n, query.min_similarity, query.tag


class Batcher:
    """A few threads that search. Use it on one event loop."""

    def __init__(self, search: SearchTogether, threads: int, most: int = MOST) -> None:
        """``search``: answers up to ``most`` queries that differ in their probes only; called in the threads."""
        self._search = search
        self._threads, self._most = threads, most
        self._pool = ThreadPoolExecutor(threads, "search")
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits, or raise what the search for this query raised."""
        answer: asyncio.Future[list[Hit]] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.append(_Waiting(query, answer))
        self._pool.submit(self._work)
        return await answer

    def shutdown(self) -> None:
        """Finish what was asked for, and stop."""
        self._pool.shutdown()

    def _work(self) -> None:
        taken = self._take()
        if taken:
            outcomes = self._outcomes([waiting.query for waiting in taken])
            taken[0].answer.get_loop().call_soon_threadsafe(_settle, taken, outcomes)

    def _take(self) -> list[_Waiting]:
        """Take the one that has waited longest and this thread's share of those of its kind."""
        with self._lock:
            waiting = [one for one in self._waiting if not one.answer.cancelled()]
            alike = [one for one in waiting if one.kind == waiting[0].kind]
            taken = alike[: min(self._most, -(-len(alike) // self._threads))]
            self._waiting = [one for one in waiting if one not in taken]
        return taken

    def _outcomes(self, queries: list[Query]) -> list[list[Hit] | Exception]:
        """Return answers; if one of several queries spoils them, each gets its own."""
        try:
            return [*self._search(queries)]
        except Exception as error:  # noqa: BLE001 - whatever it is, who asked is told
            if len(queries) == 1:
                return [error]
        return [outcome for query in queries for outcome in self._outcomes([query])]


def _settle(taken: list[_Waiting], outcomes: list[list[Hit] | Exception]) -> None:
    for waiting, outcome in zip(taken, outcomes, strict=True):
        if waiting.answer.cancelled():
            continue
        if isinstance(outcome, Exception):
            waiting.answer.set_exception(outcome)
        else:
            waiting.answer.set_result(outcome)
