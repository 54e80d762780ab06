"""GET and POST /galleries, POST and DELETE /galleries/G."""

from __future__ import annotations

from facenapi.api.kinds import GALLERY_NAME
from facenapi.api.operation import operation
from facenapi.api.params import Param
from facenapi.api.request import Parameters
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.views import NAME, record, results

_NAME = Param("name", GALLERY_NAME, "The gallery's name", required=True)
_CREATED = record({"name": NAME})


class GalleriesHandler(ApiHandler):
    """All galleries."""

    @operation("List the galleries", answer=results(NAME))
    async def get(self) -> None:
        """Answer the names."""
        self.answer({"results": await self.app.galleries.names(self.owner)})

    @operation("Create a gallery", _NAME, answer=_CREATED, status=201, example={"name": "niceppl"})
    async def post(self, name: str) -> None:
        """Create it."""
        await self.app.galleries.create(self.owner, name)
        self.answer({"name": name}, status=201)


class GalleryHandler(ApiHandler):
    """One gallery."""

    @operation("Create a gallery", answer=_CREATED, status=201)
    async def post(self, gallery: str) -> None:
        """Create it."""
        name = _NAME.read(Parameters(body={"name": gallery}))
        await self.app.galleries.create(self.owner, name)
        self.answer({"name": name}, status=201)

    @operation("Delete a gallery and every face in it", status=204, errors=("NOT_FOUND",))
    async def delete(self, gallery: str) -> None:
        """Delete it."""
        self.say_live(*await self.app.galleries.delete(self.owner, gallery))
        self.answer_nothing()
