"""Files made by hand: rare kinds, and those that are meant to stop a server."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types of PNG


def png(samples, color: int, depth: int = 8, *between: bytes, idat: int = 1 << 30) -> bytes:
    """Return a PNG of samples (h, w[, channels]) as they are stored; ``between``: chunks before the pixels."""
    samples = np.asarray(samples)
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    if depth == 16:
        packed = rows.astype(">u2").view(np.uint8)
    elif depth == 8:
        packed = rows.astype(np.uint8)
    else:
        bits = rows[:, :, None] >> np.arange(depth - 1, -1, -1) & 1
        packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    data = zlib.compress(np.hstack([np.zeros((height, 1), np.uint8), packed]).tobytes())
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    pixels = b"".join(chunk(b"IDAT", data[at : at + idat]) for at in range(0, len(data), idat))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(between) + pixels + chunk(b"IEND", b"")


def chunk(kind: bytes, payload: bytes, crc: int | None = None) -> bytes:
    """Return a chunk of PNG; ``crc``: a wrong one."""
    checked = zlib.crc32(kind + payload) if crc is None else crc
    return struct.pack(">I", len(payload)) + kind + payload + struct.pack(">I", checked)


def after_header(data: bytes, *chunks: bytes) -> bytes:
    """Return a PNG with chunks behind its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def segment(marker: int, payload: bytes = b"") -> bytes:
    """Return a segment of JPEG."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(payload) + 2) + payload


def before_tables(data: bytes, more: bytes) -> bytes:
    """Return a JPEG with bytes behind its first marker."""
    return data[:2] + more + data[2:]


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """Return a grey progressive JPEG whose last scan, of a few bytes, is repeated."""
    out = io.BytesIO()
    Image.new("L", (width, height), 90).save(out, "JPEG", progressive=True)
    data = out.getvalue()
    last = data.rfind(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + data[-2:]


def webp_chunk(kind: bytes, payload: bytes) -> bytes:
    """Return a chunk of WebP."""
    return kind + struct.pack("<I", len(payload)) + payload + b"\0" * (len(payload) % 2)


def webp(*chunks: bytes) -> bytes:
    """Return a WebP of chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_of_canvas(width: int, height: int, picture: bytes) -> bytes:
    """Return a WebP that says it is of this size around a simple WebP's picture."""
    canvas = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return webp(webp_chunk(b"VP8X", canvas), picture[12:])
