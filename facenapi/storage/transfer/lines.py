"""The whole of an owner as newline-delimited JSON: out of one store and into another, of either kind.

The first line says what the file is; then come galleries, persons, cameras and faces (oldest first), one
to a line, each as ``{"kind": value}``; the last line is ``{"end": number of faces}``. Face ids, person ids,
embeddings and times survive; revisions are given anew. Both directions can be stopped and run again: an
export goes on where its partial file ends, an import leaves alone what is there already.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from facenapi.storage.base import Face
from facenapi.storage.ids import MAX_ID, cell_of

VERSION = 1
BATCH = 500

# Called with the number of faces done and the number there are.
Progress = Callable[[int, int], None]

_FIELDS = {f.name for f in fields(Face)} - {"owner", "cell", "rev"}
_TUPLES = ("galleries", "emotions")


class TransferError(Exception):
    """The file cannot be used; the message is one line that says where and why."""


def line_of(kind: str, value: Any) -> bytes:
    """Return a line."""
    return json.dumps({kind: value}, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def parse(line: bytes, number: int) -> tuple[str, Any]:
    """Return kind and value of a line."""
    try:
        [(kind, value)] = json.loads(line).items()
    except (ValueError, AttributeError) as error:
        raise TransferError(f"line {number} is damaged") from error
    return kind, value


def values_of(face: Face) -> dict[str, Any]:
    """Return what stands in a file for a face."""
    values = {name: value for name, value in asdict(face).items() if name in _FIELDS and value is not None}
    return values | {"embedding": base64.b64encode(face.embedding).decode()}


def face_of(owner: str, value: dict[str, Any]) -> Face:
    """Return the face of a line; raises KeyError, TypeError or ValueError."""
    values = dict(value)
    unknown = set(values) - _FIELDS
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    id_of(values["id"])
    values["embedding"] = base64.b64decode(values["embedding"], validate=True)
    if not values["embedding"] or len(values["embedding"]) % 4:
        raise ValueError("the embedding is not made of 32-bit numbers")
    values |= {name: tuple(values[name]) for name in _TUPLES if name in values}
    return Face(owner=owner, cell=cell_of(values["id"]), rev=0, **values)


def id_of(value: Any) -> int:
    """Return an id; raises ValueError if it is none that a store gives."""
    if type(value) is not int or not 0 < value <= MAX_ID:
        raise ValueError(f"bad id {value}")
    return value
