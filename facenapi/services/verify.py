"""Are the faces of two photos the same persons'?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from facenapi.errors import BadParam
from facenapi.process.stages import stage
from facenapi.services.selection import is_many, select_faces

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facenapi.api.kinds import PhotoSource
    from facenapi.detector.base import Detector
    from facenapi.geometry import Box
    from facenapi.services.photos import PhotoLoader


MOST_PAIRS = 10_000  # of one answer: a megabyte


@dataclass(frozen=True, slots=True)
class Pair:
    """A face of the first photo, one of the second, and how sure we are that they are one person's."""

    box1: Box
    box2: Box
    confidence: float


class Verifier:
    """Compares photos."""

    def __init__(self, photos: PhotoLoader, detector: Detector) -> None:
        self._photos = photos
        self._detector = detector

    async def verify(
        self, owner: str, sources: Sequence[PhotoSource], boxes: Sequence[Sequence[Box] | None], selector: str
    ) -> list[list[Pair]]:
        """Return every pair of selected faces, a row for each face of the first photo.

        Raises:
            BadImage, NoFaces, TooManyFaces, Overloaded.
            BadParam: the faces of both make too many pairs.
        """
        both = [
            asyncio.ensure_future(self._embed(owner, source, wanted, selector))
            for source, wanted in zip(sources, boxes, strict=True)
        ]
        try:
            # In order, not as they end: which photo a refusal names must not depend on which was quicker.
            (boxes1, vectors1), (boxes2, vectors2) = [await work for work in both]
        except BaseException:
            for work in both:  # one photo is refused: the other is of no use
                work.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            raise
        if len(boxes1) * len(boxes2) > MOST_PAIRS:
            reason = (
                f"{len(boxes1)} and {len(boxes2)} faces make more than {MOST_PAIRS} pairs; choose by bbox1 and bbox2"
            )
            raise BadParam("mf_selector", selector, reason)
        return await asyncio.to_thread(self._pairs, boxes1, boxes2, vectors1 @ vectors2.T)

    def _pairs(
        self, boxes1: Sequence[Box], boxes2: Sequence[Box], similarity: NDArray[np.float32]
    ) -> list[list[Pair]]:
        return [
            [
                Pair(box1, box2, self._detector.confidence(float(similarity[row, column])))
                for column, box2 in enumerate(boxes2)
            ]
            for row, box1 in enumerate(boxes1)
        ]

    async def _embed(
        self, owner: str, source: PhotoSource, boxes: Sequence[Box] | None, selector: str
    ) -> tuple[list[Box], NDArray[np.float32]]:
        async with self._photos.open(source, owner, many=is_many(boxes, selector)) as photo:
            faces = await select_faces(self._detector, photo, boxes, selector, source.param)
            with stage("embed"):
                return [face.box for face in faces], await self._detector.embed(photo, faces)
