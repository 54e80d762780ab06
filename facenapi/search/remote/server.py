"""A search shard as a process of its own: ``facenapi shard``.

It holds the cells that the table gives to its address, keeps up with the store by itself, and serves
searches over HTTP to the API servers that prove to belong to it (:mod:`.peers`).

=======================  =====================================================================
``POST /search``         ``owner model n [min_similarity] [tag]`` in the query, the probe as raw
                         little-endian float32 in the body; answers hits as :mod:`.wire` packs them
``POST /apply``          changes as :mod:`.wire` packs them
``GET /stat/list``       the collections with their sizes
``GET /stat/info``       the shard as a whole
``GET /health``          the same; 503 until it has caught up with the store, 409 for a server of another kind;
                         without the secret no more than whether it is ready and why not
``GET /metrics``         figures for Prometheus
=======================  =====================================================================
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from facenapi.errors import Overloaded, StartupError, Unavailable
from facenapi.process.supervised import Loops, ending, faults
from facenapi.search.local import LocalShard
from facenapi.search.remote import wire
from facenapi.search.remote.client import FOREIGN, OVERLOADED, UNAUTHORIZED, UNUSABLE
from facenapi.search.remote.peers import (
    HEADER,
    WIRE,
    Hello,
    check_host,
    digest,
    fault_of_server,
    is_authorized,
    secret_of,
)
from facenapi.search.shard import Query
from facenapi.search.table import read_table, split_address
from facenapi.storage.base import CELL_COUNT

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from facenapi.config.options import Config
    from facenapi.storage.base import Store

log = logging.getLogger(__name__)

MAX_BODY = 256 << 20
RETRY_S = 2.0
MISDIRECTED = 421
_ACCEPTED_S, _MOST_PEERS = 10.0, 1000


class ShardServer:
    """One shard with its port. ``store`` is started and closed by the caller."""

    def __init__(self, shard: LocalShard, host: str, port: int, secret: str = "") -> None:
        check_host(host, secret)
        self.shard = shard
        self.secret = secret
        self._waits = "It is being loaded"
        self._refused = ""
        self._accepted: dict[tuple[str, str], float] = {}
        self._host, self._port = host, port
        self._http: HTTPServer | None = None
        self._loading: asyncio.Task[None] | None = None
        self.loops = Loops("The shard")
        self.metrics = Metrics(shard)

    @classmethod
    def from_config(cls, config: Config, store: Store) -> ShardServer:
        """Return the shard of ``shard_address`` in the table; raise StartupError if it is not in there."""
        table = read_table(Path(config.tntapi_servers_file))
        cells = table.get(config.shard_address)
        if cells is None:
            raise StartupError(
                f"shard_address: {config.shard_address!r} is not in {config.tntapi_servers_file}, "
                f"which has {', '.join(table)}"
            )
        host, port = split_address(config.shard_address, "shard_address")
        shard = LocalShard(Path(config.data_dir) / f"shard-{host}-{port}", store, cells)
        return cls(shard, host, port, secret_of(config))

    async def start(self) -> int:
        """Open the port, begin to load, and return the port's number; raise StartupError if it is taken."""
        try:
            sockets = bind_sockets(self._port, self._host)
        except OSError as error:
            raise StartupError(f"Cannot listen on {self._host}:{self._port}: {error.strerror}") from error
        routes = [
            (path, handler, {"server": self})
            for path, handler in (
                ("/search", SearchHandler),
                ("/apply", ApplyHandler),
                ("/stat/list", ListHandler),
                ("/stat/info", InfoHandler),
                ("/health", HealthHandler),
                ("/metrics", MetricsHandler),
            )
        ]
        self._http = HTTPServer(Application(routes, log_function=lambda _: None), max_buffer_size=MAX_BODY)
        self._http.add_sockets(sockets)
        self._loading = asyncio.create_task(self._load())
        port: int = sockets[0].getsockname()[1]
        return port

    async def loaded(self) -> None:
        """Wait until the shard has caught up with the store. After ``start``.

        Raises StartupError if it never will: another process has its folder, or it cannot be used.
        """
        assert self._loading is not None
        await asyncio.shield(self._loading)

    async def close(self) -> None:
        """Stop serving and save; may be called twice."""
        await self.loops.stop()
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        if self._http is not None:
            self._http.stop()
            await self._http.close_all_connections()
        await self.shard.close()

    async def _load(self) -> None:
        while not ending():
            try:
                await self.shard.start()
            except (Unavailable, Overloaded) as error:
                self._waits = f"It waits for the store: {error.reason}"
                log.warning("The shard waits for the store: %s", error.reason)
            else:
                return
            await asyncio.sleep(RETRY_S)

    # -- peers ----------------------------------------------------------------------------------
    def about(self) -> dict[str, Any]:
        """Return all that the shard says of itself."""
        info = self.shard.info()
        reason = "; ".join(faults([*self.loops, *self.shard.loops])) if info["ready"] else self._waits
        return {
            **info,
            "ready": not reason,
            "reason": reason,
            "wire": WIRE,
            "source": str(self.shard.source or ""),
            "cells": digest(self.shard.cells),
            "dimensions": self.shard.dimensions(),
            "refused": self._refused,
        }

    async def check_peer(self, header: str) -> None:
        """Raise HTTPError unless a server that says this of itself belongs here; what was found holds for a while."""
        key = (header, str(self.shard.source))
        if self._accepted.get(key, 0.0) > time.monotonic():
            return
        try:
            hello = Hello.parse(header)
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
        try:
            fault = fault_of_server(hello, self.about(), await self.shard.lineage())
        except (Unavailable, Overloaded) as error:
            raise HTTPError(503, "The store is away: %s", error.reason, reason="Not ready") from error
        if fault:
            if fault != self._refused:
                log.warning("A server was refused: %s", fault)
            self._refused = fault
            raise HTTPError(FOREIGN, "%s", fault)
        if len(self._accepted) > _MOST_PEERS:
            self._accepted.clear()
        self._accepted[key] = time.monotonic() + _ACCEPTED_S


class Metrics:
    """Figures for Prometheus, of one shard."""

    def __init__(self, shard: LocalShard) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # memory, file descriptors, processor time
        self.searches = Histogram(
            "facenapi_shard_search_seconds",
            "Time of a search.",
            registry=self.registry,
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5),
        )
        self.applied = Counter("facenapi_shard_changes", "Changes taken.", registry=self.registry)
        self.refused = Counter("facenapi_shard_refused", "Calls that failed.", ["status"], registry=self.registry)
        for name in ("ready", "faces", "segments", "waiting_buffers", "revision"):
            gauge = Gauge(f"facenapi_shard_{name}", f"The shard's {name}.", registry=self.registry)
            gauge.set_function(lambda name=name: float(shard.info()[name]))  # type: ignore[misc]


class _Handler(RequestHandler):
    """What all have in common: the server, who may ask, and errors as a line of text."""

    public = False  # whether it answers without the secret
    for_peers = False  # whether only servers that belong to the shard may ask

    def initialize(self, server: ShardServer) -> None:
        """Take the server."""
        self.server = server
        self.shard = server.shard

    async def prepare(self) -> None:
        """Let in who knows the secret and belongs to the shard."""
        if not self.is_known() and not self.public:
            raise HTTPError(UNAUTHORIZED, reason="A shard_secret is needed")
        if self.for_peers:
            await self.server.check_peer(self.request.headers.get(HEADER, ""))

    def is_known(self) -> bool:
        """Whether the secret was shown."""
        return is_authorized(self.request.headers.get("Authorization"), self.server.secret)

    async def attempt(self, call: Awaitable[Any]) -> Any:
        """Wait for a call to the shard; turn its errors into those of HTTP."""
        try:
            return await call
        except Overloaded as error:
            raise HTTPError(OVERLOADED, reason="Busy") from error
        except Unavailable as error:
            raise HTTPError(503, reason="Not ready") from error
        except ValueError as error:
            raise HTTPError(400, str(error)) from error

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the reason in words."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        self.server.metrics.refused.labels(status_code).inc()
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        told = isinstance(error, HTTPError) and status_code in (400, FOREIGN, MISDIRECTED, UNUSABLE)
        self.finish(error.get_message() if told and isinstance(error, HTTPError) else self._reason)

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Keep the log for what nobody expected."""
        if not isinstance(value, HTTPError):
            super().log_exception(typ, value, tb)


class SearchHandler(_Handler):
    """POST /search."""

    for_peers = True

    async def post(self) -> None:
        """Search with the probe in the body."""
        if len(self.request.body) % 4 or not self.request.body:
            raise HTTPError(400, "The body must be little-endian float32 numbers")
        probe = np.frombuffer(self.request.body, "<f4").astype(np.float32)
        try:
            floor = self.get_query_argument("min_similarity", None)
            query = Query(
                self.get_query_argument("owner"),
                self.get_query_argument("model"),
                probe,
                int(self.get_query_argument("n")),
                None if floor is None else float(floor),
                self.get_query_argument("tag", None),
            )
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
        with self.server.metrics.searches.time():
            hits = await self.attempt(self.shard.search(query))
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(wire.pack_hits(hits))


class ApplyHandler(_Handler):
    """POST /apply: 421 for a cell that is not served here, 422 for a vector that cannot be searched for."""

    for_peers = True

    async def post(self) -> None:
        """Take the changes in the body."""
        try:
            changes = wire.unpack_changes(self.request.body)
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
        stray = next((change.id for change in changes if not self.shard.serves(change.id)), None)
        if stray is not None:
            raise HTTPError(MISDIRECTED, "Cell %d is not served here", stray % CELL_COUNT)
        refused = await self.attempt(self.shard.take(changes))
        self.server.metrics.applied.inc(len(changes) - len(refused))
        if refused:
            raise HTTPError(UNUSABLE, "%s", refused[0])
        self.finish(b"")


class ListHandler(_Handler):
    """GET /stat/list."""

    def get(self) -> None:
        """List the collections."""
        self.finish({"collections": self.shard.list_collections()})


class InfoHandler(_Handler):
    """GET /stat/info."""

    def get(self) -> None:
        """Describe the shard."""
        self.finish(self.server.about())


class HealthHandler(_Handler):
    """GET /health."""

    public = True

    async def get(self) -> None:
        """Describe the shard, with a status that tells whether it can be used, and by the server that asks."""
        about = self.server.about()
        hello = self.request.headers.get(HEADER)
        if hello is not None and not self.is_known():
            raise HTTPError(UNAUTHORIZED, reason="A shard_secret is needed")
        status = 200 if about["ready"] else 503
        if hello is not None and about["ready"]:
            try:
                await self.server.check_peer(hello)
            except HTTPError as error:
                status, about = error.status_code, about | {"ready": False, "reason": error.get_message()}
        self.set_status(status)
        self.finish(about if self.is_known() else {name: about[name] for name in ("ready", "reason")})


class MetricsHandler(_Handler):
    """GET /metrics."""

    public = True

    def get(self) -> None:
        """Give the figures in Prometheus' text format."""
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(generate_latest(self.server.metrics.registry))
