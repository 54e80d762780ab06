"""What a shard answers over HTTP, a class for each path.

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

from typing import TYPE_CHECKING, Any

import numpy as np
from prometheus_client import generate_latest
from tornado.web import HTTPError, RequestHandler

from facenapi.errors import Overloaded, Unavailable
from facenapi.search.remote import wire
from facenapi.search.remote.client import FOREIGN, OVERLOADED, UNAUTHORIZED, UNUSABLE
from facenapi.search.remote.peers import HEADER, is_authorized
from facenapi.search.shard import Query
from facenapi.storage.base import CELL_COUNT

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from facenapi.search.local import LocalShard
    from facenapi.search.remote.admission import Admission
    from facenapi.search.remote.metrics import Metrics

MISDIRECTED = 421


class _Handler(RequestHandler):
    """What all have in common: the server, who may ask, and errors as a line of text."""

    public = False  # whether it answers without the secret
    for_peers = False  # whether only servers that belong to the shard may ask

    def initialize(self, shard: LocalShard, admission: Admission, metrics: Metrics) -> None:
        """Take what a handler uses."""
        self.shard, self.admission, self.metrics = shard, admission, metrics

    async def prepare(self) -> None:
        """Let in who knows the secret and belongs to the shard."""
        if not self.is_known() and not self.public:
            raise HTTPError(UNAUTHORIZED, reason="A shard_secret is needed")
        if self.for_peers:
            await self.admission.check_peer(self.request.headers.get(HEADER, ""))

    def is_known(self) -> bool:
        """Whether the secret was shown."""
        return is_authorized(self.request.headers.get("Authorization"), self.admission.secret)

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
        self.metrics.refused.labels(status_code).inc()
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
        with self.metrics.searches.time():
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
        self.metrics.applied.inc(len(changes) - len(refused))
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
        self.finish(self.admission.about())


class HealthHandler(_Handler):
    """GET /health."""

    public = True

    async def get(self) -> None:
        """Describe the shard, with a status that tells whether it can be used, and by the server that asks."""
        about = self.admission.about()
        hello = self.request.headers.get(HEADER)
        if hello is not None and not self.is_known():
            raise HTTPError(UNAUTHORIZED, reason="A shard_secret is needed")
        status = 200 if about["ready"] else 503
        if hello is not None and about["ready"]:
            try:
                await self.admission.check_peer(hello)
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
        self.finish(generate_latest(self.metrics.registry))


ROUTES = (
    ("/search", SearchHandler),
    ("/apply", ApplyHandler),
    ("/stat/list", ListHandler),
    ("/stat/info", InfoHandler),
    ("/health", HealthHandler),
    ("/metrics", MetricsHandler),
)
