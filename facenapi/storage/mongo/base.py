"""What all parts of the MongoDB store share: collections, keys, indexes, retries."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from facenapi.config.options import Config
from facenapi.storage.ids import IdMaker
from facenapi.storage.locks import NamedLocks
from facenapi.storage.mongo.driver import AFTER, Driver, int64, unknown_outcome

T = TypeVar("T")

SCHEMA_VERSION = 1
COLLECTIONS = ("about", "counters", "tokens", "galleries", "persons", "cameras", "faces", "metas", "leases")
PAUSES = (0.05, 0.2, 0.8)

# By collection and name: keys, and for partial indexes which documents. Every filter of the API has one.
INDEXES: dict[str, dict[str, tuple[dict[str, int], dict[str, Any] | None]]] = {
    "faces": {
        "members": ({"owner": 1, "galleries": 1, "_id": 1}, None),
        "metas": ({"owner": 1, "galleries": 1, "meta": 1, "_id": 1}, None),
        "persons": ({"owner": 1, "person_id": 1, "_id": 1}, {"person_id": {"$exists": True}}),
        "sightings": ({"owner": 1, "person_id": 1, "cam_key": 1, "timestamp": 1}, {"cam_key": {"$exists": True}}),
        "events": ({"owner": 1, "event": 1, "_id": 1}, {"event": True}),
        "friends": ({"owner": 1, "event": 1, "friend": 1, "_id": 1}, {"event": True}),
        "cameras": ({"owner": 1, "cam_key": 1, "_id": 1}, {"cam_key": {"$exists": True}}),
        "times": ({"owner": 1, "event": 1, "timestamp": 1}, {"event": True}),
        "feed": ({"rev": 1, "cell": 1}, None),
        "tombstones": ({"gone": 1, "rev": 1}, {"gone": True}),
    },
    "metas": {"by_first": ({"owner": 1, "gallery": 1, "first": 1}, None)},
    "galleries": {"names": ({"owner": 1, "name": 1}, None)},
    "persons": {"numbers": ({"owner": 1, "number": 1}, None)},
    "cameras": {"order": ({"owner": 1, "seq": 1}, None)},
}


def key(*parts: str | int) -> str:
    """Return the ``_id`` of what is unique by several things: one string, short however long they are."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


class MongoBase:
    """The collections of the store and the ways of writing that all its parts use."""

    def __init__(self, config: Config) -> None:
        self.driver = Driver(config)
        self.max_in_flight = 100 * config.mongo_pool_size
        self.in_flight = 0
        self.ids = IdMaker()
        self.local_locks = NamedLocks()
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

    async def missing_indexes(self) -> list[str]:
        """Return the indexes that the lists need and that are not there, as collection.name."""
        missing = []
        for collection, indexes in INDEXES.items():
            try:
                found = await self.driver.index_names(self.driver.collection(collection))
            except OperationFailure as error:
                if error.code != 26:  # NamespaceNotFound: nothing was ever stored in it
                    raise
                found = {}
            missing += [
                f"{collection}.{name}" for name, (keys, _) in indexes.items() if found.get(name) != list(keys.items())
            ]
        return missing

    async def repeated(self, write: Callable[[], Awaitable[T]]) -> T:
        """Run a write that may happen twice without harm until its outcome is known.

        A dropped connection or a majority that did not answer in time means unknown, not failed; a
        duplicate key here means that another client made the same document at the same moment.
        """
        for pause in PAUSES:
            try:
                return await write()
            except DuplicateKeyError:
                await asyncio.sleep(0)
            except PyMongoError as error:
                if not unknown_outcome(error):
                    raise
                await asyncio.sleep(pause)
        return await write()

    async def count_up(self, name: str, by: int = 1) -> int:
        """Add to a counter and return it; after an unknown outcome some numbers stay unused."""
        found = await self.repeated(
            lambda: self.counters.find_one_and_update(
                {"_id": name},
                {"$inc": {"value": int64(by)}},
                {"value": 1},  # that of revisions holds more
                upsert=True,
                return_document=AFTER,
            )
        )
        return int(found["value"])
