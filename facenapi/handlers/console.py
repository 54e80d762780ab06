"""GET / and /console/…: the console, a page for people that talks to the API as any other client.

The page is public, its data never: it has none before somebody gives it a token. Its files are read once, at the
start; their address holds a digest of all of them, so that a browser keeps them for ever and a page that is still
open during an upgrade never mixes two releases.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from facenapi import __version__
from facenapi.api.operation import operation
from facenapi.console.files import PAGE, TYPES
from facenapi.errors import NotFound
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.views import TEXT, record

if TYPE_CHECKING:
    from facenapi.config.options import Config


class _ConsoleHandler(ApiHandler):
    """Answers files."""

    needs_token = False

    def answer_content(self, plain: bytes, packed: bytes, kind: str, caching: str) -> None:
        """Answer a file of the console, 304 if the client has it."""
        self.set_header("Content-Type", kind)
        self.set_header("Cache-Control", caching)
        self.set_header("Etag", f'"{hashlib.sha256(plain).hexdigest()[:16]}"')
        self.add_header("Vary", "Accept, Accept-Encoding")
        for header, value in security_headers(self.app.config).items():
            self.set_header(header, value)
        if self.check_etag_header():
            self.set_status(304)
            self.finish()
        elif "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            self.answer_whole(packed)
        else:
            self.answer_whole(plain)


class ConsoleHandler(_ConsoleHandler):
    """The page itself."""

    @operation("The console; for programs, where the documentation is", answer=record({"docs": TEXT}), public=True)
    async def get(self) -> None:
        """Answer the page to a browser, and to anything else where to read on."""
        if self.app.console is not None and "text/html" in self.request.headers.get("Accept", ""):
            page = self.app.console.page(self.exchange.seen.prefix)
            self.answer_content(page, gzip.compress(page), TYPES[".html"], "no-cache")
            return
        self.set_header("Vary", "Accept")
        self.answer({"docs": f"{self.exchange.seen.prefix}/docs", "version": __version__})


class ConsoleFileHandler(_ConsoleHandler):
    """What the page is made of."""

    @operation("A file of the console", errors=("NOT_FOUND",), public=True)
    async def get(self, digest: str, file: str) -> None:
        """Answer the file, if it is of this release."""
        console = self.app.console
        found = console.get(file) if console is not None and digest == console.digest and file != PAGE else None
        if found is None:
            raise NotFound("There is nothing at this path")
        self.answer_content(*found, TYPES[Path(file).suffix], "public, max-age=31536000, immutable")


def security_headers(config: Config) -> dict[str, str]:
    """Return what a browser may do for the page: nothing but talk to this server and show the pictures it keeps."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": " ".join(["'self'", "blob:", "data:", *_picture_servers(config)]),
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def _picture_servers(config: Config) -> list[str]:
    """Return the origins from which kept pictures come, if they are not this server's own."""
    url = urlsplit(config.upload_path or (config.ffupload_url if config.photo_storage == "webdav" else ""))
    if url.scheme not in ("http", "https") or not url.hostname:
        return []
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return [f"{url.scheme}://{host}" + (f":{url.port}" if url.port else "")]
