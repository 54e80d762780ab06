"""Boxes and similarity transforms: pure functions on numbers, no images.

Coordinates are pixels of the upright photo, x to the right, y down; boxes reach from (x1, y1) to
(x2, y2) and may lie partly or wholly outside the photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """An axis-parallel rectangle.

    >>> Box(0, 0, 10, 10).overlap(Box(0, 5, 10, 15))
    0.3333333333333333
    """

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Area in square pixels; 0 for a box turned inside out."""
        return max(self.width, 0.0) * max(self.height, 0.0)

    def overlap(self, other: Box) -> float:
        """Return intersection over union, 0…1."""
        shared = Box(
            max(self.x1, other.x1), max(self.y1, other.y1), min(self.x2, other.x2), min(self.y2, other.y2)
        ).area
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0

    def scaled(self, factor: float) -> Box:
        """Return the box in a picture enlarged by ``factor``."""
        return Box(self.x1 * factor, self.y1 * factor, self.x2 * factor, self.y2 * factor)

    def rounded(self) -> Box:
        """Return the box with integer coordinates, as answers and documents hold it: one pixel at least.

        >>> Box(0.2, 7, 0.4, 9.5).rounded()
        Box(x1=0, y1=7, x2=1, y2=10)
        """
        x1, y1 = round(self.x1), round(self.y1)
        return Box(x1, y1, max(round(self.x2), x1 + 1), max(round(self.y2), y1 + 1))

    def as_dict(self) -> dict[str, int]:
        """Return the contract's object form, with integers."""
        box = self.rounded()
        return {"x1": int(box.x1), "x2": int(box.x2), "y1": int(box.y1), "y2": int(box.y2)}

    def as_key(self) -> str:
        """Return the text that identify uses as the key of a face.

        >>> Box(419.4, 236, 480, 311).as_key()
        '[419, 236, 480, 311]'
        """
        box = self.rounded()
        return str([int(box.x1), int(box.y1), int(box.x2), int(box.y2)])


def similarity_transform(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the 2x3 matrix of rotation, uniform scale and shift that best maps source to target points.

    Both are (N, 2), N >= 2. Least squares without reflection, solved in the complex plane: with centred
    points as complex numbers p and q, the factor is sum(conj(p) q) / sum(|p|^2).

    Raises:
        ValueError: the source points coincide.
    """
    p = np.asarray(source, dtype=np.float64)
    q = np.asarray(target, dtype=np.float64)
    p_mean, q_mean = p.mean(axis=0), q.mean(axis=0)
    pc = (p[:, 0] - p_mean[0]) + 1j * (p[:, 1] - p_mean[1])
    qc = (q[:, 0] - q_mean[0]) + 1j * (q[:, 1] - q_mean[1])
    norm = float((pc.conj() * pc).real.sum())
    if norm < 1e-12:
        raise ValueError("the source points coincide")
    factor = (pc.conj() * qc).sum() / norm
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    shift = q_mean - linear @ p_mean
    return np.concatenate([linear, shift[:, None]], axis=1)
