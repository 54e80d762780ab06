"""multipart/form-data, as leniently as the servers of ten years ago took it.

The parsers that are kept well today (python-multipart, multipart, Tornado's own) refuse a whole upload for the head
of one part: a folded line, a header's name that is no token, another disposition. Clients in the field send such
heads. Of a head we use one line, so nothing else in it is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import unquote_to_bytes

MAX_PARTS = 1000
_MOST_FOUND = 5 * MAX_PARTS  # places that look like a boundary: each is some work
_LONGEST_BOUNDARY = 1000  # RFC 2046 says 70
_LONGEST_HEAD = 1 << 16  # bytes; what comes after them is not looked at
_MOST_HEADS = 1 << 19  # bytes of all heads together
_MOST_VALUES = 20  # of a line of a head; two of them matter
_PADDING = re.compile(rb"[ \t]*\r\n")
_DISPOSITION = re.compile(rb"(?:^|\r\n)content-disposition[ \t]*:[ \t]*([^\r]*)", re.IGNORECASE)
_PARAMETER = re.compile(rb';[ \t]*([^=;\s]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"(?=[ \t]*(?:;|$))|([^;]*))', re.DOTALL)


class MultipartError(ValueError):
    """The body is malformed; the message goes to the client."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part with a name. ``file``: whether the client names a file that it is from."""

    name: bytes
    file: bool
    data: bytes


def boundary_of(content_type: str) -> bytes:
    """Return the boundary that a Content-Type names. Raises MultipartError."""
    match = re.search(r';[ \t]*boundary[ \t]*=[ \t]*(?:"([^"]*)"|([^;]*))', content_type, re.IGNORECASE)
    boundary = ((match[1] or match[2] or "") if match else "").strip()
    if not boundary:
        raise MultipartError("The Content-Type of the multipart body names no boundary")
    if len(boundary) > _LONGEST_BOUNDARY:
        raise MultipartError("The boundary of the multipart body is too long")
    return boundary.encode("latin-1", "replace")


def parts_of(content_type: str, body: bytes | bytearray) -> Iterator[Part]:
    """Yield the parts that have a name, in order.

    What comes before the first boundary and after the last one does not matter. Raises MultipartError: no boundary is
    named or found, the body is cut off, or has too many parts.
    """
    delimiter = b"--" + boundary_of(content_type)
    view, looked_at = memoryview(body), 0
    for number, (start, end) in enumerate(_spans(body, delimiter)):
        if number >= MAX_PARTS:
            raise MultipartError(f"The multipart body has more than {MAX_PARTS} parts")
        head_end = body.find(b"\r\n\r\n", start, end + 2)
        head = bytes(view[start : min(head_end, start + _LONGEST_HEAD)]) if head_end >= 0 else b""
        looked_at += len(head)
        if looked_at > _MOST_HEADS:
            raise MultipartError("The heads of the multipart body's parts are too long")
        if named := _named(head):
            yield Part(*named, bytes(view[head_end + 4 : end]))


def _spans(body: bytes | bytearray, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each part begins and ends."""
    start: int | None = None
    found = body.find(delimiter)
    for _ in range(_MOST_FOUND):
        if found < 0:
            break
        after = found + len(delimiter)
        last = body[after : after + 2] == b"--"
        line_end = None if last else _PADDING.match(body, after)
        # Before the first boundary anything goes; a part ends with the CRLF before the next one.
        alone = found == 0 or body[found - 2 : found] == b"\r\n" or (start is None and body[found - 1] == 0x0A)
        if alone and (last or line_end):
            if start is not None and start <= found:
                yield start, max(start, found - 2)
            if line_end is None:
                return
            start = line_end.end()
        found = body.find(delimiter, after)
    else:
        raise MultipartError("The parts of the multipart body hold its boundary again and again")
    if start is None:
        raise MultipartError("The multipart body does not have the boundary that its Content-Type names")
    raise MultipartError("The multipart body is cut off: its last boundary is missing")


def _named(head: bytes) -> tuple[bytes, bool] | None:
    """Return the name of a part and whether it is a file's; None for a part that is not of the form."""
    found = _DISPOSITION.search(re.sub(rb"\r\n[ \t]+", b" ", head))
    if found is None or found[1].partition(b";")[0].strip().lower() != b"form-data":
        return None
    values: dict[bytes, bytes] = {}
    for match in islice(_PARAMETER.finditer(found[1]), _MOST_VALUES):
        key, quoted, bare = match.groups(b"")
        value = re.sub(rb'\\(["\\])', rb"\1", quoted) if quoted else bare.strip()
        if key.endswith(b"*"):  # RFC 2231: charset'language'%-encoded
            value = unquote_to_bytes(value.rpartition(b"'")[2])
        values.setdefault(key.lower().rstrip(b"*"), value)
    name = values.get(b"name", b"")
    return (name, bool(values.get(b"filename"))) if name else None
