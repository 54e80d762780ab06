"""Galleries: functions of a connection."""

from __future__ import annotations

import sqlite3

from facenapi.storage.base import DEFAULT_GALLERY, UnknownGalleryError
from facenapi.storage.sqlite import rows


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
