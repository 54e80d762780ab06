"""Persons: whose face is this new one, and is that person a friend of the camera?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from facenapi.clock import MILLISECONDS_A_DAY
from facenapi.errors import ApiError, Overloaded, Unavailable
from facenapi.search.shard import PERSON_TAG, Query, person_tag

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facenapi.config.options import Config
    from facenapi.detector.base import Detector
    from facenapi.search.client import ShardClient
    from facenapi.storage.base import Face, Store

_NEIGHBOURS = 16  # the nearest may have been deleted a moment ago
_STALE = 1000  # deleted faces among the hits that are searched around


@asynccontextmanager
async def given_person(store: Store, owner: str, person_id: int) -> AsyncIterator[None]:
    """See to it that a person exists while a face is made theirs; one who is new goes again if nothing comes of it.

    Persons come and go under one lock, that of :meth:`PersonFinder.persons_of`.
    """
    async with store.lock(f"persons:{owner}"):
        new = await store.get_person(owner, person_id) is None
        if new:
            await store.restore_persons(owner, [person_id])
        try:
            yield
        except ApiError as error:
            if new and not isinstance(error, Unavailable):  # then the face may be stored all the same
                with suppress(ApiError):
                    await store.remove_persons(owner, [person_id])
            raise


def person_gone(done: str = "nothing was done") -> Overloaded:
    """Return what to say where a person went between two steps: with the last face, by a command that has no part in
    the locks of a server with the embedded store (``facenapi expire``)."""
    return Overloaded(f"The person of this face has just gone; {done}")


async def remove_faceless(store: Store, faces: Sequence[Face]) -> None:
    """Remove those of the persons of faces, which are gone, who have no other: a person goes with the last face."""
    found: dict[str, set[int]] = {}
    for face in faces:
        if face.person_id is not None:
            found.setdefault(face.owner, set()).add(face.person_id)
    for owner, persons in found.items():
        async with store.lock(f"persons:{owner}"):
            await store.remove_persons(owner, sorted(persons))


class PersonFinder:
    """Assigns persons to faces that are about to be stored."""

    def __init__(self, config: Config, detector: Detector, store: Store, searcher: ShardClient) -> None:
        self._config = config
        self._detector = detector
        self._store = store
        self._searcher = searcher

    @property
    def enabled(self) -> bool:
        """Whether new faces are assigned to persons."""
        return self._config.person_identify

    @asynccontextmanager
    async def persons_of(
        self, owner: str, cam_id: str | None, vectors: NDArray[np.float32]
    ) -> AsyncIterator[list[int]]:
        """Yield the persons of new faces of one photo, given as (N, dim) unit vectors.

        Each is the person of the most similar face, stored or before it on the photo; a new person if none is
        similar enough. To be held until the faces can be found: without the lock, two simultaneous first sightings
        of one person would make two persons. If nothing comes of the faces, new persons go again.
        """
        async with self._store.lock(f"persons:{owner}"):
            made: list[int] = []
            found = False
            try:
                persons = await self._assign(owner, cam_id, vectors, made)
                found = True
                yield persons
            except ApiError as error:
                # A database that is away may have stored the faces all the same; then their persons must stay.
                if made and not (found and isinstance(error, Unavailable)):
                    with suppress(ApiError):
                        await self._store.remove_persons(owner, made)
                raise

    async def _assign(
        self, owner: str, cam_id: str | None, vectors: NDArray[np.float32], made: list[int]
    ) -> list[int]:
        """Return a person for each vector, and note the new ones in ``made``."""
        persons: list[int] = []
        least = self._detector.similarity(self._config.person_identify_threshold)
        for vector in vectors:
            similarity, person = await self._most_similar(owner, cam_id, vector, least)
            for other, beside in zip(vectors @ vector, persons, strict=False):
                if other >= least and other > similarity:
                    similarity, person = float(other), beside
            if person is None:
                person = await self._store.new_person(owner)
                made.append(person)
            persons.append(person)
        return persons

    async def _most_similar(
        self, owner: str, cam_id: str | None, vector: NDArray[np.float32], least: float
    ) -> tuple[float, int | None]:
        """Return similarity and person of the most similar stored face; no person if there is none."""
        asked = _NEIGHBOURS
        while True:
            query = Query(
                owner=owner,
                model=self._detector.embedding_name,
                probe=vector,
                n=asked,
                min_similarity=least,
                tag=PERSON_TAG if self._config.person_identify_global else person_tag(cam_id),
            )
            answer = await self._searcher.search(query, strict=True)
            faces = await self._store.get_faces(owner, [hit.id for hit in answer.hits])
            for hit in answer.hits:
                face = faces.get(hit.id)
                if face is not None and face.person_id is not None:
                    return hit.similarity, face.person_id
            if len(answer.hits) < asked or asked > _STALE:
                return -1.0, None
            asked *= 8

    async def is_friend(self, owner: str, person_id: int | None, cam_id: str | None, timestamp_ms: int) -> bool:
        """Whether this camera saw the person on enough distinct UTC days up to and with this time."""
        if person_id is None or cam_id is None:
            return False
        start_ms = timestamp_ms - self._config.friend_interval * 1000
        days = await self._store.sighting_days(owner, person_id, cam_id, start_ms, timestamp_ms)
        return len(days | {timestamp_ms // MILLISECONDS_A_DAY}) >= self._config.friend_count
