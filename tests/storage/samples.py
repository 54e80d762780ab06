"""Faces for storage tests."""

from __future__ import annotations

from facenapi.storage.base import FaceFilter, NewFace

NOON = 1_465_776_000_000  # 2016-06-13, start of a UTC day
DAY_MS = 86_400_000
ALL = FaceFilter()


def new_face(owner: str = "ann", cell: int = 7, **fields) -> NewFace:
    """A face with what a test does not care about filled in."""
    some = {
        "x1": 1,
        "y1": 2,
        "x2": 30,
        "y2": 40,
        "embedding": b"\0\0\x80?" * 4,
        "model": "net-1",
        "photo_hash": "d" * 32,
        "timestamp_ms": NOON,
    }
    return NewFace(owner=owner, cell=cell, **{**some, **fields})


async def add(store, *metas: str, **fields):
    """Store one face for each meta, one after another, and return them."""
    return [(await store.add_faces([new_face(meta=meta, **fields)]))[0] for meta in metas]


async def read_feed(store, rev: int = 0, limit: int = 1000, cells=None):
    """Return all faces and tombstones after a revision, and where the feed ends."""
    faces, stones, more = [], [], True
    while more:
        changes = await store.changes_since(rev, limit, cells)
        assert len(changes.faces) + len(changes.tombstones) <= limit
        faces, stones = faces + changes.faces, stones + changes.tombstones
        assert changes.next_rev > rev or not changes.more
        rev, more = changes.next_rev, changes.more
    return faces, stones, rev


def ids(faces) -> list[int]:
    """Return the ids of faces."""
    return [face.id for face in faces]
