"""MTCNN's last network: is there an upright face in this square, and where are its points?

Whatever detector found it: it gives better points than others for very large faces, and it is the one that tells
an upright face from one that lies on its side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facenapi.detector.find.boxes import patches, refined
from facenapi.detector.find.faces import Faces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.run.engine import Engine

_SIZE = 48
GOOD = 0.5  # a score from which its points can be trusted


class OutputNet:
    """Looks at squares; stateless between calls."""

    def __init__(self, engine: Engine) -> None:
        """Take the network ``onet.onnx`` of a pack."""
        self._engine = engine

    def look(self, packed: NDArray[np.uint32], squares: NDArray[np.float64], turns: int = 0) -> Faces:
        """Return one face for each (N, 4) square of a picture from :func:`pack_pixels`, good or bad.

        Args:
            packed: the picture.
            squares: boxes as wide as high, if they are turned.
            turns: quarter turns to the left before looking; boxes and points are those of the picture as it is.
        """
        rows = normalised(patches(packed, squares, _SIZE))
        if turns:
            rows = np.ascontiguousarray(np.rot90(rows, turns, axes=(2, 3)))
        moves, points, scores = self._engine.run(rows)
        at = points.reshape(-1, 2, 5).transpose(0, 2, 1).astype(np.float64)
        for _ in range(turns):
            # A turn takes the upper right corner to the upper left one.
            at = np.stack([1.0 - at[..., 1], at[..., 0]], axis=-1)
        size = (squares[:, 2:] - squares[:, :2] + 1)[:, None, :]
        boxes = squares if turns else refined(squares, moves)
        return Faces(boxes, scores[:, 0], at * size + squares[:, None, :2] - 1)

    def upright(self, packed: NDArray[np.uint32], squares: NDArray[np.float64]) -> tuple[Faces, NDArray[np.intp]]:
        """Return the face of each square in the turn in which it looks most like one, and that turn, 0…3."""
        looks = [self.look(packed, squares, turns) for turns in range(4)]
        best = np.argmax([faces.scores for faces in looks], axis=0)
        chosen = (np.stack([getattr(faces, name) for faces in looks]) for name in ("boxes", "scores", "points"))
        return Faces(*(array[best, np.arange(len(squares))] for array in chosen)), best


def pack_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return (H, W, 3) pixels as (H, W) of RGBX, one 32-bit item each."""
    return np.asarray(Image.fromarray(pixels).convert("RGBX")).view(np.uint32)[:, :, 0]


def normalised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn 0…255 into what MTCNN's networks take, in place."""
    values -= np.float32(127.5)
    values *= np.float32(1 / 128)
    return values
