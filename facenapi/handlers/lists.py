"""Lists of faces: all, of a gallery, of a meta; and deletion by meta."""

from __future__ import annotations

from facenapi.api.operation import operation
from facenapi.handlers.paging import PAGING, PageHandler
from facenapi.handlers.views import FACE_REF, page_links, results
from facenapi.services.paging import single, window
from facenapi.storage.base import DEFAULT_GALLERY, FaceFilter, Page

_FACES = results(FACE_REF, **page_links("/v1/faces"))


class FaceListHandler(PageHandler):
    """Lists all faces, or those of a gallery."""

    @operation("List faces, newest first", *PAGING, answer=_FACES, errors=("NOT_FOUND",))
    async def get(
        self, *, limit: int, max_id: int | None, min_id: int | None, gallery: str = DEFAULT_GALLERY
    ) -> None:
        """Answer a page of faces."""
        where = FaceFilter(gallery=None if gallery == DEFAULT_GALLERY else gallery)
        await self.answer_faces(where, Page(limit, max_id, min_id))

    async def answer_faces(self, where: FaceFilter, page: Page) -> None:
        """Answer a page with links to its neighbours; NotFound if there is no such gallery."""
        found = await window(
            single(lambda asked: self.app.store.list_faces(self.owner, where, asked)), lambda face: face.id, page
        )
        if not found.items:  # a gallery with faces exists
            await self.app.galleries.require(self.owner, where.gallery or DEFAULT_GALLERY)
        self.answer_page(map(self.face_view, found.items), found)


class MetaFacesHandler(FaceListHandler):
    """/face/meta/M, /face/gallery/G/meta/M."""

    @operation("List the faces with a meta, newest first", *PAGING, answer=_FACES, errors=("NOT_FOUND",))
    async def get(
        self, *, limit: int, max_id: int | None, min_id: int | None, gallery: str = DEFAULT_GALLERY, meta: str = ""
    ) -> None:
        """Answer the faces whose meta is exactly this."""
        await self.answer_faces(self._where(meta, gallery), Page(limit, max_id, min_id))

    @operation("Delete the faces with a meta", status=204, errors=("NOT_FOUND",))
    async def delete(self, *, meta: str, gallery: str = DEFAULT_GALLERY) -> None:
        """Delete all of them; none is no error."""
        await self.app.galleries.require(self.owner, gallery)
        self.say_live(*await self.app.faces.delete_all(self.owner, self._where(meta, gallery)))
        self.answer_nothing()

    def _where(self, meta: str, gallery: str) -> FaceFilter:
        return FaceFilter(meta=meta, gallery=None if gallery == DEFAULT_GALLERY else gallery)
