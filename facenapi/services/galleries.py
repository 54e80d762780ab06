"""Galleries: named sets of an owner's faces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from facenapi.errors import BadParam, NotFound
from facenapi.storage.base import DEFAULT_GALLERY, FaceFilter, UnknownGalleryError

if TYPE_CHECKING:
    from facenapi.services.faces import FaceKeeper, Heard
    from facenapi.storage.base import Store


class GalleryKeeper:
    """The owner's galleries."""

    def __init__(self, store: Store, faces: FaceKeeper) -> None:
        self._store = store
        self._faces = faces

    async def names(self, owner: str) -> list[str]:
        """Return "default" and then the others."""
        return await self._store.list_galleries(owner)

    async def require(self, owner: str, name: str) -> None:
        """Raise NotFound if there is no such gallery."""
        if not await self._store.has_gallery(owner, name):
            raise _no_gallery(name)

    async def create(self, owner: str, name: str) -> None:
        """Create a gallery; BadParam if it exists."""
        if name == DEFAULT_GALLERY or not await self._store.add_gallery(owner, name):
            raise BadParam("name", name, f"There is a gallery {name} already")

    async def delete(self, owner: str, name: str) -> Heard:
        """Delete a gallery and every face in it. Raises NotFound, and BadParam for "default"."""
        if name == DEFAULT_GALLERY:
            raise BadParam("name", name, "The gallery default cannot be deleted")
        await self.require(owner, name)
        where = FaceFilter(gallery=name)
        try:
            heard = await self._faces.delete_all(owner, where)
            while not await self._store.remove_gallery(owner, name):
                heard = min(heard, await self._faces.delete_all(owner, where))
        except UnknownGalleryError as error:  # another client was faster
            raise _no_gallery(name) from error
        return heard


def _no_gallery(name: str) -> NotFound:
    return NotFound(f"There is no gallery {name}")
