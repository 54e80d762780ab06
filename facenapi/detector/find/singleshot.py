"""Detectors that look once: SCRFD and YuNet, from their ONNX files as published.

Both scan three or more grids of cells; they differ in how a cell's numbers become a box and five points.
Coordinates in this module are pixels of the picture given to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from facenapi.detector.find.boxes import greedy
from facenapi.detector.find.mtcnn import NO_FACES, Faces

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.run.engine import Engine

# Outputs in the order of the file, height and width of the input → (N, 4) boxes, (N,) scores, (N, 5, 2) points.
Grids = Mapping[str, "NDArray[np.float32]"]
Decoder = Callable[[Grids, int, int], tuple["NDArray[np.floating]", "NDArray[np.floating]", "NDArray[np.floating]"]]
ALIGN = 32  # the coarsest grid's step: sides are padded to a multiple


def decode_scrfd(outputs: Grids, height: int, width: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
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


def decode_yunet(outputs: Grids, height: int, width: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
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


DECODERS: dict[str, tuple[Decoder, tuple[int, ...]]] = {
    "scrfd": (decode_scrfd, (9, 15)),
    "yunet": (decode_yunet, (12,)),
}


class SingleShot:
    """One network that finds faces and points; stateless between calls."""

    def __init__(self, engine: Engine, settings: Mapping[str, Any]) -> None:
        """Take the manifest's ``kind size color mean std threshold overlap``.

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
        self._engine, self._settings = engine, settings

    def find(self, pixels: NDArray[np.uint8], min_size: float, max_size: float = np.inf) -> Faces:
        """Return the faces on (H, W, 3) RGB pixels between two sizes of box, best first."""
        height, width = pixels.shape[:2]
        scale = min(1.0, self._settings["size"] / max(height, width))
        canvas = self._canvas(pixels, scale)
        outputs = dict(zip(self._engine.outputs, self._engine.run(canvas), strict=True))
        boxes, scores, points = self._decode(outputs, *canvas.shape[2:])
        size = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / scale
        good = (scores > self._settings["threshold"]) & (size >= min_size) & (size <= max_size)
        boxes, scores, points = boxes[good], scores[good], points[good]
        if not len(boxes):
            return NO_FACES
        keep = greedy(boxes, scores, self._settings["overlap"])
        return Faces(boxes[keep] / scale, scores[keep].astype(np.float32), points[keep] / scale)

    def look_closer(self, pixels: NDArray[np.uint8], squares: NDArray[np.float64]) -> Faces:
        """Return one face for each square: the best on the part of the picture around it, if any."""
        found = []
        for x1, y1, x2, y2 in squares:
            margin = (x2 - x1) / 2
            low = np.maximum([x1 - margin, y1 - margin], 0).astype(int)
            high = np.maximum([x2 + margin, y2 + margin], 0).astype(int)
            part = np.ascontiguousarray(pixels[low[1] : high[1], low[0] : high[0]])
            faces = self.find(part, 1.0) if part.size else NO_FACES
            if len(faces):
                found.append(Faces(faces.boxes[:1] + np.tile(low, 2), faces.scores[:1], faces.points[:1] + low))
            else:
                found.append(Faces(np.array([[x1, y1, x2, y2]]), np.zeros(1, np.float32), np.zeros((1, 5, 2))))
        parts = zip(*((faces.boxes, faces.scores, faces.points) for faces in found), strict=True)
        return Faces(*(np.concatenate(arrays) for arrays in parts))

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
        values = (values - np.float32(self._settings["mean"])) / np.float32(self._settings["std"])
        return np.ascontiguousarray(values.transpose(2, 0, 1)[None])
