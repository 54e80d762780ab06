"""A shard in this process: an index in memory, kept fresh from the store, with a snapshot on disk.

Three kinds of work, each in threads of its own so that none waits for another: one thread writes, a
bounded few search, one builds and saves. The event loop only passes messages.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from facenapi.errors import Overloaded, Unavailable
from facenapi.folder_lock import FolderLock
from facenapi.search.builder import NICENESS, Builder, BuildError
from facenapi.search.census import Census
from facenapi.search.files import DamagedError
from facenapi.search.index import Index
from facenapi.search.shard import Change, Hit, Query, delete_of, upsert_of
from facenapi.search.snapshot import Snapshots, state_of
from facenapi.search.together import Together
from facenapi.storage.base import CELL_COUNT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from facenapi.search.collection import Collection
    from facenapi.storage.base import Changes, Store

log = logging.getLogger(__name__)
_T = TypeVar("_T")

PAGE = 2000
WAITING_TAILS = 60  # sealed tails are scanned exactly: sixty cost a search about 2 ms
RETRY_S = 60.0
PROGRESS_S = 5.0
PAUSE_S = 0.02  # between pages of a comparison, which nobody waits for


class LocalShard:
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
    ) -> None:
        """``cells``: which cells of the store belong here, None for all. ``queue``: searches that may wait."""
        self._store = store
        self._cells = cells
        self._poll_s, self._snapshot_s, self._compare_s = poll_s, snapshot_s, compare_s
        self._index = Index(capacity)
        self._lock = FolderLock(folder, "index.lock")
        self._snapshots = Snapshots(folder)
        self._builder = Builder(niceness)
        self._rev = 0
        self._most_waiting = WAITING_TAILS  # and, until that is built, whatever the first load has left
        self._ready = False
        self._lagging = False
        self._started = False
        self._searching, self._queue = 0, queue
        self._writer = ThreadPoolExecutor(1, "search-write")
        self._searchers = Together(self._search_together, threads)
        self._background = ThreadPoolExecutor(1, "search-build")
        self._tasks: list[asyncio.Task[None]] = []
        self._built_nothing_until = 0.0

    # -- life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Load the snapshot and catch up with the store.

        Raises Unavailable if the store is, StartupError if another process has the folder.
        """
        began = time.monotonic()
        self._started = True
        await self._in(self._background, self._load)
        if max(self._rev, self._index.newest) > await self._store.last_rev():
            log.warning("The search snapshot is ahead of the store, which is another or an older one: starting anew")
            self._index, self._rev = Index(self._index.capacity), 0
            self._snapshots.forget()
        await self._catch_up()
        self._most_waiting = WAITING_TAILS + self._index.waiting
        self._ready = True
        log.info("Search is ready: %d faces in %.1f s", self._index.live, time.monotonic() - began)
        self._tasks = [asyncio.create_task(self._keep_up(work)) for work in (self._follow, self._maintain)]

    async def close(self) -> None:
        """Stop, with a last snapshot; may be called twice."""
        if not self._started:
            return
        self._started = False
        self._builder.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._ready:
            self._ready = False
            try:
                await self._save()
            except OSError as error:
                log.warning("The search snapshot could not be written: %s", error)
        for pool in (self._searchers, self._background, self._writer):
            await asyncio.get_running_loop().run_in_executor(None, pool.shutdown)
        self._lock.release()

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
        """Take changes; every later search sees them. Raises Unavailable.

        They are stored already, so none is refused because builds lag behind: that is for ``info`` to tell
        before a face is stored.
        """
        self._check_ready()
        for change in changes:
            if self._cells is not None and change.id % CELL_COUNT not in self._cells:
                raise Unavailable(f"Cell {change.id % CELL_COUNT} is not served by this search shard")
        await self._in(self._writer, self._take, changes)

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits, best first. Raises Unavailable, Overloaded, or ValueError for a bad probe."""
        self._check_ready()
        if self._searching >= self._queue:
            raise Overloaded("Too many searches are waiting")
        self._searching += 1
        try:
            return await self._searchers.search(query)
        finally:
            self._searching -= 1

    def _search_together(self, queries: Sequence[Query]) -> list[list[Hit]]:
        return self._index.search_together(queries)  # the index may be another than at the start

    @property
    def ready(self) -> bool:
        """Whether it has caught up with the store and can be searched."""
        return self._ready

    @property
    def lagging(self) -> bool:
        """Whether builds have fallen behind: no new faces should be stored."""
        return self._lagging

    def info(self) -> dict[str, Any]:
        """Return figures for monitoring."""
        collections = list(self._index.collections.values())
        return {
            "ready": self._ready,
            "lagging": self._lagging,
            "faces": self._index.live,
            "revision": self._rev,
            "collections": len(collections),
            "searching": self._searching,
            "segments": sum(len(c.parts) - 1 - c.waiting for c in collections),
            "waiting_tails": sum(c.waiting for c in collections),
        }

    def list_collections(self) -> list[dict[str, Any]]:
        """Return owner, model and sizes of each collection."""
        return self._index.list_collections()

    def _check_ready(self) -> None:
        if not self._ready:
            raise Unavailable("The search index is still being loaded" if self._started else "Search is closed")

    def _lags(self) -> bool:
        """Look whether builds have fallen behind; not for every change: it looks at every owner."""
        self._lagging = self._index.waiting > self._most_waiting
        return self._lagging

    # -- following the store --------------------------------------------------------------------
    async def _follow(self) -> None:
        reachable, compare_at, heard = True, 0.0, 0
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                if self._lags():
                    heard = await self._hear_of_deletes(max(heard, self._rev))
                else:
                    await self._catch_up()
                    heard = 0
                if time.monotonic() >= compare_at:
                    await self._compare()
                    compare_at = time.monotonic() + self._compare_s
                reachable = True
            except (Unavailable, Overloaded) as error:
                if reachable:
                    log.warning("Search cannot follow the store: %s", error)
                reachable = False

    async def _catch_up(self) -> None:
        more, said = True, time.monotonic()
        while more:
            page = await self._store.changes_since(self._rev, PAGE, self._cells)
            await self._in(self._writer, self._take_page, page)
            self._rev, more = page.next_rev, page.more
            if time.monotonic() - said > PROGRESS_S:
                said = time.monotonic()
                log.info("Search reads the store: revision %d, %d faces so far", self._rev, self._index.live)

    async def _hear_of_deletes(self, rev: int) -> int:
        """Take what was deleted since ``rev``, and leave the rest to be read later; return the latest revision."""
        more = True
        while more:
            page = await self._store.changes_since(rev, PAGE, self._cells)
            await self._in(self._writer, self._take, [*map(delete_of, page.tombstones)])
            rev, more = page.next_rev, page.more
        return rev

    async def _compare(self) -> None:
        """Read the whole feed at leisure; put right what differs."""
        census, rev, more = Census(self._rev), 0, True
        while more:
            page = await self._store.changes_since(rev, PAGE, self._cells)
            census.count(page)
            await self._in(self._writer, self._take_page, page)
            rev, more = page.next_rev, page.more
            await asyncio.sleep(PAUSE_S)
        removed = await self._in(self._writer, census.remove_strangers, self._index)
        if removed or rev < self._rev:
            log.warning("The search snapshot was not of this store: %d faces removed", removed)
            self._rev = rev

    def _take_page(self, page: Changes) -> None:
        self._take([*map(upsert_of, page.faces), *map(delete_of, page.tombstones)])

    def _take(self, changes: Sequence[Change]) -> None:
        refused = [reason for change in changes if (reason := self._index.take(change)) is not None]
        if refused:
            log.warning("%d faces cannot be searched for; the first: %s", len(refused), refused[0])

    # -- building and saving --------------------------------------------------------------------
    async def _maintain(self) -> None:
        saved = time.monotonic()
        while True:
            await asyncio.sleep(self._poll_s)
            built = time.monotonic() >= self._built_nothing_until and await self._build()
            if built:
                self._most_waiting = max(WAITING_TAILS, min(self._most_waiting, self._index.waiting))
            if built or time.monotonic() - saved > self._snapshot_s:
                saved = time.monotonic()
                await self._in(self._writer, self._index.prune)
                try:
                    await self._save()
                except OSError as error:
                    log.warning("The search snapshot could not be written: %s", error)

    async def _build(self) -> bool:
        """Build what is due, one segment of each collection; return whether anything was."""
        built = False
        for collection in list(self._index.collections.values()):
            plan = await self._in(self._writer, collection.plan)
            if plan is None:
                continue
            began, folder = time.monotonic(), self._snapshots.segment_folder()
            try:
                segment = await self._in(self._background, self._builder.build, plan, folder)
            except (BuildError, DamagedError, OSError) as error:
                log.warning("A search segment of %d faces could not be built: %s", plan.rows, error)
                self._built_nothing_until = time.monotonic() + RETRY_S
                return built
            await self._in(self._writer, collection.publish, plan, segment)
            built = True
            log.info("Built a search segment of %d faces in %.1f s", plan.rows, time.monotonic() - began)
        return built

    async def _save(self) -> None:
        rev = self._rev  # read before the states: they may be newer, which a replay does not mind
        states = await self._in(self._writer, self._states)
        await self._in(self._background, self._snapshots.save, states, rev, self._cells)

    def _states(self) -> list[tuple[tuple[str, str], int, Collection, Any]]:
        return [
            (key, c.version, c, None if self._snapshots.is_current(key, c.version) else state_of(c))
            for key, c in self._index.collections.items()
        ]

    def _load(self) -> None:
        self._lock.acquire()
        loaded = self._snapshots.load(self._index)
        self._rev = loaded.rev
        mine = _cell_mask(self._cells)
        if (mine & ~_cell_mask(loaded.cells)).any():
            self._rev = 0  # cells have come: read the whole feed, what is known already costs little
        if (~mine & _cell_mask(loaded.cells)).any():
            for collection in self._index.collections.values():
                collection.discard(lambda ids, _: ~mine[ids % CELL_COUNT])

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *args)


def _cell_mask(cells: frozenset[int] | None) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.full(CELL_COUNT, cells is None)
    mask[list(cells or ())] = True
    return mask
