"""What the tests of search share: data like faces, and a store that is only a change feed."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from facenapi.errors import Unavailable
from facenapi.search.local import LocalShard
from facenapi.search.shard import Delete, Query, Upsert, upsert_of
from facenapi.search.upkeep import builder
from facenapi.storage.base import Changes, Face, Lineage, Tombstone


def faces_like(
    count: int, dim: int = 32, shots: int = 5, noise: float = 0.8, seed: int = 0, *, common: float = 0.0
) -> np.ndarray:
    """Return unit vectors (count, dim): identities, each with several noisy shots.

    ``common``: the length of what all share, where what is each one's own has 1; with 2.4 strangers are 0.85 alike.
    """
    random = np.random.default_rng(seed)
    people = random.standard_normal((count // shots + 1, dim)).astype(np.float32)
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    vectors = np.repeat(people, shots, axis=0)[:count]
    vectors = vectors + noise / np.sqrt(dim) * random.standard_normal((count, dim)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors += common / np.sqrt(dim)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.ascontiguousarray(vectors[random.permutation(count)], np.float32)


def face(
    face_id: int,
    vector: np.ndarray,
    rev: int,
    galleries: tuple[str, ...] = (),
    *,
    owner: str = "o",
    model: str = "m",
    cam_id: str | None = None,
) -> Face:
    """Return a stored face."""
    return Face(
        owner=owner,
        cell=face_id % 1024,
        x1=0,
        y1=0,
        x2=1,
        y2=1,
        embedding=vector.astype("<f4").tobytes(),
        model=model,
        photo_hash="",
        timestamp_ms=0,
        galleries=("default", *galleries),
        cam_id=cam_id,
        person_id=None if cam_id is None else face_id % 2 or None,
        id=face_id,
        rev=rev,
    )


def built_with_a_graph(plan, folder, left_out: int = 20, measured: tuple[int, int] | None = (400, 10)):
    """Return the segment of a plan, built in this process, behind a graph that is too small to be built otherwise.

    ``measured``: what is taken for measured, for small graphs are never quicker; None: whatever is measured.
    """
    folder.mkdir()
    builder.write_order(plan, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builder, "LEAST_ROWS", 0)
        patch.setattr(builder, "SHORT_S", 0.0)
        patch.setattr(builder, "LEFT_OUT", left_out)
        if measured is not None:
            patch.setattr(builder, "measure", lambda *_: measured)
        builder.fill_folder(folder)
    return builder.load_segment(folder)


class FeedStore:
    """Faces and tombstones with revisions; all that a shard asks of a store."""

    def __init__(self, name: str = "feed") -> None:
        self.name, self.epochs, self.floor = name, [(f"{name}-1", 0)], 0
        self.faces: dict[int, Face] = {}
        self.tombstones: dict[int, Tombstone] = {}
        self.rev = 0
        self.down = False
        self.asked_from: list[int] = []

    def put(self, face_id: int, vector: np.ndarray, galleries: tuple[str, ...] = (), **more: str) -> Upsert:
        """Store a face and return the change."""
        self.rev += 1
        self.faces[face_id] = face(face_id, vector, self.rev, galleries, **more)
        return upsert_of(self.faces[face_id])

    def remove(self, face_id: int) -> Delete:
        """Delete a face and return the change."""
        self.rev += 1
        gone = self.faces.pop(face_id)
        self.tombstones[face_id] = Tombstone(face_id, gone.owner, self.rev)
        return Delete(gone.owner, face_id, self.rev)

    async def last_rev(self) -> int:
        """Return the latest revision."""
        if self.down:
            raise Unavailable("The database is down")
        return self.rev

    async def news_since(self, mark: int) -> tuple[int, bool]:
        """Return whether others have acknowledged changes: here all changes are others'."""
        if self.down:
            raise Unavailable("The database is down")
        return max(mark, self.rev), mark < self.rev

    async def lineage(self) -> Lineage:
        """Return which store this is."""
        if self.down:
            raise Unavailable("The database is down")
        return Lineage(self.name, tuple(self.epochs), self.rev, self.floor)

    def begin_epoch(self, name: str) -> None:
        """Begin a new epoch, as a server's start does."""
        self.epochs.append((name, self.rev))

    async def changes_since(self, rev: int, limit: int = 1000, cells: frozenset[int] | None = None) -> Changes:
        """Return a page of the feed."""
        if self.down:
            raise Unavailable("The database is down")
        self.asked_from.append(rev)
        news = [*self.faces.values(), *self.tombstones.values()]
        news = sorted(
            (n for n in news if n.rev > rev and (cells is None or n.id % 1024 in cells)), key=lambda n: n.rev
        )
        page, more = news[:limit], len(news) > limit
        return Changes(
            [n for n in page if isinstance(n, Face)],
            [n for n in page if isinstance(n, Tombstone)],
            page[-1].rev if more else max(rev, self.rev),
            more,
            (await self.lineage()).identity,
            self.floor,
        )


def query(vector, n=1, floor=None, tag=None, *, owner="o", model="m"):
    return Query(owner, model, vector, n, floor, tag)


async def started(folder, store, cells=None, **more):
    shard = LocalShard(folder, store, cells, **{"poll_s": 0.02, "capacity": 500, "niceness": 0, **more})
    await shard.start()
    return shard


async def until(condition):
    """Wait for a background thing; the test's own timeout is the limit."""
    while not condition():
        await asyncio.sleep(0.01)
