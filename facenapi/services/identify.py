"""Who is on this photo? Search among the owner's faces."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facenapi.process.stages import stage
from facenapi.search.shard import Query
from facenapi.services.selection import is_many, select_faces
from facenapi.storage.base import DEFAULT_GALLERY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facenapi.api.kinds import PhotoSource
    from facenapi.config.options import Config
    from facenapi.detector.base import Detector
    from facenapi.geometry import Box
    from facenapi.search.client import ShardClient
    from facenapi.search.shard import Answer, Hit
    from facenapi.services.photos import PhotoLoader
    from facenapi.storage.base import Face, Store

_SEARCHES = 4  # of one request at a time
MOST = 10_000  # faces per answer when nothing else limits it
_MANY = 500  # hits that are judged beside the event loop
_STALE = 1000  # deleted faces among the hits that are searched around
# Searches ask for a little less than the threshold; the exact comparison is made on the confidence.
_MARGIN = 1e-6


Match = tuple[float, "Face"]  # confidence and face


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: ``threshold`` None for all, ``limit`` 0 for as many as allowed."""

    owner: str
    gallery: str
    threshold: float | None
    limit: int
    strict: bool | None


@dataclass(frozen=True, slots=True)
class Identified:
    """The matches of each face on the photo, best first, and how many shards of how many took part.

    ``limit``: how many matches a face could have at most, if one has so many and more were asked for.
    """

    matches: dict[str, list[Match]]
    live: int
    total: int
    limit: int | None


class Identifier:
    """Finds the most similar stored faces."""

    def __init__(
        self, config: Config, photos: PhotoLoader, detector: Detector, store: Store, searcher: ShardClient
    ) -> None:
        self._config = config
        self._photos = photos
        self._detector = detector
        self._store = store
        self._searcher = searcher

    async def identify(
        self, source: PhotoSource, boxes: Sequence[Box] | None, selector: str, search: Search
    ) -> Identified:
        """Return the matches by the box of the face on the photo, as a key of the contract.

        Raises:
            BadImage, NoFaces, TooManyFaces, Overloaded.
            Unavailable: a shard is down and the search is strict, or all are.
        """
        since = self._searcher.arrive()
        async with self._photos.open(source, search.owner, many=is_many(boxes, selector)) as photo:
            faces = await select_faces(self._detector, photo, boxes, selector, source.param)
            with stage("embed"):
                vectors = await self._detector.embed(photo, faces)
        turns = asyncio.Semaphore(_SEARCHES)  # a photo of a crowd must not fill the shards' queues by itself
        limit = self._config.max_identify_limit
        ceiling = max(1, max(limit, MOST) // len(faces))  # an answer is no larger for many faces than for one
        ceiling = min(limit, ceiling) if limit else ceiling
        n = min(search.limit or ceiling, ceiling)
        more_asked = not 0 < search.limit <= ceiling
        found = await asyncio.gather(*(self._find(vector, n, search, turns, since) for vector in vectors))
        return Identified(
            {face.box.as_key(): matches for face, (matches, _) in zip(faces, found, strict=True)},
            min(answer.live for _, answer in found),
            max(answer.total for _, answer in found),
            ceiling if more_asked and any(len(matches) >= ceiling for matches, _ in found) else None,
        )

    async def _find(
        self, vector: NDArray[np.float32], n: int, search: Search, turns: asyncio.Semaphore, since: float
    ) -> tuple[list[Match], Answer]:
        """Return the matches of one face.

        A shard may still have a face that the store has deleted. Such a hit must not take the place of a
        true match: the search is repeated for more.
        """
        asked = n
        async with turns:
            while True:
                with stage("search"):
                    answer = await self._search(vector, asked, search, since)
                with stage("store"):
                    documents = await self._store.get_faces(search.owner, [hit.id for hit in answer.hits])
                current = [
                    (hit, documents[hit.id])
                    for hit in answer.hits
                    if hit.id in documents and search.gallery in documents[hit.id].galleries
                ]
                stale = len(answer.hits) - len(current)
                if not stale or len(answer.hits) < asked or asked > n + _STALE:
                    if len(current) < _MANY:
                        return self._matches(current, search)[:n], answer
                    return (await asyncio.to_thread(self._matches, current, search))[:n], answer
                asked += 2 * stale

    async def _search(self, vector: NDArray[np.float32], n: int, search: Search, since: float) -> Answer:
        strict = not self._config.tntapi_ignore_search_errors if search.strict is None else search.strict
        floor = None if search.threshold is None else self._detector.similarity(search.threshold) - _MARGIN
        query = Query(
            owner=search.owner,
            model=self._detector.embedding_name,
            probe=vector,
            n=n,
            min_similarity=floor,
            tag=None if search.gallery == DEFAULT_GALLERY else search.gallery,
            since=since,
        )
        return await self._searcher.search(query, strict)

    def _matches(self, hits: list[tuple[Hit, Face]], search: Search) -> list[Match]:
        """Return the hits whose confidence passes the threshold."""
        judged = [(self._detector.confidence(hit.similarity), face) for hit, face in hits]
        return [match for match in judged if search.threshold is None or match[0] >= search.threshold]
