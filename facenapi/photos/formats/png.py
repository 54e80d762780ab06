"""PNG (third edition, W3C 2025): chunks."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from facenapi.photos.formats.plain import TRUNCATED, Plain, Refused, check_size, orientation_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_CHUNKS = 50_000  # of the smallest that encoders write, 512 bytes, 10 MB hold 20,000
_MOST_EXIF = 1 << 16
_ORDER = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_TRANSPARENCY = {0: (2,), 2: (6,), 3: range(1, 257)}  # bytes of it, by colour type
_CRITICAL = 0x20  # of the first letter, absent: without the chunk there is no picture


def inspect(data: bytes, max_size: int) -> Plain:
    """Return header, palette, transparency and all pixels in one chunk; ancillary chunks go. Raises Refused."""
    kept: dict[bytes, bytes] = {}
    pixels: list[bytes] = []
    exif = b""
    for kind, payload in _chunks(data):
        if kind == b"IDAT":
            pixels.append(data[payload])
        elif kind in (b"IHDR", b"PLTE", b"tRNS"):
            if kind not in kept and _is_whole(kind, data, payload):
                kept[kind] = data[payload]
        elif kind == b"eXIf":
            exif = data[payload][:_MOST_EXIF]
        elif not kind[0] & _CRITICAL and kind.isalpha():
            raise Refused(f"The photo is a PNG of a kind that is not supported ({kind.decode()})", "png-kind")
    header = kept.get(b"IHDR", b"")
    if len(header) != 13 or not pixels:
        raise Refused(TRUNCATED, "png-damaged")
    width, height, depth, color = struct.unpack_from(">IIBB", header)
    check_size(width, height, max_size)
    if len(kept.get(b"tRNS", b"")) not in _TRANSPARENCY.get(color, ()):
        kept.pop(b"tRNS", None)  # ancillary, too: what it says means nothing, but does not decide
    kept[b"IDAT"], kept[b"IEND"] = b"".join(pixels), b""
    plain = SIGNATURE + b"".join(_chunk(kind, kept[kind]) for kind in _ORDER if kind in kept)
    return Plain("PNG", plain, width, height, orientation_of(exif), depth)


def _chunks(data: bytes) -> Iterator[tuple[bytes, slice]]:
    """Yield kind and place of each chunk's payload, up to the end of the picture or of the file."""
    at = len(SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"IEND":
            return
        yield kind, slice(at + 8, at + 8 + length)
        at += 12 + length
    raise Refused("The photo is a PNG of too many chunks", "png-chunks")


def _is_whole(kind: bytes, data: bytes, payload: slice) -> bool:
    """Whether a chunk is as it was written; a header or palette that is not is refused. Pixels have a sum within."""
    whole = struct.pack(">I", zlib.crc32(kind + data[payload])) == data[payload.stop : payload.stop + 4]
    if not whole and not kind[0] & _CRITICAL:
        raise Refused(TRUNCATED, "png-crc")
    return whole


def _chunk(kind: bytes, payload: bytes) -> bytes:
    crc = zlib.crc32(payload, zlib.crc32(kind))
    return b"".join([struct.pack(">I", len(payload)), kind, payload, struct.pack(">I", crc)])
