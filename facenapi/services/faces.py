"""Stored faces: read, edit, delete. Every change goes to the store first, then to the shard."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from facenapi.errors import ApiError, BadParam, NotFound
from facenapi.search.shard import delete_of, upsert_of
from facenapi.services.persons import given_person, person_gone, remove_faceless
from facenapi.storage.base import FaceFilter, UnknownGalleryError, UnknownPersonError

if TYPE_CHECKING:
    from facenapi.search.client import ShardClient
    from facenapi.services.pictures import PictureKeeper
    from facenapi.storage.base import Face, FaceChange, Store

log = logging.getLogger(__name__)

_STEP = 100  # faces deleted at a time: others wait for that
Heard = tuple[int, int]  # shards that live and heard of a change, and all of them


class FaceKeeper:
    """The owner's stored faces."""

    def __init__(self, store: Store, searcher: ShardClient, pictures: PictureKeeper) -> None:
        self._pictures = pictures
        self._store = store
        self._searcher = searcher

    async def get(self, owner: str, face_id: int) -> Face:
        """Return a face. Raises NotFound."""
        face = (await self._store.get_faces(owner, [face_id])).get(face_id)
        if face is None:
            raise _no_face(face_id)
        return face

    async def edit(self, owner: str, face_id: int, change: FaceChange) -> tuple[Face, Heard]:
        """Change a face and return it as it is then.

        Raises:
            NotFound: no such face.
            BadParam: a gallery does not exist; nothing is changed.
            Unavailable: the store is down. What it has done is done: a shard that did not hear of it catches up.
        """
        for name in change.del_galleries:  # which the store would pass over
            if not await self._store.has_gallery(owner, name):
                raise _no_gallery(name)
        if change.person_id is None:
            face = await self._update(owner, face_id, change)
        else:
            await self.get(owner, face_id)  # whoever names no face makes no person, and waits for nobody
            async with given_person(self._store, owner, change.person_id):
                before = await self.get(owner, face_id)  # whose it is changes under this lock alone
                face = await self._update(owner, face_id, change)
            if before.person_id != face.person_id:
                await self._tidy([before])
        return face, await self._searcher.tell([upsert_of(face)])

    async def _update(self, owner: str, face_id: int, change: FaceChange) -> Face:
        try:
            face = await self._store.update_face(owner, face_id, change)
        except UnknownGalleryError as error:
            raise _no_gallery(error.name) from error
        except UnknownPersonError as error:
            raise person_gone() from error
        if face is None:
            raise _no_face(face_id)
        return face

    async def delete(self, owner: str, face_id: int) -> Heard:
        """Delete a face. Raises NotFound, Unavailable."""
        with self._pictures.settling():
            face = await self._store.delete_face(owner, face_id)
            if face is None:
                raise _no_face(face_id)
            return await self._follow([face])

    async def delete_all(self, owner: str, where: FaceFilter) -> Heard:
        """Delete all faces that match, in steps that leave room for others."""
        heard = await self._searcher.tell([])
        with self._pictures.settling():
            while gone := await self._store.delete_faces(owner, where, _STEP):
                heard = min(heard, await self._follow(gone))
        return heard

    async def _follow(self, gone: list[Face]) -> Heard:
        """Let persons, pictures and shards follow faces that are deleted, whatever fails: they are."""
        heard = await self._searcher.tell([delete_of(face) for face in gone])
        await self._tidy(gone)
        await self._pictures.forget(gone)
        return heard

    async def _tidy(self, faces: list[Face]) -> None:
        """Remove persons that have no face any more; what the store has done is not undone by that."""
        try:
            await remove_faceless(self._store, faces)
        except ApiError as error:
            log.warning("Persons without a face may have stayed: %s", error)


def _no_face(face_id: int) -> NotFound:
    return NotFound(f"There is no face {face_id}")


def _no_gallery(name: str) -> BadParam:
    return BadParam("galleries", name, f"There is no gallery {name}")
