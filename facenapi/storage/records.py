"""The records that a store keeps and answers with, and what it raises.

Times are integer milliseconds since 1970, UTC. Embeddings are little-endian float32 bytes of unit
vectors. ``rev`` is a number that grows with every change of any face: the feed that keeps search
shards fresh (:meth:`facenapi.storage.base.Store.changes_since`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from facenapi.storage.lineage import StoreIdentity

DEFAULT_GALLERY = "default"
CELL_COUNT = 1024


class UnknownGalleryError(Exception):
    """A face names a gallery that its owner does not have; nothing was written."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class UnknownPersonError(Exception):
    """A face names a person that its owner does not have; nothing was written."""


class IdTakenError(Exception):
    """A face that is restored has the id of a face of another owner; nothing was written."""


@dataclass(frozen=True, slots=True)
class Token:
    """A key of an owner. The key itself is never stored: ``key_hash`` is its SHA-256 in hex."""

    key_hash: str
    owner: str
    label: str
    created_ms: int
    active: bool = True


@dataclass(slots=True)
class NewFace:
    """A face that has no id yet; ``cell`` (0…1023) says which shard will hold its vector.

    Like all records it is not changed once it is made; it is not frozen because filling a frozen one takes
    three times as long, and lists are full of them.
    """

    owner: str
    cell: int
    x1: int
    y1: int
    x2: int
    y2: int
    embedding: bytes
    model: str
    photo_hash: str
    timestamp_ms: int
    meta: str = ""
    galleries: tuple[str, ...] = (DEFAULT_GALLERY,)
    photo: str = ""
    person_id: int | None = None
    friend: bool | None = None
    cam_id: str | None = None
    age: float | None = None
    gender: str | None = None
    emotions: tuple[str, ...] | None = None
    thumbnail: str | None = None
    normalized: str | None = None


@dataclass(slots=True, kw_only=True)
class Face(NewFace):
    """A stored face. ``galleries`` has "default" first, the others sorted."""

    id: int
    rev: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What is left of a deleted face, so that shards learn of it."""

    id: int
    owner: str
    rev: int


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of the change feed: what happened after a revision, oldest first.

    ``next_rev`` is the revision to ask from next. ``more`` is false when the feed is read to its end.
    At its end the feed may go back a little and tell of changes again: on MongoDB they may be committed
    in another order than that of their revisions, and none must be missed.

    ``identity`` is that of the store when it was read, ``floor`` the revision up to which deletions may have been
    forgotten: who asked from below it may have missed some.
    """

    faces: list[Face]
    tombstones: list[Tombstone]
    next_rev: int
    more: bool
    identity: StoreIdentity
    floor: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A window on a list that is ordered newest first.

    ``max_id`` and ``min_id`` are exclusive. With ``min_id`` the window holds the ``limit`` entries
    that are the oldest of those above it: the page before. Answers are newest first in any case.
    """

    limit: int = 100
    max_id: int | None = None
    min_id: int | None = None


@dataclass(frozen=True, slots=True)
class FaceFilter:
    """Which faces of an owner; all conditions must hold, ``None`` is no condition.

    ``events`` asks for faces with a camera (history). ``cam_ids`` is any-of, dashes and case do not
    matter; times are inclusive.
    """

    gallery: str | None = None
    meta: str | None = None
    person_id: int | None = None
    events: bool = False
    cam_ids: tuple[str, ...] | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    friend: bool | None = None


@dataclass(frozen=True, slots=True)
class FaceChange:
    """An edit of a face; ``None`` leaves a field as it is. ``galleries`` is applied in this order:
    ``set_galleries``, then ``add_galleries``, then ``del_galleries``; "default" always stays.
    ``embedding`` and ``model`` change together, when a face moves to another embedding model."""

    meta: str | None = None
    person_id: int | None = None
    embedding: bytes | None = None
    model: str | None = None
    set_galleries: tuple[str, ...] | None = None
    add_galleries: tuple[str, ...] = ()
    del_galleries: tuple[str, ...] = ()


class MetaSummary(NamedTuple):
    """How many faces carry a meta string, and the first (oldest) of them, which carries it too."""

    faces: int
    first: Face


@dataclass(frozen=True, slots=True)
class Person:
    """A person of an owner: the meta of its newest face, how many faces, the first face."""

    id: int
    meta: str
    count: int
    face: Face | None


class PersonSummary(NamedTuple):
    """A person in a list: the meta of its newest face."""

    id: int
    meta: str


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of an owner; ``fields`` holds what the client set (meta, url, detector, rot, roi, enabled)."""

    id: str
    owner: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of a check-up: what was looked at and found, and, if it is not well, what to do."""

    well: bool
    text: str
    advice: str = ""
