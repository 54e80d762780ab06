"""What the rest of the server knows of storage: records and the ``Store`` protocol.

A store is the only truth. It keeps documents of one *owner* apart from those of all others: every
method that takes an owner answers as if nothing else existed. A write that has returned survives the
death of the process and of the machine.

Times are integer milliseconds since 1970, UTC. Embeddings are little-endian float32 bytes of unit
vectors. ``rev`` is a number that grows with every change of any face: the feed that keeps search
shards fresh (:meth:`Store.changes_since`).

Errors: :class:`facenapi.errors.Unavailable` when the database cannot be reached or cannot write, and
the exceptions below; never a driver's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

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


@dataclass(frozen=True, slots=True)
class NewFace:
    """A face that has no id yet; ``cell`` (0…1023) says which shard will hold its vector."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    """

    faces: list[Face]
    tombstones: list[Tombstone]
    next_rev: int
    more: bool


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


@dataclass(frozen=True, slots=True)
class MetaSummary:
    """A meta string, how many faces carry it, and the first (oldest) of them."""

    meta: str
    count: int
    face: Face


@dataclass(frozen=True, slots=True)
class Person:
    """A person of an owner: the meta of its newest face, how many faces, the first face."""

    id: int
    meta: str
    count: int
    face: Face | None


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


class Store(Protocol):
    """Faces and all that belongs to them, kept for ever."""

    # -- life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Open, check and migrate; raise :class:`facenapi.errors.StartupError` with advice otherwise."""

    async def close(self) -> None:
        """Finish what was accepted and let go of every file and socket. May be called twice."""

    async def ping(self) -> None:
        """Return if reads and writes work now; raise Unavailable with the reason otherwise."""

    async def report(self) -> list[Finding]:
        """Look at schema, indexes and everything derived, as far as reading goes; may take minutes."""

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return a mutual exclusion by name among all servers that share this store."""

    # -- tokens ---------------------------------------------------------------------------------
    async def add_token(self, token: Token) -> None:
        """Store a token; the owner comes into being with its first one."""

    async def find_token(self, key_hash: str) -> Token | None:
        """Return the token with this hash, active or not."""

    async def list_tokens(self) -> list[Token]:
        """Return all tokens, oldest first."""

    async def set_token_active(self, key_hash: str, active: bool) -> bool:
        """Revoke or revive a token; false if there is none."""

    # -- galleries ------------------------------------------------------------------------------
    async def list_galleries(self, owner: str) -> list[str]:
        """Return "default" and then the others by name."""

    async def add_gallery(self, owner: str, name: str) -> bool:
        """Create a gallery; false if it exists."""

    async def has_gallery(self, owner: str, name: str) -> bool:
        """Whether the gallery exists; "default" always does."""

    async def remove_gallery(self, owner: str, name: str) -> bool:
        """Remove a gallery that has no face left; false (and nothing done) if it still has some.

        Raises UnknownGalleryError if there is none. The caller empties it first with
        :meth:`delete_faces`; a face that another client adds in between just makes one more round.
        """

    # -- faces ----------------------------------------------------------------------------------
    async def add_faces(self, faces: Sequence[NewFace]) -> list[Face]:
        """Store all of them or none, each under a new id made of the time and its cell.

        Raises UnknownGalleryError and UnknownPersonError; a clash of ids is retried inside.
        """

    async def restore_faces(self, faces: Sequence[Face]) -> int:
        """Store faces of an export under the ids they have, all or none; return how many were new.

        A face that the owner has already stays as it is, so an import can be repeated. Revisions are
        given anew. Raises UnknownGalleryError, UnknownPersonError and IdTakenError.
        """

    async def get_faces(self, owner: str, ids: Sequence[int]) -> dict[int, Face]:
        """Return those of the ids that exist."""

    async def list_faces(self, owner: str, where: FaceFilter, page: Page) -> list[Face]:
        """Return a page of faces, newest (highest id) first. Must use an index for every filter."""

    async def count_faces(self, owner: str, gallery: str | None = None) -> int:
        """Return how many faces the owner has (in a gallery), without reading them."""

    async def update_face(self, owner: str, face_id: int, change: FaceChange) -> Face | None:
        """Apply a change atomically and return the new face; None if there is no such face.

        Raises UnknownGalleryError for a gallery in ``set_galleries`` or ``add_galleries``, and
        UnknownPersonError for a person who does not exist.
        """

    async def delete_faces(self, owner: str, where: FaceFilter, limit: int = 1000) -> list[Face]:
        """Delete up to ``limit`` of the faces that match and return them; empty when none is left.

        What is returned carries the revision of the tombstone, as :meth:`delete_face` does too.

        One durable step each, leaving tombstones, so that deleting millions never blocks others long.
        """

    async def delete_face(self, owner: str, face_id: int) -> Face | None:
        """Delete one face, leaving a tombstone; return what it was, None if there is none."""

    async def list_metas(self, owner: str, gallery: str | None, page: Page) -> list[MetaSummary]:
        """Return the metas, ordered by their first face's id, newest first; ids of ``page`` are those."""

    # -- persons --------------------------------------------------------------------------------
    async def new_person(self, owner: str) -> int:
        """Make a person and return the id: 1, 2, 3, … per owner."""

    async def restore_persons(self, owner: str, ids: Sequence[int]) -> None:
        """Make persons of an export under the ids they have; :meth:`new_person` counts on above them."""

    async def get_person(self, owner: str, person_id: int) -> Person | None:
        """Return a person."""

    async def list_persons(self, owner: str, page: Page) -> list[Person]:
        """Return a page of persons, highest id first."""

    async def sighting_days(self, owner: str, person_id: int, cam_id: str, start_ms: int, end_ms: int) -> set[int]:
        """Return the UTC days (days since 1970) with a face of this person from this camera, inclusive.

        As in :class:`FaceFilter`, dashes and case of ``cam_id`` do not matter.
        """

    # -- cameras --------------------------------------------------------------------------------
    async def add_camera(self, camera: Camera) -> None:
        """Store a new camera; one with this id that the owner has already is replaced."""

    async def get_camera(self, owner: str, camera_id: str) -> Camera | None:
        """Return a camera."""

    async def list_cameras(self, owner: str, detector: str | None = None) -> list[Camera]:
        """Return the cameras in the order of their creation, those of one detector if asked."""

    async def update_camera(self, owner: str, camera_id: str, fields: Mapping[str, Any]) -> Camera | None:
        """Merge fields into a camera and return it; None if there is none."""

    async def delete_camera(self, owner: str, camera_id: str) -> bool:
        """Delete a camera; its history stays. False if there is none."""

    # -- the change feed ------------------------------------------------------------------------
    async def changes_since(self, rev: int, limit: int = 1000, cells: frozenset[int] | None = None) -> Changes:
        """Return what changed after ``rev`` (0 is the beginning), in all owners, in these cells."""
