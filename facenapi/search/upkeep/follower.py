"""Following the store: an index takes what the change feed tells, and is compared with all of it once a day."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING

from facenapi.search.shard import delete_of
from facenapi.search.upkeep.feed import PAUSE_S, Feed, changes_of, tell_refused
from facenapi.search.upkeep.reconciliation import Reconciliation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facenapi.search.index.index import Index
    from facenapi.search.shard import Change
    from facenapi.search.threads import Threads
    from facenapi.storage.base import Changes, Store, StoreIdentity

log = logging.getLogger(__name__)

PAGE = 2000


class Follower:
    """Keeps an index as the store is."""

    def __init__(
        self, index: Index, store: Store, cells: frozenset[int] | None, threads: Threads, compare_s: float
    ) -> None:
        self._index, self._store = index, store
        self._feed = Feed(store, PAGE, cells)
        self._threads = threads
        self._compare_s = compare_s
        self._compare_at = 0.0
        self._heard = 0
        self._reading = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._asked_at = -math.inf  # when the last question for news was asked that has been answered
        self._mark = 0  # what others acknowledged up to it is in the index

    @property
    def identity(self) -> StoreIdentity | None:
        """Which store the index was read of, and in which epoch."""
        return self._feed.identity

    async def begin(self, identity: StoreIdentity | None) -> bool:
        """Begin to follow; false if what the index has, read of a store of that identity, is not true of this one."""
        self._mark = 0
        return await self._feed.begin(identity, self._index.rev, self._index.newest)

    async def follow(self, *, lagging: bool) -> None:
        """Take what is new, of that only the deletes while builds are ``lagging``, and compare if it is time."""
        if lagging:
            self._heard = await self._feed.read(
                max(self._heard, self._index.rev),
                lambda page: self.take([*map(delete_of, page.tombstones)]),  # the rest is read later
            )
        else:
            await self.catch_up()
            self._heard = 0
        if time.monotonic() >= self._compare_at:
            await self._compare()
            self._compare_at = time.monotonic() + self._compare_s

    async def restore(self) -> bool:
        """Read all anew if a collection was found damaged, after which it can be searched; return whether one was.

        What else is there keeps up meanwhile.
        """
        if not self._index.unfit:
            return False
        unfit = await self._threads.write(self._index.drop_unfit)
        await self._feed.read(0, lambda page: self.take(changes_of(page)))
        self._index.unfit -= unfit
        return True

    async def catch_up(self) -> None:
        """Take all that is new."""
        mark, _ = await self._store.news_since(self._mark)
        async with self._reading:
            await self._read(mark)

    async def hear(self, since: float) -> None:
        """Take what other servers have acknowledged by a moment that has been (monotonic); with a deadline.

        With it a face that was added by one API server is found by the very next request to any other. The mark is
        read before the feed: whatever was acknowledged before the question is then in the index. It costs one read
        of the store (those who come while one is under way share the next), none where no other server can be, and
        a page of the feed only if there is news.

        Raises Unavailable if the store cannot be asked, StoreChangedError as :meth:`follow`.
        """
        async with self._asking:
            if self._asked_at >= since:  # somebody else has asked since, and all that there was has been taken
                return
            asked_at = time.monotonic()
            mark, news = await self._store.news_since(self._mark)
            if news:
                async with self._reading:
                    await self._read(mark)
            self._mark = max(mark, self._mark)
            self._asked_at = asked_at

    async def _read(self, mark: int) -> None:
        """Read the feed to its end; ``mark`` was asked for before."""
        await self._feed.read(self._index.rev, self._take_page)
        self._mark = max(mark, self._mark)

    async def take(self, changes: Sequence[Change]) -> list[str]:
        """Take changes, wherever they come from; return why some cannot be searched for."""
        return await self._threads.write(self._take, changes)

    def _take(self, changes: Sequence[Change]) -> list[str]:
        refused = [reason for change in changes if (reason := self._index.take(change)) is not None]
        tell_refused(refused)
        return refused

    async def _take_page(self, page: Changes) -> None:
        await self.take(changes_of(page))
        self._index.rev = page.next_rev

    async def _compare(self) -> None:
        """Read the whole feed at leisure; put right what differs."""
        reconciliation = Reconciliation(self._index.rev)

        async def count(page: Changes) -> None:
            reconciliation.count(page)
            await self.take(changes_of(page))

        await self._feed.read(0, count, PAUSE_S)
        removed = await self._threads.write(reconciliation.remove_strangers, self._index)
        if removed:
            log.warning("%d faces were searched for that the store does not have so: they are read anew", removed)
            async with self._reading:  # who reads now would put back what he has read
                self._index.rev = 0
