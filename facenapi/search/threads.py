"""The threads of a shard: each kind of work has its own, so that none waits for another.

Searches that wait for a thread are answered together: what all of them read is read once. A search among many faces
spends most of its time on reading memory. Whenever a thread is free, it takes its share of those that wait and differ
in their probes only. One that comes alone is searched for alone.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from facenapi.errors import Overloaded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facenapi.process.supervised import Loops
    from facenapi.search.shard import Hit, Query

    SearchTogether = Callable[[Sequence[Query]], list[list[Hit]]]

_T = TypeVar("_T")
MOST = 16  # searches at a time: more gain little, and the first of them would wait for long


class Threads:
    """One thread writes, a bounded few search, others do what takes long. The event loop only passes messages."""

    def __init__(self, name: str, searchers: Batcher, background: int = 1) -> None:
        """``background``: how many do what takes long."""
        self.searchers = searchers
        self._writer = ThreadPoolExecutor(1, f"{name}-write")
        self._background = ThreadPoolExecutor(background, name)

    async def write(self, work: Callable[..., _T], *args: Any) -> _T:
        """Return ``work(*args)``, after all writes that came before."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, work, *args)

    async def background(self, work: Callable[..., _T], *args: Any) -> _T:
        """Return ``work(*args)``, whatever it takes."""
        return await asyncio.get_running_loop().run_in_executor(self._background, work, *args)

    def close(self, *, cancel: bool = False) -> None:
        """Wait for what is running, and for what is queued unless ``cancel`` drops it; blocks meanwhile.

        Searches are never dropped.
        """
        self.searchers.shutdown()
        for pool in (self._background, self._writer):
            pool.shutdown(cancel_futures=cancel)


class Hosted:
    """What shards that this process runs itself have in common: threads, loops, and whether they can be asked yet."""

    def __init__(self, threads: Threads, loops: Loops, not_ready: str) -> None:
        """``not_ready``: what is said to who asks too early."""
        self._threads = threads
        self.loops = loops
        self._not_ready = not_ready
        self._ready = self._started = False

    @property
    def ready(self) -> bool:
        """Whether it has caught up with the store and can be searched."""
        return self._ready

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits, best first. Raises Unavailable, Overloaded, or ValueError for a bad probe."""
        self._check_ready()
        return await self._threads.searchers.search(query)

    def _check_ready(self) -> None:
        if not self._ready:
            raise Unavailable(self._not_ready if self._started else "Search is closed")


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

    def __init__(self, search: SearchTogether, threads: int, queue: int, most: int = MOST) -> None:
        """``search``: answers up to ``most`` queries that differ in their probes only; called in the threads.

        ``queue``: searches that may wait or be under way.
        """
        self.searching = 0
        self._search = search
        self._threads, self._queue, self._most = threads, queue, most
        self._pool = ThreadPoolExecutor(threads, "search")
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits, or raise what the search for this query raised; Overloaded if too many wait."""
        if self.searching >= self._queue:
            raise Overloaded("Too many searches are waiting")
        answer: asyncio.Future[list[Hit]] = asyncio.get_running_loop().create_future()
        with self._lock:
            self._waiting.append(_Waiting(query, answer))
        self.searching += 1
        try:
            self._pool.submit(self._work)
            return await answer
        finally:
            self.searching -= 1

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
