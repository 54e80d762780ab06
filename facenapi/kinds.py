"""The kinds of parameters that belong to faces: photos, boxes, thresholds, galleries, cameras."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from facenapi.geometry import Box
from facenapi.params import Kind, MustError, choice, complex_of, names, number_of, text_of
from facenapi.request import Texts, Upload

GALLERY_PATTERN = r"[a-zA-Z0-9_-]{1,48}"
THRESHOLDS: dict[str, float | None] = {"strict": 0.7834, "medium": 0.6616, "low": 0.5690, "none": None}
DEFAULT_THRESHOLD = 0.75
_FARTHEST = 1_000_000  # pixels; keeps sums of coordinates exact
_BOX_KEYS = ("x1", "y1", "x2", "y2")


@dataclass(frozen=True, slots=True)
class PhotoSource:
    """Where a photo is: the bytes that came along, or a URL to fetch it from."""

    param: str
    data: bytes | None = None
    url: str = ""


def photo(name: str) -> Kind:
    """Return a kind for a photo under this name: a file part, or an http(s) URL."""

    def parse(raw: Any) -> PhotoSource:
        data = raw.data if isinstance(raw, Upload) else raw.values[-1] if isinstance(raw, Texts) else None
        # A part without a file name looks like a text field: a URL is told from a picture by how it begins.
        if data is not None and not re.match(rb"\s*[a-zA-Z][a-zA-Z0-9+.-]*://", data):
            return PhotoSource(name, data=data)
        return PhotoSource(name, url=text_of(raw).strip())

    return Kind(parse, {"type": "string", "format": "uri", "description": "URL, or the file as a multipart part"})


def parse_threshold(raw: Any) -> float | None:
    """Return a threshold 0…1, None for "none"."""
    word = text_of(raw).strip().lower() if isinstance(raw, str | Texts | Upload) else ""
    if word in THRESHOLDS:
        return THRESHOLDS[word]
    try:
        value = float(number_of(raw))
    except MustError:
        value = -1.0
    if not 0 <= value <= 1:
        raise MustError("must be strict, medium, low, none or a number from 0 to 1")
    return value


def parse_boxes(raw: Any) -> tuple[Box, ...]:
    """Return boxes from an object, a list of four numbers, or a list of these."""
    value = complex_of(raw)
    if isinstance(value, list) and value and all(isinstance(item, list | dict) for item in value):
        return tuple(_box(item) for item in value)
    return (_box(value),)


def _box(value: Any) -> Box:
    if isinstance(value, dict) and set(_BOX_KEYS) <= set(value):
        value = [value[key] for key in _BOX_KEYS]
    if not isinstance(value, list) or len(value) != 4:
        raise MustError('must be {"x1", "y1", "x2", "y2"}, [x1, y1, x2, y2] or a list of these')
    x1, y1, x2, y2 = (float(number_of(number)) for number in value)
    if max(abs(x1), abs(y1), abs(x2), abs(y2)) > _FARTHEST or x1 >= x2 or y1 >= y2:
        raise MustError(f"must have x1 < x2 and y1 < y2, none beyond {_FARTHEST}")
    return Box(x1, y1, x2, y2)


def _parse_gallery_name(raw: Any) -> str:
    value = text_of(raw)
    if not re.fullmatch(GALLERY_PATTERN, value, re.ASCII):
        raise MustError("must be 1 to 48 letters, digits, _ or -")
    return value


def _parse_gallery_edit(raw: Any) -> tuple[str, tuple[str, ...]]:
    value = complex_of(raw)
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in ("add", "del", "set"):
        raise MustError('must be an object with exactly one of the keys "add", "del" and "set"')
    [(verb, listed)] = value.items()
    return verb, GALLERIES.parse(listed)


def camera_id(value: str) -> str:
    """Return the one spelling of a camera's UUID that is stored: 32 lower-case hex digits.

    >>> camera_id("12345678-1234-5678-1234-56781234ABCD")
    '1234567812345678123456781234abcd'
    """
    return value.strip().replace("-", "").lower()


def _parse_camera(raw: Any) -> str:
    value = camera_id(text_of(raw))
    if not re.fullmatch(r"[0-9a-f]{32}", value):
        raise MustError("must be a UUID")
    return value


def _parse_cameras(raw: Any) -> tuple[str, ...]:
    value = complex_of(raw)
    if not isinstance(value, list) or not all(
        isinstance(item, str | int) and not isinstance(item, bool) and len(str(item)) <= 64 for item in value
    ):
        raise MustError("must be a list of camera ids")
    return tuple(camera_id(text_of(str(item))) for item in value)


def _parse_roi(raw: Any) -> list[int]:
    value = complex_of(raw)
    numbers = [number_of(item) for item in value] if isinstance(value, list) else []
    if len(numbers) != 4 or any(item != int(item) or not 0 <= item <= _FARTHEST for item in numbers):
        raise MustError("must be [width, height, x, y] in whole pixels")
    return [int(item) for item in numbers]


_BOX_SCHEMA = {
    "oneOf": [
        {
            "type": "object",
            "required": list(_BOX_KEYS),
            "properties": {key: {"type": "number"} for key in _BOX_KEYS},
        },
        {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
    ]
}

THRESHOLD = Kind(
    parse_threshold,
    {"oneOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "enum": list(THRESHOLDS)}]},
)
SELECTOR = choice("reject", "biggest", "all")
BOXES = Kind(parse_boxes, {"oneOf": [*_BOX_SCHEMA["oneOf"], {"type": "array", "items": _BOX_SCHEMA}]})
GALLERIES = names("gallery names (letters, digits, _ and -, at most 48)", GALLERY_PATTERN, "employees")
GALLERY_NAME = Kind(_parse_gallery_name, {"type": "string", "pattern": f"^{GALLERY_PATTERN}$"})
GALLERY_EDIT = Kind(
    _parse_gallery_edit,
    {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": dict.fromkeys(("add", "del", "set"), GALLERIES.schema),
        "additionalProperties": False,
    },
)
ROI = Kind(_parse_roi, {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 4, "maxItems": 4})
CAMERA = Kind(_parse_camera, {"type": "string", "format": "uuid"})
CAMERAS = Kind(_parse_cameras, {"type": "array", "items": {"type": "string", "maxLength": 64}})
