"""Who is on this photo? Search among the owner's faces."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facenapi.search.shard import Query
from facenapi.services.selection import select_faces
from facenapi.stages import stage
from facenapi.storage.base import DEFAULT_GALLERY

if TYPE_CHECKING:
    from facenapi.detector.base import Detector
    from facenapi.geometry import Box
    from facenapi.kinds import PhotoSource
    from facenapi.options import Config
    from facenapi.search.shard import Answer, Searcher
    from facenapi.services.photos import PhotoLoader
    from facenapi.storage.base import Face, Store

_SEARCHES = 4  # of one request at a time
MOST = 10_000  # faces per answer when nothing else limits it
# Searches ask for a little less than the threshold; the exact comparison is made on the confidence.
_MARGIN = 1e-6


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
    """The matches of each face on the photo, best first, and how many shards of how many took part."""

    matches: dict[str, list[tuple[float, Face]]]
    live: int
    total: int


class Identifier:
    """Finds the most similar stored faces."""

    def __init__(
        self, config: Config, photos: PhotoLoader, detector: Detector, store: Store, searcher: Searcher
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
        async with self._photos.open(source) as photo:
            faces = await select_faces(self._detector, photo, boxes, selector, source.param)
            with stage("embed"):
                vectors = await self._detector.embed(photo, faces)
        turns = asyncio.Semaphore(_SEARCHES)  # a photo of a crowd must not fill the shards' queues by itself
        with stage("search"):
            answers = await asyncio.gather(*(self._search(vector, search, turns) for vector in vectors))
        ids = {hit.id for answer in answers for hit in answer.hits}
        with stage("store"):
            documents = await self._store.get_faces(search.owner, sorted(ids))
        return Identified(
            {
                face.box.as_key(): self._matches(answer, documents, search)
                for face, answer in zip(faces, answers, strict=True)
            },
            min(answer.live for answer in answers),
            max(answer.total for answer in answers),
        )

    async def _search(self, vector: np.ndarray, search: Search, turns: asyncio.Semaphore) -> Answer:
        ceiling = self._config.max_identify_limit or MOST
        strict = not self._config.tntapi_ignore_search_errors if search.strict is None else search.strict
        floor = None if search.threshold is None else self._detector.similarity(search.threshold) - _MARGIN
        query = Query(
            owner=search.owner,
            model=self._detector.embedding_name,
            probe=vector,
            n=min(search.limit or ceiling, ceiling),
            min_similarity=floor,
            tag=None if search.gallery == DEFAULT_GALLERY else search.gallery,
        )
        async with turns:
            return await self._searcher.search(query, strict)

    def _matches(self, answer: Answer, documents: dict[int, Face], search: Search) -> list[tuple[float, Face]]:
        """Return the hits that the store still has and that pass the threshold and the gallery."""
        found = []
        for hit in answer.hits:
            face = documents.get(hit.id)
            confidence = self._detector.confidence(hit.similarity)
            if face is None or search.gallery not in face.galleries:
                continue
            if search.threshold is None or confidence >= search.threshold:
                found.append((confidence, face))
        return found
