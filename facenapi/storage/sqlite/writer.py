"""The one thread that writes: group commit, so that many waiting writes share one fsync.

Every write is a function of the connection that may be run twice. Those that wait run in one transaction;
one that fails is undone alone. A write's future is done only after the commit, which with
``synchronous=FULL`` means: it is on the disk.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from facenapi.errors import Overloaded, Unavailable

logger = logging.getLogger(__name__)

Write = Callable[[sqlite3.Connection], Any]
Job = tuple[Write, "Future[Any]"]

MAX_GROUP = 500
_OF_ONE_WRITE = (
    0,
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_TOOBIG,
)


class Writer:
    """Runs writes one after another on a connection that belongs to it alone."""

    def __init__(
        self,
        db: sqlite3.Connection,
        max_waiting: int = 10_000,
        *,
        fault: Callable[[], str] = lambda: "",
        room: Callable[[Exception], str] = lambda _: "",
    ) -> None:
        """``fault``: says why nothing may be written now, "" if all is well; asked before each commit.

        ``room``: says what the disk lacks after a write that failed, "" if it is not that.
        """
        self._db = db
        self._fault, self._room = fault, room
        self._jobs: queue.Queue[Job | None] = queue.Queue(max_waiting)
        self._failure: str | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    async def submit(self, write: Write) -> Any:
        """Run a write and return what it returns, once that is durable.

        Raises Overloaded when too many wait, Unavailable when the database cannot write, and whatever
        the write itself raises.
        """
        if self._ended.is_set():
            raise Unavailable("The database is closed")
        future: Future[Any] = Future()
        try:
            self._jobs.put_nowait((write, future))
        except queue.Full:
            raise Overloaded("Too many writes wait for the database") from None
        if self._ended.is_set():  # it died since the first look, maybe without having seen this write
            _fail([(write, future)], Unavailable("The database is closed"))
        return await asyncio.wrap_future(future)

    async def ping(self) -> None:
        """Raise Unavailable unless the thread lives and can write; touches the disk only after a failure."""
        await self.submit(_probe if self._failure else _nothing)

    def refuse_elsewhere(self) -> None:
        """Raise Unavailable if what would be written would not be opened next."""
        if reason := self._fault():
            if self._failure != reason:
                logger.critical("The database was moved or replaced under the server: %s", reason)
            self._failure = reason
            raise Unavailable("The database was moved or replaced", reason)

    async def close(self) -> None:
        """Finish the writes that were accepted, end the thread and close the connection."""
        if self._ended.is_set():
            return
        self._ended.set()
        await asyncio.to_thread(self._jobs.put, None)
        await asyncio.to_thread(self._thread.join)
        self._db.close()

    def _run(self) -> None:
        jobs: list[Job] = []
        try:
            while jobs := self._wait():
                self._commit(jobs)
        finally:
            # Reached by close, and by a defect of this class: nobody may wait for a dead thread.
            self._ended.set()
            _fail(jobs, Unavailable("The database is closed"))
            while not self._jobs.empty():
                job = self._jobs.get()
                _fail([job] if job else [], Unavailable("The database is closed"))

    def _wait(self) -> list[Job]:
        """Return the writes that wait, at least one; none when the end was asked for."""
        job = self._jobs.get()
        jobs: list[Job] = []
        while job is not None:
            jobs.append(job)
            if len(jobs) == MAX_GROUP or self._jobs.empty():
                return jobs
            job = self._jobs.get()
        if jobs:
            self._jobs.put(None)
        return jobs

    def _commit(self, jobs: list[Job]) -> None:
        """Run the writes in one transaction and tell each what came of it."""
        jobs = [job for job in jobs if job[1].set_running_or_notify_cancel()]
        try:
            self.refuse_elsewhere()
            self._db.execute("BEGIN IMMEDIATE")
            done = self._together(jobs)
            self.refuse_elsewhere()  # the file may have gone while the lock was waited for
            self._db.execute("COMMIT")
        except Unavailable as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            _fail(jobs, error)
        except sqlite3.Error as error:
            room = self._room(error)
            self._failure = room or str(error)
            logger.exception("The database could not write")
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            reason = "The database cannot write"
            _fail(jobs, Unavailable(f"{reason}: {room}") if room else Unavailable(reason, str(error)))
        else:
            self._failure = None
            for future, result in done:
                future.set_result(result)

    def _together(self, jobs: list[Job]) -> list[tuple[Future[Any], Any]]:
        """Run the writes and return their results. Raises sqlite3.Error if the transaction is lost.

        Savepoints cost about as much as the writes themselves, and few writes fail: so the first try does
        without, and when one fails all are undone and run again, each for itself.
        """
        try:
            return [(future, write(self._db)) for write, future in jobs]
        except Exception as error:
            if _of_all(error):
                raise
            self._db.execute("ROLLBACK")
            self._db.execute("BEGIN IMMEDIATE")
        done: list[tuple[Future[Any], Any]] = []
        for write, future in jobs:
            self._alone(write, future, done)
        return done

    def _alone(self, write: Write, future: Future[Any], done: list[tuple[Future[Any], Any]]) -> None:
        """Run one write inside a savepoint, so that it is undone alone if it fails."""
        self._db.execute("SAVEPOINT write")
        try:
            result = write(self._db)
        except Exception as error:
            if _of_all(error):
                raise
            self._db.execute("ROLLBACK TO write")
            future.set_exception(error)
        else:
            done.append((future, result))
        self._db.execute("RELEASE write")


def _of_all(error: Exception) -> bool:
    """Whether an error is that of the whole transaction.

    Disk full, I/O error, locked: SQLite may have undone everything, and the next write would meet the
    same. Anything else belongs to the one who waits for this write.
    """
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF not in _OF_ONE_WRITE


def _fail(jobs: list[Job], error: Exception) -> None:
    for _, future in jobs:
        if not future.done():
            future.set_exception(error)


def _nothing(db: sqlite3.Connection) -> None:
    """Do nothing: the transaction around it shows that the lock can be had."""


def _probe(db: sqlite3.Connection) -> None:
    db.execute("UPDATE counters SET value = value + 1 WHERE name = 'probe'")
