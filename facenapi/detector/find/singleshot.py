"""Detectors that look once: CenterFace, and SCRFD and YuNet from their ONNX files as published.

They scan one or more grids of cells, and differ in how a cell's numbers become a box and five points.
Coordinates in this module are pixels of the picture given to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from facenapi.detector.find.boxes import greedy, squares
from facenapi.detector.find.decoders import DECODERS
from facenapi.detector.find.faces import NO_FACES, Faces
from facenapi.detector.find.onet import GOOD, OutputNet, pack_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.run.engine import Engine

ALIGN = 32  # the coarsest grid's step: sides are padded to a multiple
_MOST_CANDIDATES = 5000  # bounds the time on pictures made to look like crowds
_MOST_PIXELS = 4_000_000  # of the input: a megapixel takes about 350 MB while it is looked at
_EAGER = 0.4  # of the threshold, where somebody says that there is a face
# A face larger than this on the input gets loose points, at least from CenterFace.
_LARGE = 200.0


class SingleShot:
    """One network that finds faces and points; stateless between calls."""

    framed = False

    def __init__(
        self,
        engine: Engine,
        settings: Mapping[str, Any],
        points: OutputNet | None = None,
        *,
        longer_side: int = 1280,
        rotated: bool = False,
    ) -> None:
        """Take the manifest's ``kind size color mean std threshold overlap`` and, of few, ``smallest``.

        Args:
            engine: the network.
            settings: the longer side of the input is ``size``; with ``smallest`` it is more, up to ``longer_side``,
                where the smallest face wanted would have fewer than so many pixels there.
            points: what gives the points of large faces and, if ``rotated``, of turned ones.
            longer_side: most pixels of a side of the input that are looked at.
            rotated: whether faces on their side or head are to get the right points.

        Raises:
            ValueError: the network's outputs are not those of its kind.
            KeyError: a setting is missing.
        """
        self._decode, counts = DECODERS[settings["kind"]]
        if len(engine.outputs) not in counts:
            raise ValueError(f"a {settings['kind']} network has {counts} outputs, not {len(engine.outputs)}")
        missing = {"size", "color", "mean", "std", "threshold", "overlap"} - set(settings)
        if missing:
            raise KeyError(min(missing))
        self._engine, self._settings, self._points = engine, settings, points
        self._longer_side, self._rotated = longer_side, rotated
        # Four fifths of what good points need: there nine of ten faces are still found.
        self.least = settings["smallest"] * 0.8 if "smallest" in settings else 24.0

    def find(
        self, pixels: NDArray[np.uint8], min_size: float, max_size: float = np.inf, *, eager: bool = False
    ) -> Faces:
        """Return the faces on (H, W, 3) RGB pixels between two sizes of box, best first."""
        scale = self._scale(pixels.shape[0], pixels.shape[1], min_size)
        canvas = self._canvas(pixels, scale)
        outputs = dict(zip(self._engine.outputs, self._engine.run(canvas), strict=True))
        threshold = self._settings["threshold"] * (_EAGER if eager else 1.0)
        boxes, scores, points = self._decode(outputs, canvas.shape[2], canvas.shape[3], threshold)
        size = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0) / scale
        good = np.flatnonzero((scores > threshold) & (size >= min_size) & (size <= max_size))
        if not len(good):
            return NO_FACES
        good = good[np.argsort(-scores[good], kind="stable")[:_MOST_CANDIDATES]]
        boxes, scores, points = boxes[good], scores[good], points[good]
        keep = greedy(boxes, scores, self._settings["overlap"])
        faces = Faces(boxes[keep] / scale, scores[keep].astype(np.float32), points[keep] / scale)
        return self._with_better_points(pixels, faces, scale)

    def _with_better_points(self, pixels: NDArray[np.uint8], faces: Faces, scale: float) -> Faces:
        """Ask the other network about faces whose box and points are loose or, because they are turned, wrong."""
        large = (faces.boxes[:, 2:] - faces.boxes[:, :2]).max(axis=1) * scale > _LARGE
        asked = np.arange(len(faces)) if self._rotated else np.flatnonzero(large)
        if self._points is None or not len(asked):
            return faces
        packed, around = pack_pixels(pixels), squares(faces.boxes[asked])
        if self._rotated:
            found, turns = self._points.upright(packed, around)
        else:
            found, turns = self._points.look(packed, around), np.zeros(len(asked), np.intp)
        better = (found.scores >= GOOD) & (large[asked] | (turns > 0))
        boxes, points = faces.boxes.copy(), faces.points.copy()
        points[asked[better]] = found.points[better]
        better &= turns == 0  # the other's box, too, is closer around a very large face
        boxes[asked[better]] = found.boxes[better]
        return Faces(boxes, faces.scores, points)

    def _scale(self, height: int, width: int, min_size: float) -> float:
        longer, side = max(height, width), float(self._settings["size"])
        if "smallest" in self._settings:
            side = min(max(side, longer * self._settings["smallest"] / min_size), self._longer_side)
        return min(1.0, side / longer, float(np.sqrt(_MOST_PIXELS / (height * width))))

    def _canvas(self, pixels: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
        """Return the picture at ``scale`` in the upper left corner of the network's input."""
        image = Image.fromarray(pixels)
        if scale < 1.0:
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(size, Image.Resampling.BILINEAR)
        if self._engine.sides:
            height = width = self._engine.sides[-1]
        else:
            height, width = (
                side if isinstance(side, int) else -(-real // ALIGN) * ALIGN
                for side, real in zip(self._engine.input_shape[2:], (image.height, image.width), strict=True)
            )
        values = np.zeros((height, width, 3), np.float32)
        values[: image.height, : image.width] = np.asarray(image)
        values = values[..., ::-1] if self._settings["color"] == "bgr" else values
        if (self._settings["mean"], self._settings["std"]) != (0.0, 1.0):
            values = (values - np.float32(self._settings["mean"])) / np.float32(self._settings["std"])
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None])
