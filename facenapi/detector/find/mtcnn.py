"""MTCNN: three networks, each looking closer at what the one before let through.

Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks (2016), with the arithmetic of the ``mtcnn`` package, against which the tests compare.
Coordinates in this module are pixels of the picture given to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facenapi.detector.find.boxes import patches, refined, squares, suppress
from facenapi.detector.find.canvas import cells_on_canvases
from facenapi.detector.find.faces import NO_FACES, Faces
from facenapi.detector.find.onet import OutputNet, normalised, pack_pixels
from facenapi.detector.find.resize import area_resize

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.run.engine import Engine

CELL = 12  # the proposal network's window, and the step between windows
STRIDE = 2
_REDUCE_ABOVE = 1024
_EAGER = 0.7  # of the last score, where somebody says that there is a face
_MOST_CANDIDATES = 3000  # bounds time and memory on pictures made to look like crowds


@dataclass(frozen=True, slots=True)
class Settings:
    """Scores to pass each stage, and the step between the sizes that are tried."""

    proposal: float
    refine: float
    output: float
    scale_factor: float


class Mtcnn:
    """The detector; stateless between calls, so threads share it."""

    least = 24.0
    framed = True

    def __init__(self, proposal: Engine, refine: Engine, output: Engine, settings: Settings) -> None:
        self._proposal, self._refine, self._output = proposal, refine, OutputNet(output)
        self._settings = settings

    def find(
        self, pixels: NDArray[np.uint8], min_size: float, max_size: float = np.inf, *, eager: bool = False
    ) -> Faces:
        """Return the faces on (H, W, 3) RGB pixels between two sizes of box; ``eager``: with lower scores."""
        boxes = self._propose(pixels, min_size, max_size)
        if not len(boxes):
            return NO_FACES
        packed = pack_pixels(pixels)
        moves, scores = self._refine.run(normalised(patches(packed, boxes, 24)))
        boxes, scores = _passed(refined(boxes, moves), scores[:, 0], self._settings.refine)
        keep = suppress(boxes, scores, 0.7)
        boxes = squares(boxes[keep])
        if not len(boxes):
            return NO_FACES
        faces = self._output.look(packed, boxes)
        good = faces.scores > self._settings.output * (_EAGER if eager else 1.0)
        keep = np.flatnonzero(good)[suppress(faces.boxes[good], faces.scores[good], 0.7, of_smaller=True)]
        return Faces(faces.boxes[keep], faces.scores[keep], faces.points[keep])

    def _propose(self, pixels: NDArray[np.uint8], min_size: float, max_size: float) -> NDArray[np.float64]:
        """Return square candidates of all sizes."""
        source = Source(pixels)
        all_boxes, all_scores = [np.empty((0, 4))], [np.empty(0, np.float32)]
        tried = scales(min(pixels.shape[:2]), min_size, max_size, self._settings.scale_factor)
        levels = (
            area_resize(source.at(scale), int(pixels.shape[0] * scale), int(pixels.shape[1] * scale))
            for scale in tried
        )
        for scale, cells in zip(tried, self._cells(levels), strict=True):
            boxes, scores = self._windows(cells, scale)
            keep = suppress(boxes, scores, 0.5)
            all_boxes.append(boxes[keep])
            all_scores.append(scores[keep])
        boxes, scores = np.concatenate(all_boxes), np.concatenate(all_scores)
        return squares(boxes[suppress(boxes, scores, 0.7)])

    def _cells(self, levels: Iterable[NDArray[np.float32]]) -> Iterable[NDArray[np.float32]]:
        """Return the (5, h, w) map of each level."""
        if self._proposal.sides:
            return cells_on_canvases(self._proposal, list(levels))
        return (self._proposal.run(level[None])[0][0] for level in levels)

    def _windows(self, cells: NDArray[np.float32], scale: float) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Return boxes and scores of the windows that pass, from the (5, h, w) map of one scale."""
        threshold = np.clip(self._settings.proposal, 1e-6, 1 - 1e-6)
        rows, columns = np.nonzero(cells[4] > np.log(threshold / (1 - threshold)))
        logits = cells[4, rows, columns]
        if len(logits) > _MOST_CANDIDATES:
            strongest = np.sort(np.argsort(-logits, kind="stable")[:_MOST_CANDIDATES])
            rows, columns, logits = rows[strongest], columns[strongest], logits[strongest]
        low = np.column_stack([columns, rows]) * STRIDE
        window = np.hstack([low + 1, low + CELL])
        boxes: NDArray[np.float64] = (window + cells[:4, rows, columns].T * (CELL - 1.0)) / scale
        return boxes, 1 / (1 + np.exp(-logits))


class Source:
    """The picture at full, half, quarter … size: small levels of a large one need not read all of it."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels
        self._reduced: dict[int, NDArray[np.float32]] = {}

    def at(self, scale: float) -> NDArray[np.float32]:
        """Return normalised values from which ``scale`` still shrinks by 1.5 or more.

        Up to 1,024 pixels it is the picture itself, exactly as the upstream package resizes.
        """
        factor = 1
        while max(self._pixels.shape) > _REDUCE_ABOVE and scale * 2 * factor * 1.5 <= 1.0:
            factor *= 2
        if factor not in self._reduced:
            pixels = self._pixels if factor == 1 else np.asarray(Image.fromarray(self._pixels).reduce(factor))
            self._reduced[factor] = normalised(pixels.astype(np.float32))
        return self._reduced[factor]


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


def _passed(
    boxes: NDArray[np.float64],
    scores: NDArray[np.float32],
    threshold: float,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    good = scores > threshold
    return boxes[good], scores[good]
