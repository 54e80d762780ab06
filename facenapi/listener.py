"""Tornado's HTTP server, whose own refusals are errors of the contract too.

What its parser cannot read never becomes a request that a handler could answer: it writes a bare ``400`` to the
connection and closes it. That line gets the headers and the body that every other error has.
"""

from __future__ import annotations

from asyncio import Future
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream

from facenapi import jsonio
from facenapi.errors import BadParam

_BARE = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_BODY = jsonio.dumps(BadParam("request", None, "The request is not valid HTTP").body(1)).encode()
_REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=UTF-8\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)


class Listener(HTTPServer):
    """An HTTPServer on streams that tell their clients more."""

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Serve a connection that was accepted; nothing has been read from it yet."""
        super().handle_stream(
            _Stream(stream.socket, max_buffer_size=self.max_buffer_size, read_chunk_size=self.read_chunk_size),
            address,
        )


class _Stream(IOStream):
    def write(self, data: bytes | memoryview) -> Future[None]:
        """Write, with the bare refusal made a full one."""
        return super().write(_REFUSAL if data == _BARE else data)
