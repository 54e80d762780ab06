"""Faces as rows: columns, reading, and the statements that change one face with all that hangs on it."""

from __future__ import annotations

import functools
import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from facenapi.storage.base import DEFAULT_GALLERY, Face, UnknownGalleryError, UnknownPersonError
from facenapi.storage.ids import cell_of
from facenapi.storage.rules import camera_key

COLUMNS = (
    "id, rev, owner, x1, y1, x2, y2, meta, galleries, photo, photo_hash, timestamp_ms, person_id, friend, "
    "cam_id, cam_key, age, gender, emotions, thumbnail, normalized, model, embedding"
)
_INSERT = f"INSERT INTO faces ({COLUMNS}) VALUES ({', '.join('?' * (COLUMNS.count(',') + 1))})"  # noqa: S608  (constants)
_UPDATE = "UPDATE faces SET rev = ?, meta = ?, galleries = ?, person_id = ?, model = ?, embedding = ? WHERE id = ?"

_DEFAULT_ONLY = (DEFAULT_GALLERY,)

Row = tuple[Any, ...]


def face_of(row: Row) -> Face:
    """Return the face of a row of :data:`COLUMNS`."""
    (
        face_id,
        rev,
        owner,
        x1,
        y1,
        x2,
        y2,
        meta,
        galleries,
        photo,
        photo_hash,
        timestamp_ms,
        person_id,
        friend,
        cam_id,
        _,
        age,
        gender,
        emotions,
        thumbnail,
        normalized,
        model,
        embedding,
    ) = row
    return Face(
        owner,
        cell_of(face_id),
        x1,
        y1,
        x2,
        y2,
        embedding,
        model,
        photo_hash,
        timestamp_ms,
        meta,
        _names(galleries) if galleries else _DEFAULT_ONLY,
        photo,
        person_id,
        None if friend is None else bool(friend),
        cam_id,
        age,
        gender,
        None if emotions is None else tuple(json.loads(emotions)),
        thumbnail,
        normalized,
        id=face_id,
        rev=rev,
    )


@functools.lru_cache(4096)
def _names(galleries: str) -> tuple[str, ...]:
    """Return the galleries of a face from their JSON text; many faces share one."""
    return (DEFAULT_GALLERY, *json.loads(galleries))


def _row_of(face: Face) -> Row:
    return (
        face.id,
        face.rev,
        face.owner,
        face.x1,
        face.y1,
        face.x2,
        face.y2,
        face.meta,
        _others(face),
        face.photo,
        face.photo_hash,
        face.timestamp_ms,
        face.person_id,
        face.friend,
        face.cam_id,
        None if face.cam_id is None else camera_key(face.cam_id),
        face.age,
        face.gender,
        None if face.emotions is None else json.dumps(face.emotions),
        face.thumbnail,
        face.normalized,
        face.model,
        face.embedding,
    )


def _others(face: Face) -> str | None:
    """Return the galleries beside "default" as they are stored: most faces have none."""
    return json.dumps(face.galleries[1:]) if len(face.galleries) > 1 else None


def fetch(db: sqlite3.Connection, owner: str, ids: Iterable[int]) -> dict[int, Face]:
    """Return those faces of an owner that exist, by id."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM faces WHERE owner = ? AND id IN "  # noqa: S608  (constants)
        "(SELECT value FROM json_each(?))",
        (owner, json.dumps(list(ids))),
    )
    return {row[0]: face_of(row) for row in rows}


def next_revs(db: sqlite3.Connection, count: int) -> range:
    """Take revisions, one for each change."""
    last = db.execute(
        "UPDATE counters SET value = value + ? WHERE name = 'rev' RETURNING value", (count,)
    ).fetchone()[0]
    return range(last - count + 1, last + 1)


def gallery_id(db: sqlite3.Connection, owner: str, name: str) -> int | None:
    """Return the row of a gallery. "default" is made by the first face of an owner."""
    row = db.execute("SELECT id FROM galleries WHERE owner = ? AND name = ?", (owner, name)).fetchone()
    return None if row is None else int(row[0])


def require(db: sqlite3.Connection, owner: str, galleries: Iterable[str], person_id: int | None) -> None:
    """Raise UnknownGalleryError or UnknownPersonError unless the owner has these."""
    for name in galleries:
        if name != DEFAULT_GALLERY and gallery_id(db, owner, name) is None:
            raise UnknownGalleryError(name)
    if (
        person_id is not None
        and not db.execute("SELECT 1 FROM persons WHERE owner = ? AND id = ?", (owner, person_id)).fetchone()
    ):
        raise UnknownPersonError(person_id)


def insert(db: sqlite3.Connection, face: Face) -> None:
    """Store a face in its galleries. Raises sqlite3.IntegrityError if the id is taken."""
    db.execute(_INSERT, _row_of(face))
    db.execute("INSERT OR IGNORE INTO galleries (owner, name) VALUES (?, ?)", (face.owner, DEFAULT_GALLERY))
    join(db, face, face.galleries)


def replace(db: sqlite3.Connection, old: Face, new: Face) -> None:
    """Store a changed face under its new revision."""
    db.execute(_UPDATE, (new.rev, new.meta, _others(new), new.person_id, new.model, new.embedding, new.id))
    renamed = old.meta != new.meta
    leave(db, old, [name for name in old.galleries if renamed or name not in new.galleries])
    join(db, new, [name for name in new.galleries if renamed or name not in old.galleries])


def remove(db: sqlite3.Connection, faces: Sequence[Face]) -> None:
    """Delete faces, leaving tombstones."""
    for face, rev in zip(faces, next_revs(db, len(faces)), strict=True):
        leave(db, face, face.galleries)
        db.execute("DELETE FROM faces WHERE id = ?", (face.id,))
        db.execute("INSERT INTO tombstones VALUES (?, ?, ?)", (rev, face.id, face.owner))


def join(db: sqlite3.Connection, face: Face, names: Sequence[str]) -> None:
    """Enter a face into galleries that exist."""
    for name in names:
        db.execute(
            "INSERT INTO memberships (gallery, face, meta) "
            "SELECT id, ?, ? FROM galleries WHERE owner = ? AND name = ?",
            (face.id, face.meta, face.owner, name),
        )


def leave(db: sqlite3.Connection, face: Face, names: Sequence[str]) -> None:
    """Take a face out of galleries."""
    for name in names:
        db.execute(
            "DELETE FROM memberships WHERE face = ? AND gallery = "
            "(SELECT id FROM galleries WHERE owner = ? AND name = ?)",
            (face.id, face.owner, name),
        )
