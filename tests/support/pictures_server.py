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
