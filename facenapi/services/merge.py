"""Two persons who turned out to be one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from facenapi.errors import BadParam, NotFound
from facenapi.search.shard import upsert_of
from facenapi.services.persons import person_gone
from facenapi.storage.base import Face, FaceChange, FaceFilter, Page, UnknownPersonError

if TYPE_CHECKING:
    from facenapi.search.client import ShardClient
    from facenapi.storage.base import Person, Store

_STEP = 64  # faces that change their person at a time


class PersonMerger:
    """Gives the faces of one person to another."""

    def __init__(self, store: Store, searcher: ShardClient) -> None:
        self._store = store
        self._searcher = searcher

    async def merge(self, owner: str, person_id: int, other: int) -> Person:
        """Make all faces of ``other`` those of the person, who is returned; ``other`` is gone then.

        Face by face: whatever interrupts it, each face has one of the two persons, and to repeat it does the rest.

        Raises:
            NotFound: there is no such person.
            BadParam: there is no other person, or it is the same one.
        """
        if other == person_id:
            raise BadParam("other", other, "A person cannot be merged with itself")
        await self._person(owner, person_id)
        # One without a face is what is left where the last step was interrupted, or is about to get the first.
        if await self._store.get_person(owner, other) is None:
            raise BadParam("other", other, f"There is no person {other}")
        while await self._step(owner, person_id, other):
            pass
        return await self._person(owner, person_id)

    async def _step(self, owner: str, person_id: int, other: int) -> bool:
        """Move some faces; false if there are none left, then the other person has gone."""
        # Persons come and go under this lock, and faces become theirs.
        async with self._store.lock(f"persons:{owner}"):
            await self._person(owner, person_id)
            faces = await self._store.list_faces(owner, FaceFilter(person_id=other), Page(_STEP))
            change = FaceChange(person_id=person_id)
            updates = (self._store.update_face(owner, face.id, change) for face in faces)
            done = await asyncio.gather(*updates, return_exceptions=True)  # none goes on when the lock is given back
            if not faces:
                await self._store.remove_persons(owner, [other])
        moved = [face for face in done if isinstance(face, Face)]
        await self._searcher.apply([upsert_of(face) for face in moved])
        for error in done:
            if isinstance(error, UnknownPersonError):
                raise person_gone("to repeat the merge does the rest" if moved else "nothing was done") from error
            if isinstance(error, BaseException):
                raise error
        return bool(faces)

    async def _person(self, owner: str, person_id: int) -> Person:
        person = await self._store.get_person(owner, person_id)
        if person is None or not person.count:
            raise NotFound(f"There is no person {person_id}")
        return person
