"""``MongoStore``: the parts together, with its beginning, its end and its health."""

from __future__ import annotations

import logging

from pymongo import UpdateOne
from pymongo.errors import OperationFailure, PyMongoError

from facenapi.config.options import Config
from facenapi.errors import StartupError
from facenapi.storage.base import Finding
from facenapi.storage.ids import IdMaker, highest_at
from facenapi.storage.mongo import indexes
from facenapi.storage.mongo.base import COLLECTIONS, SCHEMA_VERSION
from facenapi.storage.mongo.cameras import Cameras
from facenapi.storage.mongo.driver import int64, operation
from facenapi.storage.mongo.faces import Faces
from facenapi.storage.mongo.lateness import lateness
from facenapi.storage.mongo.leases import Leases
from facenapi.storage.mongo.persons import Persons
from facenapi.storage.mongo.report import report
from facenapi.storage.mongo.tokens import Tokens

logger = logging.getLogger(__name__)

FERRET = (
    "%s does without: partial indexes (whole ones are made), $min and $max of groups (they are found here), any use "
    "of indexes and of hints (each query reads the whole collection), and updates that cannot overtake each other "
    "(of two at once one may be lost). It is good for trying out, not for keeping faces"
)


class MongoStore(Faces, Persons, Tokens, Cameras, Leases):
    """Faces in a MongoDB replica set or sharded cluster."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self._create_indexes = config.mongo_create_indexes

    async def start(self) -> None:
        """Reach the servers, check version and indexes; raise StartupError."""
        try:
            await self._start()
        except StartupError:
            await self.close()
            raise
        except PyMongoError as error:
            await self.close()
            logger.error("MongoDB: %s: %s", type(error).__name__, error)  # noqa: TRY400  (one line is enough)
            if isinstance(error, OperationFailure) and error.code in (13, 18, 8000):
                raise StartupError(
                    "MongoDB refuses these credentials: check mongo_uri and the rights of its user on the database"
                ) from None
            kind = type(error).__name__
            if isinstance(error, OperationFailure):
                kind = str((error.details or {}).get("codeName", f"code {error.code}"))
            raise StartupError(
                f"Cannot work with MongoDB ({kind}): check mongo_host, mongo_port or "
                "mongo_uri, and whether the server runs"
            ) from None

    async def _start(self) -> None:
        server = await self.meet()
        if server.standalone:
            logger.warning(
                "%s runs as a standalone server: what it has acknowledged is in its journal, but lives on one disk "
                "and is out of reach while it is down. A replica set would keep copies and take over",
                server.version,
            )
        if server.ferret:
            logger.warning(FERRET, server.version)
        unfit = await self.driver.unfit(COLLECTIONS)
        if unfit:
            raise StartupError(
                f"In MongoDB, {', '.join(unfit)} was made as a view, as a capped collection or with a collation, by "
                "which unlike names would be one: facenapi needs plain collections, and makes them itself"
            )
        # "classes": all events have a class of lateness, but for those that servers of an earlier release still add.
        new = {"version": SCHEMA_VERSION, "classes": True}
        schema = await self.about.find_one({"_id": "schema"}, {"_id": 0}) or new
        if schema["version"] > SCHEMA_VERSION:
            raise StartupError(
                f"The database has schema version {schema['version']}, this facenapi knows "
                f"{SCHEMA_VERSION}: it was written by a newer release; install that one"
            )
        if self._create_indexes:
            await indexes.make(self.driver)
        missing = await indexes.missing(self.driver)
        if missing:
            raise StartupError(
                f"Indexes are missing in MongoDB: {', '.join(missing)}; create them or set mongo_create_indexes"
            )
        await self.repeated(
            lambda: self.about.update_one(
                {"_id": "schema"}, {"$set": schema | {"version": SCHEMA_VERSION}}, upsert=True
            )
        )
        await self.begin_epoch()
        if not schema.get("classes"):
            self.loops.once("tell how late old events are", self._class_events)
        below = {"_id": {"$lt": int64(highest_at(self.clock.seconds()))}}
        newest = await self.faces.find(below, {"_id": 1}).sort("_id", -1).limit(1).to_list(1)
        self.ids = IdMaker(int(newest[0]["_id"]) if newest else 0, self.clock.seconds)

    async def _class_events(self) -> None:
        """Give events of an earlier release their class; until then lists look through all of them for a time."""
        for owner in await self.list_owners():
            query = {"owner": owner, "event": True, "late": None}
            while found := await self.faces.find(query, {"timestamp": 1}, hint="history").limit(500).to_list(500):
                classes = [(one["_id"], lateness(int(one["_id"]), int(one["timestamp"]))) for one in found]
                # One that was deleted meanwhile is an event no more.
                writes = [UpdateOne({"_id": i, "event": True}, {"$set": {"late": late}}) for i, late in classes]
                await self.repeated(lambda writes=writes: self.driver.write(self.faces, writes))  # type: ignore[misc]
        await self.repeated(lambda: self.about.update_one({"_id": "schema"}, {"$set": {"classes": True}}))

    @operation
    async def report(self) -> list[Finding]:
        """Check servers, indexes and what one document says of another."""
        return await report(self)

    async def close(self) -> None:
        """Close all connections."""
        await self.loops.stop()
        await self.driver.close()

    @operation
    async def ping(self) -> None:
        """Write and read a number, confirmed by a majority."""
        await self.count_up("probe")
