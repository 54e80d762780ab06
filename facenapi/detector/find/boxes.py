"""Arithmetic on (N, 4) arrays of boxes x1 y1 x2 y2, as MTCNN's stages need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 256


def suppress(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], overlap: float, *, of_smaller: bool = False
) -> NDArray[np.intp]:
    """Return the indices of boxes that no better one overlaps by more than ``overlap``, best first.

    A box falls to any better one, even to one that falls itself, as in the ``mtcnn`` package. Overlap is
    intersection over union, or over the smaller of the two areas.
    """
    order = np.argsort(-scores, kind="stable")
    x1, y1, x2, y2 = boxes[order].T
    area = (x2 - x1) * (y2 - y1)
    keep = np.ones(len(order), bool)
    for start in range(0, len(order), _BLOCK):  # blocks bound the memory: a crowd gives thousands
        end = min(start + _BLOCK, len(order))
        rows = slice(start, end)
        width = np.minimum(x2[rows, None], x2[:end]) - np.maximum(x1[rows, None], x1[:end])
        height = np.minimum(y2[rows, None], y2[:end]) - np.maximum(y1[rows, None], y1[:end])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        other = np.minimum(area[rows, None], area[:end]) if of_smaller else area[rows, None] + area[:end] - shared
        beaten = np.tril(shared > overlap * other, start - 1)
        keep[rows] = ~beaten.any(axis=1)
    return order[keep]


def greedy(boxes: NDArray[np.floating], scores: NDArray[np.floating], overlap: float) -> NDArray[np.intp]:
    """Return the indices of boxes that no better one that stays overlaps by more than ``overlap``, best first."""
    order = np.argsort(-scores, kind="stable")
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[order, :2]), np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        order = order[shared <= overlap * (area[best] + area[order] - shared)]
    return np.array(kept, dtype=np.intp)


def squares(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squares about the centres whose side is the longer side."""
    size = boxes[:, 2:] - boxes[:, :2]
    side = size.max(axis=1, keepdims=True)
    low = boxes[:, :2] + (size - side) / 2
    return np.hstack([low, low + side])


def refined(boxes: NDArray[np.float64], regression: NDArray[np.float32]) -> NDArray[np.float64]:
    """Move each side by its regression, in units of the box's inclusive size."""
    size = boxes[:, 2:] - boxes[:, :2] + 1
    moved: NDArray[np.float64] = boxes + regression * np.hstack([size, size])
    return moved


def patches(pixels: NDArray[np.uint32], boxes: NDArray[np.float64], size: int) -> NDArray[np.float32]:
    """Cut (N, 3, size, size) bilinear patches, 0…255, whose corner samples lie on the boxes' corners.

    ``pixels`` is (H, W), four bytes RGBX in one item each; ``inside`` of the photo is decided per sample.
    The sampling is that of TensorFlow's ``crop_and_resize`` with boxes as fractions of the picture's
    size; samples outside are 127.5, which the networks' normalisation makes 0.
    """
    height, width = pixels.shape
    unit = np.linspace(0.0, 1.0, size)
    left, x_part, x_inside = _samples(boxes[:, 0], boxes[:, 2], unit, width)
    top, y_part, y_inside = _samples(boxes[:, 1], boxes[:, 3], unit, height)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    x_part, y_part = x_part[:, None, :, None], y_part[:, :, None, None]

    def take(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
        index = (rows * width)[:, :, None] + columns[:, None, :]
        taken: NDArray[np.uint32] = pixels.reshape(-1).take(index)
        return taken.view(np.uint8).reshape(*index.shape, 4).astype(np.float32)

    upper, lower = take(top, left), take(bottom, left)
    upper += (take(top, right) - upper) * x_part
    lower += (take(bottom, right) - lower) * x_part
    upper += (lower - upper) * y_part
    upper[~(y_inside[:, :, None] & x_inside[:, None, :])] = 127.5
    return np.ascontiguousarray(upper[..., :3].transpose(0, 3, 1, 2))


def _samples(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    unit: NDArray[np.float64],
    size: int,
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.bool_]]:
    """Return the lower pixel of each sample on one axis, its fraction towards the next, and whether inside."""
    scale = (size - 1) / size
    at = (low[:, None] + (high - low)[:, None] * unit) * scale
    inside = (at >= 0) & (at <= size - 1)
    floor = np.clip(np.floor(at), 0, size - 1)
    return floor.astype(np.intp), (at - floor).astype(np.float32), inside
