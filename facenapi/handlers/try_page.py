"""GET /docs/VERSION/try and its files: the methods, to be called from the page.

Swagger UI is fetched at set-up (``facenapi api-page``) and not part of this project; without it the page says so.
The page has a policy of its own: Swagger UI sets styles, and talks to this server only.
"""

from __future__ import annotations

import asyncio
from html import escape
from pathlib import Path

from facenapi.api.operation import operation
from facenapi.errors import NotFound
from facenapi.handlers.docs import DocumentedHandler

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_FETCHED = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_OWN = {"try.js": "text/javascript", "try.css": "text/css"}
_FOLDER = Path(__file__).resolve().parent.parent / "console" / "try"
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Try facenapi {version}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">{fetched}<link rel="stylesheet" href="{base}/try/try.css">
<script src="{base}/try/try.js" defer></script>
</head><body data-document="{base}/openapi.json">
<header><a href="{base}">facenapi {version}</a>
<form id="token"><label for="key">Token</label>
<input id="key" type="password" autocomplete="current-password" spellcheck="false">
<span>is sent with every request from this page and kept in this tab only</span></form></header>
<main>{content}</main></body></html>
"""
_PARTS = """<link rel="stylesheet" href="{base}/try/swagger-ui.css">
<script src="{base}/try/swagger-ui-bundle.js" defer></script>
"""
_MISSING = """<h1>The interactive page is not installed</h1>
<p>It is made of Swagger UI, which is fetched at set-up. Whoever runs this server fetches it with</p>
<pre>facenapi api-page</pre>
<p>and loads this page again. <a href="{base}">The documentation</a> needs nothing of it.</p>"""


class TryHandler(DocumentedHandler):
    """The page."""

    @operation("Try the methods from a page", errors=("NOT_FOUND",), public=True)
    async def get(self, documented: str) -> None:
        """Answer HTML."""
        version = self.check(documented)
        base = escape(f"{self.exchange.seen.prefix}/docs/{version}")
        there = all((self.app.config.api_page_folder / name).is_file() for name in _FETCHED)
        content = '<div id="swagger-ui"></div>' if there else _MISSING.format(base=base)
        parts = _PARTS.format(base=base) if there else ""
        page = _PAGE.format(version=version, base=base, fetched=parts, content=content)
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Content-Security-Policy", _POLICY)
        self.answer_whole(page)


class TryFileHandler(DocumentedHandler):
    """What the page is made of."""

    @operation("A file of the page", errors=("NOT_FOUND",), public=True)
    async def get(self, documented: str, file: str) -> None:
        """Answer one of the four files."""
        self.check(documented)
        folder = _FOLDER if file in _OWN else self.app.config.api_page_folder
        kind = (_OWN | _FETCHED).get(file)
        if kind is None or not (folder / file).is_file():
            raise NotFound("There is nothing at this path")
        data = await asyncio.to_thread((folder / file).read_bytes)
        self.set_header("Content-Type", f"{kind}; charset=UTF-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "public, max-age=3600")
        self.answer_whole(data)
