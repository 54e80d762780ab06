"""The kinds of parameters that belong to faces: photos, boxes, thresholds, galleries, cameras."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from facenapi.api.params import LARGEST_ID, Kind, choice, integer, names
from facenapi.api.patterns import COORDINATE, JSON_COORDINATE, JSON_SIDE, UNIT, listed, text_schema, whole, words
from facenapi.api.request import Texts, Upload
from facenapi.api.values import MOST_ITEMS, MustError, complex_of, list_of, number_of, plain_of, text_of, word_of
from facenapi.geometry import Box

GALLERY_PATTERN = r"[a-zA-Z0-9_-]{1,48}"
THRESHOLDS: dict[str, float | None] = {"strict": 0.7834, "medium": 0.6616, "low": 0.5690, "none": None}
DEFAULT_THRESHOLD = 0.75
_BEGIN = 1000  # bytes in which the scheme of a URL must come
_FARTHEST = 999_999  # pixels; keeps sums of coordinates exact
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
        data = raw.data if isinstance(raw, Upload) else raw.last if isinstance(raw, Texts) else None
        # A part without a file name looks like a text field: a URL is told from a picture by how it begins.
        if data is not None and not re.match(rb"\s*[a-zA-Z][a-zA-Z0-9+.-]*://", data[:_BEGIN]):
            return PhotoSource(name, data=data)
        return PhotoSource(name, url=word_of(raw))

    url = {"type": "string", "format": "uri", "pattern": "^https?://"}
    form = ({"type": "string", "format": "binary"}, url)
    return Kind(parse, "file part, or http(s) URL", texts=(url,), form=form, photo=True)


def parse_threshold(raw: Any) -> float | None:
    """Return a threshold 0…1, None for "none"."""
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        if 0 <= raw <= 1:
            return float(raw)
    elif isinstance(raw, str | Texts | Upload):
        word = plain_of(raw).lower()
        if word in THRESHOLDS:
            return THRESHOLDS[word]
        if re.fullmatch(UNIT, word, re.IGNORECASE):
            return float(word)
    raise MustError("must be strict, medium, low, none or a number from 0 to 1")


def coordinate_of(raw: Any) -> float:
    """Return a coordinate in pixels."""
    if isinstance(raw, str | Texts | Upload) and not re.fullmatch(COORDINATE, plain_of(raw)):
        raise MustError("must be a number of pixels")
    value = number_of(raw)
    if abs(value) >= _FARTHEST + 1:
        raise MustError(f"must not be beyond {_FARTHEST} pixels")
    return float(min(max(value, -_FARTHEST), _FARTHEST))  # rounded, as answers have it, it may be sent back


def parse_boxes(raw: Any) -> tuple[Box, ...]:
    """Return boxes from an object, a list of four numbers, or a list of these."""
    value = complex_of(raw)
    if isinstance(value, list) and value and all(isinstance(item, list | dict) for item in value):
        return tuple(_box(item) for item in list_of(value))
    return (_box(value),)


def _box(value: Any) -> Box:
    if isinstance(value, dict) and set(_BOX_KEYS) <= set(value):
        value = [value[key] for key in _BOX_KEYS]
    if not isinstance(value, list) or len(value) != 4:
        raise MustError('must be {"x1", "y1", "x2", "y2"}, [x1, y1, x2, y2] or a list of these')
    x1, y1, x2, y2 = (coordinate_of(number) for number in value)
    if x1 >= x2 or y1 >= y2:
        raise MustError("must have x1 < x2 and y1 < y2")
    return Box(x1, y1, x2, y2)


def _parse_gallery_name(raw: Any) -> str:
    value = text_of(raw)
    if not re.fullmatch(GALLERY_PATTERN, value):
        raise MustError("must be 1 to 48 letters, digits, _ or -")
    return value


def _parse_gallery_edit(raw: Any) -> tuple[str, tuple[str, ...]]:
    value = complex_of(raw)
    if not isinstance(value, dict) or len(value) != 1 or next(iter(value)) not in ("add", "del", "set"):
        raise MustError('must be an object with exactly one of the keys "add", "del" and "set"')
    [(verb, listed_names)] = value.items()
    return verb, GALLERIES.parse(listed_names)


def camera_id(value: str) -> str:
    """Return the one spelling of a camera's name that is stored: of a UUID its 32 hex digits.

    >>> camera_id("12345678-1234-5678-1234-56781234ABCD"), camera_id("Door-1")
    ('1234567812345678123456781234abcd', 'Door-1')
    """
    digits = re.sub(r"^urn:uuid:|[{}-]", "", value.lower())
    return digits if re.fullmatch(r"[0-9a-f]{32}", digits) else value


def _parse_camera(raw: Any) -> str:
    whole = isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw <= LARGEST_ID and raw == int(raw)
    value = camera_id(str(int(raw)) if whole else plain_of(raw))  # 25.0 is JSON for 25
    if not re.fullmatch(_CAMERA_NAME, value):
        raise MustError("must be 1 to 64 letters, digits, _, ., : or -")
    return value


def _parse_cameras(raw: Any) -> tuple[str, ...]:
    try:
        return tuple(_parse_camera(item) for item in list_of(raw))
    except MustError as error:
        raise MustError("must be a list of camera ids") from error


def _parse_roi(raw: Any) -> list[int]:
    try:
        width, height, x, y = (int(_SIDE.parse(item)) for item in list_of(raw))
    except ValueError as error:
        raise MustError(f"must be [width, height, x, y] in whole pixels, none beyond {_FARTHEST}") from error
    return [width, height, x, y]


def _any_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": list(schemas)}


_SIDE = integer(0, _FARTHEST)
_FOUR = text_schema(listed(COORDINATE, JSON_COORDINATE, "{3}"))
COORDINATE_KIND = Kind(
    coordinate_of,
    "number",
    values=({"type": "number", "exclusiveMinimum": -_FARTHEST - 1, "exclusiveMaximum": _FARTHEST + 1},),
    texts=(text_schema(COORDINATE),),
)
_NUMBER = _any_of(*COORDINATE_KIND.schemas())
_BOXES = (
    {"type": "object", "required": list(_BOX_KEYS), "properties": dict.fromkeys(_BOX_KEYS, _NUMBER)},
    {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4},
)
BOX = _any_of(*_BOXES)
_LISTED = {"$ref": "#/components/schemas/Boxes"}  # how many a server takes is its option

THRESHOLD = Kind(
    parse_threshold,
    "strict, medium, low, none or a number from 0 to 1",
    values=({"type": "number", "minimum": 0, "maximum": 1},),
    texts=({"enum": list(THRESHOLDS)}, text_schema(words(*THRESHOLDS)), text_schema(UNIT)),
)
SELECTOR = choice("reject", "biggest", "all")
BOXES = Kind(
    parse_boxes,
    '{"x1", "y1", "x2", "y2"}, [x1, y1, x2, y2] or a list of these',
    values=(*_BOXES, _LISTED),
    texts=(_FOUR,),
    form=(_FOUR,),
    json=True,
    natural=_LISTED,
)
GALLERIES = names("gallery names (letters, digits, _ and -, at most 48)", GALLERY_PATTERN)
GALLERY_NAME = Kind(
    _parse_gallery_name, "letters, digits, _ and -", texts=({"type": "string", "pattern": f"^{GALLERY_PATTERN}$"},)
)
_EDITED = _any_of(*GALLERIES.schemas(), {"type": "array", "maxItems": 0})
GALLERY_EDIT = Kind(
    _parse_gallery_edit,
    '{"add": […]}, {"del": […]} or {"set": […]}',
    values=(
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "properties": dict.fromkeys(("add", "del", "set"), _EDITED),
            "additionalProperties": False,
        },
    ),
    natural={
        "title": "GalleryEdit",
        "type": "object",
        "description": "exactly one of them",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            name: {"type": "array", "items": {"type": "string"}, "description": text}
            for name, text in (("add", "to put the face in"), ("del", "to take it out of"), ("set", "all it is in"))
        },
    },
    form=(text_schema(rf'\{{"(?:add|del|set)": ?\[(?:"{GALLERY_PATTERN}"(?:, ?"{GALLERY_PATTERN}"){{0,99}})?\]\}}'),),
    json=True,
)
_FOUR_SIDES = text_schema(listed(whole(0, _FARTHEST), JSON_SIDE, "{3}"))
ROI = Kind(
    _parse_roi,
    "[width, height, x, y]",
    natural={"type": "array", "items": _SIDE.values[0], "minItems": 4, "maxItems": 4},
    values=({"type": "array", "items": _any_of(*_SIDE.schemas()), "minItems": 4, "maxItems": 4},),
    texts=(_FOUR_SIDES,),
    form=(_FOUR_SIDES,),
    json=True,
)
_CAMERA_NAME = "[0-9a-zA-Z_.:-]{1,64}"
CAMERA = Kind(
    _parse_camera,
    "name of a camera (letters, digits, _, ., : and -, at most 64), or whole number",
    values=({"type": "integer", "minimum": 0, "maximum": LARGEST_ID},),
    texts=(text_schema(_CAMERA_NAME),),
    natural={"type": "string", "pattern": f"^{_CAMERA_NAME}$"},
)
_CAMERA_NAMES = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "string", "pattern": f"^{_CAMERA_NAME}$"},
            {"type": "integer", "minimum": 0, "maximum": LARGEST_ID},
        ]
    },
    "minItems": 1,
}
_CAMERA_LIST = text_schema(listed(_CAMERA_NAME, f'"{_CAMERA_NAME}"', f"{{0,{MOST_ITEMS - 1}}}"))
CAMERAS = Kind(
    _parse_cameras,
    "list of camera ids, or a,b",
    natural=_CAMERA_NAMES | {"items": {"type": "string", "pattern": f"^{_CAMERA_NAME}$"}, "maxItems": MOST_ITEMS},
    values=(_CAMERA_NAMES | {"maxItems": MOST_ITEMS},),
    texts=(_CAMERA_LIST,),
    form=(_CAMERA_NAMES, _CAMERA_LIST),
    json=True,
)
