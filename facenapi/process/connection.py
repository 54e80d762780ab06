"""One connection of a client: its limits in time, and refusals that no handler is there to give."""

from __future__ import annotations

import logging
import secrets
import time
from asyncio import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tornado.iostream import IOStream, UnsatisfiableReadError

from facenapi.api import jsonio
from facenapi.api.request import MAX_FIELDS
from facenapi.errors import ApiError, BadParam, HeadTooLong, TooLate
from facenapi.process.access_log import log_refusal

if TYPE_CHECKING:
    import socket

    from tornado.httputil import RequestStartLine

log = logging.getLogger(__name__)

_BARE = b"HTTP/1.1 400 Bad Request\r\n\r\n"  # how Tornado refuses what it cannot parse
_REASONS = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large", 503: "Overloaded"}
_LEAST_TAKEN = 1 << 16  # bytes that a client has to take of its answer in each write_timeout


class Keeper(Protocol):
    """Who keeps the connections. ``idle``: those that wait for the begin of a head, the longest first."""

    idle: dict[Connection, None]

    def linger(self, sock: socket.socket) -> None:
        """See a connection off whose client may still write."""

    def forget(self, stream: Connection) -> None:
        """A connection is closed."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a client may take: between requests, for a head, to take some of its answer."""

    idle_s: float
    head_s: float
    write_s: float


class Connection(IOStream):
    """A stream that knows what it waits for: the begin of a head, its end, a body, or that the client reads.

    Its keeper calls :meth:`check` again and again.
    """

    def __init__(self, sock: socket.socket, keeper: Keeper, address: str, limits: Limits) -> None:
        super().__init__(sock)
        self.address = address
        self._keeper = keeper
        self._limits = limits
        self._since = time.monotonic()  # when it began to wait for what it waits for
        self._in_head = True
        self._begun = False  # whether anything of a head has come
        self._answering = False
        self._unread = False  # whether more of the request is to come
        self._start_line: RequestStartLine | None = None
        self._unsent = self._taken = 0  # bytes
        self._writing_since = 0.0

    @property
    def idle_since(self) -> float:
        """Since when nothing at all has come."""
        return self._since

    # -- the phases of a request ------------------------------------------------------------------
    def expect_head(self) -> None:
        """Wait for the next request."""
        self._in_head, self._begun, self._answering, self._unread = True, False, False, False
        self._start_line = None
        self._since = time.monotonic()
        if not self.closed():  # Tornado expects another one even then
            self._keeper.idle[self] = None

    def head_came(self, start_line: RequestStartLine) -> None:
        """A head was read; a body may come."""
        self._in_head, self._unread, self._start_line = False, True, start_line
        self._keeper.idle.pop(self, None)

    def request_came(self) -> None:
        """The request was read to its end."""
        self._unread = False

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        """Read, and note when a head begins."""
        read = super().read_from_fd(buf)
        if read and self._in_head and not self._begun:
            self._begun = True
            self._since = time.monotonic()
            self._keeper.idle.pop(self, None)
        return read

    # -- what the client has to take --------------------------------------------------------------
    def write(self, data: bytes | memoryview) -> Future[None]:
        """Write, with a bare refusal made a full one."""
        if data == _BARE:
            data = b"" if self._answering else self._refusal(_not_http(self._start_line))
        elif not self._in_head:
            self._answering = self._answering or data[:13] != b"HTTP/1.1 100 "
        if not self._unsent:
            self._writing_since, self._taken = time.monotonic(), 0
        self._unsent += len(data)
        return super().write(data)

    def write_to_fd(self, data: memoryview) -> int:
        """Write what the system takes, and count it."""
        written = super().write_to_fd(data)
        self._unsent -= written
        self._taken += written
        return written

    def check(self, now: float) -> None:
        """Close the connection if the client takes too long."""
        if self._unsent:
            if now - self._writing_since > self._limits.write_s:
                if self._taken < _LEAST_TAKEN:
                    log.warning("from=%s does not read its answer: the connection is closed", self.address)
                    self.close()
                self._writing_since, self._taken = now, 0
        elif self._in_head and self._begun:
            if now - self._since > self._limits.head_s:
                self.refuse(TooLate(f"The head of the request did not come within {self._limits.head_s:g} seconds"))
        elif self._in_head and now - self._since > self._limits.idle_s:
            self.close()

    # -- refusals and the end ---------------------------------------------------------------------
    def refuse(self, error: ApiError) -> None:
        """Answer an error and close."""
        if not self.closed():
            self.write_quietly(self._refusal(error))
            self.close()

    def _refusal(self, error: ApiError) -> bytes:
        request_id = secrets.token_hex(8)
        log_refusal(self.address, request_id, self._start_line, error, time.monotonic() - self._since)
        self._answering = self._unread = True
        return refusal(error, request_id)

    def close(self, exc_info: Any = False) -> None:
        """Close; a client that still writes gets to read what it was told."""
        if self.closed():
            return
        if isinstance(exc_info, UnsatisfiableReadError) and not self._answering:
            long = HeadTooLong("The head of the request is too long")
            self.write_quietly(self._refusal(long if self._in_head else _not_http(self._start_line)))
        if self._answering and self._unread and not self._unsent and self.socket is not None:
            self._keeper.linger(self.socket)
        self._keeper.forget(self)
        super().close(exc_info)

    def write_quietly(self, data: bytes) -> None:
        """Write what fits, whatever becomes of it."""
        try:
            self.socket.send(data)
        except OSError:
            return


def _not_http(start_line: RequestStartLine | None) -> BadParam:
    """Return what is wrong with a request that Tornado cannot read; it parses the query, too."""
    if start_line is not None and start_line.path.count("&") >= MAX_FIELDS:
        return BadParam("request", None, f"The query has more than {MAX_FIELDS} fields")
    return BadParam("request", None, "The request is not valid HTTP")


def refusal(error: ApiError, request_id: str) -> bytes:
    """Return a whole answer that closes the connection."""
    body = jsonio.dumps(error.body(1)).encode()
    lines = {
        "Content-Type": "application/json; charset=UTF-8",
        "Connection": "close",
        "X-Request-Id": request_id,
        **error.headers(),
        "Content-Length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {error.status} {_REASONS[error.status]}\r\n{head}\r\n".encode() + body
