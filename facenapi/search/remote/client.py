"""A shard in another process, over HTTP.

A probe of its health every second tells whether it lives, so that a dead one costs the others nothing:
calls to it fail at once until it answers again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tornado.httpclient import HTTPClientError, HTTPRequest, HTTPResponse
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from facenapi.errors import Overloaded, Unavailable
from facenapi.search.index.segment import check_probe
from facenapi.search.remote import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from facenapi.search.shard import Change, Hit, Query

log = logging.getLogger(__name__)

OVERLOADED = 429  # a busy shard; 503 is one that is not ready
_MAX_ANSWER = 256 << 20


class RemoteShard:
    """Implements :class:`facenapi.search.shard.Shard` by a ``facenapi shard`` process at ``host:port``."""

    def __init__(
        self,
        address: str,
        *,
        connect_timeout_s: float = 1.0,
        request_timeout_s: float = 5.0,
        max_clients: int = 100,
        ping_s: float = 1.0,
    ) -> None:
        """``max_clients``: connections at once; further calls wait until their time is up."""
        self.address = address
        self._connect_s, self._request_s, self._ping_s = connect_timeout_s, request_timeout_s, ping_s
        self._max_clients = max_clients
        self._about: dict[str, Any] = {"ready": False}
        self._client: SimpleAsyncHTTPClient | None = None
        self._pings: SimpleAsyncHTTPClient | None = None
        self._pinger: asyncio.Task[None] | None = None

    # -- life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Look at the shard and go on looking; it need not live yet."""
        self._client = SimpleAsyncHTTPClient(
            force_instance=True, max_clients=self._max_clients, max_body_size=_MAX_ANSWER
        )
        self._pings = SimpleAsyncHTTPClient(force_instance=True, max_clients=2)
        await self._ping()
        self._pinger = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop looking; may be called twice."""
        if self._pinger is not None and self._client is not None and self._pings is not None:
            self._pinger.cancel()
            await asyncio.gather(self._pinger, return_exceptions=True)
            self._client.close()
            self._pings.close()
            self._pinger = self._client = self._pings = None
        self._about = {"ready": False}

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._ping_s)
            await self._ping()

    async def _ping(self) -> None:
        if self._pings is None:
            return
        lived = self._about["ready"]
        try:
            answer = await self._pings.fetch(
                HTTPRequest(
                    f"http://{self.address}/health", connect_timeout=self._connect_s, request_timeout=self._connect_s
                )
            )
            about = json.loads(answer.body)
            self._about = about if isinstance(about, dict) and about.get("ready") is True else {"ready": False}
        except (OSError, HTTPClientError, ValueError, RecursionError) as error:
            self._about = {"ready": False, "reason": str(error) or type(error).__name__}
        if lived and not self._about["ready"]:
            log.warning("Search shard %s is gone: %s", self.address, self._about.get("reason", "not ready"))
        elif self._about["ready"] and not lived:
            log.info("Search shard %s is there", self.address)

    # -- the protocol ---------------------------------------------------------------------------
    async def apply(self, changes: Sequence[Change]) -> None:
        """Take changes; every later search sees them. Raises Unavailable or Overloaded."""
        await self._post("/apply", wire.pack_changes(changes))

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
            raise Unavailable(f"Search shard {self.address} answers nonsense") from error

    @property
    def ready(self) -> bool:
        """Whether it answered the last probe and has caught up with the store."""
        return bool(self._about["ready"])

    @property
    def lagging(self) -> bool:
        """Whether it said that its builds have fallen behind."""
        return bool(self._about.get("lagging"))

    def info(self) -> dict[str, Any]:
        """Return what the shard said of itself last; ``ready`` is false when it cannot be reached."""
        return {**self._about, "address": self.address}

    async def _post(self, path: str, body: bytes) -> bytes:
        if self._client is None or not self._about["ready"]:
            raise Unavailable(f"Search shard {self.address} is not there")
        request = HTTPRequest(
            f"http://{self.address}{path}",
            "POST",
            body=body,
            connect_timeout=self._connect_s,
            request_timeout=self._request_s,
            follow_redirects=False,
        )
        fetched = self._client.fetch(request, raise_error=False)
        fetched.add_done_callback(_retrieve)
        try:
            answer: HTTPResponse = await asyncio.shield(fetched)  # Tornado logs a cancelled one as an error
        except (OSError, HTTPClientError) as error:
            if self._about["ready"]:
                await self._ping()  # do not wait for the next second to find out that it has died
            raise Unavailable(f"Search shard {self.address} does not answer") from error
        if answer.code == 200:
            return bytes(answer.body)
        if answer.code == OVERLOADED:
            raise Overloaded(f"Search shard {self.address} is busy")
        if answer.code == 400:
            raise ValueError(answer.body.decode(errors="replace")[:200])
        raise Unavailable(f"Search shard {self.address} answered {answer.code}")


def _retrieve(fetched: asyncio.Future[HTTPResponse]) -> None:
    """Look at the outcome of a call that nobody may be waiting for any more."""
    if not fetched.cancelled():
        fetched.exception()
