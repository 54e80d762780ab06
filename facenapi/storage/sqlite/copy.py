"""A consistent copy of a store that is being written, and its way back: SQLite's own backup, in one file.

The copy is of one moment, whatever is written meanwhile: a read transaction is held while the pages are copied. A
copy that is put back begins an epoch of its own, so that nothing that was derived from later revisions is believed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from facenapi.errors import StartupError
from facenapi.process.durable import sync
from facenapi.process.private import room_fault
from facenapi.storage.sqlite import schema
from facenapi.storage.sqlite.folder import DATABASE, Folder, check
from facenapi.storage.sqlite.lineage import begin_epoch

_FILES = ("", "-wal", "-shm")  # of a database
PAGES = 4096  # in one step: 16 MiB

# Called with the pages done and all that there are.
Progress = Callable[[int, int], None]


def back_up(store: Path, target: Path, progress: Progress | None = None) -> int:
    """Copy the database of a store's folder to a new file; return how many faces it has.

    Raises StartupError, also when the copy is not whole.
    """
    folder = Folder(store)
    source, _ = folder.open_shared("normal")
    part = target.with_name(target.name + ".part")
    try:
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
        # A snapshot that is held: otherwise each write of the server would make the copy begin anew.
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM counters").fetchone()
        faces = _copy(source, part, progress)
        part.replace(target)
        sync(target.parent)
    except (OSError, sqlite3.Error) as error:
        reason = room_fault(target.parent, error) or error  # before there is room again
        _remove(part)
        raise StartupError(f"{target} cannot be written: {reason}") from error
    finally:
        source.close()
    return faces


def put_back(copy: Path, store: Path, photos: Path, *, replace: bool) -> tuple[int, list[Path]]:
    """Make a copy the database of a store's folder, in an epoch of its own.

    Nobody may use the folder. What is there is kept beside it if ``replace``, with the folder of ``photos`` that its
    faces have, and stops this otherwise. Returns how many faces there are and where that is kept. Raises
    StartupError; what was there is there then.
    """
    folder = Folder(store)
    folder.acquire()
    try:
        if folder.database.exists() and not replace:
            raise StartupError(
                f"There is a database {folder.database} already; --replace keeps it beside the new one"
            )
        part = store / f"{DATABASE}.new"
        _remove(part)
        try:
            source = sqlite3.connect(f"{copy.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)
            os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            try:
                faces = _copy(source, part, None)
            finally:
                source.close()
            _begin_anew(part)
        except (OSError, sqlite3.Error) as error:
            reason = room_fault(store, error) or error
            _remove(part)
            raise StartupError(f"{copy} cannot be restored: {reason}") from error
        try:
            aside = _put_aside(folder.database, photos)
        except OSError as error:
            _remove(part)
            raise StartupError(f"{error.filename} cannot be kept beside the new one: {error.strerror}") from error
        part.replace(folder.database)
        folder.mark()
    finally:
        folder.release()
    return faces, aside


def _copy(source: sqlite3.Connection, path: Path, progress: Progress | None) -> int:
    """Copy a database into an empty file and check it; return how many faces it has."""
    target = sqlite3.connect(path, isolation_level=None)
    try:

        def report(_: int, remaining: int, total: int) -> None:
            if progress is not None:
                progress(total - remaining, total)

        source.backup(target, pages=PAGES, progress=report, sleep=0)
        target.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        check(target)
        if not 0 < schema.version_of(target) <= len(schema.MIGRATIONS):
            raise sqlite3.DatabaseError("it is not a database of this release of facenapi or of an earlier one")
        (faces,) = target.execute("SELECT count(*) FROM faces").fetchone()
    finally:
        target.close()
    sync(path)
    return int(faces)


def _begin_anew(path: Path) -> None:
    db = schema.connect(path, "full", writes=True)
    try:
        schema.migrate(db)
        begin_epoch(db)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()


def _remove(database: Path) -> None:
    """Remove what is not finished, with what SQLite has beside it."""
    for ending in _FILES:
        database.with_name(database.name + ending).unlink(missing_ok=True)


def _put_aside(database: Path, photos: Path) -> list[Path]:
    """Keep a database, with its log, and its photos under names that are free; return those that there are now."""
    number = 1
    while any(_aside(path, number).exists() for path in (database, photos)):
        number += 1
    aside = _aside(database, number)
    # The photos first: their folder may be one that cannot be moved, and then nothing has been.
    kept = [path.replace(_aside(path, number)) for path in (photos, database) if path.exists()]
    for ending in _FILES[1:]:
        path = database.with_name(database.name + ending)
        if path.exists():
            path.replace(aside.with_name(aside.name + ending))
    return kept


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.before-{number}")
