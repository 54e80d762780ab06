"""A shard in another process, over HTTP.

A probe of its health every second tells whether it lives, so that a dead one costs the others nothing:
calls to it fail at once until it answers again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tornado.httpclient import HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from facenapi.errors import ApiError, Overloaded, Unavailable
from facenapi.process.calls import CALL_ERRORS
from facenapi.process.supervised import Loops, faults
from facenapi.search.index.segment import check_probe
from facenapi.search.remote import wire
from facenapi.search.remote.peers import HEADER, Hello, authorization, digest, fault_of_shard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from facenapi.search.shard import Change, Hit, Query
    from facenapi.storage.base import Store

log = logging.getLogger(__name__)

OVERLOADED = 429  # a busy shard; 503 is one that is not ready
UNAUTHORIZED, FOREIGN, UNUSABLE = 401, 409, 422  # no secret, a peer of another kind, changes that cannot be taken
Model = tuple[str | None, int | None]
_MAX_ANSWER = 256 << 20
WATCH_PATIENCE_S = 60.0


class RemoteShard:
    """Implements :class:`facenapi.search.shard.Shard` by a ``facenapi shard`` process at ``host:port``."""

    def __init__(
        self,
        address: str,
        *,
        number: int = 1,
        store: Store | None = None,
        cells: frozenset[int] | None = None,
        model: Callable[[], Model] = lambda: (None, None),
        secret: str = "",
        connect_timeout_s: float = 1.0,
        request_timeout_s: float = 5.0,
        max_clients: int = 100,
        ping_s: float = 1.0,
    ) -> None:
        """``number``: what clients and strangers know it by. ``max_clients``: connections at once; further calls wait
        until their time is up.

        ``store``, ``cells`` and ``model`` (name and dimension) are what the shard must have as well; what is not
        given is not compared. ``secret``: what the shard asks for.
        """
        self.address, self._name = address, f"Search shard {number}"
        self._store, self._model, self._secret = store, model, secret
        self._cells = None if store is None else digest(cells)
        self._hello = Hello()
        self._connect_s, self._request_s, self._ping_s = connect_timeout_s, request_timeout_s, ping_s
        self._max_clients = max_clients
        self._about: dict[str, Any] = {"ready": False}
        self._client: SimpleAsyncHTTPClient | None = None
        self._pings: SimpleAsyncHTTPClient | None = None
        self.loops = Loops(self._name)

    # -- life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Look at the shard and go on looking; it need not live yet."""
        self._client = SimpleAsyncHTTPClient(
            force_instance=True, max_clients=self._max_clients, max_body_size=_MAX_ANSWER
        )
        self._pings = SimpleAsyncHTTPClient(force_instance=True, max_clients=2)
        await self._ping()
        self.loops.repeat("be watched", self._ping, self._ping_s, patience_s=WATCH_PATIENCE_S)

    async def close(self) -> None:
        """Stop looking; may be called twice."""
        await self.loops.stop()
        if self._client is not None and self._pings is not None:
            self._client.close()
            self._pings.close()
            self._client = self._pings = None
        self._about = {"ready": False}

    async def _ping(self) -> None:
        if self._pings is None:
            return
        lived = self._about["ready"]
        self._about = await self._look(self._pings)
        if lived and not self._about["ready"]:
            log.warning("%s (%s) is gone: %s", self._name, self.address, self._about.get("reason", "not ready"))
        elif self._about["ready"] and not lived:
            log.info("%s (%s) is there", self._name, self.address)

    async def _look(self, client: SimpleAsyncHTTPClient) -> dict[str, Any]:
        """Return what the shard says of itself; not ready, with the reason, if it cannot be used."""
        await self._introduce()
        try:
            answer = await client.fetch(self._request("/health", self._connect_s), raise_error=False)
            if answer.code == UNAUTHORIZED:
                return {"ready": False, "reason": "it asks for another shard_secret"}
            about = json.loads(answer.body)
            if not isinstance(about, dict):
                return {"ready": False, "reason": "it answers nonsense"}
        except CALL_ERRORS as error:
            return {"ready": False, "reason": str(error) or type(error).__name__}
        if answer.code != 200 or about.get("ready") is not True:
            return {"ready": False, "reason": str(about.get("reason") or f"it answered {answer.code}")}
        try:
            # Read after what the shard said, so that the shard cannot be ahead of it.
            lineage = None if self._store is None else await self._store.lineage()
        except ApiError:
            return about  # whatever the shard finds would have to be looked up there
        fault = fault_of_shard(self._hello, about, lineage)
        return {"ready": False, "reason": fault} if fault else about

    async def _introduce(self) -> None:
        """Find out what to say of ourselves; while the store is away, what was so before."""
        model, dimension = self._model()
        if self._store is not None:
            with suppress(ApiError):
                source = str((await self._store.lineage()).identity)
                self._hello = Hello(source=source, cells=self._cells, model=model, dimension=dimension)

    def _request(self, path: str, timeout_s: float, body: bytes | None = None) -> HTTPRequest:
        return HTTPRequest(
            f"http://{self.address}{path}",
            "GET" if body is None else "POST",
            body=body,
            headers={HEADER: self._hello.text(), **authorization(self._secret)},
            connect_timeout=self._connect_s,
            request_timeout=timeout_s,
            follow_redirects=False,
        )

    # -- the protocol ---------------------------------------------------------------------------
    async def apply(self, changes: Sequence[Change]) -> None:
        """Take changes; every later search sees them. Raises Unavailable or Overloaded."""
        if await self._post("/apply", wire.pack_changes(changes)):
            raise Unavailable(f"{self._name} answers nonsense", self.address)

    async def search(self, query: Query) -> list[Hit]:
        """Return the hits, best first. Raises Unavailable, Overloaded, or ValueError for a bad probe."""
        check_probe(query.probe, len(query.probe))
        asked: dict[str, Any] = {"owner": query.owner, "model": query.model, "n": query.n}
        if query.min_similarity is not None:
            asked["min_similarity"] = repr(float(query.min_similarity))
        if query.tag is not None:
            asked["tag"] = query.tag
        answer = await self._post(f"/search?{urlencode(asked)}", query.probe.astype("<f4").tobytes())
        try:
            return wire.unpack_hits(answer, query.n)
        except ValueError as error:
            raise Unavailable(f"{self._name} answers nonsense", self.address) from error

    @property
    def ready(self) -> bool:
        """Whether it answered the last probe and has caught up with the store."""
        return bool(self._about["ready"]) and not faults(self.loops)

    @property
    def lagging(self) -> bool:
        """Whether it said that its builds have fallen behind."""
        return bool(self._about.get("lagging"))

    def info(self) -> dict[str, Any]:
        """Return what the shard said of itself last; ``ready`` is false when it cannot be reached."""
        return {**self._about, "ready": self.ready, "address": self.address}

    async def _post(self, path: str, body: bytes) -> bytes:
        if self._client is None or not self._about["ready"]:
            raise Unavailable(f"{self._name} is not there", self.address)
        fetched = self._client.fetch(self._request(path, self._request_s, body), raise_error=False)
        fetched.add_done_callback(_retrieve)
        try:
            answer: HTTPResponse = await asyncio.shield(fetched)  # Tornado logs a cancelled one as an error
        except CALL_ERRORS as error:
            if self._about["ready"]:
                await self._ping()  # do not wait for the next second to find out that it has died
            raise Unavailable(f"{self._name} does not answer", self.address) from error
        if answer.code == 200:
            return bytes(answer.body)
        if answer.code == OVERLOADED:
            raise Overloaded(f"{self._name} is busy")
        if answer.code in (UNAUTHORIZED, FOREIGN):  # it is another one than a moment ago
            await self._ping()
        if answer.code == 400:
            raise ValueError(answer.body.decode(errors="replace")[:200])
        log.warning("%s (%s) refused with %d: %.200s", self._name, self.address, answer.code, answer.body)
        raise Unavailable(f"{self._name} answered {answer.code}", self.address)


def _retrieve(fetched: asyncio.Future[HTTPResponse]) -> None:
    """Look at the outcome of a call that nobody may be waiting for any more."""
    if not fetched.cancelled():
        fetched.exception()
