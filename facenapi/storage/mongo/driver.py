"""The one place that knows the drivers: Motor, and PyMongo's own asynchronous client.

Motor is at the end of its life (critical fixes until May 2027), so everything runs on both. They differ in
what must be awaited; that, the connection's settings and the meaning of errors are all that is here.
"""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, Protocol, TypeVar

from bson.int64 import Int64
from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.errors import (
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    DuplicateKeyError,
    InvalidName,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.uri_parser import parse_uri
from pymongo.write_concern import WriteConcern

from facenapi.config.options import Config
from facenapi.errors import Overloaded, StartupError, Unavailable

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

AFTER = ReturnDocument.AFTER
Ends = tuple[int, int, int]  # how many documents, their lowest and their highest _id
FERRET_WRITES = 10


@dataclass(frozen=True, slots=True)
class Server:
    """What runs at the other end. ``ferret``: FerretDB 1, which speaks MongoDB's protocol without all it can do."""

    version: str
    place: str
    standalone: bool
    ferret: bool


class Driver:
    """A client and a database: durable writes, reads from the primary, whatever the URI says of these."""

    server: Server

    def __init__(self, config: Config) -> None:
        uri = config.mongo_uri or _uri_of(config)
        milliseconds = self._milliseconds = round(config.mongo_timeout * 1000)
        self._awaits = config.mongo_driver == "pymongo"
        try:
            parse_uri(uri, validate=True)
            client = _client_class(config)(
                uri,
                appname="facenapi",
                retryWrites=True,
                retryReads=True,
                maxPoolSize=config.mongo_pool_size,
                serverSelectionTimeoutMS=milliseconds,
                connectTimeoutMS=milliseconds,
                waitQueueTimeoutMS=milliseconds,
                socketTimeoutMS=3 * milliseconds,
            )
            database = client.get_database(
                config.mongo_db, read_preference=ReadPreference.PRIMARY, read_concern=ReadConcern("local")
            )
        except InvalidName as error:
            raise StartupError(f"mongo_db: {error}") from None
        except (InvalidURI, ConfigurationError, ValueError, TypeError):
            # The driver's message may quote the URI, and that holds the password.
            raise StartupError(
                "mongo_uri, mongo_host or mongo_port is not valid: see MongoDB's connection string format"
            ) from None
        except OSError as error:
            raise StartupError(f"A certificate file that mongo_uri names cannot be used: {error.strerror}") from None
        self._client: Any = client
        self._db = self._settled = database

    async def meet(self) -> Server:
        """Ask the server what it is, and choose what makes a write durable and a read lasting there.

        Replica sets and sharded clusters: a majority. A standalone server: its journal; it knows no majority, and
        refuses to read by one. Raises StartupError for a server that takes no writes.
        """
        hello, build = await self.command("hello"), await self.command("buildInfo")
        if not hello.get("isWritablePrimary"):
            raise StartupError(
                "This MongoDB server takes no writes: it is a secondary or an arbiter, or its replica set was never "
                "initiated. Name the whole replica set, without directConnection"
            )
        sharded, name = hello.get("msg") == "isdbgrid", hello.get("setName")
        place = "sharded cluster" if sharded else f"replica set {name}" if name else "standalone server"
        ferret = str(build.get("ferretdbVersion", ""))
        version = f"FerretDB {ferret}" if ferret else f"MongoDB {build['version']}"
        self.server = Server(version, place, not (sharded or name), ferret.startswith("v1."))
        if self.server.standalone:
            durable = WriteConcern(1, j=True)
        else:
            durable = WriteConcern("majority", wtimeout=self._milliseconds)
        self._db = self._db.with_options(write_concern=durable)
        # Survives a failover: what a local read shows may be rolled back.
        level = "local" if self.server.standalone else "majority"
        self._settled = self._db.with_options(read_concern=ReadConcern(level))
        return self.server

    def collection(self, name: str, *, settled: bool = False) -> Any:
        """Return a collection, after :meth:`meet`; ``settled`` reads see only what a majority has."""
        return (self._settled if settled else self._db)[name]

    async def command(self, name: str) -> dict[str, Any]:
        """Run an administrative command."""
        answer: dict[str, Any] = await self._client.admin.command(name)
        return answer

    async def aggregate(self, collection: Any, stages: Sequence[dict[str, Any]], **options: Any) -> list[Any]:
        """Run an aggregation and return all it yields."""
        cursor = collection.aggregate(stages, **options)
        return [entry async for entry in (await cursor if self._awaits else cursor)]

    async def write(self, collection: Any, writes: Sequence[Any]) -> None:
        """Run writes in any order; if some fail the others are done."""
        # FerretDB keeps a connection to its database for each write of a command, and has few.
        size = FERRET_WRITES if self.server.ferret else len(writes)
        for start in range(0, len(writes), size):
            await collection.bulk_write(writes[start : start + size], ordered=False)

    async def extremes(self, collection: Any, match: dict[str, Any], field: str, hint: str) -> dict[Any, Ends]:
        """Return for each value of a field how many documents match, and their lowest and highest _id."""
        found: dict[Any, Ends] = {}
        if self.server.ferret:  # it can count groups, not find their ends
            async for entry in collection.find(match, {field: 1}):
                count, first, last = found.get(entry[field], (0, entry["_id"], entry["_id"]))
                found[entry[field]] = (count + 1, min(first, entry["_id"]), max(last, entry["_id"]))
            return found
        return dict(await self.group(collection, match, f"${field}", hint))

    async def group(self, collection: Any, match: dict[str, Any], key: Any, hint: str) -> list[tuple[Any, Ends]]:
        """Return for each value of an expression how many documents match, and their lowest and highest _id."""
        ends = {"count": {"$sum": 1}, "first": {"$min": "$_id"}, "last": {"$max": "$_id"}}
        stages = [{"$match": match}, {"$group": {"_id": key, **ends}}]
        return [
            (entry["_id"], (entry["count"], entry["first"], entry["last"]))
            for entry in await self.aggregate(collection, stages, hint=hint)
        ]

    async def indexes(self, name: str) -> dict[str, list[tuple[str, int]]]:
        """Return the keys of a collection's indexes by name; none if nothing was ever stored in it."""
        try:
            cursor = self.collection(name).list_indexes()
            return {
                entry["name"]: list(entry["key"].items())
                async for entry in (await cursor if self._awaits else cursor)
            }
        except OperationFailure as error:
            if error.code != 26:  # NamespaceNotFound
                raise
            return {}

    async def unfit(self, names: Sequence[str]) -> list[str]:
        """Return those of the collections that somebody made so that they do not keep documents as they are."""
        found = await self._db.list_collections(filter={"name": {"$in": list(names)}})
        return [
            entry["name"]
            async for entry in found
            if entry.get("type", "collection") != "collection"
            or entry.get("options", {}).get("capped")
            or entry.get("options", {}).get("collation", {}).get("locale", "simple") != "simple"
        ]

    async def drop(self) -> None:
        """Delete the whole database: for tests and trials."""
        await self._client.drop_database(self._db.name)

    async def close(self) -> None:
        """Close all connections."""
        closing = self._client.close()
        if self._awaits:
            await closing


def _uri_of(config: Config) -> str:
    hosts = config.mongo_host or "localhost"
    places = []
    for host in hosts.replace(" ", "").split(","):
        name = f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host  # an IPv6 address
        places.append(name if re.search(r"[^:\]]:\d+$|\]:\d+$", name) else f"{name}:{config.mongo_port}")
    return f"mongodb://{','.join(places)}"


def _client_class(config: Config) -> Any:
    if config.mongo_driver == "pymongo":
        return AsyncMongoClient
    # Motor runs each operation in a thread and reads the number of threads when it is imported.
    os.environ["MOTOR_MAX_WORKERS"] = str(config.mongo_pool_size)
    from motor.motor_asyncio import AsyncIOMotorClient  # noqa: PLC0415  (after the line above)

    return AsyncIOMotorClient


def duplicate_key(error: PyMongoError) -> bool:
    """Whether all that failed of a write did so because another had made the same document in that moment."""
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        errors = details.get("writeErrors", [])
        return not details.get("writeConcernErrors") and {entry.get("code") for entry in errors} == {11000}
    return isinstance(error, DuplicateKeyError)


def unknown_outcome(error: BaseException) -> bool:
    """Whether a write that failed so may have happened, or will if tried again."""
    if isinstance(error, ServerSelectionTimeoutError | WaitQueueTimeoutError):
        return False
    if isinstance(error, BulkWriteError):
        return bool(error.details and error.details.get("writeConcernErrors"))
    return isinstance(error, ConnectionFailure | WriteConcernError) or (
        isinstance(error, PyMongoError) and error.has_error_label("RetryableWriteError")
    )


def reason_of(error: PyMongoError) -> Exception:
    """Return what the rest of the server is told of a driver's error; the log gets the whole."""
    if isinstance(error, WaitQueueTimeoutError):
        return Overloaded("Too many operations wait for the database")
    logger.error("MongoDB: %s: %s", type(error).__name__, error)
    if isinstance(error, ConnectionFailure):
        return Unavailable("The database cannot be reached")
    if isinstance(error, WriteConcernError):
        return Unavailable("The database has not confirmed the write")
    code = f" (code {error.code})" if isinstance(error, OperationFailure) and error.code else ""
    return Unavailable(f"The database refused the operation{code}")


class Bounded(Protocol):
    """Something that counts its operations in flight."""

    in_flight: int
    max_in_flight: int


def operation(method: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Make a method of the store an operation: bounded in number, and no driver's exception leaves it."""

    @functools.wraps(method)
    async def bounded(*args: P.args, **kwargs: P.kwargs) -> R:
        store: Any = args[0]
        if store.in_flight >= store.max_in_flight:
            raise Overloaded("Too many operations wait for the database")
        store.in_flight += 1
        try:
            return await method(*args, **kwargs)
        except PyMongoError as error:
            raise reason_of(error) from error
        finally:
            store.in_flight -= 1

    return bounded


def int64(value: int | None) -> Int64 | None:
    """Return a number that BSON holds in 64 bits whatever its size, so that all documents are alike."""
    return None if value is None else Int64(value)
