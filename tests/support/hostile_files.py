"""Files that are meant to stop a server, by name; a few that only look so are among them."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.support import hostile, photos
from tests.support.hostile import chunk, segment

MOST = 9_900_000  # bytes: just below what a photo may have
_EXIF = segment(0xE1, b"Exif\0\0")
_FRAME = b"\xff\xc0"


def files() -> dict[str, bytes]:
    """Return all of them; takes some seconds."""
    return dict([*_jpegs(), *_pngs(), *_webps(), *_others()])


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def _filled(data: bytes, piece: bytes) -> bytes:
    """Return a JPEG with as many pieces behind its beginning as a photo may have bytes."""
    return hostile.before_tables(data, piece * ((MOST - len(data)) // len(piece)))


def _jpegs() -> Iterator[tuple[str, bytes]]:
    good = photos.grace_hopper()
    frame = good.find(_FRAME)
    dice = random.Random(1)
    yield "jpeg: the last of 36 megapixels' scans 3000 times", hostile.jpeg_of_scans(6000, 6000, 3000)
    yield "jpeg: as many scans as are allowed", hostile.jpeg_of_scans(6000, 6000, 17)
    yield "jpeg: small, of a hundred scans", hostile.jpeg_of_scans(3000, 3000, 90)
    yield "jpeg: 825,000 empty Exif segments", hostile.before_tables(good, _EXIF * 825_000)
    yield "jpeg: 3,900 Exif segments", hostile.before_tables(good, segment(0xE1, b"Exif\0\0" + bytes(2500)) * 3900)
    yield "jpeg: profiles", _filled(good, segment(0xE2, b"ICC_PROFILE\0\1\xff" + bytes(60_000)))
    yield "jpeg: tiny profiles", _filled(good, segment(0xE2, b"ICC_PROFILE\0\1\xff"))
    yield "jpeg: filling", _filled(good, b"\xff")
    yield "jpeg: filling that is no marker", _filled(good, b"\xff\0")
    yield "jpeg: empty comments", _filled(good, segment(0xFE))
    yield "jpeg: empty APP15", _filled(good, segment(0xEF))
    yield (
        "jpeg: Photoshop resources",
        _filled(good, segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 4000)),
    )
    yield "jpeg: Huffman tables", _filled(good, segment(0xC4, bytes(17)))
    yield "jpeg: quantization tables", _filled(good, segment(0xDB, bytes(65)))
    yield "jpeg: beginnings", _filled(good, b"\xff\xd8")
    yield "jpeg: 12 bits", good[: frame + 4] + b"\x0c" + good[frame + 5 :]
    yield "jpeg: lossless", good[: frame + 1] + b"\xc3" + good[frame + 2 :]
    yield "jpeg: 65535x65535", good[: frame + 5] + b"\xff\xff\xff\xff" + good[frame + 9 :]
    yield "jpeg: another frame", good[:frame] + good[frame : frame + 19] * 50 + good[frame:]
    yield "jpeg: half of one", good[: len(good) // 2]
    yield "jpeg: without its end", good[:-2]
    yield (
        "jpeg: noise for 36 megapixels",
        _saved(Image.new("L", (6000, 6000)), "JPEG")[:-9000] + dice.randbytes(9_000_000),
    )
    yield (
        "jpeg: markers for 36 megapixels",
        _saved(Image.new("L", (6000, 6000)), "JPEG")[:-9000] + b"\xff\xd0" * 4_000_000,
    )
    yield "jpeg: pictures behind it", good + (good * (MOST // len(good) - 1))


def _pngs() -> Iterator[tuple[str, bytes]]:
    good = photos.astronaut()
    header = b"\x89PNG\r\n\x1a\n"

    def of(width: int, height: int, depth: int, color: int, *chunks: bytes, interlaced: int = 0) -> bytes:
        shape = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
        samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
        rows = zlib.compress(bytes(height * (1 + width * samples * depth // 8) + 64), 1)
        return header + chunk(b"IHDR", shape) + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")

    bomb = b"a\0\0" + zlib.compress(bytes(200_000_000))
    yield "png: 800,000 empty texts", hostile.after_header(good, chunk(b"tEXt", b"") * 800_000)
    yield "png: 40,000 texts", hostile.after_header(good, chunk(b"tEXt", b"a\0b") * 40_000)
    yield "png: a text of 200 MB", hostile.after_header(good, chunk(b"zTXt", bomb))
    yield "png: a profile of 200 MB", hostile.after_header(good, chunk(b"iCCP", bomb))
    yield "png: Exif of 9 MB", hostile.after_header(good, chunk(b"eXIf", b"II*\0" + bytes(9_000_000)))
    yield "png: 14000x14000", of(14000, 14000, 1, 0)
    yield "png: 6000x6000 of 16 bits and alpha", of(6000, 6000, 16, 6)
    yield "png: 6000x6000 interlaced", of(6000, 6000, 8, 2, interlaced=1)
    yield (
        "png: 6000x6000 of a palette with alpha",
        of(6000, 6000, 8, 3, chunk(b"PLTE", bytes(768)), chunk(b"tRNS", bytes(256))),
    )
    yield "png: 6000x6000 grey with a key", of(6000, 6000, 16, 0, chunk(b"tRNS", bytes(2)))
    yield "png: pixels of a byte each", header + good[8:33] + chunk(b"IDAT", b"x") * 700_000
    yield "png: animated", hostile.after_header(good, chunk(b"acTL", bytes(8)), chunk(b"fdAT", bytes(9)) * 300_000)
    yield "png: of an iPhone's own kind", hostile.after_header(good, chunk(b"CgBI", bytes(4)))
    yield "png: without its end", good[:-20]
    yield "png: a chunk of 2 GB", good[:33] + struct.pack(">I4s", 0x7FFFFFFF, b"IDAT") + good[41:]


def _webps() -> Iterator[tuple[str, bytes]]:
    good = _saved(Image.new("RGB", (300, 200), "red"), "WEBP")
    solid = _saved(Image.new("RGB", (6000, 6000), "red"), "WEBP", lossless=True, quality=0, method=0)
    frame = hostile.webp_chunk(b"ANMF", bytes(16) + good[12:])
    canvas = hostile.webp_chunk(b"VP8X", b"\x02\0\0\0" + b"\x2b\1\0\xc7\0\0")
    yield "webp: 6000x6000 in a kilobyte", solid
    yield "webp: a canvas of 16384x16384", hostile.webp_of_canvas(16384, 16384, good)
    yield "webp: a canvas of 6000x6000", hostile.webp_of_canvas(6000, 6000, good)
    yield "webp: frames", hostile.webp(canvas, hostile.webp_chunk(b"ANIM", bytes(6)), frame * 9000)
    yield "webp: chunks", hostile.webp(hostile.webp_chunk(b"XXXX", b"") * 900_000, good[12:])
    yield "webp: texts", good + hostile.webp_chunk(b"XMP ", bytes(MOST - 1000))
    yield "webp: half of one", solid[: len(solid) // 2]


def _others() -> Iterator[tuple[str, bytes]]:
    yield "heic: its first box", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    yield "heic: noise", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + random.Random(2).randbytes(1_000_000)
    yield "heic: boxes", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + (b"\0\0\0\x08free" * 1_000_000)
    yield (
        "avif: boxes in boxes",
        b"\0\0\0\x18ftypavif\0\0\0\0mif1avif"
        + b"".join(struct.pack(">I4s", 8 * (90_000 - depth), b"meta") for depth in range(90_000)),
    )
    yield "gif", _saved(Image.new("P", (6000, 6000)), "GIF")
    yield "svg", b"<svg xmlns='http://www.w3.org/2000/svg'>" + b"<g>" * 900_000
    yield "nothing but zeros", bytes(MOST)
