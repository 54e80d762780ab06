"""Faces as documents. What does not apply is left out, so that partial indexes stay small.

A deleted face stays as a document with ``gone``, its owner and its revision: the tombstone takes the place
of the face in one atomic step. It has no galleries, so no list finds it.
"""

from __future__ import annotations

from typing import Any

from bson.binary import Binary

from facenapi.storage.base import Face, Tombstone
from facenapi.storage.ids import cell_of
from facenapi.storage.mongo.driver import int64
from facenapi.storage.mongo.lateness import lateness
from facenapi.storage.rules import camera_key

Document = dict[str, Any]

_PLAIN = ("x1", "y1", "x2", "y2", "model", "photo_hash", "meta", "photo")
_OPTIONAL = ("person_id", "friend", "cam_id", "age", "gender", "emotions", "thumbnail", "normalized")


def document_of(face: Face, changed_ms: int) -> Document:
    """Return a face as it is stored."""
    document: Document = {
        "_id": int64(face.id),
        "owner": face.owner,
        "rev": int64(face.rev),
        "changed": int64(changed_ms),
        "cell": face.cell,
        "timestamp": int64(face.timestamp_ms),
        "galleries": list(face.galleries),
        "embedding": Binary(face.embedding),
    }
    document |= {name: getattr(face, name) for name in _PLAIN}
    document |= {name: getattr(face, name) for name in _OPTIONAL if getattr(face, name) is not None}
    if face.cam_id is not None:
        late = lateness(face.id, face.timestamp_ms)
        document |= {"cam_key": camera_key(face.cam_id), "event": True, "late": late}
    if face.person_id is not None:
        document["person_id"] = int64(face.person_id)
    if face.emotions is not None:
        document["emotions"] = list(face.emotions)
    return document


def face_of(document: Document) -> Face:
    """Return the face of a document."""
    optional: dict[str, Any] = {name: document.get(name) for name in _OPTIONAL}
    if optional["emotions"] is not None:
        optional["emotions"] = tuple(optional["emotions"])
    if optional["person_id"] is not None:
        optional["person_id"] = int(optional["person_id"])
    return Face(
        owner=document["owner"],
        cell=cell_of(int(document["_id"])),
        embedding=bytes(document["embedding"]),
        timestamp_ms=int(document["timestamp"]),
        galleries=tuple(document["galleries"]),
        id=int(document["_id"]),
        rev=int(document["rev"]),
        **{name: document[name] for name in _PLAIN},
        **optional,
    )


def tombstone_document(face: Face, rev: int, changed_ms: int) -> Document:
    """Return what takes the place of a deleted face."""
    return {
        "_id": int64(face.id),
        "owner": face.owner,
        "rev": int64(rev),
        "changed": int64(changed_ms),
        "cell": face.cell,
        "gone": True,
    }


def tombstone_of(document: Document) -> Tombstone:
    """Return the tombstone of a document with ``gone``."""
    return Tombstone(int(document["_id"]), document["owner"], int(document["rev"]))
