"""GET /meta, /meta/gallery/G."""

from __future__ import annotations

from facenapi.api.operation import operation
from facenapi.handlers.paging import PAGING, PageHandler
from facenapi.handlers.views import FACE_REF, INTEGER, META, page_links, record, results
from facenapi.services.paging import single, window
from facenapi.storage.base import DEFAULT_GALLERY, Page

_META = record({"count": INTEGER, "face": FACE_REF, "meta": META}, title="Meta")


class MetaHandler(PageHandler):
    """The meta strings in use."""

    @operation(
        "List the metas with their first face and count",
        *PAGING,
        answer=results(_META, **page_links("/v1/meta")),
        errors=("NOT_FOUND",),
    )
    async def get(
        self, *, limit: int, max_id: int | None, min_id: int | None, gallery: str = DEFAULT_GALLERY
    ) -> None:
        """Answer a page of metas, ordered by their first face, newest first."""
        within = None if gallery == DEFAULT_GALLERY else gallery
        found = await window(
            single(lambda asked: self.app.store.list_metas(self.owner, within, asked)),
            lambda meta: meta.first.id,
            Page(limit, max_id, min_id),
        )
        if not found.items:  # a gallery with faces exists
            await self.app.galleries.require(self.owner, gallery)
        views = (
            {"count": meta.faces, "face": self.face_view(meta.first), "meta": meta.first.meta} for meta in found.items
        )
        self.answer_page(views, found)
