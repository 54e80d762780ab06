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

from tornado.httputil import HTTPFile, HTTPHeaders, HTTPInputError, parse_multipart_form_data

from facenapi.api import jsonio
from facenapi.api.patterns import NOTHING, SPACE
from facenapi.errors import BadParam, MalformedJson

MAX_FIELDS = 1000


@dataclass(frozen=True, slots=True)
class Texts:
    """The values of one name in a form or query, in order."""

    values: tuple[bytes, ...]


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


def _is_empty(value: Any) -> bool:
    if isinstance(value, Texts):
        return not any(value.values)
    if isinstance(value, Upload):
        return not value.data
    return value is None or value in ("", [])


def _says_nothing(value: Any) -> bool:
    """Whether a text is an empty list or null in JSON, as clients send it that turn everything into JSON."""
    texts = value.values if isinstance(value, Texts) else (value.data if isinstance(value, Upload) else value,)
    if len(texts) != 1 or not isinstance(texts[0], str | bytes):
        return False
    return re.fullmatch(NOTHING, _latin(texts[0]).strip(SPACE)) is not None


def _latin(text: str | bytes) -> str:
    """Return a text as it is, bytes with a character for each of them: what they mean is found out later."""
    return text if isinstance(text, str) else text.decode("latin-1")


def read_parameters(headers: HTTPHeaders, query: str, body: bytes) -> Parameters:
    """Read all parameters of a request.

    Raises:
        MalformedJson: the body should be JSON and is not.
        BadParam: the form or the query cannot be taken apart.
    """
    return Parameters(body=_read_body(headers.get("Content-Type", ""), body), query=_read_urlencoded(query, "query"))


def _read_body(content_type: str, body: bytes) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    if not body.strip():
        return {}
    if kind == "multipart/form-data":
        return _read_multipart(content_type, body)
    # Many clients post JSON without saying so, or under the type that curl -d gives.
    if kind == "application/json" or kind.endswith("+json") or body.lstrip()[:1] == b"{":
        value = jsonio.loads(body)
        if value in ([], None, ""):
            return {}
        if not isinstance(value, dict):
            raise MalformedJson("The JSON body must be an object")
        return value
    if kind in ("application/x-www-form-urlencoded", ""):
        return dict(_read_urlencoded(body, "body"))
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


def _read_multipart(content_type: str, body: bytes) -> dict[str, Any]:
    texts: dict[str, list[bytes]] = {}
    files: dict[str, list[HTTPFile]] = {}
    try:
        parse_multipart_form_data(_boundary(content_type), body, texts, files)
    except (HTTPInputError, ValueError) as error:
        raise BadParam("body", None, "The multipart body cannot be read") from error
    merged: dict[str, list[bytes]] = {}
    for name, values in texts.items():
        merged.setdefault(_name(name, "body"), []).extend(values)
    found: dict[str, Any] = {name: Texts(tuple(values)) for name, values in merged.items()}
    for name, uploads in files.items():
        # A form in a browser sends an empty file where none was chosen.
        if uploads[0].body or _name(name, "body") not in found:
            found[_name(name, "body")] = Upload(uploads[0].body)
    return found


def _boundary(content_type: str) -> bytes:
    for part in content_type.split(";")[1:]:
        key, _, value = part.strip().partition("=")
        if key.lower() == "boundary" and value.strip('"'):
            return value.strip('"').encode()
    raise ValueError("no boundary")


def _name(name: str | bytes, where: str) -> str:
    """Return a parameter's name; ``name[]`` and ``name[0]`` are how some languages write a list called ``name``."""
    try:
        text = name.decode() if isinstance(name, bytes) else name
        text.encode()
    except UnicodeError as error:
        raise BadParam(where, None, "A parameter's name is not valid UTF-8") from error
    return re.sub(r"\[[0-9]{0,6}\]$", "", text)
