"""The threads of a shard: each kind of work has its own, so that none waits for another."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from facenapi.errors import Overloaded

if TYPE_CHECKING:
    from collections.abc import Callable

    from facenapi.search.run.batching import Batcher
    from facenapi.search.shard import Hit, Query

_T = TypeVar("_T")


class Threads:
    """One thread writes, a bounded few search, others do what takes long. The event loop only passes messages."""

    def __init__(self, name: str, searchers: Batcher, queue: int, background: int = 1) -> None:
        """``queue``: searches that may wait or be under way."""
        self.searching = 0
        self._queue = queue
        self._writer = ThreadPoolExecutor(1, f"{name}-write")
        self._searchers = searchers
        self._background = ThreadPoolExecutor(background, name)

    async def write(self, work: Callable[..., _T], *args: Any) -> _T:
        """Return ``work(*args)``, after all writes that came before."""
        return await self._in(self._writer, work, *args)

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits; raise Overloaded if too many searches wait."""
        if self.searching >= self._queue:
            raise Overloaded("Too many searches are waiting")
        self.searching += 1
        try:
            return await self._searchers.search(query)
        finally:
            self.searching -= 1

    async def background(self, work: Callable[..., _T], *args: Any) -> _T:
        """Return ``work(*args)``, whatever it takes."""
        return await self._in(self._background, work, *args)

    def close(self, *, cancel: bool = False) -> None:
        """Wait for what is running, and for what is queued unless ``cancel`` drops it; blocks meanwhile.

        Searches are never dropped.
        """
        self._searchers.shutdown()
        for pool in (self._background, self._writer):
            pool.shutdown(cancel_futures=cancel)

    async def _in(self, pool: ThreadPoolExecutor, work: Callable[..., _T], *args: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(pool, work, *args)
