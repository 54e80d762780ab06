"""Persons."""

from __future__ import annotations

from collections.abc import Sequence

from pymongo import UpdateOne

from facenapi.storage.base import Page, Person
from facenapi.storage.mongo.base import key
from facenapi.storage.mongo.driver import int64, operation
from facenapi.storage.mongo.lists import Lists
from facenapi.storage.rules import DAY_MS, camera_key, day_of


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
        return (await self._persons(owner, [person_id]))[0]

    @operation
    async def list_persons(self, owner: str, page: Page) -> list[Person]:
        """Return a page of persons."""
        bounds = {"$gt": int64(0 if page.min_id is None else page.min_id)}
        if page.max_id is not None:
            bounds["$lt"] = int64(page.max_id)
        order = 1 if page.min_id is not None else -1
        cursor = self.persons.find({"owner": owner, "number": bounds}, hint="numbers").sort("number", order)
        found = await cursor.limit(page.limit).to_list(page.limit)
        return await self._persons(owner, [int(document["number"]) for document in found][::-order])

    async def _persons(self, owner: str, ids: Sequence[int]) -> list[Person]:
        """Return persons that exist, with what the faces say of them."""
        match = {"owner": owner, "person_id": {"$in": [int64(i) for i in ids]}}
        seen = await self.driver.extremes(self.faces, match, "person_id", "persons") if ids else {}
        faces = await self.fetch(owner, [end for _, *ends in seen.values() for end in ends])
        persons = []
        for person_id in ids:
            count, first, last = seen.get(person_id, (0, 0, 0))
            newest = faces.get(last)
            persons.append(Person(person_id, newest.meta if newest else "", count, faces.get(first)))
        return persons

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
