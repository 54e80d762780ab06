"""A server that keeps faces in a list and misbehaves on demand."""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit


class Stub(ThreadingHTTPServer):
    """``script``: what happens to the coming requests to POST /face, a word each; see :class:`Handler`."""

    daemon_threads = True

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.script = []
        self.keep_alive = True
        self.posts = 0
        self.faces = []
        self.galleries = ["default"]
        self.guard = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def keep(self, fields, photo):
        """Store a face and return it."""
        with self.guard:
            face = {
                "id": (len(self.faces) + 1) * 1024,
                "meta": fields.get("meta", ""),
                "galleries": ["default", *filter(None, fields.get("galleries", "").split(","))],
                "photo": fields.get("photo", ""),
                "photo_hash": hashlib.md5(photo).hexdigest(),
                "timestamp": f"2020-01-01T00:00:{len(self.faces):09.6f}",
            }
            self.faces.append(face)
            return face


class Handler(BaseHTTPRequestHandler):
    """``ok``; ``lost``: stored, then the connection breaks; ``cut``: it breaks before anything is stored;
    ``late``: stored, then 503; a number: this status, nothing stored."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # the body of an answer would wait for the client's word on its head

    def log_message(self, *_):
        """Be quiet."""

    def answer(self, status, body, **headers):
        content = json.dumps(body).encode()
        if not self.server.keep_alive:
            headers["Connection"] = "close"
        self.send_response(status)
        for name, value in {"Content-Length": len(content), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        """Galleries, or faces, newest first."""
        parts = urlsplit(self.path)
        if parts.path == "/v1/galleries":
            self.answer(200, {"results": self.server.galleries})
            return
        query = parse_qs(parts.query)
        limit, below = int(query["limit"][0]), int(query.get("max_id", [1 << 53])[0])
        found = [face for face in self.server.faces[::-1] if face["id"] < below]
        meta = re.fullmatch("/v1/faces/meta/(.*)", parts.path)
        if meta:
            found = [face for face in found if face["meta"] == unquote(meta[1])]
        page, more = found[:limit], len(found) > limit
        link = f"{parts.path}?limit={limit}&max_id={page[-1]['id']}" if more else None
        self.answer(200, {"results": page, "next_page": link})

    def do_POST(self):
        """Enrol, or make a gallery."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers["Authorization"] != "Token secret":
            self.answer(401, {"code": "AUTH_FAILED", "reason": "who?"})
            return
        if self.path == "/v1/galleries":
            self.server.galleries.append(json.loads(body)["name"])
            self.answer(201, {})
            return
        if self.headers["Content-Type"] == "application/json":
            texts = json.loads(body)
            photo = texts["photo"].encode()
        else:
            fields = dict(re.findall(rb'name="(\w+)".*?\r\n\r\n(.*?)\r\n--', body, re.DOTALL))
            photo = fields.pop(b"photo")
            texts = {name.decode(): value.decode() for name, value in fields.items()}
        with self.server.guard:
            self.server.posts += 1
            word = self.server.script.pop(0) if self.server.script else "ok"
        if word == "cut":
            self.close_connection = True
        elif word.isdigit():
            self.answer(int(word), {"code": "SOME_CODE", "reason": "said so"}, Retry_After=0)
        else:
            face = self.server.keep(texts, photo)
            if word == "ok":
                self.answer(200, {"results": [face]})
            elif word == "late":
                self.answer(503, {"code": "SERVICE_UNAVAILABLE", "reason": "shard"}, Retry_After=0)
            else:
                self.close_connection = True
