"""``SqliteStore``: the protocol of storage/base.py on one file. Every method is one read or one write."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, TypeVar

from facenapi.errors import StartupError, Unavailable
from facenapi.process.supervised import Loops
from facenapi.storage import base
from facenapi.storage.base import (
    Camera,
    Changes,
    Face,
    FaceChange,
    FaceFilter,
    Finding,
    NewFace,
    Page,
    Person,
    Token,
)
from facenapi.storage.ids import IdMaker
from facenapi.storage.locks import NamedLocks
from facenapi.storage.sqlite import (
    cameras,
    faces,
    folder,
    galleries,
    lineage,
    lists,
    persons,
    report,
    rows,
    schema,
    tokens,
)
from facenapi.storage.sqlite.reader import Readers
from facenapi.storage.sqlite.writer import Writer

logger = logging.getLogger(__name__)

T = TypeVar("T")


class SqliteStore:
    """Faces in one SQLite file in a folder.

    ``sync``: "full" (a write that returned survives a power cut) or "normal" (it survives the death of
    the process; a power cut may take the last moments). ``shared``: for commands beside a running
    server; takes no lock, makes and migrates nothing.
    """

    def __init__(self, path: Path, sync: str = "full", *, shared: bool = False, readers: int = 4) -> None:
        if sync not in schema.SYNC_LEVELS:
            raise ValueError(f"sync {sync!r} is not one of {schema.SYNC_LEVELS}")
        self._folder = folder.Folder(path)
        self._sync = sync
        self._shared = shared
        self._threads = readers
        self._locks = NamedLocks()
        self._ids = IdMaker()
        self._writer: Writer | None = None
        self._readers: Readers | None = None
        self._checker: sqlite3.Connection | None = None
        self._closing = False
        self._file: folder.OpenFile | None = None
        self.loops = Loops("The embedded store")
        self._damage: str | None = None

    # -- life -----------------------------------------------------------------------------------
    async def start(self) -> None:
        """Lock the folder, check the file, migrate it and open it; raise StartupError."""
        db, last_id = await asyncio.to_thread(self._open)
        self._ids = IdMaker(last_id)
        self._file = folder.OpenFile(self._folder.database)
        self._writer = Writer(db, fault=self._file.fault, room=self._file.room)
        self._readers = Readers(self._connect, self._threads)
        await self._readers.open()
        if not self._shared and self._folder.too_large_to_wait_for():
            self.loops.once("check its file", self._check)

    def _connect(self) -> sqlite3.Connection:
        return schema.connect(self._folder.database, self._sync)

    def _open(self) -> tuple[sqlite3.Connection, int]:
        """Return the writer's connection and the highest id so far."""
        if not self._shared:
            self._folder.acquire()
        try:
            return self._folder.open_shared(self._sync) if self._shared else self._folder.open(self._sync)
        except StartupError:
            self._folder.release()
            raise

    async def _check(self) -> None:
        """Check a large file while the server works; what is found fails :meth:`ping`."""
        db = self._checker = self._connect()
        try:
            if not self._closing:
                await asyncio.to_thread(folder.check, db)
        except sqlite3.OperationalError as error:
            if not self._closing:
                raise Unavailable(f"The check of the database did not end: {error}") from error
        except sqlite3.DatabaseError as error:
            logger.critical("The database: %s", error)
            self._damage = str(error)
        finally:
            self._checker = None
            db.close()

    async def close(self) -> None:
        """Finish what was accepted, close the file and let go of the folder."""
        self._closing = True
        if self._checker is not None:
            self._checker.interrupt()
            await asyncio.wait([loop.task for loop in self.loops if loop.task])
        await self.loops.stop()
        if self._writer is not None and self._readers is not None:
            await self._readers.close()
            await self._writer.close()
        self._folder.release()

    async def ping(self) -> None:
        """Try a read and a write that changes nothing; raise Unavailable."""
        if self._damage:
            raise Unavailable("The database is damaged", self._damage)
        await self._read(schema.version_of)
        if self._writer is not None:
            await self._writer.ping()

    async def report(self) -> list[Finding]:
        """Check the file, the schema and what is derived."""
        return await self._read(lambda db: report.report(db, self._folder.database))

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return a lock by name; one server has the file, so it lives in the process."""
        return self._locks.hold(name)

    def _look(self) -> None:
        """Raise Unavailable if the file is not the store's any more: who follows it would follow a dead one."""
        if self._file is not None and (reason := self._file.fault()):
            raise Unavailable("The database was moved or replaced", reason)

    async def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        if self._readers is None:
            raise Unavailable("The database is not open")
        return await self._readers.submit(read)

    async def _write(self, write: Callable[[sqlite3.Connection], T]) -> T:
        if self._writer is None:
            raise Unavailable("The database is not open")
        result: T = await self._writer.submit(write)
        return result

    # -- tokens ---------------------------------------------------------------------------------
    async def add_token(self, token: Token) -> None:
        """Store a token."""
        await self._write(lambda db: tokens.add_token(db, token))

    async def find_token(self, key_hash: str) -> Token | None:
        """Return the token with this hash."""
        return next(iter(await self._read(lambda db: tokens.tokens(db, key_hash))), None)

    async def list_tokens(self) -> list[Token]:
        """Return all tokens, oldest first."""
        return await self._read(tokens.tokens)

    async def list_owners(self) -> list[str]:
        """Return whoever has anything here."""
        return await self._read(tokens.owners)

    async def set_token_active(self, key_hash: str, active: bool) -> bool:
        """Revoke or revive a token."""
        return await self._write(lambda db: tokens.set_token_active(db, key_hash, active))

    # -- galleries ------------------------------------------------------------------------------
    async def list_galleries(self, owner: str) -> list[str]:
        """Return "default" and the others by name."""
        return await self._read(lambda db: galleries.galleries(db, owner))

    async def add_gallery(self, owner: str, name: str) -> bool:
        """Create a gallery."""
        return await self._write(lambda db: galleries.add_gallery(db, owner, name))

    async def has_gallery(self, owner: str, name: str) -> bool:
        """Whether the gallery exists."""
        if name == base.DEFAULT_GALLERY:
            return True
        return await self._read(lambda db: rows.gallery_id(db, owner, name) is not None)

    async def remove_gallery(self, owner: str, name: str) -> bool:
        """Remove an empty gallery."""
        return await self._write(lambda db: galleries.remove_gallery(db, owner, name))

    # -- faces ----------------------------------------------------------------------------------
    async def add_faces(self, new: Sequence[NewFace]) -> list[Face]:
        """Store new faces, all or none."""
        return await self._write(lambda db: faces.add(db, new, self._ids))

    async def restore_faces(self, old: Sequence[Face]) -> int:
        """Store faces of an export."""
        return await self._write(lambda db: faces.restore(db, old))

    async def get_faces(self, owner: str, ids: Sequence[int]) -> dict[int, Face]:
        """Return those of the ids that exist."""
        return await self._read(lambda db: rows.fetch(db, owner, ids))

    async def list_faces(self, owner: str, where: FaceFilter, page: Page) -> list[Face]:
        """Return a page of faces, newest first."""
        return await self._read(lambda db: lists.faces(db, owner, where, page))

    async def count_faces(self, owner: str, gallery: str | None = None) -> int:
        """Return how many faces there are, from a counter."""
        return await self._read(lambda db: galleries.count(db, owner, gallery))

    async def update_face(self, owner: str, face_id: int, change: FaceChange) -> Face | None:
        """Apply an edit."""
        return await self._write(lambda db: faces.update(db, owner, face_id, change))

    async def delete_faces(self, owner: str, where: FaceFilter, limit: int = 1000) -> list[Face]:
        """Delete up to ``limit`` faces."""
        return await self._write(lambda db: faces.delete_some(db, owner, where, limit))

    async def delete_face(self, owner: str, face_id: int) -> Face | None:
        """Delete one face."""
        return await self._write(lambda db: faces.delete(db, owner, face_id))

    async def list_metas(self, owner: str, gallery: str | None, page: Page) -> list[base.MetaSummary]:
        """Return a page of metas."""
        return await self._read(lambda db: lists.metas(db, owner, gallery, page))

    async def changes_since(self, rev: int, limit: int = 1000, cells: frozenset[int] | None = None) -> Changes:
        """Return a page of the change feed, on a snapshot of its own."""
        self._look()
        return await self._read(lambda db: faces.changes_since(db, rev, limit, cells))

    async def forget_tombstones(self, now_ms: int, before_ms: int, limit: int = 1000) -> int:
        """Remove tombstones that nobody needs any more."""
        return await self._write(lambda db: lineage.forget_tombstones(db, now_ms, before_ms, limit))

    async def last_rev(self) -> int:
        """Return the revision of the latest change."""
        return (await self.lineage()).last

    async def news_since(self, mark: int) -> tuple[int, bool]:
        """Return that there is none: no other server has this file."""
        return mark, False

    async def lineage(self) -> base.Lineage:
        """Return what the store tells of itself."""
        self._look()
        return await self._read(lineage.lineage)

    async def begin_epoch(self) -> base.StoreIdentity:
        """Begin a new epoch."""
        return await self._write(lineage.begin_epoch)

    # -- persons --------------------------------------------------------------------------------
    async def new_person(self, owner: str) -> int:
        """Make a person."""
        return await self._write(lambda db: persons.new_person(db, owner))

    async def remove_persons(self, owner: str, ids: Sequence[int]) -> None:
        """Remove persons without faces."""
        await self._write(lambda db: persons.remove_persons(db, owner, ids))

    async def restore_persons(self, owner: str, ids: Sequence[int]) -> None:
        """Make persons with given ids."""
        await self._write(lambda db: persons.restore_persons(db, owner, ids))

    async def get_person(self, owner: str, person_id: int) -> Person | None:
        """Return a person."""
        return await self._read(lambda db: persons.person(db, owner, person_id))

    async def list_persons(self, owner: str, page: Page) -> list[base.PersonSummary]:
        """Return a page of persons."""
        return await self._read(lambda db: persons.persons(db, owner, page))

    async def sighting_days(self, owner: str, person_id: int, cam_id: str, start_ms: int, end_ms: int) -> set[int]:
        """Return the UTC days on which a camera saw a person."""
        return await self._read(lambda db: persons.sighting_days(db, owner, person_id, cam_id, (start_ms, end_ms)))

    # -- cameras --------------------------------------------------------------------------------
    async def add_camera(self, camera: Camera) -> None:
        """Store a camera."""
        await self._write(lambda db: cameras.put_camera(db, camera))

    async def get_camera(self, owner: str, camera_id: str) -> Camera | None:
        """Return a camera."""
        return await self._read(lambda db: cameras.camera(db, owner, camera_id))

    async def list_cameras(self, owner: str, detector: str | None = None) -> list[Camera]:
        """Return the cameras."""
        return await self._read(lambda db: cameras.cameras(db, owner, detector))

    async def update_camera(self, owner: str, camera_id: str, fields: Mapping[str, Any]) -> Camera | None:
        """Merge fields into a camera."""
        return await self._write(lambda db: cameras.update_camera(db, owner, camera_id, fields))

    async def delete_camera(self, owner: str, camera_id: str) -> bool:
        """Delete a camera."""
        return await self._write(lambda db: cameras.delete_camera(db, owner, camera_id))
