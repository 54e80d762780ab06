"""From bytes to upright RGB pixels, within limits.

A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size for a fraction of the time. Detection works on
such a reduced raster; a face that needs finer pixels asks for its part of the full photo, which is decoded
then. It stays in Pillow's hands: turning 12 megapixels into an array takes half as long as decoding them.
EXIF orientation is applied after decoding, on the small array, where it costs nothing.
Everything here blocks: call it from a worker thread.
"""

from __future__ import annotations

import hashlib
import io
import struct
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from facenapi.errors import BadImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMATS = ("JPEG", "PNG", "WEBP")
_EXIF_ORIENTATION = 0x0112
# What Pillow raises for bytes that are no good picture (12,000 mutated files raised nothing else).
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# Damaged metadata makes its parsers stumble in every way that Python has.
_METADATA = (struct.error, TypeError, AttributeError, LookupError, ArithmeticError, EOFError)
_TRUNCATED = "The photo is truncated or damaged"
_DECODE_ERRORS = (OSError, ValueError, SyntaxError, *_METADATA, *_BOMB)


@dataclass(frozen=True, slots=True)
class Raster:
    """Upright pixels, (H, W, 3) uint8 RGB, and their size relative to the photo (1.0 = full size)."""

    pixels: NDArray[np.uint8]
    scale_x: float
    scale_y: float


class Photo:
    """A photo that was checked and can be decoded at the size that is needed.

    Attributes:
        width, height: size of the upright photo in pixels.
        orientation: the EXIF orientation number, 1…8.
        md5: hash of the file's bytes, 32 hex digits.
        data: the file's bytes.
    """

    def __init__(self, data: bytes, param: str, max_size: int, detect_side: int) -> None:
        """Check ``data`` and decode the raster for detection.

        Args:
            data: the file.
            param: name of the parameter, for the error.
            max_size: longest side allowed, in pixels.
            detect_side: the reduced raster keeps its longer side at or above this, if the photo has it.

        Raises:
            BadImage: not a picture that we take, truncated, or too large.
        """
        self.data = data
        self.md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self._param = param
        self._lock = threading.Lock()
        image = self._open()
        if max(image.size) > max_size:
            raise BadImage(
                param, f"The photo is {image.width}x{image.height} pixels; the longest side may be {max_size}"
            )
        self.orientation = _orientation(image)
        turned = self.orientation >= 5
        self.width, self.height = image.size[::-1] if turned else image.size
        self.reduced = self._decode(image, detect_side)
        self._full: Image.Image | None = None

    def part(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """Return what lies inside the photo of a rectangle of its upright, full-size pixels.

        The first call decodes a photo that was reduced. Raises BadImage.
        """
        left, right = (min(max(at, 0), self.width) for at in (left, right))
        top, bottom = (min(max(at, 0), self.height) for at in (top, bottom))
        if self.reduced.scale_x >= 1.0:
            return self.reduced.pixels[top:bottom, left:right]
        if left >= right or top >= bottom:
            return np.empty((0, 0, 3), np.uint8)
        with self._lock:
            if self._full is None:
                self._full = self._decode_full()
        # Back to the pixels as they are stored: the turns of _upright, undone in reverse.
        if self.orientation in (3, 4, 7, 8):
            top, bottom = self.height - bottom, self.height - top
        if self.orientation in (2, 3, 6, 7):
            left, right = self.width - right, self.width - left
        if self.orientation >= 5:
            left, top, right, bottom = top, left, bottom, right
        return _upright(_rgb(self._full.crop((left, top, right, bottom))), self.orientation)

    def _open(self) -> Image.Image:
        try:
            return Image.open(io.BytesIO(self.data), formats=FORMATS)
        except UnidentifiedImageError as error:
            raise BadImage(self._param, "The photo is not a JPEG, PNG or WebP picture") from error
        except _BOMB as error:
            raise BadImage(self._param, "The photo has too many pixels") from error
        except _DECODE_ERRORS as error:
            raise BadImage(self._param, "The photo is damaged") from error

    def _decode(self, image: Image.Image, side: int) -> Raster:
        full = image.size
        try:
            if image.format in ("JPEG", "MPO"):
                # draft keeps both sides at or above what it is asked for: ask in proportion.
                shrink = min(1.0, side / max(full))
                image.draft("RGB", (max(1, int(full[0] * shrink)), max(1, int(full[1] * shrink))))
            pixels = _rgb(image)
        except _DECODE_ERRORS as error:
            raise BadImage(self._param, _TRUNCATED) from error
        scale_x, scale_y = pixels.shape[1] / full[0], pixels.shape[0] / full[1]
        if self.orientation >= 5:
            scale_x, scale_y = scale_y, scale_x
        return Raster(_upright(pixels, self.orientation), scale_x, scale_y)

    def _decode_full(self) -> Image.Image:
        image = self._open()
        try:
            image.load()
        except _DECODE_ERRORS as error:
            raise BadImage(self._param, _TRUNCATED) from error
        return image


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except _DECODE_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16"):  # 16-bit grey: Pillow's own conversion clips instead of scaling
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn and mirror as EXIF 2.32, tag 0x0112, says."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
