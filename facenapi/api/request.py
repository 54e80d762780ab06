"""The parameters of a request, from wherever the client put them.

JSON body, urlencoded body, multipart parts and query string are read into one :class:`Parameters`;
the body wins over the query. What a value means is for ``params.py``: here it stays raw, either a JSON
value, or :class:`Texts` of a form or query, or :class:`Upload`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from tornado.httputil import HTTPHeaders

from facenapi.api import jsonio
from facenapi.api.multipart import MultipartError, Part, parts_of
from facenapi.api.patterns import NOTHING, SPACE
from facenapi.errors import BadParam, MalformedJson, TooLarge

MAX_FIELDS = 1000
TEXT_LIMIT = 1 << 20  # bytes of a JSON or urlencoded body: parsing text blocks the loop
RAW_PHOTO = "photo"  # what a body that is nothing but a picture is the value of, in methods with one photo

# Types that say nothing: none, what curl and others give to any body, and "bytes".
_UNTOLD = ("", "application/x-www-form-urlencoded", "application/octet-stream", "binary/octet-stream")
_LONGEST_NOTHING = 100  # characters of a text that says nothing, with the space in it
_SNIFFED = 64  # bytes; all formats of pictures have control characters among these, no text has
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Texts:
    """The values of one name in a form or query, in order."""

    values: tuple[bytes, ...]

    @property
    def last(self) -> bytes:
        """The last that is not empty."""
        return next((value for value in reversed(self.values) if value), b"")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file part of a multipart body."""

    data: bytes


@dataclass(slots=True)
class Parameters:
    """Raw values by name; an empty value counts as absent."""

    body: dict[str, Any] = field(default_factory=dict)
    query: dict[str, Texts] = field(default_factory=dict)

    def raw(self, name: str, *, json: bool = False) -> Any | None:
        """Return what the client sent under this name, ``None`` if nothing.

        ``json``: a text may be JSON, so that ``[]`` and ``null`` are nothing in it, too.
        """
        for source in (self.body, self.query):
            value = source.get(name)
            if not (_is_empty(value) or (json and _says_nothing(value))):
                return value
        return None

    def has_empty_file(self, name: str) -> bool:
        """Whether all that the client sent under this name is files without a byte."""
        value = self.body.get(name)
        return isinstance(value, Texts) and not value.values

    def names(self, name: str) -> bool:
        """Whether the client sent this name, with a value or without."""
        return name in self.body or name in self.query


def _is_empty(value: Any) -> bool:
    if isinstance(value, Texts):
        return not any(value.values)
    if isinstance(value, Upload):
        return not value.data
    return value is None or value in ("", [])


def _says_nothing(value: Any) -> bool:
    """Whether a text is an empty list or null in JSON, as clients send it that turn everything into JSON."""
    texts: tuple[Any, ...] = (value.data if isinstance(value, Upload) else value,)
    if isinstance(value, Texts):
        texts = tuple(filter(None, value.values))
    if len(texts) != 1 or not isinstance(texts[0], str | bytes) or len(texts[0]) > _LONGEST_NOTHING:
        return False
    return re.fullmatch(NOTHING, _latin(texts[0]).strip(SPACE)) is not None


def _latin(text: str | bytes) -> str:
    """Return a text as it is, bytes with a character for each of them: what they mean is found out later."""
    return text if isinstance(text, str) else text.decode("latin-1")


def read_parameters(headers: HTTPHeaders, query: str, body: bytes | bytearray) -> Parameters:
    """Read all parameters of a request.

    Raises:
        MalformedJson: the body should be JSON and is not.
        BadParam: the form or the query cannot be taken apart.
        TooLarge: a text of this size is not read.
    """
    return Parameters(body=_read_body(headers.get("Content-Type", ""), body), query=_read_urlencoded(query, "query"))


def may_be_photo(content_type: str) -> bool:
    """Whether a body of this type may be a photo, or hold one: a form of parts, a picture, or anything at all."""
    kind = _kind(content_type)
    return kind.startswith(("multipart/", "image/")) or kind in _UNTOLD


def _kind(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _read_body(content_type: str, body: bytes | bytearray) -> dict[str, Any]:
    kind, begin = _kind(content_type), bytes(body[:_SNIFFED])
    if not (begin.strip() or body.strip()):
        return {}
    if kind == "multipart/form-data":
        return _read_multipart(content_type, body)
    if kind.startswith("image/") or (kind in _UNTOLD and _BINARY.search(begin)):
        return {RAW_PHOTO: Upload(bytes(body))}
    if len(body) > TEXT_LIMIT:
        raise TooLarge(f"A body of text may have {TEXT_LIMIT} bytes")
    # Many clients post JSON without saying so, or under the type that curl -d gives.
    if kind == "application/json" or kind.endswith("+json") or begin.lstrip()[:1] == b"{":
        value = jsonio.loads(bytes(body))
        if value in ([], None, ""):
            return {}
        if not isinstance(value, dict):
            raise MalformedJson("The JSON body must be an object")
        return value
    if kind in ("application/x-www-form-urlencoded", ""):
        return dict(_read_urlencoded(bytes(body), "body"))
    return {}


def _read_urlencoded(text: str | bytes, where: str) -> dict[str, Texts]:
    try:
        pairs = parse_qsl(_latin(text), keep_blank_values=True, max_num_fields=MAX_FIELDS, encoding="latin-1")
    except ValueError as error:
        raise BadParam(where, None, f"The {where} cannot be read, or has more than {MAX_FIELDS} fields") from error
    values: dict[str, list[bytes]] = {}
    for name, value in pairs:
        values.setdefault(_name(name.encode("latin-1"), where), []).append(value.encode("latin-1"))
    return {name: Texts(tuple(found)) for name, found in values.items()}


def _read_multipart(content_type: str, body: bytes | bytearray) -> dict[str, Any]:
    parts: dict[str, list[Part]] = {}
    try:
        for part in parts_of(content_type, body):
            parts.setdefault(_list_name(part.name.decode(errors="replace")), []).append(part)
    except MultipartError as error:
        raise BadParam("body", None, str(error)) from error
    return {name: _value(found) for name, found in parts.items()}


def _value(parts: list[Part]) -> Texts | Upload:
    """Return what parts of one name say: the last that is not empty counts, for texts the others may, too.

    A form in a browser sends an empty file where none was chosen.
    """
    last = next((part for part in reversed(parts) if part.data), None)
    if last is not None and last.file:
        return Upload(last.data)
    return Texts(tuple(part.data for part in parts if not part.file))


def _name(name: str | bytes, where: str) -> str:
    """Return a parameter's name; ``name[]`` and ``name[0]`` are how some languages write a list called ``name``."""
    try:
        text = name.decode() if isinstance(name, bytes) else name
        text.encode()
    except UnicodeError as error:
        raise BadParam(where, None, "A parameter's name is not valid UTF-8") from error
    return _list_name(text)


def _list_name(name: str) -> str:
    return re.sub(r"\[[0-9]{0,6}\]$", "", name)
