"""MTCNN: three networks, each looking closer at what the one before let through.

Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks (2016), with the arithmetic of the ``mtcnn`` package, against which the tests compare.
Coordinates in this module are pixels of the picture given to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facenapi.detector.boxes import patches, refined, squares, suppress
from facenapi.detector.resize import area_resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.engine import Engine

CELL = 12  # the proposal network's window, and the step between windows
STRIDE = 2
_MOST_CANDIDATES = 3000  # bounds time and memory on pictures made to look like crowds


@dataclass(frozen=True, slots=True)
class Settings:
    """Scores to pass each stage, and the step between the sizes that are tried."""

    proposal: float
    refine: float
    output: float
    scale_factor: float


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """(N, 4) boxes, (N,) scores, (N, 5, 2) points of N faces."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float32]
    points: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.scores)


NO_FACES = Faces(np.empty((0, 4)), np.empty(0, np.float32), np.empty((0, 5, 2)))


class Mtcnn:
    """The detector; stateless between calls, so threads share it."""

    def __init__(self, proposal: Engine, refine: Engine, output: Engine, settings: Settings) -> None:
        self._proposal, self._refine, self._output = proposal, refine, output
        self._settings = settings

    def find(self, pixels: NDArray[np.uint8], min_size: float, max_size: float = np.inf) -> Faces:
        """Return the faces on (H, W, 3) RGB pixels between two sizes of box."""
        boxes = self._propose(_normalised(pixels.astype(np.float32)), min_size, max_size)
        if not len(boxes):
            return NO_FACES
        packed = pack_pixels(pixels)
        moves, scores = self._refine.run(_normalised(patches(packed, boxes, 24)))
        boxes, scores = _passed(refined(boxes, moves), scores[:, 0], self._settings.refine)
        keep = suppress(boxes, scores, 0.7)
        boxes = squares(boxes[keep])
        if not len(boxes):
            return NO_FACES
        faces = self.look_closer(packed, boxes)
        good = faces.scores > self._settings.output
        keep = np.flatnonzero(good)[suppress(faces.boxes[good], faces.scores[good], 0.7, of_smaller=True)]
        return Faces(faces.boxes[keep], faces.scores[keep], faces.points[keep])

    def look_closer(self, packed: NDArray[np.uint32], boxes: NDArray[np.float64]) -> Faces:
        """Return one face for each (N, 4) square box: what the last network makes of it, good or bad."""
        moves, points, scores = self._output.run(_normalised(patches(packed, boxes, 48)))
        size = (boxes[:, 2:] - boxes[:, :2] + 1)[:, None, :]
        landmarks = points.reshape(-1, 2, 5).transpose(0, 2, 1) * size + boxes[:, None, :2] - 1
        return Faces(refined(boxes, moves), scores[:, 0], landmarks)

    def _propose(self, values: NDArray[np.float32], min_size: float, max_size: float) -> NDArray[np.float64]:
        """Return square candidates of all sizes."""
        all_boxes, all_scores = [np.empty((0, 4))], [np.empty(0, np.float32)]
        for scale in scales(min(values.shape[:2]), min_size, max_size, self._settings.scale_factor):
            boxes, scores = self._propose_at(values, scale)
            keep = suppress(boxes, scores, 0.5)
            all_boxes.append(boxes[keep])
            all_scores.append(scores[keep])
        boxes, scores = np.concatenate(all_boxes), np.concatenate(all_scores)
        return squares(boxes[suppress(boxes, scores, 0.7)])

    def _propose_at(
        self,
        values: NDArray[np.float32],
        scale: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        level = area_resize(values, int(values.shape[0] * scale), int(values.shape[1] * scale))
        moves, scores = self._proposal.run(level[None])
        rows, columns = np.nonzero(scores[0, 0] > self._settings.proposal)
        best = scores[0, 0, rows, columns]
        if len(best) > _MOST_CANDIDATES:
            strongest = np.sort(np.argsort(-best, kind="stable")[:_MOST_CANDIDATES])
            rows, columns, best = rows[strongest], columns[strongest], best[strongest]
        low = np.column_stack([columns, rows]) * STRIDE
        window = np.hstack([low + 1, low + CELL])
        boxes: NDArray[np.float64] = (window + moves[0, :, rows, columns] * (CELL - 1.0)) / scale
        return boxes, best


def scales(shorter_side: int, min_size: float, max_size: float, factor: float) -> list[float]:
    """Return the scales at which a face between two sizes is about as large as the first network's window.

    >>> [round(scale, 3) for scale in scales(100, 20, 90, 0.7)]
    [0.6, 0.42, 0.294, 0.206, 0.144]
    """
    found = []
    scale = CELL / min_size
    # One step beyond the largest size: the window that holds a face is a little larger than its box.
    while shorter_side * scale >= CELL and CELL / scale <= max_size / factor:
        found.append(scale)
        scale *= factor
    return found


def pack_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return (H, W, 3) pixels as (H, W) of RGBX, one 32-bit item each."""
    return np.asarray(Image.fromarray(pixels).convert("RGBX")).view(np.uint32)[:, :, 0]


def _normalised(values: NDArray[np.float32]) -> NDArray[np.float32]:
    values -= np.float32(127.5)
    values *= np.float32(1 / 128)
    return values


def _passed(
    boxes: NDArray[np.float64],
    scores: NDArray[np.float32],
    threshold: float,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    good = scores > threshold
    return boxes[good], scores[good]
