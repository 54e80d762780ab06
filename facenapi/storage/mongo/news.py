"""What servers acknowledge to their clients, counted, so that each can tell whether another has changed a face.

A revision is given out before the write, so it says nothing of when the write is there to be read. This count goes
up after it and before the client is told. Who reads the count, then the feed, has all that was acknowledged before.
"""

from __future__ import annotations

from facenapi.config.options import Config
from facenapi.storage.mongo.base import MongoBase
from facenapi.storage.mongo.driver import operation

ACKNOWLEDGED = "acknowledged"
# Of this process, to be told from others' ones. Were they forgotten, the feed would be read once in vain.
OWN_KEPT = 100_000


class News(MongoBase):
    """The part of the store that tells servers of each other."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._own: set[int] = set()

    async def announce(self) -> None:
        """Count a change that is durable, before it is acknowledged."""
        self._own.add(await self.count_up(ACKNOWLEDGED))

    @operation
    async def news_since(self, mark: int) -> tuple[int, bool]:
        """Return whether others have acknowledged changes, and the mark to ask next."""
        found = await self.counters.find_one({"_id": ACKNOWLEDGED})
        latest = int(found["value"]) if found else 0
        if len(self._own) > OWN_KEPT:
            self._own = {count for count in self._own if count > latest - OWN_KEPT // 2}
        while mark < latest and mark + 1 in self._own:
            mark += 1
        return max(mark, latest), mark < latest
