"""Which format a file is of, by its first bytes, and the checks that belong to it."""

from __future__ import annotations

import re
from importlib.util import find_spec

from facenapi.photos.formats import jpeg, png, webp
from facenapi.photos.formats.plain import MOST_PIXELS, Plain, Refused

# ISO/IEC 23008-12 and the AVIF specification: brands of files whose first picture is coded with HEVC or AV1.
_AVIF = (b"avif", b"avis")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_EITHER = (b"mif1", b"msf1", b"mif2")
_FILE_NAME = re.compile(rb"[^\x00-\x1f]{1,250}\.(?:jpe?g|png|webp|hei[cf]|avif)\s*", re.IGNORECASE)


def inspect(data: bytes, max_size: int) -> Plain:
    """Return what there is to decode in a file; refuse what has no end or no meaning.

    Raises:
        Refused: no format that we know; too large; a structure that no picture needs.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return jpeg.inspect(data, max_size)
    if data.startswith(png.SIGNATURE):
        return png.inspect(data, max_size)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return webp.inspect(data, max_size)
    if data[4:8] == b"ftyp":
        kind = _kind_of_box(data)
        if kind == "HEIF" and not _reads_heic():
            raise Refused("This is HEIC, which the server reads with the extra heif only: "
                          "pip install 'facenapi[heif]'", "heif-extra")  # fmt: skip
        if kind:
            return Plain(kind, data)
    raise Refused(_no_picture(data), "unknown-format")


def pixels_of(data: bytes) -> int:
    """Return how many pixels a file declares at its beginning, at a glance; very many where that does not tell.

    Nothing is checked: it is for guessing what a photo will cost.
    """
    size = None
    if data.startswith(b"\xff\xd8\xff"):
        size = jpeg.glance(data)
    elif data.startswith(png.SIGNATURE):
        size = (int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big"))
    elif data[:4] == b"RIFF":
        size = webp.size_of(data[12:16], data[20:50])
    return size[0] * size[1] if size else MOST_PIXELS


def extension_of(data: bytes) -> str:
    """Return how the name of a file ends that :func:`inspect` has taken.

    >>> extension_of(b"\\x89PNG\\r\\n\\x1a\\n"), extension_of(b"\\0\\0\\0\\x18ftypheic")
    ('png', 'heic')
    """
    if data[4:8] == b"ftyp":
        return "avif" if _kind_of_box(data) == "AVIF" else "heic"
    return "png" if data.startswith(png.SIGNATURE) else "webp" if data[:4] == b"RIFF" else "jpg"


def _reads_heic() -> bool:
    return find_spec("pillow_heif") is not None


def _no_picture(data: bytes) -> str:
    if _FILE_NAME.fullmatch(data):
        return "The photo is the name of a file instead of the file (curl sends the file by -F photo=@FILE)"
    return f"The photo is not a JPEG, PNG, WebP{', HEIC' if _reads_heic() else ''} or AVIF picture"


def _kind_of_box(data: bytes) -> str:
    """Return AVIF, HEIF or nothing, as the brands say: the major one first, then those it is compatible with."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, size, 4))]
    for brand in brands:
        if brand in _AVIF:
            return "AVIF"
        if brand in _HEIC:
            return "HEIF"
    return "HEIF" if brands[0] in _EITHER else ""
