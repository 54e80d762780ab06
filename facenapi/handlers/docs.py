"""GET /docs, /docs/VERSION, /docs/VERSION/openapi.json: the documentation, without a token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facenapi.api.operation import operation
from facenapi.errors import NotFound
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.docs_page import page
from facenapi.handlers.openapi import VERSIONS, document
from facenapi.handlers.views import TEXT, results

if TYPE_CHECKING:
    from facenapi.handlers.openapi import Table
    from facenapi.handlers.server import Server


class _DocsHandler(ApiHandler):
    """Knows the routing table that is documented."""

    def initialize(self, app: Server, table: Table = ()) -> None:
        """Take the application and the table."""
        super().initialize(app)
        self.table = table

    def check(self, name: str) -> str:
        """Return the name of a version; raise NotFound if there is none."""
        if name not in VERSIONS:
            raise NotFound(f"There is no version {name[:40]}")
        return name


class DocsHandler(_DocsHandler):
    """The versions that are documented."""

    @operation("List the versions of this API that are documented", answer=results(TEXT), public=True)
    async def get(self) -> None:
        """Answer their names."""
        self.answer({"results": list(VERSIONS)})


class OpenApiHandler(_DocsHandler):
    """One version as OpenAPI 3.1."""

    @operation("Get the documentation as OpenAPI 3.1", answer={"type": "object"}, errors=("NOT_FOUND",), public=True)
    async def get(self, documented: str) -> None:
        """Answer the document."""
        self.answer(document(self.check(documented), self.table))


class DocsPageHandler(_DocsHandler):
    """One version as a page that needs nothing from elsewhere."""

    @operation("Read the documentation", errors=("NOT_FOUND",), public=True)
    async def get(self, documented: str) -> None:
        """Answer HTML."""
        content: Any = page(self.check(documented), self.table, f"{self.request.protocol}://{self.request.host}")
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.finish(content)
