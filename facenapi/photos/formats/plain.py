"""What is known of a file before anything decodes it, and what is left of it for a decoder.

A decoder of pictures reads far more than pixels: colour profiles, previews, texts, whatever cameras write. Hostile
files are made of that: hundreds of thousands of empty segments that are joined one by one, texts that unpack to
gigabytes. So a file is taken apart here, each byte once, and put together again of what its pixels need; no decoder
ever sees the rest, and damage in it never decides.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MOST_PIXELS = 178_956_970  # as Pillow's own limit: half a gigabyte of RGB
TRUNCATED = "The photo is truncated or damaged"
_ORIENTATION = 0x0112
_EXIF_MARK = b"Exif\0\0"


class Refused(Exception):
    """The file is not taken: ``reason`` in a sentence for people, ``rule`` in a word for logs."""

    def __init__(self, reason: str, rule: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Plain:
    """A file that may be decoded.

    Attributes:
        kind: its format, as Pillow calls it.
        data: the file without all that its pixels do not need.
        width, height: in pixels as they are stored, before they are turned; 0 if only its decoder can tell.
        orientation: 1…8, how it is to be turned (EXIF 2.32, tag 0x0112).
        depth: bits of a sample, where it matters.
        ended: whether the end of the picture was there.
    """

    kind: str
    data: bytes
    width: int = 0
    height: int = 0
    orientation: int = 1
    depth: int = 8
    ended: bool = True


def check_size(width: int, height: int, max_size: int) -> None:
    """Refuse a picture that is too large, whatever its file weighs. Raises Refused."""
    if width <= 0 or height <= 0:
        raise Refused(TRUNCATED, "size-zero")
    if width * height > MOST_PIXELS:
        raise Refused("The photo has too many pixels", "size-pixels")
    if max(width, height) > max_size:
        raise Refused(f"The photo is {width}x{height} pixels; the longest side may be {max_size}", "size-side")


def orientation_of(exif: bytes) -> int:
    """Return the orientation that the first directory of an Exif block has; 1 if it says none that exists.

    >>> orientation_of(b"Exif\\0\\0MM\\0*\\0\\0\\0\\x08\\0\\x01\\x01\\x12\\0\\x03\\0\\0\\0\\x01\\0\\x06\\0\\0")
    6
    """
    tiff = exif.removeprefix(_EXIF_MARK)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", tiff, entry)
            if tag == _ORIENTATION:
                (value,) = struct.unpack_from(order + {1: "B", 4: "I"}.get(kind, "H"), tiff, entry + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:  # it points outside of itself
        pass
    return 1
