"""All shards together: where a change belongs, and one answer from many.

Every search goes to every shard, each with its own deadline; a change goes to the shard of its face's
cell. A shard that fails is left out of the answer, or fails it, as the caller wants.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import random
import time
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from facenapi.errors import ApiError, Overloaded, Unavailable
from facenapi.search.shard import Answer, Change, Query, Shard
from facenapi.search.upkeep.feed import StoreChangedError
from facenapi.storage.base import CELL_COUNT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_T = TypeVar("_T")
log = logging.getLogger(__name__)


class ShardClient:
    """One or many shards, as services use them."""

    def __init__(
        self,
        shards: Sequence[tuple[Shard, frozenset[int] | None]],
        timeout_s: float = 5.0,
        hear: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        """``shards``: each with its cells (None: all of them); together they must have every cell once.

        ``hear``: how the shard in this process learns what other servers have acknowledged by a moment.
        """
        self._hear = hear
        self._hearing: set[asyncio.Task[None]] = set()
        self.shards = [shard for shard, _ in shards]
        self._timeout_s = timeout_s
        self._cells = [sorted(range(CELL_COUNT) if cells is None else cells) for _, cells in shards]
        self._shard_of = {cell: number for number, cells in enumerate(self._cells) for cell in cells}
        if len(self._shard_of) != CELL_COUNT or sum(map(len, self._cells)) != CELL_COUNT:
            raise ValueError(f"The shards must have each of the {CELL_COUNT} cells exactly once")

    async def start(self) -> None:
        """Start all shards."""
        await asyncio.gather(*(shard.start() for shard in self.shards))

    async def close(self) -> None:
        """Stop all shards; may be called twice."""
        for task in self._hearing:
            task.cancel()
        await asyncio.gather(*(shard.close() for shard in self.shards))

    async def apply(self, changes: Sequence[Change]) -> None:
        """Send each change to the shard of its cell; raise Unavailable unless all acknowledged.

        A shard that is busy is away, too, as far as the caller is concerned: OVERLOADED tells clients that nothing
        was done and that they may try again, while these changes are stored.
        """
        for failure in (await self._send(changes)).values():
            if isinstance(failure, Overloaded):
                raise Unavailable("A search shard is too busy to take what was stored; it will catch up") from failure
            raise failure

    async def tell(self, changes: Sequence[Change]) -> tuple[int, int]:
        """Send each change to the shard of its cell; return how many shards live and heard, and how many there are.

        One that did not hear learns it from the store.
        """
        failed = await self._send(changes)
        for number, failure in failed.items():
            log.warning("Shard %d did not hear of a change and has to catch up: %s", number, failure)
        live = sum(shard.ready and number not in failed for number, shard in enumerate(self.shards))
        return live, len(self.shards)

    async def _send(self, changes: Sequence[Change]) -> dict[int, Exception]:
        """Send each change to the shard of its cell; return what went wrong, by the number of the shard."""
        groups: dict[int, list[Change]] = {}
        for change in changes:
            groups.setdefault(self._shard_of[change.id % CELL_COUNT], []).append(change)
        results = await asyncio.gather(
            *(self._within(self.shards[number].apply(group)) for number, group in groups.items()),
            return_exceptions=True,
        )
        failed = {}
        for number, result in zip(groups, results, strict=True):
            if isinstance(result, Exception):
                failed[number] = result
            elif isinstance(result, BaseException):
                raise result
        return failed

    def arrive(self) -> float:
        """Begin to learn what other servers have acknowledged so far; return the moment, for the query to come.

        That is then done beside the work on the photo. If it fails, the search tries again and says why.
        """
        now = time.monotonic()
        if self._hear is not None:
            task = asyncio.ensure_future(self._hear_within(now))
            self._hearing.add(task)
            task.add_done_callback(self._hearing.discard)
        return now

    async def _hear_within(self, since: float) -> None:
        assert self._hear is not None
        with contextlib.suppress(ApiError, StoreChangedError):
            await self._within(self._hear(since))

    async def search(self, query: Query, strict: bool) -> Answer:
        """Ask all shards and merge.

        Raises Unavailable if one fails and ``strict``, or if all do; Overloaded if all that failed are
        only busy; ValueError for a bad probe.
        """
        results = await asyncio.gather(
            *(self._within(shard.search(query)) for shard in self.shards), return_exceptions=True
        )
        answered = [
            [hit for hit in result if self._shard_of[hit.id % CELL_COUNT] == number]  # no longer its own
            for number, result in enumerate(results)
            if isinstance(result, list)
        ]
        failures = [result for result in results if isinstance(result, BaseException)]
        for failure in failures:
            if not isinstance(failure, Unavailable | Overloaded):
                raise failure
        if failures and (strict or not answered):
            raise next((failure for failure in failures if isinstance(failure, Unavailable)), failures[0])
        hits = heapq.nsmallest(query.n, chain.from_iterable(answered), key=lambda hit: (-hit.similarity, hit.id))
        return Answer(hits, len(answered), len(results))

    def pick_cell(self) -> int:
        """Return a random cell of a live shard, each shard as likely as it has cells.

        Raises Unavailable if none lives, Overloaded if those that do cannot keep up with new faces.
        """
        live = [number for number, shard in enumerate(self.shards) if shard.ready and self._cells[number]]
        if not live:
            raise Unavailable("No search shard is ready")
        live = [number for number in live if not self.shards[number].lagging]
        if not live:
            raise Overloaded("The search index is being built too slowly for so many new faces", 5)
        (number,) = random.choices(live, [len(self._cells[number]) for number in live])  # noqa: S311 - no secret
        return random.choice(self._cells[number])  # noqa: S311

    async def _within(self, call: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await call
        except TimeoutError:
            raise Unavailable(f"A search shard did not answer within {self._timeout_s:g} s") from None
