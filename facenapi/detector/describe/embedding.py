"""Embeddings: one unit vector per face, to be compared by cosine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from facenapi.detector.describe.crops import cut, rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.base import Detection
    from facenapi.detector.packs.pack import EmbedderPart
    from facenapi.detector.run.engine import Engine
    from facenapi.photos.photo import Photo


class EmbeddingNet:
    """One network, or several whose unit vectors are joined with weights.

    With vectors a and b of two networks and weights v and w, the cosine of two joined vectors is the
    mean of the networks' cosines, weighted by v and w.
    """

    def __init__(self, parts: Sequence[tuple[EmbedderPart, Engine]], views: int) -> None:
        """Take the parts in the order in which their vectors are joined; ``views`` 2 adds the mirror image."""
        self._parts = parts
        self._views = views

    def vectors(self, photo: Photo, faces: Sequence[Detection]) -> NDArray[np.float32]:
        """Return unit vectors (N, dimension) of N >= 1 faces."""
        joined = []
        for part, engine in self._parts:
            crops = [cut(photo, face, part.input) for face in faces]
            output = engine.run(rows(crops, part.input, mirrored=self._views == 2))[0]
            averaged = output.reshape(len(faces), self._views, -1).mean(axis=1)
            joined.append(unit(averaged) * np.float32(np.sqrt(part.weight)))
        return unit(np.concatenate(joined, axis=1))


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows at length 1."""
    length = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    scaled: NDArray[np.float32] = (vectors / np.maximum(length, 1e-12)).astype(np.float32)
    return scaled
