"""Adding faces: photo → faces → vectors → person → store → shard."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from facenapi.errors import ApiError, BadParam, Overloaded
from facenapi.process.stages import stage
from facenapi.search.shard import upsert_of
from facenapi.services.persons import given_person, person_gone
from facenapi.services.selection import is_many, select_faces
from facenapi.storage.base import DEFAULT_GALLERY, NewFace, UnknownGalleryError, UnknownPersonError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facenapi.api.kinds import PhotoSource
    from facenapi.detector.base import Detection, Detector, Quality
    from facenapi.geometry import Box
    from facenapi.photos.photo import Photo
    from facenapi.search.client import ShardClient
    from facenapi.services.persons import PersonFinder
    from facenapi.services.photos import PhotoLoader
    from facenapi.services.pictures import Kept, PictureKeeper
    from facenapi.services.quality import QualityGate
    from facenapi.storage.base import Face, Store

log = logging.getLogger(__name__)

_LONGEST_S = 600.0  # from pictures to their faces: sweeps take pictures for left over that are older than 900 s


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a client wants to add."""

    owner: str
    source: PhotoSource
    boxes: tuple[Box, ...] | None
    selector: str
    meta: str
    galleries: tuple[str, ...]
    cam_id: str | None
    person_id: int | None
    timestamp_ms: int
    wanted: frozenset[str]
    quality: bool  # whether it is to be answered


class Enroller:
    """Stores new faces and makes them findable."""

    def __init__(
        self,
        photos: PhotoLoader,
        detector: Detector,
        store: Store,
        searcher: ShardClient,
        *,
        gate: QualityGate,
        persons: PersonFinder,
        pictures: PictureKeeper,
    ) -> None:
        self._gate = gate
        self._pictures = pictures
        self._photos = photos
        self._detector = detector
        self._store = store
        self._searcher = searcher
        self._persons = persons

    async def enrol(self, enrolment: Enrolment) -> list[tuple[Face, Quality | None]]:
        """Return the stored faces, with their quality if wanted, once they are durable and every search finds them.

        Raises:
            BadImage: the photo, or the quality of one of the faces; nothing is stored.
            NoFaces, TooManyFaces, Overloaded.
            BadParam: a gallery does not exist; nothing is stored.
            Unavailable: the store failed and nothing is stored, or a shard failed and the faces are:
                the shard will catch up.
        """
        await self._check_references(enrolment)
        many = is_many(enrolment.boxes, enrolment.selector)
        async with self._photos.open(enrolment.source, enrolment.owner, many=many) as photo:
            param = enrolment.source.param
            faces = await select_faces(self._detector, photo, enrolment.boxes, enrolment.selector, param)
            qualities = await self._gate.judge(photo, faces, param, wanted=enrolment.quality)
            seen = await self._look(enrolment, photo, faces)
        # From here on a client that hangs up changes nothing: the faces get stored and indexed.
        commit = asyncio.ensure_future(self._commit(enrolment, *seen))
        try:
            stored = await asyncio.shield(commit)
        except asyncio.CancelledError:
            commit.add_done_callback(_note)
            await asyncio.wait({commit})  # the request counts until then: a server that is stopped waits for it
            raise
        return list(zip(stored, qualities, strict=True))

    async def _look(
        self, enrolment: Enrolment, photo: Photo, faces: Sequence[Detection]
    ) -> tuple[list[NewFace], NDArray[np.float32], list[Kept]]:
        """Return the faces as they will be stored, their vectors, and their pictures, not saved yet."""
        with stage("embed"):
            vectors = await self._detector.embed(photo, faces)
        with stage("attributes"):
            attributes = await self._detector.attributes(photo, faces, enrolment.wanted)
        new = [
            replace(
                self._new_face(enrolment, photo, face.box.rounded(), vector),
                age=seen.age,
                gender=seen.gender,
                emotions=seen.emotions,
            )
            for face, vector, seen in zip(faces, vectors, attributes, strict=True)
        ]
        kept = await self._pictures.draw(enrolment.owner, photo, faces)
        if kept:
            new = [pictures.on(face) for pictures, face in zip(kept, new, strict=True)]
        return new, vectors, kept

    async def _check_references(self, enrolment: Enrolment) -> None:
        """Refuse what the store would refuse, before any work; the store checks again when it writes."""
        for gallery in enrolment.galleries:
            if not await self._store.has_gallery(enrolment.owner, gallery):
                raise _unknown_gallery(gallery)

    def _new_face(self, enrolment: Enrolment, photo: Photo, box: Box, vector: NDArray[np.float32]) -> NewFace:
        others = sorted(set(enrolment.galleries) - {DEFAULT_GALLERY})
        return NewFace(
            owner=enrolment.owner,
            cell=self._searcher.pick_cell(),
            x1=int(box.x1),
            y1=int(box.y1),
            x2=int(box.x2),
            y2=int(box.y2),
            embedding=vector.astype("<f4").tobytes(),
            model=self._detector.embedding_name,
            photo_hash=photo.md5,
            timestamp_ms=enrolment.timestamp_ms,
            meta=enrolment.meta,
            galleries=(DEFAULT_GALLERY, *others),
            photo=enrolment.source.url,
            person_id=enrolment.person_id,
            cam_id=enrolment.cam_id,
        )

    async def _commit(
        self,
        enrolment: Enrolment,
        new: list[NewFace],
        vectors: NDArray[np.float32],
        pictures: Sequence[Kept],
    ) -> list[Face]:
        with self._pictures.settling():
            begun, storing = time.monotonic(), False
            # Before the lock of the owner's persons: others wait for that, and a photo storage may be slow.
            await self._pictures.save(pictures)
            try:
                async with self._with_persons(enrolment, new, vectors) as known:
                    if pictures:
                        _check_age(begun)
                    judged = [await self._judged(face) for face in known]
                    storing = True
                    return await self._store_and_index(judged, pictures)
            except BaseException:
                if not storing:
                    await self._pictures.drop(pictures)
                raise

    @asynccontextmanager
    async def _with_persons(
        self, enrolment: Enrolment, new: list[NewFace], vectors: NDArray[np.float32]
    ) -> AsyncIterator[list[NewFace]]:
        """Yield the faces with their persons, who stay until the faces can be found."""
        if enrolment.person_id is not None:
            async with given_person(self._store, enrolment.owner, enrolment.person_id):
                yield new
        elif self._persons.enabled:
            async with self._persons.persons_of(enrolment.owner, enrolment.cam_id, vectors) as persons:
                yield [replace(face, person_id=person) for face, person in zip(new, persons, strict=True)]
        else:
            yield new

    async def _judged(self, face: NewFace) -> NewFace:
        """Return a face that says whether it is a friend's, if it has a person or a camera."""
        if face.person_id is None and face.cam_id is None:
            return face
        friend = await self._persons.is_friend(face.owner, face.person_id, face.cam_id, face.timestamp_ms)
        return replace(face, friend=friend)

    async def _store_and_index(self, new: list[NewFace], pictures: Sequence[Kept]) -> list[Face]:
        """Store faces whose pictures are saved; these are dropped if it is sure that the faces are not stored."""
        try:
            with stage("store"):
                stored = await self._store.add_faces(new)
        except UnknownGalleryError as error:
            await self._pictures.drop(pictures)
            raise _unknown_gallery(error.name) from error
        except UnknownPersonError as error:
            await self._pictures.drop(pictures)
            raise person_gone() from error
        except Exception:
            self._pictures.left_over += bool(pictures)  # the faces may be stored: their pictures must stay
            raise
        with stage("search"):
            await self._searcher.apply([upsert_of(face) for face in stored])
        return stored


def _check_age(begun: float) -> None:
    """Raise Overloaded if a sweep may have taken pictures whose saving began then."""
    if time.monotonic() - begun > _LONGEST_S:
        raise Overloaded("Too many faces are being added, or the photo storage is too slow")


def _note(commit: asyncio.Future[list[Face]]) -> None:
    """Look at what came of faces whose client hung up: asyncio would log a mere refusal with its trace."""
    error = None if commit.cancelled() else commit.exception()
    if isinstance(error, ApiError):
        log.info("The client of new faces hung up before it was told: %s", error)
    elif error is not None:
        log.error("unexpected error in adding faces whose client hung up", exc_info=error)


def _unknown_gallery(name: str) -> BadParam:
    return BadParam("galleries", name, f"There is no gallery {name}")
