"""Tokens, galleries, persons and cameras: functions of a connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from facenapi.storage.base import DEFAULT_GALLERY, Camera, Page, Person, Token, UnknownGalleryError
from facenapi.storage.rules import DAY_MS, camera_key
from facenapi.storage.sqlite import rows

# -- tokens ---------------------------------------------------------------------------------------


def add_token(db: sqlite3.Connection, token: Token) -> None:
    """Store a token."""
    db.execute(
        "INSERT INTO tokens VALUES (?, ?, ?, ?, ?)",
        (token.key_hash, token.owner, token.label, token.created_ms, token.active),
    )


def tokens(db: sqlite3.Connection, key_hash: str | None = None) -> list[Token]:
    """Return the token with a hash, or all, oldest first."""
    found = db.execute(
        "SELECT key_hash, owner, label, created_ms, active FROM tokens "
        "WHERE ?1 IS NULL OR key_hash = ?1 ORDER BY created_ms, key_hash",
        (key_hash,),
    )
    return [Token(key, owner, label, created, bool(active)) for key, owner, label, created, active in found]


def set_token_active(db: sqlite3.Connection, key_hash: str, active: bool) -> bool:
    """Revoke or revive a token."""
    return db.execute("UPDATE tokens SET active = ? WHERE key_hash = ?", (active, key_hash)).rowcount == 1


# -- galleries ------------------------------------------------------------------------------------


def galleries(db: sqlite3.Connection, owner: str) -> list[str]:
    """Return "default" and the others by name."""
    found = db.execute(
        "SELECT name FROM galleries WHERE owner = ? AND name != ? ORDER BY name", (owner, DEFAULT_GALLERY)
    )
    return [DEFAULT_GALLERY, *(row[0] for row in found)]


def add_gallery(db: sqlite3.Connection, owner: str, name: str) -> bool:
    """Create a gallery."""
    if name == DEFAULT_GALLERY:
        return False
    return db.execute("INSERT OR IGNORE INTO galleries (owner, name) VALUES (?, ?)", (owner, name)).rowcount == 1


def remove_gallery(db: sqlite3.Connection, owner: str, name: str) -> bool:
    """Remove a gallery if it is empty."""
    if name == DEFAULT_GALLERY or rows.gallery_id(db, owner, name) is None:
        raise UnknownGalleryError(name)
    return db.execute("DELETE FROM galleries WHERE owner = ? AND name = ? AND faces = 0", (owner, name)).rowcount == 1


def count(db: sqlite3.Connection, owner: str, gallery: str | None) -> int:
    """Return how many faces a gallery has."""
    row = db.execute(
        "SELECT faces FROM galleries WHERE owner = ? AND name = ?", (owner, gallery or DEFAULT_GALLERY)
    ).fetchone()
    return int(row[0]) if row else 0


# -- persons --------------------------------------------------------------------------------------


def new_person(db: sqlite3.Connection, owner: str) -> int:
    """Make a person."""
    row = db.execute(
        "INSERT INTO counters VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
        (_person_counter(owner),),
    ).fetchone()
    db.execute("INSERT INTO persons (owner, id) VALUES (?, ?)", (owner, row[0]))
    return int(row[0])


def remove_persons(db: sqlite3.Connection, owner: str, ids: Sequence[int]) -> None:
    """Remove those who have no face."""
    db.executemany("DELETE FROM persons WHERE owner = ? AND id = ? AND faces = 0", [(owner, i) for i in ids])


def restore_persons(db: sqlite3.Connection, owner: str, ids: Sequence[int]) -> None:
    """Make persons with given ids."""
    db.executemany("INSERT OR IGNORE INTO persons (owner, id) VALUES (?, ?)", [(owner, i) for i in ids])
    db.execute(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
        (_person_counter(owner), max(ids, default=0)),
    )


def persons(db: sqlite3.Connection, owner: str, page: Page) -> list[Person]:
    """Return a page of persons, highest id first."""
    low = 0 if page.min_id is None else page.min_id
    high = 2**63 - 1 if page.max_id is None else page.max_id
    order = "ASC" if page.min_id is not None else "DESC"
    found = sorted(
        db.execute(
            "SELECT id, faces FROM persons WHERE owner = ? AND id > ? AND id < ? "  # noqa: S608  (a constant)
            f"ORDER BY id {order} LIMIT ?",
            (owner, low, high, page.limit),
        ),
        reverse=True,
    )
    return [_person(db, owner, *row) for row in found]


def person(db: sqlite3.Connection, owner: str, person_id: int) -> Person | None:
    """Return a person."""
    row = db.execute("SELECT id, faces FROM persons WHERE owner = ? AND id = ?", (owner, person_id)).fetchone()
    return _person(db, owner, *row) if row else None


def _person(db: sqlite3.Connection, owner: str, person_id: int, faces: int) -> Person:
    first, last = (
        db.execute(
            f"SELECT {end}(id) FROM faces INDEXED BY faces_of_person "  # noqa: S608  (constants)
            "WHERE owner = ? AND person_id = ?",
            (owner, person_id),
        ).fetchone()[0]
        for end in ("min", "max")
    )
    found = rows.fetch(db, owner, {first, last} - {None})
    return Person(person_id, found[last].meta if last else "", faces, found.get(first))


def _person_counter(owner: str) -> str:
    return f"person:{owner}"


def sighting_days(
    db: sqlite3.Connection, owner: str, person_id: int, cam_id: str, between_ms: tuple[int, int]
) -> set[int]:
    """Return the UTC days on which a camera saw a person, within two inclusive times."""
    # SQL division rounds towards 1970, days begin before: shift far into the past to divide.
    shift = DAY_MS * 1_000_000
    found = db.execute(
        "SELECT DISTINCT (timestamp_ms + ?) / ? - 1000000 FROM faces INDEXED BY sightings WHERE owner = ? "
        "AND person_id = ? AND cam_key = ? AND timestamp_ms BETWEEN ? AND ?",
        (shift, DAY_MS, owner, person_id, camera_key(cam_id), *between_ms),
    )
    return {row[0] for row in found}


# -- cameras --------------------------------------------------------------------------------------


def put_camera(db: sqlite3.Connection, camera: Camera) -> None:
    """Store a camera."""
    db.execute(
        "INSERT INTO cameras (owner, id, fields) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET fields = excluded.fields",
        (camera.owner, camera.id, json.dumps(dict(camera.fields))),
    )


def camera(db: sqlite3.Connection, owner: str, camera_id: str) -> Camera | None:
    """Return a camera."""
    row = db.execute("SELECT fields FROM cameras WHERE owner = ? AND id = ?", (owner, camera_id)).fetchone()
    return Camera(camera_id, owner, json.loads(row[0])) if row else None


def cameras(db: sqlite3.Connection, owner: str, detector: str | None) -> list[Camera]:
    """Return the cameras in the order of their creation."""
    found = [
        Camera(row[0], owner, json.loads(row[1]))
        for row in db.execute("SELECT id, fields FROM cameras WHERE owner = ? ORDER BY seq", (owner,))
    ]
    return [c for c in found if detector is None or c.fields.get("detector") == detector]


def update_camera(db: sqlite3.Connection, owner: str, camera_id: str, fields: Mapping[str, Any]) -> Camera | None:
    """Merge fields into a camera."""
    old = camera(db, owner, camera_id)
    if old is None:
        return None
    new = Camera(camera_id, owner, {**old.fields, **fields})
    put_camera(db, new)
    return new


def delete_camera(db: sqlite3.Connection, owner: str, camera_id: str) -> bool:
    """Delete a camera."""
    return db.execute("DELETE FROM cameras WHERE owner = ? AND id = ?", (owner, camera_id)).rowcount == 1
