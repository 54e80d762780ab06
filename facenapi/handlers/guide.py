"""GET /docs/guide/…: the documentation as ``scripts/docs`` built it, served without a network."""

from __future__ import annotations

import mimetypes

from facenapi.api.operation import operation
from facenapi.handlers.base import ApiHandler


class GuideHandler(ApiHandler):
    """A file of the guide."""

    @operation("Read the guide", errors=("NOT_FOUND",), public=True)
    async def get(self, file: str | None = None) -> None:
        """Answer a file; the address without one leads to the first page, relative to which all links are."""
        if not file:
            self.app.guide.get("index.html")
            self.redirect("index.html" if self.request.path.endswith("/") else "guide/index.html")
            return
        content = self.app.guide.get(file)
        kind = mimetypes.guess_type(file)[0] or "application/octet-stream"
        self.set_header("Content-Type", f"{kind}; charset=UTF-8" if kind.startswith("text/") else kind)
        self.set_header("Content-Security-Policy", self.app.guide.policy)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-cache")
        self.answer_whole(content)
