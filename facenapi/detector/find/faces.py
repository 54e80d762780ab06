"""What a detector network gives and is asked for; coordinates are pixels of the picture given to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """(N, 4) boxes, (N,) scores, (N, 5, 2) points of N faces."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    points: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)


NO_FACES = Faces(np.empty((0, 4)), np.empty(0, np.float32), np.empty((0, 5, 2)))


class FaceNet(Protocol):
    """A detector.

    ``least``: below so many pixels on the picture that it looks at, faces are found by luck. ``framed``: whether it
    misses a face that fills the picture, and finds it with a border around.
    """

    least: float
    framed: bool

    def find(
        self, pixels: NDArray[np.uint8], min_size: float, max_size: float = np.inf, *, eager: bool = False
    ) -> Faces:
        """Return the faces on (H, W, 3) RGB pixels between two sizes of box.

        ``eager``: with low thresholds, where somebody says that there is one.
        """
