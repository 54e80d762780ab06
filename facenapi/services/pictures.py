"""Kept pictures: the photo, a thumbnail and an upright portrait of each face that is stored, and their URLs.

Every face has files of its own, so they can go with it. They are written before the face is, and removed
after it: a crash in between leaves files without a face, never a face without files. Such files, and those that
could not be removed when their face was, are swept up by a server, at its start and hourly.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facenapi.detector.describe.align import crop_matrix, warp
from facenapi.detector.describe.crops import cut_full
from facenapi.errors import ApiError
from facenapi.photos.formats.known import extension_of
from facenapi.process.supervised import Loops
from facenapi.process.workers import Workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.base import Detection
    from facenapi.photos.photo import Photo
    from facenapi.storage.base import Face, NewFace
    from facenapi.storage.pictures.photos import PhotoFiles

log = logging.getLogger(__name__)

NAME = r"[0-9a-f]{16}-[0-9]{10}-[A-Za-z0-9_-]{22}(?:_thumb|_norm)?\.(?:jpg|png|webp|heic|avif)"
_THUMBNAIL = re.compile(r"([0-9a-f]{16}-[0-9]{10}-[A-Za-z0-9_-]{22})_thumb\.jpg$")
_AT_ONCE = 16  # files that are removed at a time for one request
_AT_ONCE_FOR_ALL = 128  # half of what a folder takes: others can be written and read meanwhile
_SIZE = 160  # pixels of a thumbnail's and a portrait's side
_ROOM = 1.6  # what a thumbnail shows, in sizes of the face
_QUALITY = 88
# Where eyes, nose and corners of the mouth are on a portrait, as parts of its side.
_UPRIGHT = np.array([[0.34, 0.40], [0.66, 0.40], [0.50, 0.58], [0.37, 0.75], [0.63, 0.75]])


def tag_of(owner: str) -> str:
    """Return the owner's part of a file name."""
    return hashlib.sha256(owner.encode()).hexdigest()[:16]


def stem_of(face: NewFace) -> str | None:
    """Return what the names of a face's files have in common; None if it has none."""
    found = _THUMBNAIL.search(face.thumbnail or "")
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Kept:
    """Files to be written, by name, and where clients will find them."""

    files: Mapping[str, bytes]
    photo: str
    thumbnail: str
    normalized: str

    def on(self, face: NewFace) -> NewFace:
        """Return the face with these URLs."""
        return replace(face, photo=self.photo, thumbnail=self.thumbnail, normalized=self.normalized)


class PictureKeeper:
    """Makes, keeps and removes the pictures of faces; ``files`` None: photos are not kept."""

    def __init__(self, files: PhotoFiles | None, base_url: str) -> None:
        self._files = files
        self._base = base_url.rstrip("/")
        self._workers = Workers("pictures", 2, 256)
        self.loops = Loops("Kept photos")
        self._removals = asyncio.Semaphore(_AT_ONCE_FOR_ALL)
        self.left_over = 0  # how often files without a face may have stayed, since the last whole sweep
        self.unsettled = 0  # how many are at what leaves files over if it is broken off

    async def start(self) -> None:
        """Open the place where files are."""
        if self._files is not None:
            await self._files.start()

    async def close(self) -> None:
        """Let go of it."""
        self._workers.close()
        if self._files is not None:
            await self._files.close()

    async def draw(self, owner: str, photo: Photo, faces: Sequence[Detection]) -> list[Kept]:
        """Return the pictures of each face, not written yet; none if photos are not kept."""
        if self._files is None:
            return []
        return [await self._workers.run(self._draw, owner, photo, face) for face in faces]

    def _draw(self, owner: str, photo: Photo, face: Detection) -> Kept:
        hour = time.strftime("%Y%m%d%H", time.gmtime())
        stem = f"{tag_of(owner)}-{hour}-{secrets.token_urlsafe(16)}"
        thumbnail, normalized = f"{stem}_thumb.jpg", f"{stem}_norm.jpg"
        original = f"{stem}.{extension_of(photo.data)}"
        files = {
            thumbnail: _jpeg(thumbnail_of(photo, face)),
            normalized: _jpeg(portrait_of(photo, face)),
            original: photo.data,
        }
        return Kept(
            files,
            f"{self._base}/{original}",
            f"{self._base}/{thumbnail}",
            f"{self._base}/{normalized}",
        )

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Store or delete faces with their pictures: a server that does not wait for the end of that leaves these to
        the sweep of the next one."""
        self.unsettled += 1
        try:
            yield
        finally:
            self.unsettled -= 1

    async def save(self, kept: Sequence[Kept]) -> None:
        """Write pictures; if one cannot be written, none stays. Raises Unavailable."""
        if self._files is None:
            return
        names = [(name, data) for pictures in kept for name, data in pictures.files.items()]
        for number, (name, data) in enumerate(names):
            try:
                await self._files.put(name, data)
            except BaseException:
                # The last one, too: it may have arrived although it was not acknowledged.
                await self.remove([written for written, _ in names[: number + 1]])
                raise

    async def drop(self, kept: Sequence[Kept]) -> None:
        """Remove pictures whose faces were not stored after all."""
        await self.remove([name for pictures in kept for name in pictures.files])

    async def forget(self, faces: Sequence[Face]) -> None:
        """Remove the pictures of faces that are gone."""
        names: list[str] = []
        for face in faces:
            stem = stem_of(face)
            if stem is not None:
                own = face.photo.rpartition("/")[2]
                names += [f"{stem}_thumb.jpg", f"{stem}_norm.jpg", *([own] if own.startswith(f"{stem}.") else [])]
        await self.remove(names)

    async def remove(self, names: Sequence[str]) -> None:
        """Remove files; what cannot be removed now is left over for a sweep."""
        if self._files is None:
            return
        with self.settling():
            for start in range(0, len(names), _AT_ONCE):  # one by one, a storage that is away would take hours
                some = names[start : start + _AT_ONCE]
                await asyncio.gather(*(self._remove(self._files, name) for name in some))

    async def _remove(self, files: PhotoFiles, name: str) -> None:
        try:
            async with self._removals:
                await files.delete(name)
        except ApiError as error:  # the face is gone all the same
            self.left_over += 1
            log.warning("A kept photo could not be removed: %s", error)

    async def read(self, name: str, owner: str | None = None) -> bytes | None:
        """Return a file, of this owner if one is named; None if there is no such file. Its name is the key to it."""
        if self._files is None or not re.fullmatch(NAME, name):
            return None
        if owner is not None and not name.startswith(tag_of(owner) + "-"):
            return None
        return await self._files.get(name)


def thumbnail_of(photo: Photo, face: Detection) -> NDArray[np.uint8]:
    """Return the square around a face, (side, side, 3); what is outside the photo is black."""
    side = max(face.box.width, face.box.height) * _ROOM
    left, top = (face.box.x1 + face.box.x2 - side) / 2, (face.box.y1 + face.box.y2 - side) / 2
    matrix = np.array([[side / _SIZE, 0.0, left], [0.0, side / _SIZE, top]])
    return _cut(photo, matrix)


def portrait_of(photo: Photo, face: Detection) -> NDArray[np.uint8]:
    """Return the face turned upright, eyes level, (side, side, 3)."""
    return _cut(photo, crop_matrix(face.landmarks.astype(np.float64), _UPRIGHT * _SIZE, _SIZE))


def _cut(photo: Photo, matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Cut from the reduced pixels where those are fine enough; ``matrix`` leads to pixels of the full photo."""
    raster = photo.reduced
    if np.hypot(matrix[0, 0], matrix[1, 0]) * raster.scale_x < 1.0:
        return cut_full(photo, matrix, _SIZE)
    return warp(raster.pixels, matrix * np.array([[raster.scale_x], [raster.scale_y]]), _SIZE)


def _jpeg(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
