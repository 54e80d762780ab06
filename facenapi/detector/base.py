"""What the rest of the server knows of the networks: detections, attributes and the ``Detector`` protocol.

Coordinates are pixels of the upright photo at its full size, whatever size the networks looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facenapi.geometry import Box
    from facenapi.photos.photo import Photo


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A face on a photo.

    ``landmarks``: float32 (5, 2), x and y of left eye, right eye, nose, left and right mouth corner,
    left and right as the viewer sees them. ``guessed``: nothing was found in the box that a caller drew, and the
    points are where they lie in most faces.
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32]
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Attributes:
    """What was asked of a face: years, ``male``/``female``, the two strongest emotions."""

    age: float | None = None
    gender: str | None = None
    emotions: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can be recognised: parts 0…1, where 1 means that better would not help, 0 that a vector
    of it says little. The whole, ``score``, is the smallest part: one fault is enough to spoil a face."""

    size: float
    sharpness: float
    exposure: float
    pose: float

    @property
    def score(self) -> float:
        """Return the smallest part."""
        return min(self.size, self.sharpness, self.exposure, self.pose)


class Detector(Protocol):
    """Finds, compares and describes faces.

    Raises Overloaded when a queue is full. ``embedding_name`` names the network that makes the vectors:
    vectors of two names cannot be compared.
    """

    embedding_name: str
    dimension: int

    async def start(self) -> None:
        """Load and warm up the networks; raise StartupError with advice if one is missing or damaged."""

    async def close(self) -> None:
        """Finish what is running and free the networks."""

    async def detect(self, photo: Photo) -> list[Detection]:
        """Return the faces, largest box first."""

    async def locate(self, photo: Photo, box: Box) -> Detection | None:
        """Return the face in a box that the caller drew and in which :meth:`detect` saw none; None if the box
        holds a few pixels only, or an even surface."""

    async def embed(self, photo: Photo, faces: Sequence[Detection]) -> NDArray[np.float32]:
        """Return one unit vector per face, (N, dimension)."""

    async def attributes(self, photo: Photo, faces: Sequence[Detection], wanted: frozenset[str]) -> list[Attributes]:
        """Return what is wanted (of "age", "gender", "emotions") for each face."""

    async def quality(self, photo: Photo, faces: Sequence[Detection]) -> list[Quality]:
        """Return how well each face can be recognised."""

    async def let_go(self) -> None:
        """Give memory back that was taken for more work than there is now; to be called now and then."""

    def confidence(self, similarity: float) -> float:
        """Return the calibrated confidence, 0…1, of a cosine similarity; 1 for the same face."""

    def similarity(self, confidence: float) -> float:
        """Return the smallest cosine whose confidence reaches this one: the inverse of the above."""

    def info(self) -> dict[str, Any]:
        """Return pack name, execution provider and queue depths for health and metrics."""
