"""A server that answers every connection with the same bytes, however wrong, at its own pace."""

from __future__ import annotations

from tornado.gen import sleep
from tornado.iostream import StreamClosedError
from tornado.tcpserver import TCPServer
from tornado.testing import bind_unused_port


class RawServer(TCPServer):
    """Sends ``payload`` in pieces of 200 bytes, ``pause`` seconds apart, after the request's headers."""

    def __init__(self, payload: bytes, pause: float = 0.0) -> None:
        super().__init__()
        self._payload = payload
        self._pause = pause
        sock, port = bind_unused_port(address="127.0.0.1")
        self.add_socket(sock)
        self.url = f"http://127.0.0.1:{port}/photo.jpg"

    async def handle_stream(self, stream, address):
        try:
            await stream.read_until(b"\r\n\r\n")
            for start in range(0, len(self._payload), 200):
                await stream.write(self._payload[start : start + 200])
                if self._pause:
                    await sleep(self._pause)
        except StreamClosedError:
            pass
        finally:
            stream.close()
