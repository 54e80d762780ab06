"""A shard in this process: an index in memory, kept fresh from the store, with a snapshot on disk.

:mod:`facenapi.search.upkeep.follower` keeps it fresh, :mod:`facenapi.search.upkeep.maintenance` builds and saves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from facenapi.errors import Unavailable
from facenapi.process.supervised import Loops
from facenapi.search.index.index import Index
from facenapi.search.threads import Batcher, Hosted, Threads
from facenapi.search.upkeep.builder import NICENESS
from facenapi.search.upkeep.feed import StoreChangedError
from facenapi.search.upkeep.follower import Follower
from facenapi.search.upkeep.maintenance import Upkeep
from facenapi.storage.base import CELL_COUNT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from facenapi.search.shard import Change, Hit, Query
    from facenapi.storage.base import Lineage, Store, StoreIdentity

log = logging.getLogger(__name__)


class LocalShard(Hosted):
    """Implements :class:`facenapi.search.shard.Shard`; create and use it on one event loop."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        cells: frozenset[int] | None = None,
        *,
        poll_s: float = 1.0,
        snapshot_s: float = 300.0,
        compare_s: float = 86_400.0,
        threads: int = 2,
        queue: int = 256,
        capacity: int | None = None,
        niceness: int = NICENESS,
        hears: bool = False,
    ) -> None:
        """``cells``: which cells of the store belong here, None for all. ``queue``: searches that may wait.

        ``hears``: other processes, which do not tell this one, may add and delete faces too, and a search must know
        of them at once. Not for a shard that all servers send their changes to before they acknowledge them.
        """
        self.cells = cells
        self._store = store
        self._poll_s = poll_s
        self._hears = hears
        self._index = Index(capacity)
        searchers = Threads("search", Batcher(self._index.search, threads, queue))
        super().__init__(searchers, Loops("Search"), "The search index is still being loaded")
        self._follower = Follower(self._index, store, cells, self._threads, compare_s)
        self._upkeep = Upkeep(
            self._index,
            folder,
            cells,
            self._threads,
            lambda: self._follower.identity,
            snapshot_s=snapshot_s,
            niceness=niceness,
        )

    # -- life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Load the snapshot and catch up with the store.

        Raises Unavailable if the store is, StartupError if another process has the folder.
        """
        began = time.monotonic()
        self._started = True
        if not await self._follower.begin(await self._upkeep.load()):
            log.warning("The search snapshot is of another store, or of another past of this one: starting anew")
            self._upkeep.forget()
        await self._catch_up()
        log.info("Search is ready: %d faces in %.1f s", self._index.live, time.monotonic() - began)
        self.loops.repeat("follow the store", self._follow, self._poll_s)
        self.loops.repeat("build and save", self._upkeep.keep, self._poll_s)

    async def _catch_up(self) -> None:
        """Take all that is new, and be ready."""
        try:
            await self._follower.catch_up()
        except StoreChangedError as error:
            await self._begin_anew(error)
            await self._follower.catch_up()
        self._upkeep.begin()
        self._ready = True

    async def _follow(self) -> None:
        if not self._ready:
            return await self._catch_up()
        try:
            if await self._follower.restore():
                self._upkeep.rest()
            await self._follower.follow(lagging=self._upkeep.lags())
        except StoreChangedError as error:
            self._ready = False
            await self._begin_anew(error)
            await self._catch_up()

    async def _begin_anew(self, why: StoreChangedError) -> None:
        """Forget all that was read of a store that is gone, and begin to read the one that is there."""
        log.warning("Search begins anew, the store is another one or was put back: %s", why)
        await self._threads.write(self._upkeep.forget)
        await self._follower.begin(None)

    async def close(self) -> None:
        """Stop, with a last snapshot; may be called twice."""
        if not self._started:
            return
        self._started = False
        self._upkeep.stop()
        await self.loops.stop()
        if self._ready:
            self._ready = False
            await self._upkeep.save()
        await asyncio.get_running_loop().run_in_executor(None, self._threads.close)
        self._upkeep.release()

    # -- the protocol ---------------------------------------------------------------------------
    async def apply(self, changes: Sequence[Change]) -> None:
        """Take changes; every later search sees them. Raises Unavailable.

        They are stored already, so none is refused because builds lag behind: that is for ``info`` to tell
        before a face is stored.
        """
        for change in changes:
            if not self.serves(change.id):
                raise Unavailable(f"Cell {change.id % CELL_COUNT} is not served by this search shard")
        await self.take(changes)

    def serves(self, face_id: int) -> bool:
        """Whether a face belongs here, by its cell."""
        return self.cells is None or face_id % CELL_COUNT in self.cells

    async def take(self, changes: Sequence[Change]) -> list[str]:
        """Take changes of cells that are served here; return why some cannot be searched for. Raises Unavailable."""
        self._check_ready()
        return await self._follower.take(changes)

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits, best first, of all that any server has acknowledged by ``query.since``.

        Raises Unavailable, Overloaded, or ValueError for a bad probe.
        """
        self._check_ready()
        if self._hears:
            try:
                await self.hear(time.monotonic() if query.since is None else query.since)
            except StoreChangedError as error:
                raise Unavailable("The search index begins anew: the store was put back") from error
        return await super().search(query)

    async def hear(self, since: float) -> None:
        """Take what other servers have acknowledged by a moment. Raises Unavailable or StoreChangedError."""
        await self._follower.hear(since)

    @property
    def lagging(self) -> bool:
        """Whether builds have fallen behind: no new faces should be stored."""
        return self._upkeep.lagging

    def info(self) -> dict[str, Any]:
        """Return figures for monitoring."""
        collections = list(self._index.collections.values())
        models: Counter[str] = Counter()
        for (_, model), found in list(self._index.collections.items()):
            models[model] += found.live
        return {
            "models": dict(models),
            "ready": self._ready,
            "lagging": self.lagging,
            "faces": self._index.live,
            "revision": self._index.rev,
            "collections": len(collections),
            "searching": self._threads.searchers.searching,
            "segments": sum(len(c.parts) - 1 - c.waiting for c in collections),
            "damages": self._upkeep.damages,
            "waiting_buffers": sum(c.waiting for c in collections),
        }

    @property
    def source(self) -> StoreIdentity | None:
        """The store that it follows, and the epoch in which it was read; None before the start."""
        return self._follower.identity

    async def lineage(self) -> Lineage:
        """Return what that store says of itself now. Raises Unavailable."""
        return await self._store.lineage()

    def dimensions(self) -> dict[str, int]:
        """Return how many numbers the vectors of each model have."""
        return {model: c.dim for (_, model), c in list(self._index.collections.items())}

    def list_collections(self) -> list[dict[str, Any]]:
        """Return owner, model and sizes of each collection."""
        return self._index.list_collections()
