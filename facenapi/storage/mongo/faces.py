"""Writing faces. Each write of a face is one atomic step on one document, guarded by its revision.

A revision is taken from a counter just before the write. Should the write then take long, the face gets a new
one, so that the feed never has to look further back than its margin.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, PyMongoError

from facenapi.errors import Unavailable
from facenapi.storage.base import (
    Face,
    FaceChange,
    FaceFilter,
    IdTakenError,
    NewFace,
    Page,
    UnknownGalleryError,
    UnknownPersonError,
)
from facenapi.storage.mongo.base import PAUSES, key
from facenapi.storage.mongo.documents import Document, document_of, tombstone_document
from facenapi.storage.mongo.driver import int64, unknown_outcome
from facenapi.storage.mongo.galleries import Galleries
from facenapi.storage.mongo.lists import Lists
from facenapi.storage.mongo.metas import Metas
from facenapi.storage.mongo.news import News, changing, once_written
from facenapi.storage.rules import changed, gallery_order, named_galleries

_OF_NEW_FACE = [f.name for f in fields(NewFace)]
MAX_ROUNDS = 50
# Less than the feed's margin: the rest is for clocks that differ.
LATE_S = 6.0
MAX_LATE = 10


@dataclass(frozen=True, slots=True)
class Stamp:
    """Revisions, a moment by the calendar after they were taken, and one by this process's own clock before it."""

    revs: range
    changed_ms: int
    taken: float

    @property
    def late(self) -> bool:
        """Whether a reader of the feed might no longer look for these revisions."""
        return time.monotonic() - self.taken > LATE_S


class Faces(Metas, Galleries, Lists, News):
    """The part of the store that writes faces."""

    async def stamp(self, count: int) -> Stamp:
        """Take revisions."""
        taken = time.monotonic()
        last = await self.count_up("rev", count)
        await self.clock.renew()
        return Stamp(range(last - count + 1, last + 1), self.clock.milliseconds(), taken)

    async def _restamp(self, face_ids: Sequence[int], stamp: Stamp) -> None:
        """Give what was written late a new revision, until one is written in time; raise Unavailable if none is."""
        for _ in range(MAX_LATE):
            if not stamp.late:
                return
            stamp = await self.stamp(1)
            late = {"_id": {"$in": [int64(i) for i in face_ids]}, "rev": {"$lt": int64(stamp.revs[0])}}
            news = {"$set": {"rev": int64(stamp.revs[0]), "changed": int64(stamp.changed_ms)}}
            await self.repeated(lambda late=late, news=news: self.faces.update_many(late, news))  # type: ignore[misc]
        if stamp.late:
            raise Unavailable("The database is too slow to keep up with so many writes")

    async def _settle(self, faces: Sequence[Face], stamp: Stamp, *gone: Face) -> None:
        """Let readers of the feed come by what was written, hint at these faces and at none ``gone``, and count."""
        with once_written():
            await self._restamp([face.id for face in faces or gone], stamp)
            hints = [*([self.hint(faces)] if faces else []), *([self.unhint(gone)] if gone else [])]
            await asyncio.gather(*hints, self.announce())

    # -- adding ---------------------------------------------------------------------------------
    @changing
    async def add_faces(self, new: Sequence[NewFace]) -> list[Face]:
        """Store new faces. If that fails half way, what was stored is deleted again."""
        if not new:
            return []
        births = await self._require_all(new)
        await self.clock.renew()
        self.clock.compare()
        faces = [
            Face(
                **{
                    **{name: getattr(face, name) for name in _OF_NEW_FACE},
                    "galleries": gallery_order(face.galleries),
                },
                id=self.ids.next(face.cell),
                rev=0,
            )
            for face in new
        ]
        await self.hint(faces)
        stamp = await self.stamp(len(faces))
        faces = [replace(face, rev=rev) for face, rev in zip(faces, stamp.revs, strict=True)]
        faces = await self._insert(faces, stamp)
        try:
            await self._settle(faces, stamp)
        except Unavailable:
            await self._give_up(faces)
            raise
        for owner, born in births:
            with once_written():
                lost = await self.lost(owner, born)
            if lost:
                await self._bury(faces)
                raise UnknownGalleryError(min(lost))
        return faces

    async def _require_all(self, faces: Sequence[NewFace]) -> list[tuple[str, dict[str, str]]]:
        """Return owners and the birth marks of the galleries they name; most faces of a call name the same."""
        places = dict.fromkeys((face.owner, face.galleries, face.person_id) for face in faces)
        return [(place[0], await self._require(*place)) for place in places]

    async def _require(self, owner: str, galleries: Sequence[str], person_id: int | None) -> dict[str, str]:
        """Return the birth marks of the galleries; raise UnknownGalleryError or UnknownPersonError."""
        births = await self.births(owner, galleries)
        if person_id is not None and await self.persons.find_one({"_id": key(owner, person_id)}) is None:
            raise UnknownPersonError(person_id)
        return births

    async def _insert(self, faces: list[Face], stamp: Stamp) -> list[Face]:
        """Insert faces and return them, with other ids where theirs were taken.

        After an unknown outcome what a majority has decides: a document with this id and this revision
        is the face, stored; one with another revision took the id; none: the face is inserted again.
        """
        missing = faces
        for pause in (*PAUSES, None):
            try:
                await self.faces.insert_many([document_of(face, stamp.changed_ms) for face in missing], ordered=False)
            except PyMongoError as error:
                clash = isinstance(error, BulkWriteError)
                if pause is None or not (clash or unknown_outcome(error)):
                    await self._give_up(faces)
                    raise
                await asyncio.sleep(pause)
            else:
                return faces
            stored = await self._stored_revs([face.id for face in faces])
            faces = [
                face if stored.get(face.id, face.rev) == face.rev else replace(face, id=self.ids.next(face.cell))
                for face in faces
            ]
            missing = [face for face in faces if face.id not in stored]
            if not missing:
                return faces
        raise AssertionError

    async def _stored_revs(self, ids: Sequence[int]) -> dict[int, int]:
        cursor = self.settled_faces.find({"_id": {"$in": [int64(i) for i in ids]}}, {"rev": 1})
        return {int(document["_id"]): int(document["rev"]) async for document in cursor}

    async def _give_up(self, faces: list[Face]) -> None:
        """Try to leave nothing of faces that are reported as not stored."""
        try:
            await self._bury(faces)
        except (PyMongoError, Unavailable):
            return  # The client is told of the first failure.

    @changing
    async def restore_faces(self, faces: Sequence[Face]) -> int:
        """Store faces of an export."""
        ids = [int64(face.id) for face in faces]
        cursor = self.faces.find({"_id": {"$in": ids}}, {"owner": 1, "gone": 1, "rev": 1})
        there = {int(document["_id"]): document async for document in cursor}
        for face in faces:
            if there.get(face.id, {"owner": face.owner})["owner"] != face.owner:
                raise IdTakenError(face.id)
        new = list({face.id: face for face in faces if there.get(face.id, {"gone": True}).get("gone")}.values())
        await self._require_all(new)
        if not new:
            return 0
        await self.hint(new)
        stamp = await self.stamp(len(new))
        new = [
            replace(face, rev=rev, galleries=gallery_order(face.galleries))
            for face, rev in zip(new, stamp.revs, strict=True)
        ]
        # What is there is a tombstone of this owner, or what an earlier try of this very write left.
        await self._replace(
            [
                (
                    {
                        "_id": int64(face.id),
                        "owner": face.owner,
                        "rev": {"$in": [int64(face.rev), there.get(face.id, {}).get("rev")]},
                    },
                    document_of(face, stamp.changed_ms),
                )
                for face in new
            ],
            upsert=True,
        )
        await self._settle(new, stamp)
        return len(new)

    async def _replace(self, steps: Sequence[tuple[Document, Document]], *, upsert: bool = False) -> None:
        """Replace each document that fits its query, if any does."""
        writes = [ReplaceOne(query, document, upsert=upsert) for query, document in steps]
        await self.repeated(lambda: self.driver.write(self.faces, writes))

    # -- changing -------------------------------------------------------------------------------
    @changing
    async def update_face(self, owner: str, face_id: int, change: FaceChange) -> Face | None:
        """Apply an edit."""
        before = (await self.fetch(owner, [face_id])).get(face_id)
        if before is None:
            return None
        joined = named_galleries(change)
        births = await self._require(owner, joined, change.person_id)
        joining = FaceChange(add_galleries=joined)
        # At first into the galleries alone, which can be taken back; one that has a face does not go.
        for step in (change,) if change == joining or not births else (joining, change):
            face = await self._update(owner, face_id, step)
            if face is None:
                return None
            lost = await self.lost(owner, births)
            if lost:
                entered = lost | ({*joined} - {*before.galleries})
                await self._update(owner, face_id, FaceChange(del_galleries=tuple(entered)))
                raise UnknownGalleryError(min(lost))
        return face

    async def _update(self, owner: str, face_id: int, change: FaceChange) -> Face | None:
        for _ in range(MAX_ROUNDS):
            old = (await self.fetch(owner, [face_id])).get(face_id)
            if old is None:
                return None
            new = changed(old, change)
            if new == old or await self._swap(old, new):
                return (await self.fetch(owner, [face_id])).get(face_id) if new != old else old
        raise Unavailable("The face changes faster than it can be edited")

    async def _swap(self, old: Face, new: Face) -> bool:
        """Store a face in the place of what it was; false if it has changed meanwhile."""
        await self.hint([new])
        stamp = await self.stamp(1)
        new = replace(new, rev=stamp.revs[0])
        query = {"_id": int64(old.id), "rev": {"$in": [int64(old.rev), int64(new.rev)]}}
        document = document_of(new, stamp.changed_ms)
        result = await self.repeated(lambda: self.faces.replace_one(query, document))
        await self._settle([new], stamp, old)
        return bool(result.matched_count)

    # -- deleting -------------------------------------------------------------------------------
    @changing
    async def delete_face(self, owner: str, face_id: int) -> Face | None:
        """Delete one face."""
        for _ in range(MAX_ROUNDS):
            face = (await self.fetch(owner, [face_id])).get(face_id)
            if face is None or await self._bury([face]):
                return face
        raise Unavailable("The face changes faster than it can be deleted")

    @changing
    async def delete_faces(self, owner: str, where: FaceFilter, limit: int = 1000) -> list[Face]:
        """Delete up to ``limit`` faces."""
        for _ in range(MAX_ROUNDS):
            faces = await self.matching(owner, where, Page(limit))
            gone = await self._bury(faces)
            if gone or not faces:
                return gone
        raise Unavailable("The faces change faster than they can be deleted")

    async def _bury(self, faces: Sequence[Face]) -> list[Face]:
        """Put tombstones in the place of faces; return those that had not changed meanwhile."""
        if not faces:
            return []
        stamp = await self.stamp(len(faces))
        await self._replace(
            [
                ({"_id": int64(face.id), "rev": int64(face.rev)}, tombstone_document(face, rev, stamp.changed_ms))
                for face, rev in zip(faces, stamp.revs, strict=True)
            ]
        )
        stored = await self._stored_revs([face.id for face in faces])
        gone = [face for face, rev in zip(faces, stamp.revs, strict=True) if stored.get(face.id) == rev]
        await self._settle((), stamp, *gone)
        return gone
