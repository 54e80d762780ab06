"""Metas: which there are in a gallery and what their first face is, so that they can be paged in order.

A document here is a hint, not the truth: count and first face come from the faces when a page is read (tallies.py),
and a hint that is wrong is put right.
``version`` grows with every face that is added, so a correction never undoes what happened meanwhile.
A face's hints are written before the face, so that it cannot be missed if the server dies in between,
and again after it, because until then a reader may have found them wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from pymongo import UpdateOne

from facenapi.errors import Unavailable
from facenapi.storage.base import DEFAULT_GALLERY, Face, MetaSummary, Page
from facenapi.storage.mongo.base import key
from facenapi.storage.mongo.documents import Document, face_of
from facenapi.storage.mongo.driver import Ends, int64, operation
from facenapi.storage.mongo.tallies import Tallies

MAX_ROUNDS = 50
AT_ONCE = 16


class Metas(Tallies):
    """The part of the store that lists metas."""

    async def hint(self, faces: Iterable[Face]) -> None:
        """Note that these faces carry their metas in their galleries."""
        first: dict[tuple[str, str, str], int] = {}
        for face in faces:
            for gallery in face.galleries:
                place = (face.owner, gallery, face.meta)
                first[place] = min(face.id, first.get(place, face.id))
        updates = [
            UpdateOne(
                {"_id": key(*place)},
                {
                    "$min": {"first": int64(face_id)},
                    "$inc": {"version": int64(1)},
                    "$setOnInsert": dict(zip(("owner", "gallery", "meta"), place, strict=True)),
                },
                upsert=True,
            )
            for place, face_id in sorted(first.items())
        ]
        if updates:
            await self.repeated(lambda: self.driver.write(self.metas, updates))

    async def unhint(self, faces: Sequence[Face]) -> None:
        """Put hints right after faces have left their metas or galleries."""
        places = {key(face.owner, name, face.meta) for face in faces for name in face.galleries}
        gone = [int64(face.id) for face in faces]
        found = await self.metas.find({"_id": {"$in": sorted(places)}, "first": {"$in": gone}}).to_list(None)
        for start in range(0, len(found), AT_ONCE):
            await asyncio.gather(*map(self._recheck, found[start : start + AT_ONCE]))

    async def _recheck(self, hint: Document) -> None:
        where = {"owner": hint["owner"], "galleries": hint["gallery"], "meta": hint["meta"]}
        cursor = self.faces.find(where, {"_id": 1}, hint="metas").sort("_id", 1)
        first = await cursor.limit(1).to_list(1)
        await self._correct(hint, first[0]["_id"] if first else None)

    @operation
    async def list_metas(self, owner: str, gallery: str | None, page: Page) -> list[MetaSummary]:
        """Return a page of metas."""
        gallery = gallery or DEFAULT_GALLERY
        for attempt in range(MAX_ROUNDS):
            hints = await self._hints(owner, gallery, page)
            faces = {"owner": owner, "galleries": gallery}
            truth = await self.tally(faces, "meta", [hint["meta"] for hint in hints], "metas")
            wrong = [hint for hint in hints if truth.get(hint["meta"], (0, None))[1] != hint["first"]]
            for hint in wrong:
                await self._correct(hint, truth.get(hint["meta"], (0, None))[1])
            if not wrong:
                found = await self._summaries([truth[hint["meta"]] for hint in hints])
                if len(found) == len(hints):
                    return found
                if attempt:  # not just deleted meanwhile: lists show what no majority has yet
                    self.forget_counts()
        raise Unavailable("The metas change faster than they can be read")

    async def _hints(self, owner: str, gallery: str, page: Page) -> list[Document]:
        bounds = {"$gt": int64(-1 if page.min_id is None else page.min_id)}
        if page.max_id is not None:
            bounds["$lt"] = int64(page.max_id)
        order = 1 if page.min_id is not None else -1
        cursor = (
            self.metas.find({"owner": owner, "gallery": gallery, "first": bounds}, hint="by_first")
            .sort("first", order)
            .limit(page.limit)
        )
        found: list[Document] = await cursor.to_list(page.limit)
        return found[::-order]

    async def _correct(self, hint: Document, first: int | None) -> None:
        """Put a hint right, unless a face has come meanwhile."""
        unchanged = {"_id": hint["_id"], "version": hint["version"]}
        if first is None:
            await self.metas.delete_one(unchanged)
        elif first != hint["first"]:
            await self.metas.update_one(unchanged, {"$set": {"first": int64(first)}})

    async def _summaries(self, truths: list[Ends]) -> list[MetaSummary]:
        firsts = {"_id": {"$in": [int64(first) for _, first, _ in truths]}, "gone": None}
        found = {document["_id"]: face_of(document) async for document in self.faces.find(firsts)}
        return [MetaSummary(count, found[first]) for count, first, _ in truths if first in found]
