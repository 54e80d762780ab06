"""``MongoStore``: the parts together, with its beginning, its end and its health."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from facenapi.config.options import Config
from facenapi.errors import StartupError, Unavailable
from facenapi.storage.base import Finding
from facenapi.storage.ids import IdMaker
from facenapi.storage.mongo.base import INDEXES, SCHEMA_VERSION
from facenapi.storage.mongo.cameras import Cameras
from facenapi.storage.mongo.driver import int64, operation, reason_of
from facenapi.storage.mongo.faces import Faces
from facenapi.storage.mongo.persons import Persons
from facenapi.storage.mongo.report import report
from facenapi.storage.mongo.tokens import Tokens

logger = logging.getLogger(__name__)

# A lease that is not renewed for so long is another's: longer than clocks differ and processes pause.
LEASE_S = 30.0
MAX_WAIT_S = 60.0


class MongoStore(Faces, Persons, Tokens, Cameras):
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
            if isinstance(error, OperationFailure) and error.code in (13, 18):
                raise StartupError(
                    "MongoDB refuses these credentials: check mongo_uri and the rights of its user on the database"
                ) from None
            raise StartupError(
                f"Cannot work with MongoDB ({type(error).__name__}): check mongo_host, mongo_port or "
                "mongo_uri, and whether the server runs"
            ) from None

    async def _start(self) -> None:
        hello = await self.driver.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise StartupError(
                "MongoDB runs as a standalone server, where acknowledged writes can be lost: make it "
                "a replica set of one member (replSetName in its configuration, rs.initiate() once)"
            )
        schema = await self.about.find_one({"_id": "schema"}) or {"version": SCHEMA_VERSION}
        if schema["version"] > SCHEMA_VERSION:
            raise StartupError(
                f"The database has schema version {schema['version']}, this facenapi knows "
                f"{SCHEMA_VERSION}: it was written by a newer release; install that one"
            )
        if self._create_indexes:
            await self._make_indexes()
        missing = await self.missing_indexes()
        if missing:
            raise StartupError(
                f"Indexes are missing in MongoDB: {', '.join(missing)}; create them or set mongo_create_indexes"
            )
        await self.repeated(
            lambda: self.about.update_one({"_id": "schema"}, {"$set": {"version": SCHEMA_VERSION}}, upsert=True)
        )
        await self.begin_epoch()
        newest = await self.faces.find({}, {"_id": 1}).sort("_id", -1).limit(1).to_list(1)
        self.ids = IdMaker(int(newest[0]["_id"]) if newest else 0)

    async def _make_indexes(self) -> None:
        for collection, indexes in INDEXES.items():
            for name, (keys, partial) in indexes.items():
                options = {} if partial is None else {"partialFilterExpression": partial}
                try:
                    await self.driver.collection(collection).create_index(list(keys.items()), name=name, **options)
                except OperationFailure as error:
                    if error.code not in (85, 86):
                        raise
                    raise StartupError(
                        f"MongoDB has another index like {collection}.{name}: drop it, or have it as {dict(keys)}"
                    ) from None

    @operation
    async def report(self) -> list[Finding]:
        """Check servers, indexes and what one document says of another."""
        return await report(self)

    async def close(self) -> None:
        """Close all connections."""
        await self.driver.close()

    @operation
    async def ping(self) -> None:
        """Write and read a number, confirmed by a majority."""
        await self.count_up("probe")

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return a mutual exclusion among all servers on this database."""
        return self._lock(name)

    @asynccontextmanager
    async def _lock(self, name: str) -> AsyncIterator[None]:
        holder = uuid.uuid4().hex
        async with self.local_locks.hold(name):
            try:
                await self._acquire(name, holder)
            except PyMongoError as error:
                raise reason_of(error) from error
            renewing = asyncio.create_task(self._renew(name, holder))
            try:
                yield
            finally:
                renewing.cancel()
                # If this fails, the lease runs out by itself.
                with suppress(PyMongoError):
                    await self.leases.delete_one({"_id": name, "holder": holder})

    async def _acquire(self, name: str, holder: str) -> None:
        deadline = time.monotonic() + MAX_WAIT_S
        while time.monotonic() < deadline:
            now = time.time() * 1000
            try:
                # A lease of another holds the _id, so the upsert meets a duplicate key.
                await self.leases.find_one_and_update(
                    {"_id": name, "$or": [{"until": {"$lt": int64(round(now))}}, {"holder": holder}]},
                    {"$set": {"holder": holder, "until": int64(round(now + LEASE_S * 1000))}},
                    upsert=True,
                )
            except DuplicateKeyError:
                await asyncio.sleep(0.02)
            else:
                return
        raise Unavailable("Another server holds a lock for too long")

    async def _renew(self, name: str, holder: str) -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            until = int64(round((time.time() + LEASE_S) * 1000))
            try:
                await self.leases.update_one({"_id": name, "holder": holder}, {"$set": {"until": until}})
            except PyMongoError as error:
                logger.warning("The lease of lock %s was not renewed: %s", name, type(error).__name__)
