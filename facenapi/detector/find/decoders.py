"""How the numbers of the cells of a detector's grids become boxes, scores and points.

Coordinates are pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Outputs in the order of the file, height and width of the input, the least score that counts → (N, 4) boxes,
# (N,) scores, (N, 5, 2) points, worse ones among them or not.
Grids = Mapping[str, "NDArray[np.float32]"]
Decoder = Callable[
    [Grids, int, int, float], tuple["NDArray[np.float64]", "NDArray[np.floating]", "NDArray[np.float64]"]
]


def decode_scrfd(
    outputs: Grids, height: int, width: int, _: float = 0.0
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """InsightFace's SCRFD: scores of all strides, then distances to the sides, then points, in units of strides.

    Nine outputs mean strides 8, 16, 32 with two anchors a cell, fifteen strides 8…128 with one. Some exports
    have a leading batch axis.
    """
    levels = len(outputs) // 3
    strides, anchors = ((8, 16, 32), 2) if levels == 3 else ((8, 16, 32, 64, 128), 1)
    arrays = list(outputs.values())
    found = []
    for level, stride in enumerate(strides):
        rows, columns = np.mgrid[: -(-height // stride), : -(-width // stride)]
        centres = np.repeat(np.stack([columns, rows], axis=-1).reshape(-1, 2) * stride, anchors, axis=0)
        sides = arrays[levels + level].reshape(-1, 4) * stride
        points = arrays[2 * levels + level].reshape(-1, 5, 2) * stride + centres[:, None]
        boxes = np.hstack([centres - sides[:, :2], centres + sides[:, 2:]])
        found.append((boxes, arrays[level].reshape(-1), points))
    boxes, scores, points = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return boxes, scores, points


def decode_yunet(
    outputs: Grids, height: int, width: int, _: float = 0.0
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """YuNet: centre and size relative to the cell, score as the mean of two."""
    found = []
    for stride in (8, 16, 32):
        rows, columns = np.mgrid[: height // stride, : width // stride]
        cells = np.stack([columns, rows], axis=-1).reshape(-1, 2)
        kind, there, box, marks = (outputs[f"{name}_{stride}"] for name in ("cls", "obj", "bbox", "kps"))
        box, marks = box.reshape(-1, 4), marks.reshape(-1, 5, 2)
        centre = (cells + box[:, :2]) * stride
        half = np.exp(box[:, 2:]) * stride / 2
        scores = np.sqrt(np.clip(kind.reshape(-1), 0, 1) * np.clip(there.reshape(-1), 0, 1))
        found.append((np.hstack([centre - half, centre + half]), scores, (cells[:, None] + marks) * stride))
    boxes, scores, points = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return boxes, scores, points


def decode_centerface(
    outputs: Grids, height: int, width: int, threshold: float = 0.0
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """CenterFace: a score for each fourth pixel, logarithms of height and width, the centre's offset, y before x.

    Few of the cells pass, and only those are looked at. A box that reaches out of the picture stays as it is: its
    points hang on it.
    """
    del height, width
    heat, size, offset, marks = (output[0] for output in outputs.values())
    rows, columns = np.nonzero(heat[0] > threshold)
    scores = heat[0, rows, columns]
    high, wide = 4 * np.exp(size[:, rows, columns].astype(np.float64))
    y = 4 * (rows + offset[0, rows, columns] + 0.5) - high / 2
    x = 4 * (columns + offset[1, rows, columns] + 0.5) - wide / 2
    relative = marks[:, rows, columns].T.reshape(-1, 5, 2)[..., ::-1]
    points = np.stack([x, y], axis=-1)[:, None] + relative * np.stack([wide, high], axis=-1)[:, None]
    return np.column_stack([x, y, x + wide, y + high]), scores, points


DECODERS: dict[str, tuple[Decoder, tuple[int, ...]]] = {
    "centerface": (decode_centerface, (4,)),
    "scrfd": (decode_scrfd, (9, 15)),
    "yunet": (decode_yunet, (12,)),
}
