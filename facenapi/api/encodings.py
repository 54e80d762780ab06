"""Undoing the content encoding of a body, in small pieces, so that whoever counts them can stop."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from facenapi.errors import BadEncoding, BadParam

_PIECE = 1 << 18  # bytes that are undone at a time
_MOST_MEMBERS = 1000  # of a gzip body; an empty one is of 20 bytes and much work
_GZIP, _ZLIB, _RAW = 31, 15, -15  # what zlib calls window bits says what is around the data


def decoder_for(encoding: str) -> Decoder | None:
    """Return what undoes a Content-Encoding, None where there is nothing to undo. Raises BadEncoding."""
    word = encoding.strip().lower()
    if word in ("", "identity"):
        return None
    if word in ("gzip", "x-gzip", "deflate"):
        return Decoder(word)
    raise BadEncoding("The Content-Encoding must be gzip, deflate or identity")


class Decoder:
    """Undoes one encoding."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._inflate = zlib.decompressobj(_GZIP) if encoding != "deflate" else None
        self._held = b""  # the first byte of a deflated body: two tell its kind
        self._begun = False
        self._members = 1

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what some more of the body holds. Raises BadParam if it is damaged."""
        data = self._held + data
        self._held = b""
        if self._inflate is None:
            if len(data) < 2:
                self._held = data
                return
            # By the book deflate comes in zlib's frame; many clients send it bare.
            framed = data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._inflate = zlib.decompressobj(_ZLIB if framed else _RAW)
        self._begun = self._begun or bool(data)
        try:
            while data:
                if self._inflate.eof:
                    if self._encoding == "deflate" or not data.startswith(b"\x1f\x8b"[: len(data)]):
                        return  # what follows the end is nobody's
                    self._members += 1
                    if self._members > _MOST_MEMBERS:
                        raise BadParam("body", None, f"The gzip body has more than {_MOST_MEMBERS} members")
                    self._inflate = zlib.decompressobj(_GZIP)
                piece = self._inflate.decompress(data, _PIECE)
                if piece:
                    yield piece
                data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        except zlib.error as error:
            raise self._damaged() from error

    def finish(self) -> None:
        """Raise BadParam if the body ended too early; an empty one is none at all."""
        if self._held or (self._begun and self._inflate is not None and not self._inflate.eof):
            raise self._damaged()

    def _damaged(self) -> BadParam:
        return BadParam("body", None, f"The body is not whole {self._encoding} data, as its Content-Encoding says")
