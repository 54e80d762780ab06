"""Tornado's HTTP server, whose own refusals are errors of the contract too.

What its parser cannot read never becomes a request that a handler could answer: it writes a bare ``400`` to the
connection and closes it. That line gets the headers and the body that every other error has.

Clients that believe that they talk to a proxy ask for ``http://HOST/PATH``, which RFC 9112 (3.2.2) wants every server
to accept: of that the path is what they mean.
"""

from __future__ import annotations

import re
from asyncio import Future
from typing import TYPE_CHECKING, Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPMessageDelegate, RequestStartLine
from tornado.iostream import IOStream

from facenapi.api import jsonio
from facenapi.errors import BadParam

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tornado.httputil import HTTPConnection, HTTPHeaders, ResponseStartLine

# A body somewhat too large is read and thrown away, so that the client gets to read the answer.
LINGER_FACTOR = 8

_BARE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_BODY = jsonio.dumps(BadParam("request", None, "The request is not valid HTTP").body(1)).encode()
_REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=UTF-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)
_ORIGIN = re.compile(r"https?://[^/?]*", re.IGNORECASE)


class Listener(HTTPServer):
    """An HTTPServer on streams that tell their clients more."""

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Return what takes a request, whatever form its target has."""
        return _OriginForm(super().start_request(server_conn, request_conn))

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve a connection that was accepted; nothing has been read from it yet."""
        super().handle_stream(
            _Stream(stream.socket, max_buffer_size=self.max_buffer_size, read_chunk_size=self.read_chunk_size),
            address,
        )


class _OriginForm(HTTPMessageDelegate):
    """Passes a request on with the path alone as its target."""

    def __init__(self, inner: HTTPMessageDelegate) -> None:
        self._inner = inner

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Take the start line and the headers."""
        assert isinstance(start_line, RequestStartLine)
        if not start_line.path.startswith("/"):
            start_line = start_line._replace(path=_path_of(start_line.path))
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take a piece of the body."""
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        """Take note that the request is complete."""
        self._inner.finish()

    def on_connection_close(self) -> None:
        """Take note that the client is gone."""
        self._inner.on_connection_close()


def _path_of(target: str) -> str:
    """Return path and query of a request's target."""
    origin = _ORIGIN.match(target)
    if origin is None:
        return target
    path = target[origin.end() :]
    return path if path.startswith("/") else "/" + path


class _Stream(IOStream):
    def write(self, data: bytes | memoryview) -> Future[None]:
        """Write, with the bare refusal made a full one."""
        return super().write(_REFUSAL if data == _BARE else data)
