"""All cells in Milvus: a shard that any number of API servers share.

Milvus keeps what it was told, so there is nothing to load: a server asks how far it is complete and goes
on from there. Each server follows the store's change feed, writes what is new and remembers how far that
went, in Milvus itself; that several do so costs a look each and changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.errors import Overloaded, Unavailable
from facenapi.process.supervised import Loops
from facenapi.search.milvus.index import MilvusIndex
from facenapi.search.milvus.schema import State
from facenapi.search.threads import Batcher, Hosted, Threads
from facenapi.search.upkeep.feed import PAUSE_S, Feed, StoreChangedError, changes_of, tell_refused
from facenapi.storage.base import StoreIdentity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facenapi.search.milvus.engine import Engine
    from facenapi.search.shard import Change
    from facenapi.storage.base import Changes, Store

log = logging.getLogger(__name__)

PAGE = 1000
RETRY_S = 60.0
COUNT_S = 10.0  # between looks at how many faces there are


class MilvusShard(Hosted):
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
        self._engine = engine
        self._index = MilvusIndex(engine)
        self._store, self._feed = store, Feed(store, PAGE)
        self._poll_s, self._compare_s = poll_s, compare_s
        self._rev, self._made, self._faces = 0, 0, 0
        searchers = Batcher(lambda queries: [*map(self._index.search, queries)], threads, queue, most=1)
        super().__init__(
            Threads("milvus", searchers, background=3),  # for each of the works below
            Loops("Search in Milvus"),
            "The search engine is not ready",
        )
        self._counted_at = 0.0
        self._compare_at = 0.0

    # -- life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Connect and catch up with the store; Milvus need not live yet. Raises StartupError for a wrong URI."""
        self._started = True
        try:
            await self._attach()
        except (Unavailable, Overloaded) as error:
            log.warning("Search in Milvus is not ready: %s", error)
        self.loops.repeat("see whether it lives", self._watch, self._poll_s)
        self.loops.repeat("follow the store", self._follow, self._poll_s)
        self.loops.repeat("be compared with the store", self._compare_daily, self._poll_s)

    async def close(self) -> None:
        """Stop; may be called twice."""
        if not self._started:
            return
        self._started = self._ready = False
        await self.loops.stop()
        await asyncio.get_running_loop().run_in_executor(None, self._stop)

    def _stop(self) -> None:
        self._engine.close()  # what is under way fails now
        self._threads.close(cancel=True)
        self._engine.close()  # one of them may just have connected

    # -- the protocol ---------------------------------------------------------------------------
    async def apply(self, changes: Sequence[Change]) -> None:
        """Take changes; every later search, by any server, sees them. Raises Unavailable."""
        self._check_ready()
        await self._threads.write(self._take, changes, True)

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
            "searching": self._threads.searchers.searching,
        }

    # -- following the store --------------------------------------------------------------------
    async def _attach(self) -> None:
        """Connect, go on from where Milvus is complete, and be ready."""
        began = time.monotonic()
        await self._threads.background(self._engine.connect)
        state = await self._threads.background(self._engine.state)
        if state is None:
            await self._feed.begin(None, 0, 0)
            state = await self._threads.write(self._begin)
        elif await self._is_foreign(state):
            log.warning("What Milvus has is of another store, or of another past of this one: starting anew")
            state = await self._threads.write(self._begin_anew, state)
        self._index.forget()
        self._rev, self._made = state.rev, state.made
        if not await self._catch_up():
            return
        await self._count()
        self._ready = True
        log.info("Search in Milvus is ready: %d vectors, in %.1f s", self._faces, time.monotonic() - began)

    def _begin(self, after: int = 0) -> State:
        made = max(time.time_ns(), after + 1)  # whatever the clock says, later than what is there
        state = State(made, 0, str(self._feed.identity))
        self._engine.save(state)
        return state

    def _begin_anew(self, state: State) -> State:
        begun = self._begin(state.made)  # whatever happens now, nothing counts as complete
        self._engine.drop()
        return self._begin(begun.made)  # what other servers have written in between may be gone

    async def _is_foreign(self, state: State) -> bool:
        known = await self._store.last_rev()
        newest = await self._threads.background(self._engine.any_newer, known)
        # The store is asked again after that: other servers write meanwhile.
        return not await self._feed.begin(StoreIdentity.parse(state.source), state.rev, newest)

    async def _follow(self) -> None:
        if not self._ready:
            await self._attach()
            return
        await self._catch_up()
        if time.monotonic() - self._counted_at > COUNT_S:
            await self._count()

    async def _watch(self) -> None:
        """See whether Milvus lives and is still the one that was caught up with."""
        if not self._ready:
            return
        try:
            state = await self._threads.background(self._engine.state)
        except Unavailable:
            await self._threads.background(self._engine.close)  # so that nobody waits for it any longer
            self._ready = False
            log.warning("Milvus is gone")
            return
        if state is None or state.made != self._made:
            self._ready = False
            log.warning("Milvus was emptied or begun anew")

    async def _catch_up(self) -> bool:
        """Take all that is new; false if the store is another one, and this is to be attached anew."""
        try:
            await self._feed.read(self._rev, self._take_page)
        except StoreChangedError as error:
            log.warning("The store is another one or was put back: %s", error)
            self._ready = False
            return False
        return True

    async def _take_page(self, page: Changes) -> None:
        await self._threads.write(self._take, changes_of(page), self._ready)
        if page.next_rev != self._rev:
            await self._threads.write(self._engine.save, State(self._made, page.next_rev, str(page.identity)))
        self._rev = page.next_rev

    async def _count(self) -> None:
        self._counted_at = time.monotonic()
        self._faces = await self._threads.background(self._engine.count)

    async def _compare_daily(self) -> None:
        if self._ready and time.monotonic() >= self._compare_at:
            self._compare_at = time.monotonic() + RETRY_S
            await self._compare()
            self._compare_at = time.monotonic() + self._compare_s

    async def _compare(self) -> None:
        """Read the whole feed at leisure; put right what differs."""
        began = self._rev
        known: dict[int, int] = {}

        async def count(page: Changes) -> None:
            known.update((face.id, face.rev) for face in page.faces)
            await self._threads.write(self._take, changes_of(page), False)

        await self._feed.read(0, count, PAUSE_S)
        in_store = np.array(sorted(known.items()), np.int64).reshape(-1, 2)
        strangers = await self._threads.background(self._index.strangers, in_store, began)
        for name, ids in strangers:
            await self._threads.write(self._index.remove, name, ids, began)
        if strangers:
            log.warning("Milvus was not of this store: %d vectors removed", sum(len(ids) for _, ids in strangers))
            self._rev = 0  # what is still there, in another revision, is read again

    def _take(self, changes: Sequence[Change], live: bool) -> None:
        tell_refused(self._index.take(changes, live=live))
