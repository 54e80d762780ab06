"""GET /docs, /docs/VERSION, and overview.html and openapi.json below it: the documentation, without a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facenapi.api.operation import operation
from facenapi.api.params import BOOLEAN, Param
from facenapi.errors import NotFound
from facenapi.handlers.base import ApiHandler, NotFoundHandler
from facenapi.handlers.docs_page import page, versions_page
from facenapi.handlers.openapi import VERSIONS, Offered, document
from facenapi.handlers.openapi_strict import strict_document
from facenapi.handlers.views import TEXT, results

if TYPE_CHECKING:
    from facenapi.handlers.openapi import Table
    from facenapi.handlers.server import Server


class DocumentedHandler(ApiHandler):
    """Knows the routing table that is documented."""

    needs_token = False  # not even for methods that there are not

    def initialize(self, app: Server, table: Table = ()) -> None:
        """Take the application and the table."""
        super().initialize(app)
        self.table = table

    def answer_page(self, page: str) -> None:
        """Finish with HTML that needs nothing from elsewhere."""
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        self.set_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.answer_whole(page)

    @property
    def offered(self) -> Offered:
        """What the documents say of this server."""
        return Offered(self.app.config.max_boxes, self.app.config.gae)

    def check(self, name: str) -> str:
        """Return the name of a version; raise NotFound if there is none."""
        if name not in VERSIONS:
            raise NotFound(f"There is no version {name[:40]}")
        return name


class DocsHandler(DocumentedHandler):
    """The versions that are documented."""

    @operation("List the versions of this API that are documented", answer=results(TEXT), public=True)
    async def get(self) -> None:
        """Answer their names, to browsers as a page."""
        self.set_header("Vary", "Accept")
        if "text/html" in self.request.headers.get("Accept", ""):
            self.answer_page(versions_page(f"{self.exchange.seen.prefix}/docs"))
        else:
            self.answer({"results": list(VERSIONS)})


class OpenApiHandler(DocumentedHandler):
    """One version as OpenAPI 3.1."""

    @operation(
        "Get the documentation as OpenAPI 3.1",
        Param("strict", BOOLEAN, "Whether for generators: one type for each parameter, names for all", default=False),
        answer={"type": "object"},
        errors=("NOT_FOUND",),
        public=True,
    )
    async def get(self, documented: str, *, strict: bool) -> None:
        """Answer the document."""
        make = strict_document if strict else document
        self.answer(make(self.check(documented), self.table, self.offered))


class DocsPageHandler(DocumentedHandler):
    """One version as a page that needs nothing from elsewhere."""

    @operation("Read the documentation", errors=("NOT_FOUND",), public=True)
    async def get(self, documented: str) -> None:
        """Answer HTML."""
        self.answer_page(page(self.check(documented), self.table, self.exchange.seen.base, self.offered))


class OverviewHandler(DocumentedHandler):
    """Where the page was in the original."""

    @operation("Find the documentation", status=302, errors=("NOT_FOUND",), public=True)
    async def get(self, documented: str) -> None:
        """Lead to the page."""
        self.set_header("Location", f"{self.exchange.seen.prefix}/docs/{self.check(documented)}")
        self.set_status(302)
        self.finish()


class NoDocsHandler(NotFoundHandler):
    """What is not below /docs; nobody needs a token to learn that."""

    needs_token = False
