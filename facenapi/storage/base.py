"""What the rest of the server knows of storage: records and the ``Store`` protocol.

A store is the only truth. It keeps documents of one *owner* apart from those of all others: every
method that takes an owner answers as if nothing else existed. A write that has returned survives the
death of the process and of the machine.

Errors: :class:`facenapi.errors.Unavailable` when the database cannot be reached or cannot write, and
the exceptions of storage/records.py; never a driver's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from facenapi.process.supervised import Loop
from facenapi.storage.lineage import Lineage, StoreIdentity
from facenapi.storage.records import (
    CELL_COUNT,
    DEFAULT_GALLERY,
    Camera,
    Changes,
    Face,
    FaceChange,
    FaceFilter,
    Finding,
    IdTakenError,
    MetaSummary,
    NewFace,
    Page,
    Person,
    PersonSummary,
    Token,
    Tombstone,
    UnknownGalleryError,
    UnknownPersonError,
)

__all__ = [
    "CELL_COUNT",
    "DEFAULT_GALLERY",
    "Camera",
    "Changes",
    "Face",
    "FaceChange",
    "FaceFilter",
    "Finding",
    "IdTakenError",
    "Lineage",
    "MetaSummary",
    "NewFace",
    "Page",
    "Person",
    "PersonSummary",
    "Store",
    "StoreIdentity",
    "Token",
    "Tombstone",
    "UnknownGalleryError",
    "UnknownPersonError",
]


class Store(Protocol):
    """Faces and all that belongs to them, kept for ever."""

    @property
    def loops(self) -> Iterable[Loop]:
        """What it does again and again beside what it is asked for."""

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

    async def list_owners(self) -> list[str]:
        """Return whoever has anything here, by name; one whose faces were imported may have no token yet."""

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

        What is returned is each face as it was, with its last revision: no change of it can be newer.

        One durable step each, leaving tombstones, so that deleting millions never blocks others long.
        """

    async def delete_face(self, owner: str, face_id: int) -> Face | None:
        """Delete one face, leaving a tombstone; return what it was, None if there is none."""

    async def list_metas(self, owner: str, gallery: str | None, page: Page) -> list[MetaSummary]:
        """Return the metas, ordered by their first face's id, newest first; ids of ``page`` are those."""

    # -- persons --------------------------------------------------------------------------------
    async def new_person(self, owner: str) -> int:
        """Make a person and return the id: 1, 2, 3, … per owner."""

    async def remove_persons(self, owner: str, ids: Sequence[int]) -> None:
        """Remove those of the persons who have no face: they were made in vain. Their ids are not given again."""

    async def restore_persons(self, owner: str, ids: Sequence[int]) -> None:
        """Make persons of an export under the ids they have; :meth:`new_person` counts on above them."""

    async def get_person(self, owner: str, person_id: int) -> Person | None:
        """Return a person."""

    async def list_persons(self, owner: str, page: Page) -> list[PersonSummary]:
        """Return a page of the persons who have a face, highest id first; others are about to come or to go."""

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
        """Merge fields into a camera and return it; a value of None takes a field away. None if there is none."""

    async def delete_camera(self, owner: str, camera_id: str) -> bool:
        """Delete a camera; its history stays. False if there is none."""

    # -- the change feed ------------------------------------------------------------------------
    async def changes_since(self, rev: int, limit: int = 1000, cells: frozenset[int] | None = None) -> Changes:
        """Return what changed after ``rev`` (0 is the beginning), in all owners, in these cells."""

    async def forget_tombstones(self, now_ms: int, before_ms: int, limit: int = 1000) -> int:
        """Remove up to ``limit`` tombstones that were there before a time already; return how many.

        ``now_ms`` is noted once a day with the latest revision: how old a tombstone is follows from such notes
        alone, so it takes calls from then on. A reader of the feed who lags further behind has to begin anew.
        """

    async def last_rev(self) -> int:
        """Return the revision of the latest change."""

    async def news_since(self, mark: int) -> tuple[int, bool]:
        """Return whether other processes have acknowledged changes of faces since ``mark``, and the mark to ask next.

        0 is the mark to begin with. Cheap: for who must know, before an answer, of all that was acknowledged to
        anybody before the question. What this process has changed is no news; its index is told by who changed it.
        """

    # -- which store it is ------------------------------------------------------------------------
    async def lineage(self) -> Lineage:
        """Return which store this is, its epochs, and how far its feed reaches."""

    async def begin_epoch(self) -> StoreIdentity:
        """Begin a new epoch, as every start of a server does: after a restore or an import."""
