"""A photo as the rest of the server sees it: upright, in full size, its pixels at hand in two sizes.

Detection works on a reduced raster; a face that needs finer pixels asks for its part of the full photo. Where the
pixels come from is the business of a *decode* function: in this process, or in a pool of children (``pool.py``).
EXIF orientation is applied after decoding, on what is cut out, where it costs nothing.
Everything here blocks: call it from a worker thread.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from facenapi.errors import BadImage
from facenapi.photos.formats.plain import Refused
from facenapi.photos.picture import Picture, Region

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Raster:
    """Upright pixels, (H, W, 3) uint8 RGB, read-only, and their size relative to the photo (1.0 = full size)."""

    pixels: NDArray[np.uint8]
    scale_x: float
    scale_y: float


class Decoded(Protocol):
    """A decoded file, nothing of it turned: sizes, orientation (EXIF, 1…8), reduced pixels (h, w, 3)."""

    width: int
    height: int
    orientation: int
    pixels: NDArray[np.uint8]

    def part(self, region: Region) -> tuple[Region, NDArray[np.uint8]]:
        """Return full-size pixels of a region or of more, and which region it is. Raises Refused."""

    def close(self) -> None:
        """Let go of whatever is kept for :meth:`part`."""


Decode = Callable[[bytes, int, int], Decoded]  # of file, max_size and side; raises Refused


class DecodedHere:
    """Implements :class:`Decoded` in this process."""

    def __init__(self, data: bytes, max_size: int, side: int) -> None:
        self._picture = picture = Picture(data, max_size)
        self.width, self.height, self.orientation = picture.width, picture.height, picture.orientation
        self.pixels: NDArray[np.uint8] = np.asarray(picture.reduced(side))

    def part(self, region: Region) -> tuple[Region, NDArray[np.uint8]]:
        """Return the pixels of a region."""
        return region, np.asarray(self._picture.part(region))

    def close(self) -> None:
        """Do nothing: the garbage collector does."""


class Photo:
    """A photo that was checked and decoded.

    Attributes:
        width, height: size of the upright photo in pixels.
        orientation: the EXIF orientation number, 1…8.
        md5: hash of the file's bytes, 32 hex digits.
        data: the file's bytes.
        reduced: the upright raster for detection, whatever the file's format is.
    """

    def __init__(
        self, data: bytes, param: str, max_size: int, detect_side: int, decode: Decode = DecodedHere
    ) -> None:
        """Check ``data`` and decode the raster for detection.

        Args:
            data: the file.
            param: name of the parameter, for the error.
            max_size: longest side allowed, in pixels.
            detect_side: the reduced raster keeps its longer side at or above this, if the photo has it, and
                below twice as much.
            decode: where that happens.

        Raises:
            BadImage: not a picture that we take, truncated, or too large.
        """
        self.data = data
        self.md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self._param = param
        self._lock = threading.Lock()
        try:
            self._decoded = found = decode(data, max_size, detect_side)
        except Refused as error:
            raise BadImage(param, error.reason, error.rule) from error
        self.orientation = found.orientation
        size = (found.width, found.height)
        self.width, self.height = size[::-1] if self.orientation >= 5 else size
        pixels = _upright(found.pixels, self.orientation)
        self.reduced = Raster(pixels, pixels.shape[1] / self.width, pixels.shape[0] / self.height)
        self._known: tuple[Region, NDArray[np.uint8]] | None = None  # what part() has seen, as it is stored

    def part(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """Return what lies inside the photo of a rectangle of its upright, full-size pixels, (h, w, 3).

        The first call decodes a photo that was reduced. Raises BadImage.
        """
        left, right = (min(max(at, 0), self.width) for at in (left, right))
        top, bottom = (min(max(at, 0), self.height) for at in (top, bottom))
        if self.reduced.scale_x >= 1.0:
            return self.reduced.pixels[top:bottom, left:right]
        if left >= right or top >= bottom:
            return np.empty((0, 0, 3), np.uint8)
        # Back to the pixels as they are stored: the turns of _upright, undone in reverse.
        if self.orientation in (3, 4, 7, 8):
            top, bottom = self.height - bottom, self.height - top
        if self.orientation in (2, 3, 6, 7):
            left, right = self.width - right, self.width - left
        if self.orientation >= 5:
            left, top, right, bottom = top, left, bottom, right
        return _upright(self._stored((left, top, right, bottom)), self.orientation)

    def close(self) -> None:
        """Let go of the full-size pixels; the reduced ones stay. May be called at any time, from any thread."""
        self._decoded.close()

    def _stored(self, region: Region) -> NDArray[np.uint8]:
        """Return a region's pixels as they are stored, from those that are known if they hold it."""
        with self._lock:
            if self._known is None or not _holds(self._known[0], region):
                try:
                    self._known = self._decoded.part(region)
                except Refused as error:
                    raise BadImage(self._param, error.reason, error.rule) from error
            (x, y, _, _), pixels = self._known
        left, top, right, bottom = region
        return pixels[top - y : bottom - y, left - x : right - x]


def _holds(outer: Region, inner: Region) -> bool:
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn and mirror as EXIF 2.32, tag 0x0112, says."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
