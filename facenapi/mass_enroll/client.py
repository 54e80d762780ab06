"""The HTTP API as a mass enrolment uses it: one connection per thread, kept open."""

from __future__ import annotations

import http.client
import json
import secrets
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from facenapi.errors import StartupError

# Servers close connections that were idle for long; a request on one of those is lost.
_REUSE_S = 20.0
_PAGE = 1000

# What a request can fail with before there is an answer.
CONNECTION_ERRORS = (OSError, http.client.HTTPException)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, the JSON object that it holds, and the seconds it asks to wait."""

    status: int
    body: dict[str, Any]
    retry_after_s: float

    @property
    def reason(self) -> str:
        """Code and reason in one line."""
        return f"{self.body.get('code', self.status)}: {self.body.get('reason', 'no reason given')}"


class Client:
    """Asks one server. For use from several threads."""

    def __init__(self, url: str, token: str, timeout_s: float) -> None:
        """Take the address; raise StartupError if it is none."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise StartupError(f"{url} is not the address of a server, such as http://127.0.0.1:8000")
        try:
            port = parts.port
        except ValueError as error:
            raise StartupError(f"{url}: {error}") from error
        self.url = parts.geturl()
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._prefix = parts.path.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {"Authorization": f"Token {token}", "User-Agent": "facenapi-mass-enroll"}
        self._timeout_s = timeout_s
        self._threads = threading.local()
        self._connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close all connections; no other thread may be using them."""
        for connection in self._connections:
            connection.close()

    def post_face(self, fields: Mapping[str, str], photo: bytes | None) -> Reply:
        """POST /face. Raises one of CONNECTION_ERRORS: then nobody knows whether it was done."""
        body, kind = _form(fields, photo)
        return self._call("POST", "/faces", body, kind)

    def galleries(self) -> list[str]:
        """Return the names of the galleries. Raises CONNECTION_ERRORS, StartupError."""
        return [str(name) for name in self._get("/galleries")["results"]]

    def add_gallery(self, name: str) -> None:
        """Make a gallery. Raises CONNECTION_ERRORS, StartupError."""
        reply = self._call("POST", f"/galleries/{quote(name, safe='')}")
        if reply.status != 201:
            raise StartupError(f"The gallery {name} cannot be made: {reply.reason}")

    def newest_face(self) -> int:
        """Return the highest face id there is, 0 if there is no face. Raises CONNECTION_ERRORS, StartupError."""
        found = self._get("/faces?limit=1")["results"]
        return int(found[0]["id"]) if found else 0

    def faces_above(self, floor: int, meta: str) -> Iterator[dict[str, Any]]:
        """Yield the faces with this meta and an id above ``floor``. Raises CONNECTION_ERRORS, StartupError."""
        path = f"/faces/meta/{quote(meta, safe='')}" if meta else "/faces"
        while True:
            found = self._get(f"{path}?{urlencode({'limit': _PAGE, 'min_id': floor})}")["results"]
            yield from (face for face in found if face["meta"] == meta)
            if len(found) < _PAGE:
                return
            floor = max(face["id"] for face in found)

    def _get(self, path: str) -> dict[str, Any]:
        reply = self._call("GET", path)
        if reply.status != 200:
            raise StartupError(f"{self.url}: {reply.reason}")
        return reply.body

    def _call(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Reply:
        headers = self._headers | ({"Content-Type": kind} if kind else {})
        connection = self._connection()
        try:
            connection.request(method, self._prefix + path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except CONNECTION_ERRORS:
            connection.close()
            raise
        self._threads.used = time.monotonic()
        try:
            decoded = json.loads(content)
        except ValueError:
            decoded = None
        wait = answer.getheader("Retry-After", "")
        return Reply(
            answer.status, decoded if isinstance(decoded, dict) else {}, float(wait) if wait.isdigit() else 0.0
        )

    def _connection(self) -> http.client.HTTPConnection:
        threads = self._threads
        if not hasattr(threads, "connection"):
            if self._secure:
                context = ssl.create_default_context()
                threads.connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout_s, context=context
                )
            else:
                threads.connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
            threads.used = 0.0
            self._connections.append(threads.connection)
        connection: http.client.HTTPConnection = threads.connection
        if time.monotonic() - threads.used > _REUSE_S:
            connection.close()  # the next request opens it again
        return connection


def _form(fields: Mapping[str, str], photo: bytes | None) -> tuple[bytes, str]:
    """Return a multipart body and its content type."""
    boundary = secrets.token_hex(16)
    parts = []
    for name, value in fields.items():
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    if photo is not None:
        head = 'Content-Disposition: form-data; name="photo"; filename="photo"'
        parts += [
            f"--{boundary}\r\n{head}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
            photo,
            b"\r\n",
        ]
    parts.append(f"--{boundary}--\r\n".encode())
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"
