"""What all parts of the MongoDB store share: collections, keys, indexes, retries."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pymongo.errors import PyMongoError

from facenapi.config.options import Config
from facenapi.process.supervised import Loops
from facenapi.storage.ids import IdMaker
from facenapi.storage.locks import NamedLocks
from facenapi.storage.mongo.clock import DatabaseClock
from facenapi.storage.mongo.driver import AFTER, Driver, Server, duplicate_key, int64, unknown_outcome

T = TypeVar("T")

SCHEMA_VERSION = 1
COLLECTIONS = ("about", "counters", "tokens", "galleries", "persons", "cameras", "faces", "metas", "leases")
PAUSES = (0.05, 0.2, 0.8)


def key(*parts: str | int) -> str:
    """Return the ``_id`` of what is unique by several things: one string, short however long they are."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class MongoBase:
    """The collections of the store and the ways of writing that all its parts use."""

    def __init__(self, config: Config) -> None:
        self.driver = Driver(config)
        self.max_in_flight = 100 * config.mongo_pool_size
        self.in_flight = 0
        self.loops = Loops("MongoDB")
        self.clock = DatabaseClock(lambda: self.driver.command("hello"))
        self.ids = IdMaker(clock=self.clock.seconds)
        self.local_locks = NamedLocks()

    async def meet(self) -> Server:
        """Reach the server and open the collections as it needs it."""
        server = await self.driver.meet()
        await self.clock.renew()
        (
            self.about,
            self.counters,
            self.tokens,
            self.galleries,
            self.persons,
            self.cameras,
            self.faces,
            self.metas,
            self.leases,
        ) = (self.driver.collection(name) for name in COLLECTIONS)
        self.settled_faces = self.driver.collection("faces", settled=True)
        self.settled_counters = self.driver.collection("counters", settled=True)
        return server

    async def repeated(self, write: Callable[[], Awaitable[T]]) -> T:
        """Run a write that may happen twice without harm until its outcome is known.

        A dropped connection or a majority that did not answer in time means unknown, not failed; a
        duplicate key here means that another client made the same document at the same moment.
        """
        for pause in PAUSES:
            try:
                return await write()
            except PyMongoError as error:
                if not (duplicate_key(error) or unknown_outcome(error)):
                    raise
                await asyncio.sleep(0 if duplicate_key(error) else pause)
        return await write()

    async def count_up(self, name: str, by: int = 1) -> int:
        """Add to a counter and return it; after an unknown outcome some numbers stay unused."""
        # The counter of revisions holds more, which FerretDB cannot leave out.
        fields = None if self.driver.server.ferret else {"value": 1}
        found = await self.repeated(
            lambda: self.counters.find_one_and_update(
                {"_id": name},
                {"$inc": {"value": int64(by)}},
                fields,
                upsert=True,
                return_document=AFTER,
            )
        )
        return int(found["value"])
