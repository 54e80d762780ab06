"""What keeps an index quick and on disk: full buffers become segments, and a snapshot is saved now and then."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.process.folder_lock import FolderLock
from facenapi.process.supervised import pause_after
from facenapi.search.index.stored import DamagedError
from facenapi.search.upkeep.builder import Builder, BuildError
from facenapi.search.upkeep.snapshot import Snapshots, state_of
from facenapi.storage.base import CELL_COUNT, StoreIdentity

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from facenapi.search.index.collection import Collection
    from facenapi.search.index.index import Index
    from facenapi.search.threads import Threads

log = logging.getLogger(__name__)

_ALL = frozenset(range(CELL_COUNT))
RETRY_S = 60.0  # after a build that failed
MOST_REST_S = 600.0  # after one whose files were found damaged later: many faces take minutes to read again
CALM_S = 86_400.0  # damage that is found so long after the last one does not count as a repetition
WAITING_BUFFERS = 60  # sealed buffers are scanned in float32: sixty cost a search about 2 ms


class Upkeep:
    """Builds and saves the parts of an index, in a folder that no other process may use."""

    def __init__(
        self,
        index: Index,
        folder: Path,
        cells: frozenset[int] | None,
        threads: Threads,
        source: Callable[[], StoreIdentity | None],
        *,
        snapshot_s: float,
        niceness: int,
    ) -> None:
        """``cells``: which cells of the store belong here, None for all. ``source``: says what store is read."""
        self._source = source
        self.lagging = False
        self._index = index
        self._cells = cells
        self._threads = threads
        self._snapshot_s = snapshot_s
        self._lock = FolderLock(folder, "index.lock")
        self._snapshots = Snapshots(folder)
        self._builder = Builder(niceness)
        self._most_waiting = WAITING_BUFFERS  # and, until that is built, whatever the first load has left
        self._built_nothing_until = 0.0
        self._saved_at = time.monotonic()
        self.damages = 0  # how often something damaged was read anew
        self._damaged_in_a_row, self._damaged_at = 0, 0.0

    # -- life -----------------------------------------------------------------------------------
    async def load(self) -> StoreIdentity:
        """Fill the index from the snapshot, and return which store that was read of.

        Raises StartupError if another process has the folder.
        """
        return StoreIdentity.parse(await self._threads.background(self._load))

    def _load(self) -> str:
        self._lock.acquire()
        loaded = self._snapshots.load(self._index)
        self._index.rev = loaded.rev
        mine, theirs = (_ALL if cells is None else cells for cells in (self._cells, loaded.cells))
        if mine - theirs:
            self._index.rev = 0  # cells have come: read the whole feed, what is known already costs little
        if theirs - mine:
            for collection in self._index.collections.values():
                collection.discard(lambda ids, _: ~np.isin(ids % CELL_COUNT, [*mine]))
        return loaded.source

    def forget(self) -> None:
        """Empty the index and take nothing on disk for current."""
        self._index.clear()
        self._snapshots.forget()

    def begin(self) -> None:
        """Allow the buffers to wait that the start has left: they are built as soon as can be."""
        self._most_waiting = WAITING_BUFFERS + self._index.waiting
        self._saved_at = time.monotonic()

    def rest(self) -> None:
        """Build nothing for a while: files of segments were found damaged, and all was read anew into buffers.

        Each time for longer, as on a disk that damages files all would be built and read again and again, and
        while it is read searches are refused. They are not while it waits to be built.
        """
        now = time.monotonic()
        self.damages += 1
        self._damaged_in_a_row = 1 + (self._damaged_in_a_row if now - self._damaged_at < CALM_S else 0)
        self._damaged_at = now
        pause = pause_after(self._damaged_in_a_row, MOST_REST_S)
        self._built_nothing_until = max(self._built_nothing_until, now + pause)
        log.warning(
            "Files of the search index were found damaged, %d times in a row: look at the disk. Nothing is built "
            "for %g s",
            self._damaged_in_a_row,
            pause,
        )
        self.begin()

    def stop(self) -> None:
        """End a running build, and any that is asked for later."""
        self._builder.stop()

    def release(self) -> None:
        """Let another process have the folder; may be called twice."""
        self._lock.release()

    # -- building -------------------------------------------------------------------------------
    def lags(self) -> bool:
        """Look whether builds have fallen behind; not for every change: it looks at every owner."""
        self.lagging = self._index.waiting > self._most_waiting
        return self.lagging

    async def keep(self) -> None:
        """Build what is due, and save if something was built or it is time."""
        built = time.monotonic() >= self._built_nothing_until and await self.build()
        if built:
            self._most_waiting = max(WAITING_BUFFERS, min(self._most_waiting, self._index.waiting))
        if built or time.monotonic() - self._saved_at > self._snapshot_s:
            self._saved_at = time.monotonic()
            await self._threads.write(self._index.prune)
            await self.save()

    async def build(self) -> bool:
        """Build what is due, one segment of each collection; return whether anything was."""
        built = False
        for key, collection in list(self._index.collections.items()):
            if not collection.due or key in self._index.unfit:  # so said without the writing thread: they may be many
                continue
            plan = await self._threads.write(collection.plan)
            if plan is None:
                continue
            began, folder = time.monotonic(), self._snapshots.segment_folder()
            try:
                segment = await self._threads.background(self._builder.build, plan, folder)
            except DamagedError as error:
                self._index.tell_unfit(key, collection, error)
                continue
            except (BuildError, OSError) as error:
                log.warning("A search segment of %d faces could not be built: %s", plan.rows, error)
                self._built_nothing_until = max(self._built_nothing_until, time.monotonic() + RETRY_S)
                continue  # the others are not to suffer
            await self._threads.write(collection.publish, plan, segment)
            built = True
            log.info("Built a search segment of %d faces in %.1f s", plan.rows, time.monotonic() - began)
        return built

    # -- saving ---------------------------------------------------------------------------------
    async def save(self) -> None:
        """Write a snapshot; if that cannot be done, the log says why and the older one stays."""
        source = str(self._source() or "")
        rev, states = await self._threads.write(self._states)
        try:
            await self._threads.background(self._snapshots.save, states, rev, self._cells, source)
        except OSError as error:
            log.warning("The search snapshot could not be written: %s", error)

    def _states(self) -> tuple[int, list[tuple[tuple[str, str], int, Collection, Any]]]:
        """Return the revision from which a start has to read on, and what belongs to it or is newer."""
        rev = 0 if self._index.unfit else self._index.rev
        return rev, [
            (key, c.version, c, None if self._snapshots.is_current(key, c) else state_of(c))
            for key, c in self._index.collections.items()
        ]
