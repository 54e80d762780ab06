"""A photo's pixels as they are stored, in Pillow's hands: small ones to look for faces, all of them for crops.

A JPEG can be decoded at 1/2, 1/4 or 1/8 of its size for a fraction of the time, so it is decoded small first and in
full only if somebody asks. Whatever else there is has to be decoded in full at once: it is reduced then, and
all pixels stay as long as this object. Alpha is flattened onto white before anything leaves here, so that what a
viewer does not show is not there. Nothing is turned.
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, TypeVar

from PIL import Image, ImageChops

from facenapi.photos.formats import jpeg
from facenapi.photos.formats.known import inspect
from facenapi.photos.formats.plain import TRUNCATED, Plain, Refused, check_size

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
Region = tuple[int, int, int, int]  # left, top, right, bottom

_ORIENTATION = 0x0112
# What Pillow raises for bytes that are no good picture (12,000 mutated files raised nothing else); damaged
# metadata makes its parsers stumble in every way that Python has.
_DAMAGE = (OSError, ValueError, SyntaxError, RuntimeError, struct.error, TypeError, AttributeError, LookupError,
           ArithmeticError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning)  # fmt: skip
# Two ways in which a scan that breaks off could go on: where they make no difference, nothing is missing.
_ENDINGS = tuple(filler * 32 + jpeg.END for filler in (b"\0", b"\x5a"))


class Picture:
    """A file that was checked, and its pixels.

    Attributes:
        width, height: in pixels, as they are stored.
        orientation: 1…8, how to turn them (EXIF).
    """

    def __init__(self, data: bytes, max_size: int) -> None:
        """Check a file of at most ``max_size`` pixels a side; decodes nothing. Raises Refused."""
        self._plain = inspect(data, max_size)
        self._full: Image.Image | None = None
        self.width, self.height, self.orientation = self._plain.width, self._plain.height, self._plain.orientation
        if not self.width:  # a container whose own library reads it
            image = _opened(self._plain)
            self.width, self.height = image.size
            check_size(self.width, self.height, max_size)
            self.orientation = _orientation(image)

    @property
    def is_full(self) -> bool:
        """Whether all pixels are at hand."""
        return self._full is not None

    def reduced(self, side: int) -> Image.Image:
        """Return an RGB image whose longer side has at least ``side`` pixels, if the photo has. Raises Refused."""
        if self._plain.kind == "JPEG":
            return _flat(_loaded(self._plain, side))
        full = self._whole()
        factor = max(1, max(full.size) // side)
        return _flat(full.reduce(factor) if factor > 1 else full)

    def part(self, region: Region) -> Image.Image:
        """Return a region of all pixels, RGB. Raises Refused."""
        full = self._whole()
        return _flat(full if region == (0, 0, *full.size) else full.crop(region))

    def _whole(self) -> Image.Image:
        if self._full is None:
            image = _loaded(self._plain)
            if image.size != (self.width, self.height):
                raise Refused(TRUNCATED, "size-differs")
            self._full = _plain_mode(image, self._plain.depth)
        return self._full


def _loaded(plain: Plain, side: int = 0) -> Image.Image:
    """Return the decoded image; a JPEG at the smallest of its sizes that is not below ``side``."""
    if plain.kind != "JPEG" or plain.ended:
        return _load(plain.kind, plain.data, side)
    one, other = (_load(plain.kind, plain.data + ending, side) for ending in _ENDINGS)
    if ImageChops.difference(one, other).getbbox() is not None:
        raise Refused(TRUNCATED, "jpeg-cut")
    return one


def _load(kind: str, data: bytes, side: int) -> Image.Image:
    image = _opened(Plain(kind, data))
    if side:
        # draft keeps both sides at or above what it is asked for: ask in proportion.
        shrink = min(1.0, side / max(image.size))
        image.draft("RGB", (max(1, int(image.width * shrink)), max(1, int(image.height * shrink))))
    _guarded(image.load, kind)
    vars(image).pop("_decoder", None)  # that of an animation, with two canvases of its own
    return image


def _opened(plain: Plain) -> Image.Image:
    if plain.kind == "HEIF":
        import pillow_heif  # noqa: PLC0415 - an extra, and a large library

        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=1)
    return _guarded(lambda: Image.open(io.BytesIO(plain.data), formats=(plain.kind,)), plain.kind)


def _guarded(decode: Callable[[], T], kind: str) -> T:
    try:
        return decode()
    except MemoryError as error:
        raise Refused("The photo takes too much memory to decode", "memory") from error
    except _DAMAGE as error:
        raise Refused(TRUNCATED, f"{kind.lower()}-decode") from error


def _plain_mode(image: Image.Image, depth: int) -> Image.Image:
    """Return an image that can be reduced and flattened: L, RGB, CMYK, LA or RGBA; what nobody sees, at once gone.

    A colour key of PNG is a sample as it was stored; Pillow stretches samples of 2 and 4 bits to 8, and keeps the
    upper half of those of 16.
    """
    key = image.info.pop("transparency", None)
    if depth in (2, 4) and image.mode == "L" and key is not None:
        key = key * 255 // ((1 << depth) - 1)
    if image.mode.startswith("I;16"):  # Pillow's own conversion clips instead of scaling
        key = None if key is None else key >> 8
        image = image.point(lambda value: value / 256).convert("L")
    elif image.mode == "1":
        image = image.convert("L")
    elif depth == 16 and isinstance(key, tuple):
        key = tuple(sample >> 8 for sample in key)
    if key is not None:
        image.info["transparency"] = key
        image = image.convert("RGBA")
    elif image.mode not in ("L", "RGB", "CMYK", "LA", "RGBA"):
        image = image.convert("RGBA" if image.mode in ("PA", "La", "RGBa") else "RGB")
    if image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert(image.mode[:-1])
    image.info.clear()
    return image


def _flat(image: Image.Image) -> Image.Image:
    """Return RGB, alpha flattened onto white."""
    if image.mode not in ("LA", "RGBA"):
        return image if image.mode == "RGB" else image.convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(image.convert("RGB"), mask=image.getchannel("A"))
    return white


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGE:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
