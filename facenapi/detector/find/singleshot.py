"""Detectors that look once: CenterFace, and SCRFD and YuNet from their ONNX files as published.

They scan one or more grids of cells, and differ in how a cell's numbers become a box and five points.
Coordinates in this module are pixels of the picture given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from facenapi.detector.find.boxes import greedy, squares
from facenapi.detector.find.faces import NO_FACES, Faces
from facenapi.detector.find.onet import GOOD, OutputNet, pack_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.run.engine import Engine

# Outputs in the order of the file, height and width of the input, the least score that counts → (N, 4) boxes,
# (N,) scores, (N, 5, 2) points, worse ones among them or not.
Grids = Mapping[str, "NDArray[np.float32]"]
Decoder = Callable[
    [Grids, int, int, float], tuple["NDArray[np.float64]", "NDArray[np.floating]", "NDArray[np.float64]"]
]
ALIGN = 32  # the coarsest grid's step: sides are padded to a multiple


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
