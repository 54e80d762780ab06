"""What servers acknowledge to their clients, counted, so that each can tell whether another has changed a face.

A revision is given out before the write, so it says nothing of when the write is there to be read. This count goes
up after it and before the client is told. Who reads the count, then the feed, has all that was acknowledged before.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from pymongo.errors import PyMongoError, WaitQueueTimeoutError

from facenapi.config.options import Config
from facenapi.errors import Unavailable
from facenapi.storage.mongo.base import MongoBase
from facenapi.storage.mongo.driver import operation

P = ParamSpec("P")
R = TypeVar("R")

ACKNOWLEDGED = "acknowledged"
# Of this process, to be told from others' ones. Were they forgotten, the feed would be read once in vain.
OWN_KEPT = 100_000


class News(MongoBase):
    """The part of the store that tells servers of each other."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._own: set[int] = set()
        self._doubts = 0  # how often something that failed may have changed a face nevertheless, and was not counted

    async def announce(self) -> None:
        """Count a change that is durable, before it is acknowledged."""
        self._own.add(await self.count_up(ACKNOWLEDGED))

    @operation
    async def news_since(self, mark: int) -> tuple[int, bool]:
        """Return whether others have acknowledged changes, and the mark to ask next."""
        if doubts := self._doubts:
            await self.count_up(ACKNOWLEDGED)  # as if somebody else had done it: this process has to look, too
            self._doubts -= min(doubts, self._doubts)
        found = await self.counters.find_one({"_id": ACKNOWLEDGED})
        latest = int(found["value"]) if found else 0
        if len(self._own) > OWN_KEPT:
            self._own = {count for count in self._own if count > latest - OWN_KEPT // 2}
        while mark < latest and mark + 1 in self._own:
            mark += 1
        return max(mark, latest), mark < latest


@contextmanager
def once_written() -> Iterator[None]:
    """What fails from here on is no reason to try again, as OVERLOADED would be: faces were changed."""
    try:
        yield
    except WaitQueueTimeoutError as error:
        raise Unavailable("The database is too busy to confirm what it has been given") from error


def changing(method: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Make a method that changes faces an operation that leaves no doubt.

    If it fails or is cancelled, faces may have changed all the same: lists show that at once, and the next search has
    to know it, too.
    """

    @functools.wraps(method)
    async def doubted(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await method(*args, **kwargs)
        except (PyMongoError, Unavailable, asyncio.CancelledError):
            store: Any = args[0]
            store._doubts += 1  # noqa: SLF001 - it belongs to News
            raise

    return operation(doubted)
