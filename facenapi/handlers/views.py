"""How records look in answers, and the JSON schemas that say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facenapi import clock
from facenapi.storage.base import DEFAULT_GALLERY, Face

if TYPE_CHECKING:
    from facenapi.detector.base import Quality

Json = dict[str, Any]


def face_view(face: Face, base: str) -> Json:
    """Return the contract's Face object; ``base`` is what the URLs of pictures that we serve begin with."""
    view: Json = {
        "id": face.id,
        "x1": face.x1,
        "x2": face.x2,
        "y1": face.y1,
        "y2": face.y2,
        "meta": face.meta,
        "galleries": list(face.galleries),
        "photo": absolute(face.photo, base),
        "photo_hash": face.photo_hash,
        "timestamp": clock.to_text(face.timestamp_ms),
    }
    if face.person_id is not None:
        view["person_id"] = face.person_id
    if face.friend is not None:
        view["friend"] = face.friend
    if face.cam_id is not None:
        view["cam_id"] = face.cam_id
    if face.thumbnail is not None:
        view |= {"thumbnail": absolute(face.thumbnail, base), "normalized": absolute(face.normalized or "", base)}
    if face.age is not None:
        view["age"] = face.age
    if face.gender is not None:
        view["gender"] = face.gender
    if face.emotions is not None:
        view["emotions"] = list(face.emotions)
    return view


def absolute(url: str, base: str) -> str:
    """Return the URL of a picture; stored is a path where this server has it, however clients reach the server."""
    return base + url if url.startswith("/") else url


def quality_view(quality: Quality) -> Json:
    """Return the members of a face that tell its quality."""
    parts = {
        "size": quality.size,
        "sharpness": quality.sharpness,
        "exposure": quality.exposure,
        "pose": quality.pose,
    }
    return {"quality": quality.score, "quality_parts": parts}


def array(items: Json) -> Json:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def record(properties: Json, optional: Json | None = None, title: str = "") -> Json:
    """Return the schema of an object; all of ``properties`` are always there. ``title``: its name in clients."""
    named = {"title": title} if title else {}
    return {"type": "object", "required": sorted(properties), "properties": properties | (optional or {})} | named


def results(items: Json, **more: Json) -> Json:
    """Return the schema of an answer with a list of results."""
    return record({"results": array(items), **more})


def page_links(path: str, last: int = 3754490218243079, first: int = 3754490225715204) -> Json:
    """Return the schemas of the links of a page at a path, with examples: the last entry's id and the first's."""
    return {
        name: {
            "type": ["string", "null"],
            "description": f"path and query of the page {side}, null at the end",
            "examples": [f"{path}?{bound}"],
        }
        for name, side, bound in (
            ("next_page", "after", f"max_id={last}"),
            ("prev_page", "before", f"min_id={first}"),
        )
    }


INTEGER: Json = {"type": "integer"}
AGE = {"type": "number", "minimum": 0, "examples": [26]}
TEXT = {"type": "string"}
META = TEXT | {"examples": ["Sam Berry"]}
NAME = TEXT | {"examples": ["niceppl"]}
TRUTH = {"type": "boolean"}

FACE_LIMIT = INTEGER | {
    "description": "there when the photo has as many faces as this server takes, or more: these are the largest",
    "examples": [300],
}
MOMENT = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}$",
    "examples": ["2016-06-13T11:06:42.075000"],
}
BOX = record({"x1": INTEGER, "y1": INTEGER, "x2": INTEGER, "y2": INTEGER}) | {
    "examples": [{"x1": 236, "x2": 311, "y1": 345, "y2": 419}]
}
CONFIDENCE = {"type": "number", "minimum": 0, "maximum": 1, "examples": [0.8924]}
GENDER = {"type": "string", "enum": ["male", "female"], "examples": ["female"]}
EMOTIONS = {
    "type": "array",
    "minItems": 2,
    "maxItems": 2,
    "items": {"type": "string", "enum": ["neutral", "happy", "sad", "surprise", "fear", "angry", "disgust"]},
    "description": "the two strongest, strongest first",
    "examples": [["neutral", "sad"]],
}
ATTRIBUTES = {"age": AGE, "gender": GENDER, "emotions": EMOTIONS}
_PART = {"type": "number", "minimum": 0, "maximum": 1, "examples": [0.8]}
QUALITY = {
    "quality": _PART | {"description": "how well the face can be recognised: the smallest of the parts"},
    "quality_parts": record(
        {"size": _PART, "sharpness": _PART, "exposure": _PART, "pose": _PART}, title="QualityParts"
    ),
}
_FACE: Json = {
    "id": INTEGER,
    **BOX["properties"],
    "meta": TEXT,
    "galleries": array(TEXT),
    "photo": TEXT,
    "photo_hash": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "timestamp": MOMENT,
}
_SOMETIMES: Json = {
    "person_id": INTEGER,
    "friend": TRUTH,
    "cam_id": TEXT,
    **ATTRIBUTES,
    "thumbnail": TEXT,
    "normalized": TEXT,
}
FACE = record(_FACE, _SOMETIMES) | {
    "examples": [
        {
            "galleries": [DEFAULT_GALLERY, "niceppl"],
            "id": 3754490218243079,
            "meta": "Sam Berry",
            "photo": "http://static.example.com/sample.jpg",
            "photo_hash": "dc7ac54590729669ca869a18d92cd05e",
            "timestamp": "2016-06-13T11:06:42.075000",
            "x1": 236,
            "x2": 311,
            "y1": 345,
            "y2": 419,
        }
    ]
}
ADDED_FACE = FACE | record(_FACE, _SOMETIMES | QUALITY, "AddedFace")
FACE_REF = {"$ref": "#/components/schemas/Face"}
BOX_REF = {"$ref": "#/components/schemas/Box"}
