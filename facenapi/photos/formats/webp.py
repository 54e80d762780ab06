"""WebP (RFC 9649): chunks of a RIFF file."""

from __future__ import annotations

import struct

from facenapi.photos.formats.plain import TRUNCATED, Plain, Refused, check_size, orientation_of

_MOST_CHUNKS = 10_000
_MOST_EXIF = 1 << 16
_ALPHA, _ANIMATION = 0x10, 0x02
_FRAME_HEADER = 16  # bytes of an ANMF chunk before the frame's own chunks


def inspect(data: bytes, max_size: int) -> Plain:
    """Return the picture, of an animation the first one, with nothing around it. Raises Refused."""
    kept: dict[bytes, bytes] = {}
    exif, at = b"", 12
    for _ in range(_MOST_CHUNKS):
        if at + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, at)
        payload = data[at + 8 : at + 8 + length]
        if kind in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF"):
            kept.setdefault(kind, payload)
        elif kind == b"EXIF":
            exif = payload[:_MOST_EXIF]
        at += 8 + length + length % 2
    else:
        raise Refused("The photo is a WebP of too many chunks", "webp-chunks")
    sizes = [size for kind, payload in kept.items() if (size := size_of(kind, payload))]
    if not sizes:
        raise Refused(TRUNCATED, "webp-damaged")
    # The canvas counts, but the decoder makes room for whatever is declared anywhere.
    for width, height in sizes:
        check_size(width, height, max_size)
    (width, height), chunks = sizes[0], kept
    if canvas := kept.get(b"VP8X"):
        flags = canvas[0] & (_ALPHA | (_ANIMATION if b"ANMF" in kept else 0))
        chunks = kept | {b"VP8X": bytes([flags]) + canvas[1:]}
    body = b"WEBP" + b"".join(_chunk(kind, payload) for kind, payload in chunks.items())
    plain = b"RIFF" + struct.pack("<I", len(body)) + body
    return Plain("WEBP", plain, width, height, orientation_of(exif))


def size_of(kind: bytes, payload: bytes) -> tuple[int, int] | None:
    """Return the width and height that a chunk declares, if it does.

    >>> size_of(b"VP8X", bytes(4) + b"\\x0f\\x00\\x00\\x07\\x00\\x00")
    (16, 8)
    """
    if kind == b"VP8 " and len(payload) >= 10:
        width, height = struct.unpack_from("<HH", payload, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(payload) >= 5:
        bits = int.from_bytes(payload[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(payload) >= 10:
        return int.from_bytes(payload[4:7], "little") + 1, int.from_bytes(payload[7:10], "little") + 1
    if kind == b"ANMF" and len(payload) >= _FRAME_HEADER + 8:
        inner, length = struct.unpack_from("<4sI", payload, _FRAME_HEADER)
        frame = size_of(inner, payload[_FRAME_HEADER + 8 : _FRAME_HEADER + 8 + length])
        width, height = int.from_bytes(payload[6:9], "little") + 1, int.from_bytes(payload[9:12], "little") + 1
        return (max(width, frame[0]), max(height, frame[1])) if frame else (width, height)
    return None


def _chunk(kind: bytes, payload: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(payload)) + payload + b"\0" * (len(payload) % 2)
