"""The store's change feed, as a shard reads it: page after page, from a revision to the latest."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from facenapi.search.shard import Change, delete_of, upsert_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from facenapi.storage.base import Changes, Store, StoreIdentity

log = logging.getLogger(__name__)

PROGRESS_S = 5.0
PAUSE_S = 0.02  # in comparisons


class StoreChangedError(Exception):
    """What was read of the store is not true of it any more: it is another one, or an older state was put back."""


class Feed:
    """The changes in some cells of a store. ``identity``: which store they were read of, and in which epoch."""

    def __init__(self, store: Store, page: int, cells: frozenset[int] | None = None) -> None:
        """``page``: changes at a time. ``cells``: None for all."""
        self._store = store
        self._page = page
        self._cells = cells
        self.identity: StoreIdentity | None = None

    async def begin(self, identity: StoreIdentity | None, rev: int, newest: int) -> bool:
        """Begin to read for who has read up to ``rev`` of a store, and knows of changes up to ``newest``.

        Return false if that is not true of this store, or what was deleted since then is forgotten.
        """
        lineage = await self._store.lineage()
        self.identity = lineage.identity
        if not rev and not newest:
            return True
        return identity is not None and lineage.holds(identity, rev, newest) and rev >= lineage.floor

    async def read(self, rev: int, take: Callable[[Changes], Awaitable[object]], pause_s: float = 0.0) -> int:
        """Give all that has changed since ``rev``, all that there is for 0, to ``take``; return the latest revision.

        ``pause_s``: after each page, where nobody waits. Raises StoreChangedError.
        """
        more, whole, said = True, rev == 0, time.monotonic()
        while more:
            page = await self._store.changes_since(rev, self._page, self._cells)
            await self._check(page, rev, whole=whole)
            await take(page)
            rev, more = page.next_rev, page.more
            if pause_s:
                await asyncio.sleep(pause_s)
            elif time.monotonic() - said > PROGRESS_S:
                said = time.monotonic()
                log.info("Search reads the store: revision %d", rev)
        return rev

    async def _check(self, page: Changes, rev: int, *, whole: bool) -> None:
        """Raise StoreChangedError if a page is not what follows ``rev``."""
        if page.identity != self.identity:
            lineage = await self._store.lineage()
            if self.identity is not None and not lineage.holds(self.identity, rev):
                raise StoreChangedError(f"revision {rev} of {self.identity} is not of {lineage.identity}")
            self.identity = page.identity
        # Who began with nothing needs no older deletion, and is through long before a newer one is forgotten.
        if rev < page.floor and not whole:
            raise StoreChangedError(f"what was deleted before revision {page.floor} is forgotten")


def changes_of(page: Changes) -> list[Change]:
    """Return what a page changes in a shard."""
    return [*map(upsert_of, page.faces), *map(delete_of, page.tombstones)]


def tell_refused(refused: Sequence[str]) -> None:
    """Log why some faces cannot be searched for, if any."""
    if refused:
        log.warning("%d faces cannot be searched for; the first: %s", len(refused), refused[0])
