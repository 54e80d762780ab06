"""Moving stored faces to another embedding model: their vectors are made anew from their photos.

Vectors of two models cannot be compared, and each model has an index of its own: that of the new one grows beside
the old, which keeps what it has. A face that has moved says so itself, so a run that was interrupted is repeated.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facenapi.api.kinds import PhotoSource
from facenapi.errors import BadImage, BadParam, NoFaces
from facenapi.geometry import Box
from facenapi.services.selection import faces_in_boxes
from facenapi.storage.base import FaceChange, FaceFilter, Page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from facenapi.detector.base import Detector
    from facenapi.services.photos import PhotoLoader
    from facenapi.services.pictures import PictureKeeper
    from facenapi.storage.base import Face, Store

_PAGE = 500


@dataclass(slots=True)
class Regenerated:
    """How many faces have moved, and why others have not, by face id."""

    moved: int = 0
    failed: dict[int, str] = field(default_factory=dict)


class Regenerator:
    """Gives faces the vectors of a detector.

    Photos are taken from ``files``, which are on this machine, by the MD5 of their bytes, else from the kept
    ``pictures``, else from their URL. ``parallel``: photos in work at a time.
    """

    def __init__(
        self,
        store: Store,
        detector: Detector,
        photos: PhotoLoader,
        pictures: PictureKeeper,
        *,
        files: Mapping[str, Path],
        parallel: int,
    ) -> None:
        self._store, self._detector, self._photos = store, detector, photos
        self._pictures, self._files = pictures, files
        self._slots = asyncio.Semaphore(parallel)

    async def run(self, owner: str, report: Callable[[int], object]) -> Regenerated:
        """Move all faces of an owner; ``report`` is told how many more have been looked at.

        Raises:
            Unavailable: the store is down; run it again to go on.
        """
        result = Regenerated()
        async for page in _pages(self._store, owner):
            todo = [face for face in page if face.model != self._detector.embedding_name]
            report(len(page) - len(todo))
            await asyncio.gather(*(self._move(face, result, report) for face in todo))
        return result

    async def _move(self, face: Face, result: Regenerated, report: Callable[[int], object]) -> None:
        async with self._slots:
            try:
                vector = await self._embed(face)
            except (BadImage, BadParam, NoFaces) as error:
                result.failed[face.id] = str(error)
            else:
                change = FaceChange(embedding=vector, model=self._detector.embedding_name)
                # None: it was deleted meanwhile, which is as good.
                await self._store.update_face(face.owner, face.id, change)
                result.moved += 1
            report(1)

    async def _embed(self, face: Face) -> bytes:
        """Return the face's vector as it is stored. Raises BadImage if the photo is not to be had."""
        async with self._photos.open(await self._source(face), face.owner) as photo:
            if photo.md5 != face.photo_hash:
                raise BadImage("photo", "The photo at its URL is another one now")
            box = Box(face.x1, face.y1, face.x2, face.y2)
            found = await faces_in_boxes(self._detector, photo, [box], "photo")
            [vector] = await self._detector.embed(photo, found)
            return bytes(vector.astype("<f4").tobytes())

    async def _source(self, face: Face) -> PhotoSource:
        path = self._files.get(face.photo_hash)
        if path is not None:
            try:
                return PhotoSource("photo", data=await asyncio.to_thread(path.read_bytes))
            except OSError as error:
                raise BadImage("photo", f"{path}: {error.strerror}") from error
        kept = await self._pictures.read(face.photo.rpartition("/")[2], face.owner)
        if kept is not None:
            return PhotoSource("photo", data=kept)
        if not face.photo:
            raise BadImage("photo", "The photo was uploaded and not kept")
        if face.photo.startswith("/"):
            raise BadImage("photo", "The photo was kept and is not there")
        return PhotoSource("photo", url=face.photo)


async def count_models(store: Store, owner: str) -> Counter[str]:
    """Return how many faces of an owner have vectors of which model."""
    return Counter([face.model async for page in _pages(store, owner) for face in page])


async def _pages(store: Store, owner: str) -> AsyncIterator[list[Face]]:
    """Yield all faces, oldest first, those included that come meanwhile."""
    last = 0
    while page := await store.list_faces(owner, FaceFilter(), Page(_PAGE, min_id=last)):
        last = page[0].id
        yield page
