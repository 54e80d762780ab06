"""Faces: adding, changing and deleting them, and the feed of changes. Functions of a connection."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import fields, replace

from facenapi.storage.base import Changes, Face, FaceChange, FaceFilter, IdTakenError, NewFace, Page, Tombstone
from facenapi.storage.ids import IdMaker
from facenapi.storage.rules import changed, gallery_order, named_galleries
from facenapi.storage.sqlite import lists, rows
from facenapi.storage.sqlite.lineage import lineage

_OF_NEW_FACE = [f.name for f in fields(NewFace)]


def add(db: sqlite3.Connection, faces: Sequence[NewFace], ids: IdMaker) -> list[Face]:
    """Store new faces under new ids."""
    added = []
    for face, rev in zip(faces, rows.next_revs(db, len(faces)), strict=True):
        rows.require(db, face.owner, face.galleries, face.person_id)
        values = {name: getattr(face, name) for name in _OF_NEW_FACE}
        values["galleries"] = gallery_order(face.galleries)
        added.append(_insert_new(db, Face(**values, id=ids.next(face.cell), rev=rev), ids))
    return added


def _insert_new(db: sqlite3.Connection, face: Face, ids: IdMaker) -> Face:
    """Store a face, under another id if the one it has is taken (the clock was set back)."""
    while db.execute("SELECT 1 FROM faces WHERE id = ?", (face.id,)).fetchone():
        face = replace(face, id=ids.next(face.cell))
    rows.insert(db, face)
    return face


def restore(db: sqlite3.Connection, faces: Sequence[Face]) -> int:
    """Store faces of an export under their own ids; return how many were new."""
    owners = dict(
        db.execute(
            "SELECT id, owner FROM faces WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps([face.id for face in faces]),),
        )
    )
    new = {face.id: face for face in faces if owners.get(face.id) is None}
    for face in faces:
        if owners.get(face.id, face.owner) != face.owner:
            raise IdTakenError(face.id)
    for face, rev in zip(new.values(), rows.next_revs(db, len(new)), strict=True):
        rows.require(db, face.owner, face.galleries, face.person_id)
        rows.insert(db, replace(face, rev=rev, galleries=gallery_order(face.galleries)))
    return len(new)


def update(db: sqlite3.Connection, owner: str, face_id: int, change: FaceChange) -> Face | None:
    """Apply an edit."""
    old = rows.fetch(db, owner, [face_id]).get(face_id)
    if old is None:
        return None
    rows.require(db, owner, named_galleries(change), change.person_id)
    new = changed(old, change)
    if new == old:
        return old
    new = replace(new, rev=rows.next_revs(db, 1)[0])
    rows.replace(db, old, new)
    return new


def delete(db: sqlite3.Connection, owner: str, face_id: int) -> Face | None:
    """Delete one face."""
    face = rows.fetch(db, owner, [face_id]).get(face_id)
    if face is not None:
        rows.remove(db, [face])
    return face


def delete_some(db: sqlite3.Connection, owner: str, where: FaceFilter, limit: int) -> list[Face]:
    """Delete up to ``limit`` faces, newest first: so the first face of a meta changes last."""
    faces = lists.faces(db, owner, where, Page(limit))
    rows.remove(db, faces)
    return faces


def changes_since(db: sqlite3.Connection, rev: int, limit: int, cells: frozenset[int] | None) -> Changes:
    """Read a page of the feed. One writer gives out revisions in order, so none can come late."""
    in_cells, values = "", []
    if cells is not None:
        in_cells, values = "AND id & 1023 IN (SELECT value FROM json_each(?))", [json.dumps(sorted(cells))]
    after = f"WHERE rev > ? {in_cells} ORDER BY rev LIMIT ?"
    # One beyond the limit tells whether there is more.
    bounds = (rev, *values, limit + 1)
    faces = [rows.face_of(row) for row in db.execute(f"SELECT {rows.COLUMNS} FROM faces {after}", bounds)]  # noqa: S608
    gone = [Tombstone(*row) for row in db.execute(f"SELECT id, owner, rev FROM tombstones {after}", bounds)]  # noqa: S608
    here = lineage(db)
    revs = sorted([face.rev for face in faces] + [stone.rev for stone in gone])
    if len(revs) <= limit:
        return Changes(faces, gone, max(rev, here.last), more=False, identity=here.identity, floor=here.floor)
    end = revs[limit - 1]
    faces, gone = [face for face in faces if face.rev <= end], [stone for stone in gone if stone.rev <= end]
    return Changes(faces, gone, end, more=True, identity=here.identity, floor=here.floor)
