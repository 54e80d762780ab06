"""Faces of a photo in its own pixels: sizes, limits and second tries around a detector network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from facenapi.detector.base import Detection
from facenapi.detector.find.faces import FaceNet, Faces
from facenapi.detector.find.inside import face_in_box
from facenapi.geometry import Box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.find.onet import OutputNet
    from facenapi.photos.photo import Photo, Raster

_BORDER = 0.3


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes of face to find in pixels of the photo (largest 0: any), the longer side to look at, and whether
    to turn a photo on which nothing was found."""

    smallest: int
    largest: int
    longer_side: int
    rotated: bool = False


class Finder:
    """Runs the detector on photos; stateless between calls."""

    def __init__(self, detector: FaceNet, limits: Limits, onet: OutputNet | None = None) -> None:
        """Take the detector, what to find, and the network that gives points in a box, if there is one."""
        self._detector, self._limits, self._onet = detector, limits, onet

    def find(self, photo: Photo) -> list[Detection]:
        """Return the faces, largest box first."""
        raster = photo.reduced
        shrink = max(1.0, max(raster.pixels.shape[:2]) / self._limits.longer_side)
        # Only a smaller nnd_min_face_size looks further down than the detector can see.
        least = min(self._detector.least, self._limits.smallest)
        smallest = max(self._limits.smallest * raster.scale_x, least * shrink)
        largest = self._limits.largest * raster.scale_x or np.inf
        faces = self._detector.find(raster.pixels, smallest, largest)
        if not len(faces) and self._detector.framed:
            faces = self._find_with_border(raster.pixels, smallest, largest)
        if not len(faces) and self._limits.rotated:
            faces = self._find_rotated(raster.pixels, smallest, largest)
        return self._in_photo(photo, raster, faces)

    def locate(self, photo: Photo, box: Box) -> Detection | None:
        """Return the face in a box in which :meth:`find` saw none; None if there is nothing in it."""
        return face_in_box(self._detector, self._onet, photo, box)

    def _find_with_border(self, pixels: NDArray[np.uint8], smallest: float, largest: float) -> Faces:
        """Look for a face that fills the frame: the networks want to see something around it."""
        height, width = pixels.shape[:2]
        rows, columns = int(height * _BORDER), int(width * _BORDER)
        framed = np.pad(pixels, ((rows, rows), (columns, columns), (0, 0)))
        faces = self._detector.find(framed, max(smallest, min(height, width) * _BORDER), largest)
        shift = np.array([columns, rows])
        return Faces(faces.boxes - np.tile(shift, 2), faces.scores, faces.points - shift)

    def _find_rotated(self, pixels: NDArray[np.uint8], smallest: float, largest: float) -> Faces:
        """Look at the picture turned by 90, 180 and 270 degrees; take the turn with the best face."""
        tries = []
        for turns in (1, 2, 3):
            faces = self._detector.find(np.ascontiguousarray(np.rot90(pixels, turns)), smallest, largest)
            tries.append(_turned_back(faces, turns, pixels.shape[1], pixels.shape[0]))
        return max(tries, key=lambda faces: faces.scores.max(initial=0))

    def _in_photo(self, photo: Photo, raster: Raster, faces: Faces) -> list[Detection]:
        scale = np.array([raster.scale_x, raster.scale_y])
        boxes = faces.boxes / np.tile(scale, 2)
        points = (faces.points / scale).astype(np.float32)
        size = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        fits = (size >= self._limits.smallest) & (size <= (self._limits.largest or np.inf))
        boxes = np.clip(boxes, 0, np.tile([photo.width, photo.height], 2))
        found = [Detection(Box(*boxes[i].tolist()), float(faces.scores[i]), points[i]) for i in np.flatnonzero(fits)]
        return sorted(found, key=lambda face: (-face.box.area, face.box))


def _turned_back(faces: Faces, turns: int, width: int, height: int) -> Faces:
    """Return faces found on a picture of width x height after ``turns`` quarter turns to the left."""
    corners = faces.boxes.reshape(-1, 2, 2)
    points = faces.points
    for turn in range(turns, 0, -1):
        # One turn took (x, y) to (y, side - x), where side is the width before it.
        side = width if turn % 2 else height
        corners, points = (np.stack([side - 1 - at[..., 1], at[..., 0]], axis=-1) for at in (corners, points))
    return Faces(np.hstack([corners.min(axis=1), corners.max(axis=1)]), faces.scores, points)
