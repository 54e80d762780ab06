"""An application on a real socket in the test's own loop, and a client for it."""

from __future__ import annotations

import atexit
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlencode

import numpy as np
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from facenapi.app import Application
from facenapi.config.options import Config
from facenapi.photos.child_process import ChildProcess
from facenapi.photos.pool import DecodePool
from facenapi.services.auth import create_token
from facenapi.services.photos import PhotoLoader
from tests.support.fakes import FakeDetector
from tests.support.photos import encode

RED, GREEN, BLUE, YELLOW = (250, 0, 0), (0, 250, 0), (0, 0, 250), (250, 250, 0)


def picture(*faces, size=(200, 100), kind="PNG"):
    """Return a picture with faces for the FakeDetector: (color, (x1, y1, x2, y2)), or a color in the middle."""
    pixels = np.full((size[1], size[0], 3), 128, np.uint8)
    for face in faces:
        color, (x1, y1, x2, y2) = face if isinstance(face[0], tuple) else (face, (50, 20, 110, 80))
        pixels[y1:y2, x1:x2] = color
    return encode(pixels, kind)


def multipart(fields, boundary="BoUnDaRy"):
    """Return content type and body; bytes are file parts, (name, bytes) pairs may repeat."""
    body = b""
    for name, value in fields.items() if isinstance(fields, dict) else fields:
        filename = '; filename="photo.png"' if isinstance(value, bytes) else ""
        data = value if isinstance(value, bytes) else str(value).encode()
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


@dataclass
class Reply:
    """An answer."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body) if self.body else None


class Client:
    """Sends requests with a token."""

    def __init__(self, base, key, app=None):
        self.base = base
        self.key = key
        self.app = app
        self._http: AsyncHTTPClient = SimpleAsyncHTTPClient(force_instance=True, max_clients=200)

    async def __call__(
        self, method, path, *, json_body=None, form=None, parts=None, body=None, headers=None, key=None
    ):
        """Send one request; the reply, whatever its status."""
        key = self.key if key is None else key
        sent = {"Authorization": f"Token {key}"} if key else {}
        if json_body is not None:
            sent["Content-Type"], body = "application/json", json.dumps(json_body)
        elif form is not None:
            sent["Content-Type"], body = "application/x-www-form-urlencoded", urlencode(form, doseq=True)
        elif parts is not None:
            sent["Content-Type"], body = multipart(parts)
        if body is None and method in ("POST", "PUT"):
            body = b""
        request = HTTPRequest(
            self.base + path,
            method=method,
            headers=sent | (headers or {}),
            body=body,
            allow_nonstandard_methods=True,
            follow_redirects=False,
            request_timeout=60,
        )
        reply = await self._http.fetch(request, raise_error=False)
        return Reply(reply.code, dict(reply.headers), reply.body)

    async def enrol(self, color=RED, **fields):
        """Add one face and return it."""
        reply = await self("POST", "/v1/face", parts={"photo": picture(color), **fields})
        assert reply.status == 200, reply
        return reply.json["results"][0]

    def close(self):
        self._http.close()


class ThriftyPool(DecodePool):
    """A decode pool that leaves its idle decoders to the next one: to start one takes longer than most tests."""

    spare: ClassVar[list[ChildProcess]] = []

    def _take(self, key: int) -> ChildProcess:
        """Begin with the spare decoder, if there is one."""
        with self._lock:
            if self.spare and not (self._idle or self._busy or self._closed):
                self._idle.append(self.spare.pop())
        return super()._take(key)

    def start(self) -> None:
        """Start none: the first photo can wait, and most tests have none."""

    def close(self) -> None:
        """Put one idle decoder by, if there is none yet, and end the others."""
        with self._lock:
            if self._idle and not self._closed and not self.spare:
                self._idle[-1].forget()
                self.spare.append(self._idle.pop())
        super().close()

    @classmethod
    def end(cls) -> None:
        """End the spare ones."""
        while cls.spare:
            cls.spare.pop().close()


atexit.register(ThriftyPool.end)


def use_spare_decoders(loader: PhotoLoader) -> None:
    """Let what loads photos, which has not been started yet, have a decoder of one that was closed."""
    loader._pool = ThriftyPool(loader._pool._threads, loader._pool._timeout_s)


@asynccontextmanager
async def serving(folder, **options):
    """Serve with a FakeDetector (or ``detector=``), without the console, and yield a client that has a token."""
    detector = options.pop("detector", None) or FakeDetector()
    given = frozenset(options)
    config = Config(**{"port": 0, "data_dir": str(folder), "gae": True, "console": False} | options, given=given)
    app = Application(config, detector=detector)
    use_spare_decoders(app.photos)
    await app.start()
    client = None
    try:
        port = app.listen()
        key, _ = await create_token(app.store)
        client = Client(f"http://127.0.0.1:{port}", key, app)
        yield client
    finally:
        if client is not None:
            client.close()
        await app.drain()
