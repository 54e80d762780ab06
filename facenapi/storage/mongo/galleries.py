"""Galleries, and how a face never stays in one that is gone although nothing spans documents.

Who adds a face looks at the galleries before and after. Who removes a gallery first marks it as
``closing``, then looks for faces. If the face came first, the remover sees it and gives up; if not, the
one who adds sees the mark, waits for the outcome, and takes its face back if the gallery is gone.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable
from typing import Any

from pymongo import DeleteOne

from facenapi.errors import Unavailable
from facenapi.storage.base import DEFAULT_GALLERY, UnknownGalleryError
from facenapi.storage.mongo.base import MongoBase, key
from facenapi.storage.mongo.driver import AFTER, int64, operation

# A mark this old was left by a server that died.
CLOSING_S = 30.0


class Galleries(MongoBase):
    """The part of the store that keeps galleries."""

    @operation
    async def list_galleries(self, owner: str) -> list[str]:
        """Return "default" and the others by name."""
        cursor = self.galleries.find({"owner": owner}, {"name": 1}, hint="names").sort("name", 1)
        return [DEFAULT_GALLERY, *[document["name"] async for document in cursor]]

    @operation
    async def add_gallery(self, owner: str, name: str) -> bool:
        """Create a gallery."""
        if name == DEFAULT_GALLERY:
            return False
        born = uuid.uuid4().hex
        # After an unknown outcome this finds what the first try made and knows it by its birth mark.
        found = await self.repeated(
            lambda: self.galleries.find_one_and_update(
                {"_id": key(owner, name)},
                {"$setOnInsert": {"owner": owner, "name": name, "born": born}},
                upsert=True,
                return_document=AFTER,
            )
        )
        return bool(found["born"] == born)

    @operation
    async def has_gallery(self, owner: str, name: str) -> bool:
        """Whether the gallery exists."""
        return name == DEFAULT_GALLERY or await self.galleries.find_one({"_id": key(owner, name)}) is not None

    @operation
    async def remove_gallery(self, owner: str, name: str) -> bool:
        """Remove an empty gallery."""
        if name == DEFAULT_GALLERY:
            raise UnknownGalleryError(name)
        place = {"_id": key(owner, name)}
        await self.clock.renew()
        now = self.clock.milliseconds()
        mark = {"closing": int64(now), "closer": uuid.uuid4().hex}
        stale = {"closing": {"$lt": int64(now - round(CLOSING_S * 1000))}}
        mine = {**place, "closer": mark["closer"]}
        marked = await self.repeated(
            lambda: self.galleries.find_one_and_update(
                {**place, "$or": [{"closing": None}, stale, {"closer": mark["closer"]}]},
                {"$set": mark},
                return_document=AFTER,
            )
        )
        if marked is None:
            if await self.galleries.find_one(place) is None:
                raise UnknownGalleryError(name)
            return False
        if await self.faces.find_one({"owner": owner, "galleries": name}, {"_id": 1}, hint="members"):
            await self.repeated(lambda: self.galleries.update_one(mine, {"$unset": {"closing": "", "closer": ""}}))
            return False
        of_gallery = {"owner": owner, "gallery": name}
        hints = await self.metas.find(of_gallery, {"version": 1}, hint="by_first").to_list(None)
        await self.repeated(lambda: self.galleries.delete_one(mine))
        # A gallery of this name may be made anew meanwhile: what its faces have hinted at has another version.
        old = [DeleteOne({"_id": hint["_id"], "version": hint["version"]}) for hint in hints]
        if old:
            await self.repeated(lambda: self.driver.write(self.metas, old))
        return True

    async def births(self, owner: str, names: Iterable[str]) -> dict[str, str]:
        """Return the birth marks of galleries. Raises UnknownGalleryError."""
        wanted = {key(owner, name): name for name in names if name != DEFAULT_GALLERY}
        found: dict[str, Any] = {}
        if wanted:
            cursor = self.galleries.find({"_id": {"$in": list(wanted)}})
            found = {document["_id"]: document async for document in cursor}
        for place, name in wanted.items():
            if place not in found:
                raise UnknownGalleryError(name)
        return {found[place]["name"]: found[place]["born"] for place in wanted}

    async def lost(self, owner: str, births: dict[str, str]) -> set[str]:
        """Return which of the galleries are gone, after those that are closing have been decided."""
        deadline = time.monotonic() + CLOSING_S
        while births:
            cursor = self.galleries.find({"_id": {"$in": [key(owner, name) for name in births]}})
            found = {document["name"]: document async for document in cursor}
            await self.clock.renew()
            stale = self.clock.milliseconds() - CLOSING_S * 1000
            if not any(document.get("closing", 0) > stale for document in found.values()):
                return {name for name, born in births.items() if name not in found or found[name]["born"] != born}
            if time.monotonic() > deadline:
                raise Unavailable("A gallery is being removed")
            await asyncio.sleep(0.02)
        return set()
