"""The folder of the embedded store: who may open it, and whether it is what it was.

``store.lock`` is held by the one server that uses the folder and names it. ``store.marker`` says that a
database was made here once: if the file is gone, something is wrong, and to start empty would hide it.
"""

from __future__ import annotations

import logging
import os
import pwd
import sqlite3
from pathlib import Path

from facenapi.errors import StartupError
from facenapi.process.durable import sync
from facenapi.process.folder_lock import FolderLock
from facenapi.process.private import room_fault
from facenapi.storage.sqlite import schema
from facenapi.storage.sqlite.lineage import begin_epoch
from facenapi.storage.sqlite.persons import remove_abandoned

logger = logging.getLogger(__name__)

DATABASE = "facenapi.sqlite"
_AS_OWNER = "run the command as the user of the server"

# What PRAGMA quick_check reads in about a second; larger files are checked while the server works.
CHECK_AT_ONCE_BYTES = 128 * 2**20


class OpenFile:
    """A database file that is open here: is what its path leads to still that file?

    SQLite keeps a file open whatever becomes of its name. A folder that is renamed, replaced or emptied under a
    server would take all further writes with it, and a restart would not know of them. Neither does SQLite notice
    when somebody copies another file into this one: mostly it is shorter then. SQLite itself never cuts the database
    off here, and its log to no less than it may keep.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._wal = database.with_name(database.name + "-wal")
        self._known: dict[Path, tuple[int, int]] = {}
        self._least: dict[Path, int] = {}  # bytes
        self.fault()  # takes note of the database

    def room(self, error: Exception) -> str:
        """Return what the disk lacks after a write that failed, "" if it is not that."""
        return room_fault(self._database.parent, error)

    def fault(self) -> str:
        """Return why nothing may be written, "" if all is well. Any thread may call it."""
        for path in (self._database, self._wal):
            least = self._least.get(path, 0)  # before the look at the file, which another thread may let grow
            try:
                there = path.stat()
            except OSError as error:
                if path == self._wal and path not in self._known and isinstance(error, FileNotFoundError):
                    continue  # it comes with the first write
                return f"{path.name} is not where it was opened: {error.strerror}"
            place = (there.st_dev, there.st_ino)
            if self._known.setdefault(path, place) != place:
                return f"{path.name} is another file than the one that was opened"
            if there.st_size < least:
                return f"{path.name} was cut off by another program"
            kept = there.st_size if path == self._database else min(there.st_size, schema.LOG_LIMIT)
            self._least[path] = max(least, kept)
        return ""


class Folder:
    """Paths and lock of a store's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = path / DATABASE
        self._marker = path / "store.marker"
        self._lock = FolderLock(path, "store.lock")

    def acquire(self) -> None:
        """Make the folder if needed and lock it against a second server; raise StartupError."""
        self._lock.acquire()

    def release(self) -> None:
        """Let go of the lock."""
        self._lock.release()

    def open(self, sync: str) -> tuple[sqlite3.Connection, int]:
        """Check, make or migrate the database; return the writer's connection and the highest face id.

        Raises StartupError.
        """
        empty = not self.database.exists() or self.database.stat().st_size == 0
        if empty and self._marker.exists():
            raise StartupError(
                f"Database {self.database} is missing or empty, though there was one: restore it "
                f"from a backup, or remove {self._marker.name} to start with nothing"
            )
        try:
            # SQLite gives its other files the rights of this one.
            os.close(os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            return self._open_checked(sync, empty)
        except (OSError, sqlite3.Error) as error:
            if room := room_fault(self.path, error):
                raise StartupError(
                    f"Cannot open database {self.database}: {room}; make room and start again"
                ) from error
            raise StartupError(
                f"Cannot open database {self.database}: {error}. It is left as it is; "
                "restore it from a backup if it is damaged"
            ) from error

    def open_shared(self, sync: str) -> tuple[sqlite3.Connection, int]:
        """Open, as :meth:`open` does, the database of a folder that another process may have in use."""
        self._may_use()
        if not self._marker.exists() or not self.database.exists():
            raise StartupError(f"There is no database in {self.path}: start the server once, or check data_dir")
        try:
            db = schema.connect(self.database, sync, writes=True)
            version = schema.version_of(db)
            if version == len(schema.MIGRATIONS):
                return db, schema.last_id(db)
        except sqlite3.Error as error:
            room = room_fault(self.path, error)
            raise StartupError(f"Cannot open database {self.database}: {room or error}") from error
        db.close()
        raise StartupError(
            f"The database in {self.path} has schema version {version}, not "
            f"{len(schema.MIGRATIONS)}: start the server of this release first"
        )

    def _may_use(self) -> None:
        """Raise StartupError, with advice, if this user may not read and write here."""
        for path, rights in ((self.path, os.R_OK | os.W_OK | os.X_OK), (self.database, os.R_OK | os.W_OK)):
            try:
                there = path.stat()
            except FileNotFoundError:
                continue
            except PermissionError as error:
                raise StartupError(f"This user may not look into {path.parent}: {_AS_OWNER}") from error
            if not os.access(path, rights):
                raise StartupError(f"This user may not write {path}: {_AS_OWNER}, {_name(there.st_uid)}")

    def too_large_to_wait_for(self) -> bool:
        """Whether checking the file takes so long that the server starts before."""
        return self.database.stat().st_size > CHECK_AT_ONCE_BYTES

    def _open_checked(self, sync: str, empty: bool) -> tuple[sqlite3.Connection, int]:
        db = schema.connect(self.database, sync, writes=True)
        try:
            if not self.too_large_to_wait_for():
                check(db)
            if not empty and self._marker.exists() and schema.version_of(db) == 0:
                raise sqlite3.DatabaseError("the tables are missing")
            schema.migrate(db)
            begin_epoch(db)
            remove_abandoned(db)
            last_id = schema.last_id(db)
        except (StartupError, sqlite3.Error):
            db.close()
            raise
        if not self._marker.exists():
            self.mark()
        return db, last_id

    def mark(self) -> None:
        """Note for good that there is a database here."""
        self._marker.write_text("The database of a facenapi server was made here.\n", encoding="utf-8")
        for path in (self._marker, self.path):
            sync(path)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def check(db: sqlite3.Connection) -> None:
    """Raise sqlite3.DatabaseError if the file is damaged."""
    found = [str(row[0]) for row in db.execute("PRAGMA quick_check(3)")]
    if found != ["ok"]:
        raise sqlite3.DatabaseError(f"the file is damaged ({'; '.join(found)})")
