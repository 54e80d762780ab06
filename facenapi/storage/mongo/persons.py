"""Persons."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pymongo import UpdateOne

from facenapi.errors import Unavailable
from facenapi.storage.base import Page, Person, PersonSummary
from facenapi.storage.mongo.base import key
from facenapi.storage.mongo.driver import int64, operation
from facenapi.storage.mongo.lists import Lists
from facenapi.storage.rules import DAY_MS, camera_key, day_of

AT_ONCE = 16
MAX_ROUNDS = 50


class Persons(Lists):
    """The part of the store that keeps persons, and tells who was seen where."""

    @operation
    async def new_person(self, owner: str) -> int:
        """Make a person."""
        number = await self.count_up(f"person:{owner}")
        await self._put_persons(owner, [number])
        return number

    @operation
    async def remove_persons(self, owner: str, ids: Sequence[int]) -> None:
        """Remove persons without faces."""
        for number in ids:
            faces = {"owner": owner, "person_id": int64(number)}
            if not await self.faces.count_documents(faces, limit=1, hint="persons"):
                await self.persons.delete_one({"_id": key(owner, number)})

    @operation
    async def restore_persons(self, owner: str, ids: Sequence[int]) -> None:
        """Make persons with given ids."""
        if ids:
            await self._put_persons(owner, ids)
            await self.repeated(
                lambda: self.counters.update_one(
                    {"_id": f"person:{owner}"}, {"$max": {"value": int64(max(ids))}}, upsert=True
                )
            )

    async def _put_persons(self, owner: str, ids: Sequence[int]) -> None:
        updates = [
            UpdateOne(
                {"_id": key(owner, number)}, {"$setOnInsert": {"owner": owner, "number": int64(number)}}, upsert=True
            )
            for number in ids
        ]
        await self.repeated(lambda: self.driver.write(self.persons, updates))

    @operation
    async def get_person(self, owner: str, person_id: int) -> Person | None:
        """Return a person."""
        if await self.persons.find_one({"_id": key(owner, person_id)}) is None:
            return None
        for attempt in range(MAX_ROUNDS):
            seen = await self.tally({"owner": owner}, "person_id", [int64(person_id)], "persons")
            if person_id not in seen:
                return Person(person_id, "", 0, None)
            count, first, last = seen[person_id]
            faces = await self.fetch(owner, [first, last])
            if first in faces and last in faces:
                return Person(person_id, faces[last].meta, count, faces[first])
            if attempt:  # not just deleted meanwhile: lists show what no majority has yet
                self.forget_counts()
        raise Unavailable("The person's faces change faster than they can be counted")

    @operation
    async def list_persons(self, owner: str, page: Page) -> list[PersonSummary]:
        """Return a page of the persons who have a face, highest id first."""
        bounds = {"$gt": int64(0 if page.min_id is None else page.min_id)}
        if page.max_id is not None:
            bounds["$lt"] = int64(page.max_id)
        order, beyond = (1, "$gt") if page.min_id is not None else (-1, "$lt")
        persons: list[PersonSummary] = []
        asked = page.limit
        while True:
            cursor = self.persons.find({"owner": owner, "number": bounds}, hint="numbers").sort("number", order)
            found = [int(document["number"]) for document in await cursor.limit(asked).to_list(asked)]
            for start in range(0, len(found), AT_ONCE):
                some = found[start : start + AT_ONCE]
                persons += filter(None, await asyncio.gather(*(self._summary(owner, number) for number in some)))
            if len(found) < asked or len(persons) >= page.limit:
                return sorted(persons[: page.limit], reverse=True)
            bounds[beyond] = int64(found[-1])
            asked = max(page.limit - len(persons), AT_ONCE)  # an import makes many persons before it has their faces

    async def _summary(self, owner: str, number: int) -> PersonSummary | None:
        """Look at the newest face: a group of all faces would be walked to its end for that."""
        cursor = self.faces.find({"owner": owner, "person_id": int64(number)}, {"meta": 1}, hint="persons")
        newest = await cursor.sort("_id", -1).limit(1).to_list(1)
        return PersonSummary(number, newest[0]["meta"]) if newest else None

    @operation
    async def sighting_days(self, owner: str, person_id: int, cam_id: str, start_ms: int, end_ms: int) -> set[int]:
        """Return the UTC days on which a camera saw a person."""
        seen = {"owner": owner, "person_id": int64(person_id), "cam_key": camera_key(cam_id)}
        days: set[int] = set()
        while start_ms <= end_ms:  # there may be any number of them in a day
            after = seen | {"timestamp": {"$gte": int64(start_ms), "$lte": int64(end_ms)}}
            cursor = self.faces.find(after, {"_id": 0, "timestamp": 1}, hint="sightings").sort("timestamp", 1)
            found = await cursor.limit(1).to_list(1)
            if not found:
                break
            days.add(day_of(int(found[0]["timestamp"])))
            start_ms = (max(days) + 1) * DAY_MS
        return days
