"""Cameras: functions of a connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from facenapi.storage.base import Camera


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
    """Merge fields into a camera, without those that are None."""
    old = camera(db, owner, camera_id)
    if old is None:
        return None
    merged = {**old.fields, **fields}
    new = Camera(camera_id, owner, {name: value for name, value in merged.items() if value is not None})
    put_camera(db, new)
    return new


def delete_camera(db: sqlite3.Connection, owner: str, camera_id: str) -> bool:
    """Delete a camera."""
    return db.execute("DELETE FROM cameras WHERE owner = ? AND id = ?", (owner, camera_id)).rowcount == 1
