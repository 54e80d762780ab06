"""Tornado's HTTP server, bounded in every phase of a connection, with every refusal in the contract's form.

What Tornado's parser cannot read never becomes a request that a handler could answer; :mod:`connection` answers that.

Clients that believe that they talk to a proxy ask for ``http://HOST/PATH``, which RFC 9112 (3.2.2) wants every server
to accept: of that the path is what they mean.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, RequestStartLine

from facenapi.config.lists import networks_of
from facenapi.errors import Overloaded
from facenapi.process import descriptors
from facenapi.process.acceptor import Acceptor
from facenapi.process.access_log import log_refusal
from facenapi.process.connection import Connection, Limits, refusal
from facenapi.process.linger import Lingerer
from facenapi.process.proxies import Seen, seen
from facenapi.process.supervised import Loops

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Sequence

    from tornado.httputil import HTTPConnection, HTTPHeaders, ResponseStartLine

    from facenapi.config.options import Config

log = logging.getLogger(__name__)

# A body somewhat too large is read and thrown away, so that the client gets to read the answer.
LINGER_FACTOR = 8

_ORIGIN = re.compile(r"https?://[^/?]*", re.IGNORECASE)
_IDLE_S = 1.0  # an idle connection that old makes room for a new one
_PERIOD_S = 1.0  # between two looks at all connections, at most
_COUNT_S = 10.0  # between two counts of what is open


@dataclass(slots=True)
class Exchange:
    """What is known of a request beside what it says. ``complete``: whether its body has come to its end."""

    seen: Seen
    complete: bool = False


class Listener(HTTPServer):
    """The HTTP server of an application. ``idle``: connections of which nothing is awaited now, the longest first."""

    def initialize(self, request_callback: Any, config: Config) -> None:  # type: ignore[override]
        """Take the application and the options."""
        super().initialize(
            request_callback,
            max_body_size=config.max_body_size * LINGER_FACTOR,
            # The connections' own limits end them before this one does.
            idle_connection_timeout=2 * (config.idle_timeout + config.head_timeout),
        )
        self._config = config
        self._trusted = networks_of(config.trusted_proxies)
        self._limits = Limits(config.idle_timeout, config.head_timeout, config.write_timeout)
        self._most, self._enough = descriptors.for_clients(config)
        self._streams: set[Connection] = set()
        self.idle: dict[Connection, None] = {}
        self._lingerer = Lingerer()
        self._refused = 0
        self.loops = Loops("The listener")

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._streams)

    # -- connections ----------------------------------------------------------------------------
    def add_sockets(self, sockets: Sequence[socket.socket]) -> None:  # type: ignore[override]
        """Listen on these sockets."""
        for listening in sockets:
            self._sockets[listening.fileno()] = listening
            self._handlers[listening.fileno()] = Acceptor(listening, self._take).stop
        limits = self._limits
        period = min(_PERIOD_S, limits.idle_s / 4, limits.head_s / 4, limits.write_s / 4)
        self.loops.repeat("look at its connections", self._check, period)
        self.loops.repeat("count what is open", self._count, _COUNT_S)

    def _take(self, sock: socket.socket, address: Any) -> None:
        """Serve a connection that was accepted, if there is room."""
        host = str(address[0]) if address else "-"
        if len(self._streams) >= self._most and not self._make_room():
            self._turn_away(sock, host)
            return
        stream = Connection(sock, self, host, self._limits)
        self._streams.add(stream)
        self.handle_stream(stream, address)

    def _make_room(self) -> bool:
        """Close the connection that has been idle for longest; False if there is none."""
        longest = next(iter(self.idle), None)
        if longest is None or time.monotonic() - longest.idle_since < _IDLE_S:
            return False
        longest.close()
        return True

    def _turn_away(self, sock: socket.socket, host: str) -> None:
        error, request_id = Overloaded("Too many connections are open"), secrets.token_hex(8)
        if not self._refused:  # one line for the first; the rest are counted
            log_refusal(host, request_id, None, error, 0.0)
        self._refused += 1
        sock.setblocking(False)
        try:
            sock.send(refusal(error, request_id))
        except OSError:
            sock.close()
        else:
            self._lingerer.take(sock)

    def linger(self, sock: socket.socket) -> None:
        """See a connection off that is closed here while its client may still write."""
        try:
            self._lingerer.take(sock.dup())
        except OSError:
            log.debug("no descriptor to linger with")

    def forget(self, stream: Connection) -> None:
        """A connection is closed."""
        self._streams.discard(stream)
        self.idle.pop(stream, None)

    async def _check(self) -> None:
        """Look at all connections."""
        now = time.monotonic()
        for stream in list(self._streams):
            stream.check(now)
        if self._refused:
            log.warning("%d connections were refused: all %d places are taken", self._refused, self._most)
            self._refused = 0

    async def _count(self) -> None:
        """Leave clients what the index and all else do not need."""
        held = await asyncio.to_thread(descriptors.open_now) - len(self._streams)
        self._most, enough = descriptors.for_clients(self._config, held)
        if self._enough and not enough:
            log.warning(
                "%d files and sockets are open beside those of clients, and the limit is %d: raise it (LimitNOFILE)",
                held,
                descriptors.limit(),
            )
        self._enough = enough

    async def close_all_connections(self) -> None:
        """Close what is open."""
        await self.loops.stop()
        await super().close_all_connections()
        self._lingerer.close()

    # -- requests -------------------------------------------------------------------------------
    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Return what takes the next request of a connection."""
        connection: Any = request_conn
        connection.stream.expect_head()
        return _Request(super().start_request(server_conn, request_conn), connection, self)

    def seen(self, peer: str, headers: HTTPHeaders) -> Seen:
        """Return how a client reached us."""
        return seen(peer, headers, self._trusted, self._config.base_path.rstrip("/"))

    def own_path(self, target: str) -> str:
        """Return path and query of a request's target, without the prefix of the server."""
        if origin := _ORIGIN.match(target):
            target = target[origin.end() :]
            target = target if target.startswith("/") else "/" + target
        base = self._config.base_path.rstrip("/")
        if base and target.startswith(base) and target[len(base) : len(base) + 1] in ("/", "?", ""):
            rest = target[len(base) :]
            return rest if rest.startswith("/") else "/" + rest
        return target


class _Request(HTTPMessageDelegate):
    """Passes a request on with its client's address and the path alone as its target."""

    def __init__(self, inner: HTTPMessageDelegate, connection: Any, listener: Listener) -> None:
        self._inner = inner
        self._connection = connection
        self._stream: Connection = connection.stream
        self._listener = listener

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Take the start line and the headers."""
        assert isinstance(start_line, RequestStartLine)
        self._stream.head_came(start_line)
        known = self._listener.seen(self._stream.address, headers)
        # Tornado's request takes these two from here; they are set anew with every request of the connection.
        context = self._connection.context
        context.remote_ip, context.protocol = known.address, known.scheme
        self._connection.exchange = Exchange(known)
        start_line = start_line._replace(path=self._listener.own_path(start_line.path))
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take a piece of the body."""
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        """Take note that the request is complete."""
        self._stream.request_came()
        self._connection.exchange.complete = True
        self._inner.finish()

    def on_connection_close(self) -> None:
        """Take note that the client is gone."""
        self._inner.on_connection_close()
