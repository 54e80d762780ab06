"""A plain client as customers have them: one blocking connection per request, from another process."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlencode

from tests.support.fake_server import ForkedServer
from tests.support.server import RED, Reply, multipart, picture


class Api:
    """Requests with the token of one owner."""

    def __init__(self, server: ForkedServer, key: str | None = None) -> None:
        self.server = server
        self.key = key or server.new_key()
        self.port = int(server.url.rsplit(":", 1)[1])

    def other(self) -> Api:
        """Return a client of another owner."""
        return Api(self.server)

    def __call__(self, method, path, *, json_body=None, form=None, parts=None, body=None, headers=None, query=None):
        """Send one request and return the reply. ``headers`` with value None take a header away."""
        sent = {"Authorization": f"Token {self.key}"}
        if json_body is not None:
            sent["Content-Type"], body = "application/json", json.dumps(json_body).encode()
        elif form is not None:
            sent["Content-Type"], body = "application/x-www-form-urlencoded", urlencode(form, doseq=True).encode()
        elif parts is not None:
            sent["Content-Type"], body = multipart(parts)
        sent = {name: value for name, value in (sent | (headers or {})).items() if value is not None}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path + (f"?{urlencode(query, doseq=True)}" if query else ""), body, sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def good(self, method, path, **sent):
        """Send a request that must succeed; return its JSON."""
        reply = self(method, path, **sent)
        assert reply.status in (200, 201, 204), (method, path, reply)
        return reply.json

    def refusal(self, method, path, **sent):
        """Send a request that must fail; return status, code and parameter."""
        reply = self(method, path, **sent)
        assert reply.status >= 400, (method, path, reply)
        assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert isinstance(reply.json["reason"], str)
        return reply.status, reply.json["code"], reply.json.get("param")

    def face(self, color=RED, **fields):
        """Add one face and return it."""
        return self.good("POST", "/v1/face", parts={"photo": picture(color), **fields})["results"][0]

    def gallery(self, *names):
        """Create galleries."""
        for name in names:
            self.good("POST", f"/v1/galleries/{name}")

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """Yield a bare socket."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            yield connection

    def head_of(self, method, path, **headers) -> bytes:
        """Return the head of a request with the token, for a bare socket."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Token {self.key}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()


def everything(connection: socket.socket) -> bytes:
    """Return what a socket has to say until it closes."""
    found = b""
    while data := connection.recv(1 << 16):
        found += data
    return found


def ids(answer) -> list[int]:
    """Return the ids of a list of faces or persons."""
    return [item["id"] for item in answer["results"]]


def logged(server, pattern):
    """Return the last line of the log with this pattern; it is written right after the answer."""
    for _ in range(200):
        if found := [line for line in server.log.read_text().splitlines() if re.search(pattern, line)]:
            return found[-1]
        time.sleep(0.01)
    raise AssertionError(pattern)


def line_of(server, reply):
    """Return the access log's line of a request."""
    return json.loads(logged(server, reply.headers["X-Request-Id"]))


def answer(api, sent: bytes) -> tuple[int, dict[str, str], dict]:
    """Send bytes and return status, headers and JSON of what comes until the connection closes."""
    with api.connection() as connection:
        connection.sendall(sent)
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in rest)
    return int(first.split()[1]), headers, json.loads(body) if body else {}
