"""From the similarity of two embeddings to a confidence that promises a false accept rate, and back.

The table is monotone and piecewise linear in d, the Euclidean distance of the two unit vectors
(d² = 2 - 2 cos): there the measured rates lie nearly on straight lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# Single precision leaves the cosine of a vector with itself this far from 1.
_SAME = 1.0 - 1e-6


class Calibration:
    """A fixed table of (distance, confidence) that belongs to one embedding network.

    >>> table = Calibration([(0.0, 1.0), (1.0, 0.0)])
    >>> table.confidence(0.5), table.confidence(0.875), table.confidence(1.0)
    (0.0, 0.5, 1.0)
    """

    def __init__(self, table: Sequence[Sequence[float]]) -> None:
        """Take the points in order of distance.

        Raises:
            ValueError: not from (0, 1) down to a confidence of 0, both columns strictly monotone.
        """
        points = np.asarray(table, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2 or not np.isfinite(points).all():
            raise ValueError("the calibration table must be a list of [distance, confidence]")
        if tuple(points[0]) != (0.0, 1.0) or points[-1, 1] != 0.0:
            raise ValueError("the calibration table must lead from [0, 1] to a confidence of 0")
        if (np.diff(points[:, 0]) <= 0).any() or (np.diff(points[:, 1]) >= 0).any():
            raise ValueError("in the calibration table distances must rise and confidences fall")
        self._distances, self._confidences = points[:, 0], points[:, 1]

    def confidence(self, similarity: float) -> float:
        """Return the confidence, 0…1, of a cosine similarity; exactly 1 for the same face."""
        if similarity >= _SAME:
            return 1.0
        distance = math.sqrt(2.0 - 2.0 * max(similarity, -1.0))
        return float(np.interp(distance, self._distances, self._confidences))

    def similarity(self, confidence: float) -> float:
        """Return the smallest cosine whose confidence reaches ``confidence``: -1 for 0, near 1 for 1.

        ``self.confidence(self.similarity(c)) >= c`` holds for every c in 0…1.
        """
        if confidence <= 0.0:
            return -1.0
        distance = float(np.interp(-confidence, -self._confidences, self._distances))
        similarity = min(1.0 - distance * distance / 2.0, _SAME)
        step = 1e-16  # rounding may leave the confidence a hair below
        while self.confidence(similarity) < confidence:
            similarity = min(similarity + step, _SAME)
            step *= 2.0
        return similarity
