"""JPEG (ITU-T T.81): segments and scans."""

from __future__ import annotations

import re

from facenapi.photos.formats.plain import TRUNCATED, Plain, Refused, check_size, orientation_of

# A marker where one may stand: in the data of a scan FF is followed by 0, or by a restart marker.
_MARKER = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
END = b"\xff\xd9"
_EOI, _SOS, _TEM, _SOI = 0xD9, 0xDA, 0x01, 0xD8
_FRAMES = (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
_SUPPORTED = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)  # baseline, extended, progressive; the latter two with arithmetic coding
_KEPT = (*_FRAMES, 0xC4, 0xCC, 0xDB, 0xDC, 0xDD)  # Huffman and arithmetic tables, quantization, lines, restarts
_MOST_SEGMENTS = 4000  # a photo has a few dozen
_MOST_SCANS = 100  # a progressive one about ten; each is a walk over the whole picture
_GLANCE = 100  # segments
_MOST_FILLING = 1 << 16  # bytes between two segments; there should be none
_MOST_SCANNED = 1_000_000_000  # pixels of all scans together: 24 megapixels forty times


def inspect(data: bytes, max_size: int) -> Plain:
    """Return what is to be decoded: no APP or COM segment but those that tell the colours. Raises Refused."""
    walk = _Walk(data)
    walk.run()
    if walk.frame is None or not walk.scans:
        raise Refused(TRUNCATED, "jpeg-damaged")
    marker, depth, width, height = walk.frame
    if marker not in _SUPPORTED:
        raise Refused("The photo is a JPEG of a kind that is not supported (lossless or hierarchical)", "jpeg-kind")
    if depth != 8:
        raise Refused(f"The photo is a JPEG of a kind that is not supported ({depth} bits per sample)", "jpeg-depth")
    check_size(width, height, max_size)
    if walk.scans > _MOST_SCANS or walk.scans * width * height > _MOST_SCANNED:
        raise Refused(f"The photo is a JPEG of too many scans ({walk.scans})", "jpeg-scans")
    plain = b"".join([b"\xff\xd8", *walk.kept, END if walk.ended else b""])
    return Plain("JPEG", plain, width, height, orientation_of(walk.exif), ended=walk.ended)


def glance(data: bytes) -> tuple[int, int] | None:
    """Return the width and height that the first few segments tell, if they do."""
    at = 2
    for _ in range(_GLANCE):
        if data[at : at + 1] != b"\xff" or at + 9 > len(data):
            return None
        if data[at + 1] in _FRAMES:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


class _Walk:
    """One walk from the first marker to the end of the first picture; what follows it is somebody else's."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._apps: set[int] = set()
        self.kept: list[bytes] = []
        self.frame: tuple[int, int, int, int] | None = None  # marker, bits, width, height
        self.scans = 0
        self.exif = b""
        self.ended = False

    def run(self) -> None:
        at = 2
        for _ in range(_MOST_SEGMENTS):
            # What stands between segments is what a scan holds; before the first one, filling that nobody needs.
            end = len(self._data) if self.scans else min(at + _MOST_FILLING, len(self._data))
            found = _MARKER.search(self._data, at, end)
            if self.scans:
                # Half a marker at the end of a file that was cut off is no marker.
                self.kept.append(self._data[at : found.start()] if found else self._data[at:].rstrip(b"\xff"))
            if found is None:
                return
            marker, at = found[1][0], found.end()
            if marker == _EOI:
                self.ended = True
                return
            if marker in (_TEM, _SOI):
                continue
            size = int.from_bytes(self._data[at : at + 2], "big")
            if size < 2:  # no segment: damage within a scan, which the decoder skips, too
                continue
            self._segment(marker, self._data[found.start() : at + size])
            at += size
        raise Refused("The photo is a JPEG of too many segments", "jpeg-segments")

    def _segment(self, marker: int, segment: bytes) -> None:
        payload = segment[4:]
        if marker in _FRAMES:
            if self.frame is not None or len(payload) < 5:
                raise Refused(TRUNCATED, "jpeg-frames")
            height, width = int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big")
            self.frame = (marker, payload[0], width, height)
        if marker == _SOS:
            self.scans += 1
        # JFIF and Adobe say how colours are stored.
        named = payload.startswith({0xE0: b"JFIF\0", 0xEE: b"Adobe"}.get(marker, b"\0none"))
        if marker in _KEPT or marker == _SOS or (named and marker not in self._apps):
            self.kept.append(segment)
            self._apps.add(marker)
        elif marker == 0xE1 and payload.startswith(b"Exif\0") and not self.exif:
            self.exif = payload
