"""Pictures at URLs of this process."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve_pictures(pictures: list[bytes]) -> list[str]:
    """Serve pictures from a thread that ends with the process; return their URLs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            data = pictures[int(self.path.strip("/"))]
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return [f"http://127.0.0.1:{server.server_port}/{number}" for number in range(len(pictures))]


class DavServer:
    """A WebDAV folder in memory, as far as PUT, GET and DELETE go: a context manager."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.authorizations: set[str | None] = set()
        self.refuse = False
        dav = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                if not dav.refuse:
                    dav.files[self.path] = data
                self._answer(507 if dav.refuse else 201)

            def do_GET(self):
                self._answer(200 if self.path in dav.files else 404, dav.files.get(self.path, b""))

            def do_DELETE(self):
                gone = None if dav.refuse else dav.files.pop(self.path, None)
                self._answer(507 if dav.refuse else 404 if gone is None else 204)

            def _answer(self, status, data=b""):
                dav.authorizations.add(self.headers["Authorization"])
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> DavServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
