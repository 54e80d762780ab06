"""A detector without networks, so that a whole application starts in milliseconds."""

from __future__ import annotations

import hashlib

import numpy as np

from facenapi.detector.base import Attributes, Detection, Quality
from facenapi.geometry import Box

DIMENSION = 32
FATAL = (250, 0, 250)  # a color at which the FakeDetector fails as no detector should
AS_NUMBER = np.int32([1 << 16, 1 << 8, 1])


class FakeDetector:
    """Sees a face in every saturated patch of a picture; equal colours are equal persons.

    Implements :class:`facenapi.detector.base.Detector`. Confidence is the cosine, cut at 0.
    """

    embedding_name = "fake"
    dimension = DIMENSION

    async def start(self):
        self.started = True

    async def close(self):
        self.started = False

    async def detect(self, photo):
        pixels, scale = photo.reduced.pixels, photo.reduced.scale_x
        red, green, blue = np.moveaxis(pixels, 2, 0)
        saturation = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
        rows, columns = np.nonzero(saturation >= 100)
        colors = pixels[rows, columns] @ AS_NUMBER
        found = []
        for color in np.unique(colors):
            if color == FATAL @ AS_NUMBER:
                raise RuntimeError("a secret of the detector")
            ys, xs = rows[colors == color], columns[colors == color]
            box = Box(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1).scaled(1 / scale)
            found.append(self._face(box))
        return sorted(found, key=lambda face: (-face.box.area, face.box))

    def _face(self, box):
        points = np.float32([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.35, 0.7], [0.65, 0.7]])
        return Detection(box, 0.99, points * [box.width, box.height] + [box.x1, box.y1])

    async def locate(self, photo, box):
        return self._face(box)

    async def embed(self, photo, faces):
        return np.array([self._vector(photo, face) for face in faces], np.float32).reshape(len(faces), DIMENSION)

    def _color(self, photo, face):
        x = min(max(int((face.box.x1 + face.box.x2) / 2), 0), photo.width - 1)
        y = min(max(int((face.box.y1 + face.box.y2) / 2), 0), photo.height - 1)
        return photo.part(x, y, x + 1, y + 1)[0, 0]

    def _vector(self, photo, face):
        seed = int.from_bytes(hashlib.sha256(self._color(photo, face).tobytes()).digest()[:8], "big")
        vector = np.random.default_rng(seed).normal(size=DIMENSION)
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    async def attributes(self, photo, faces, wanted):
        return [
            Attributes(
                30.5 if "age" in wanted else None,
                "female" if "gender" in wanted else None,
                ("happy", "neutral") if "emotions" in wanted else None,
            )
            for _ in faces
        ]

    async def quality(self, photo, faces):
        return [self._quality(self._color(photo, face), face.box) for face in faces]

    def _quality(self, color, box):
        """Judge a patch: small ones are small, those with blue blurred, dull ones dark, narrow ones turned away."""
        shorter, longer = sorted([box.width, box.height])
        return Quality(
            size=min(1.0, longer / 60),
            sharpness=1 - int(color[2]) / 255,
            exposure=int(max(color)) / 255,
            pose=shorter / longer,
        )

    async def let_go(self):
        pass

    def confidence(self, similarity):
        return 1.0 if similarity > 1 - 1e-6 else max(0.0, round(float(similarity), 6))

    def similarity(self, confidence):
        return confidence

    def info(self):
        return {"pack": "fake", "provider": "none"}
