"""All cells in Milvus: a shard that any number of API servers share.

Milvus keeps what it was told, so there is nothing to load: a server asks how far it is complete and goes
on from there. Each server follows the store's change feed, writes what is new and remembers how far that
went, in Milvus itself; that several do so costs a look each and changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from facenapi.errors import Overloaded, Unavailable
from facenapi.search.milvus.index import MilvusIndex
from facenapi.search.milvus.schema import State
from facenapi.search.shard import Change, Hit, Query, delete_of, upsert_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from facenapi.search.milvus.engine import Engine
    from facenapi.storage.base import Changes, Store

log = logging.getLogger(__name__)
_T = TypeVar("_T")

PAGE = 1000
RETRY_S = 60.0
PROGRESS_S = 5.0
COUNT_S = 10.0  # between looks at how many faces there are
PAUSE_S = 0.02  # between pages of a comparison, which nobody waits for


class MilvusShard:
    """Implements :class:`facenapi.search.shard.Shard`; create and use it on one event loop."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        *,
        poll_s: float = 1.0,
        compare_s: float = 86_400.0,
        threads: int = 16,
        queue: int = 256,
    ) -> None:
        """``threads``: searches at a time, ``queue``: searches that may wait or be under way."""
        self._engine, self._store = engine, store
        self._index = MilvusIndex(engine)
        self._poll_s, self._compare_s = poll_s, compare_s
        self._rev, self._made, self._faces = 0, 0, 0
        self._ready = self._started = False
        self._searching, self._queue = 0, queue
        self._writer = ThreadPoolExecutor(1, "milvus-write")
        self._searchers = ThreadPoolExecutor(threads, "milvus-search")
        self._background = ThreadPoolExecutor(3, "milvus")  # for each of the works below
        self._tasks: list[asyncio.Task[None]] = []
        self._counted_at = 0.0

    # -- life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Connect and catch up with the store; Milvus need not live yet. Raises StartupError for a wrong URI."""
        self._started = True
        try:
            await self._attach()
        except (Unavailable, Overloaded) as error:
            log.warning("Search in Milvus is not ready: %s", error)
        works = (self._watch, self._follow, self._compare_daily)
        self._tasks = [asyncio.create_task(self._keep_up(work)) for work in works]

    async def close(self) -> None:
        """Stop; may be called twice."""
        if not self._started:
            return
        self._started = self._ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.get_running_loop().run_in_executor(None, self._stop)

    def _stop(self) -> None:
        self._engine.close()  # what is under way fails now
        for pool in (self._searchers, self._writer, self._background):
            pool.shutdown(cancel_futures=True)
        self._engine.close()  # one of them may just have connected

    async def _keep_up(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do a work that never ends. A mistake in it costs a pause, not the shard: searches go on meanwhile."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("Search: %s failed, and begins again in %g s", work.__name__, RETRY_S)
            await asyncio.sleep(RETRY_S)

    # -- the protocol ---------------------------------------------------------------------------
    async def apply(self, changes: Sequence[Change]) -> None:
        """Take changes; every later search, by any server, sees them. Raises Unavailable."""
        self._check_ready()
        await self._in(self._writer, self._take, changes, True)

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits, best first. Raises Unavailable, Overloaded, or ValueError for a bad probe."""
        self._check_ready()
        if self._searching >= self._queue:
            raise Overloaded("Too many searches are waiting")
        self._searching += 1
        try:
            return await self._in(self._searchers, self._index.search, query)
        finally:
            self._searching -= 1

    @property
    def ready(self) -> bool:
        """Whether Milvus answers and has caught up with the store."""
        return self._ready

    @property
    def lagging(self) -> bool:
        """Milvus builds by itself and says no when it cannot keep up."""
        return False

    def info(self) -> dict[str, Any]:
        """Return figures for monitoring."""
        return {
            "engine": "milvus",
            "ready": self._ready,
            "lagging": False,
            "faces": self._faces,
            "revision": self._rev,
            "searching": self._searching,
        }

    def _check_ready(self) -> None:
        if not self._ready:
            raise Unavailable("The search engine is not ready" if self._started else "Search is closed")

    # -- following the store --------------------------------------------------------------------
    async def _attach(self) -> None:
        """Connect, go on from where Milvus is complete, and be ready."""
        began = time.monotonic()
        await self._in(self._background, self._engine.connect)
        state = await self._in(self._background, self._engine.state)
        if state is None:
            state = await self._in(self._writer, self._begin)
        elif await self._is_foreign(state):
            log.warning("Milvus is ahead of the store, which is another or an older one: starting anew")
            state = await self._in(self._writer, self._begin_anew, state)
        self._index.forget()
        self._rev, self._made = state.rev, state.made
        await self._catch_up()
        await self._count()
        self._ready = True
        log.info("Search in Milvus is ready: %d vectors, in %.1f s", self._faces, time.monotonic() - began)

    def _begin(self, after: int = 0) -> State:
        state = State(max(time.time_ns(), after + 1), 0)  # whatever the clock says, later than what is there
        self._engine.save(state)
        return state

    def _begin_anew(self, state: State) -> State:
        begun = self._begin(state.made)  # whatever happens now, nothing counts as complete
        self._engine.drop()
        return self._begin(begun.made)  # what other servers have written in between may be gone

    async def _is_foreign(self, state: State) -> bool:
        known = await self._store.last_rev()
        newest = max(state.rev, await self._in(self._background, self._engine.any_newer, known))
        return newest > await self._store.last_rev()  # asked again: other servers write meanwhile

    async def _follow(self) -> None:
        reachable = True
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                if not self._ready:
                    await self._attach()
                await self._catch_up()
                if time.monotonic() - self._counted_at > COUNT_S:
                    await self._count()
                reachable = True
            except (Unavailable, Overloaded) as error:
                if reachable:
                    log.warning("Search in Milvus cannot follow the store: %s", error)
                reachable = False

    async def _watch(self) -> None:
        """See whether Milvus lives and is still the one that was caught up with."""
        while True:
            await asyncio.sleep(self._poll_s)
            if not self._ready:
                continue
            try:
                state = await self._in(self._background, self._engine.state)
            except Unavailable:
                await self._in(self._background, self._engine.close)  # so that nobody waits for it any longer
                self._ready = False
                log.warning("Milvus is gone")
                continue
            if state is None or state.made != self._made:
                self._ready = False
                log.warning("Milvus was emptied or begun anew")

    async def _catch_up(self) -> None:
        more, said = True, time.monotonic()
        while more:
            page = await self._store.changes_since(self._rev, PAGE)
            await self._in(self._writer, self._take, _changes_of(page), self._ready)
            if page.next_rev != self._rev:
                await self._in(self._writer, self._engine.save, State(self._made, page.next_rev))
            self._rev, more = page.next_rev, page.more
            if time.monotonic() - said > PROGRESS_S:
                said = time.monotonic()
                log.info("Search in Milvus reads the store: revision %d", self._rev)

    async def _count(self) -> None:
        self._counted_at = time.monotonic()
        self._faces = await self._in(self._background, self._engine.count)

    async def _compare_daily(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            if not self._ready:
                continue
            try:
                await self._compare()
            except (Unavailable, Overloaded) as error:
                log.warning("Search in Milvus cannot be compared with the store: %s", error)
                await asyncio.sleep(RETRY_S)
            else:
                await asyncio.sleep(self._compare_s)

    async def _compare(self) -> None:
        """Read the whole feed at leisure; put right what differs."""
        began, rev, more = self._rev, 0, True
        known: list[int] = []
        while more:
            page = await self._store.changes_since(rev, PAGE)
            known += [face.id for face in page.faces]
            await self._in(self._writer, self._take, _changes_of(page), False)
            rev, more = page.next_rev, page.more
            await asyncio.sleep(PAUSE_S)
        in_store = np.sort(np.array(known, np.int64))
        strangers = await self._in(self._background, self._index.strangers, in_store, began)
        for name, ids in strangers:
            await self._in(self._writer, self._index.remove, name, ids, began)
        if strangers:
            log.warning("Milvus was not of this store: %d vectors removed", sum(len(ids) for _, ids in strangers))
        if rev < began:
            self._ready = False  # the store is another one now: attach anew

    def _take(self, changes: Sequence[Change], live: bool) -> None:
        refused = self._index.take(changes, live=live)
        if refused:
            log.warning("%d faces cannot be searched for; the first: %s", len(refused), refused[0])

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *args)


def _changes_of(page: Changes) -> list[Change]:
    return [*map(upsert_of, page.faces), *map(delete_of, page.tombstones)]
