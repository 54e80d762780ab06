"""A face in a box that a caller drew, where the detector saw none: the caller knows better.

An embedding is worth little without the five points, so they are looked for with all means: at other sizes, with low
thresholds, with the part around the box enlarged, and with MTCNN's last network on the box itself. Only then are
they put where they lie in most faces, and the face is marked as guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facenapi.detector.base import Detection
from facenapi.detector.find.boxes import squares
from facenapi.detector.find.onet import GOOD, OutputNet, pack_pixels
from facenapi.geometry import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.find.faces import FaceNet, Faces
    from facenapi.photos.photo import Photo

# Where MTCNN's boxes have the five points on a frontal face, as fractions of the box.
_POINTS_IN_BOX = np.array([[0.27, 0.36], [0.73, 0.36], [0.50, 0.58], [0.31, 0.75], [0.69, 0.75]])
_AROUND = 0.6  # of the box's longer side: how far around it is looked
_SIZES = (160, 80, 320)  # pixels of the box's longer side, as it is looked at
_MOST_ZOOM = 4.0
_LEAST_PIXELS = 8.0  # of a side inside the photo: less cannot be told from any other
_LEAST_SPREAD = 3.0  # grey levels, beside an even slope: walls with their noise have less, dark faces more


def face_in_box(detector: FaceNet, onet: OutputNet | None, photo: Photo, box: Box) -> Detection | None:
    """Return the face that the caller means by a box, or None if there is nothing in it.

    The box of the answer is that of the face if one was found, else the caller's.
    """
    part = _Part(photo, box)
    if part.has_nothing():
        return None
    for size in _SIZES:
        found = part.look(detector, size)
        if found is not None:
            return found
    points = part.last_look(onet) if onet is not None else None
    if points is not None:
        return Detection(box, GOOD, points)
    guess = _POINTS_IN_BOX * (box.width, box.height) + (box.x1, box.y1)
    return Detection(box, 0.0, guess.astype(np.float32), guessed=True)


class _Part:
    """The pixels of a photo in and around a box, from the full photo where the reduced one has too few."""

    def __init__(self, photo: Photo, box: Box) -> None:
        self._box = box
        self._longer = max(box.width, box.height)
        around = _AROUND * self._longer
        corners = np.array([box.x1 - around, box.y1 - around, box.x2 + around, box.y2 + around])
        reduced = photo.reduced
        scale = np.array([reduced.scale_x, reduced.scale_y])
        if self._longer * scale.min() < _SIZES[0] and scale.min() < 1.0:
            scale = np.ones(2)
        left, top, right, bottom = self._whole(corners, scale, photo)
        if scale[0] == 1.0:
            self._pixels = photo.part(left, top, right, bottom)
        else:
            self._pixels = reduced.pixels[top:bottom, left:right]
        self._origin, self._scale = np.array([left, top]), scale

    @staticmethod
    def _whole(corners: NDArray[np.float64], scale: NDArray[np.float64], photo: Photo) -> tuple[int, int, int, int]:
        limits = np.tile([photo.width, photo.height], 2) * np.tile(scale, 2)
        left, top, right, bottom = np.clip(corners * np.tile(scale, 2), 0, limits)
        return int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))

    def has_nothing(self) -> bool:
        """Tell whether the box holds a few pixels only, or an even surface."""
        x1, y1, x2, y2 = self._inside(np.array([[self._box.x1, self._box.y1], [self._box.x2, self._box.y2]])).ravel()
        height, width = self._pixels.shape[:2]
        left, top = max(int(x1), 0), max(int(y1), 0)
        right, bottom = min(int(np.ceil(x2)), width), min(int(np.ceil(y2)), height)
        if min((right - left) / self._scale[0], (bottom - top) / self._scale[1]) < _LEAST_PIXELS:
            return True
        grey = Image.fromarray(self._pixels[top:bottom, left:right]).convert("L")
        values = np.asarray(grey.resize((32, 32), Image.Resampling.BOX), np.float64)
        return float(_beside_slope(values).std()) < _LEAST_SPREAD

    def look(self, detector: FaceNet, size: int) -> Detection | None:
        """Return the face that the detector sees where the box is so large, if it may be the one that is meant."""
        longer = self._longer * self._scale.max()
        zoom = min(size / longer, _MOST_ZOOM)
        height, width = (max(12, round(side * zoom)) for side in self._pixels.shape[:2])
        image = Image.fromarray(self._pixels).resize((width, height), Image.Resampling.BILINEAR)
        faces = detector.find(np.asarray(image), max(12.0, longer * zoom / 4), longer * zoom * 1.6, eager=True)
        zooms = np.array([width, height]) / self._pixels.shape[1::-1]
        best: Detection | None = None
        for corners, score, points in zip(faces.boxes, faces.scores, faces.points, strict=True):
            (x1, y1), (x2, y2) = self._outside(corners.reshape(2, 2) / zooms)
            x, y = (x1 + x2) / 2, (y1 + y2) / 2
            meant = self._box.x1 <= x <= self._box.x2 and self._box.y1 <= y <= self._box.y2
            if meant and (best is None or score > best.score):
                found = Box(float(x1), float(y1), float(x2), float(y2))
                best = Detection(found, float(score), self._outside(points / zooms).astype(np.float32))
        return best

    def last_look(self, onet: OutputNet) -> NDArray[np.float32] | None:
        """Return the points that MTCNN's last network sees in the box, if it sees a face."""
        corners = self._inside(np.array([[self._box.x1, self._box.y1], [self._box.x2, self._box.y2]])).reshape(1, 4)
        square = squares(corners)
        side = square[:, 2:] - square[:, :2]
        # The network was trained on squares about as tight as these.
        tries = np.concatenate([square + np.hstack([-side, side]) * grow for grow in (0.0, 0.1, -0.1)])
        faces: Faces = onet.look(pack_pixels(np.ascontiguousarray(self._pixels)), tries)
        best = int(np.argmax(faces.scores))
        return self._outside(faces.points[best]).astype(np.float32) if faces.scores[best] >= GOOD else None

    def _inside(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points of the photo as points of this part."""
        moved: NDArray[np.float64] = points * self._scale - self._origin
        return moved

    def _outside(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return points of this part as points of the photo."""
        moved: NDArray[np.float64] = (points + self._origin) / self._scale
        return moved


def _beside_slope(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is left of a square of values without the plane that fits it best: light falls off along a wall."""
    at = np.arange(len(values)) - (len(values) - 1) / 2
    spread = float((at**2).sum()) * len(at)
    down, across = float((values * at[:, None]).sum()) / spread, float((values * at).sum()) / spread
    rest: NDArray[np.float64] = values - values.mean() - down * at[:, None] - across * at
    return rest
