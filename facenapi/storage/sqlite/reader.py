"""Reads: a few connections, each in a thread of its own, each read on one snapshot.

The threads take what to read from a queue and hand the answer to the event loop: an executor, with its futures
of two kinds, takes twice as long for that, and a page of a list waits for little else.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from facenapi.errors import Overloaded, Unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")
Read = Callable[[sqlite3.Connection], Any]


class Readers:
    """Runs read functions beside the writer; WAL lets neither wait for the other. Use it on one event loop."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], threads: int = 4, max_waiting: int = 5000) -> None:
        self._connect = connect
        self._count = threads
        self._max_waiting = max_waiting
        self._waiting = 0
        self._closed = False
        self._reads: queue.SimpleQueue[tuple[Read, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []

    async def open(self) -> None:
        """Open all connections, so that later no read pays for one and no file is opened any more."""
        for number in range(self._count):
            db = await asyncio.to_thread(self._open_one)
            thread = threading.Thread(target=self._work, args=(db,), name=f"store-reader_{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _open_one(self) -> sqlite3.Connection:
        db = self._connect()
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # SQLite opens the file when it has to
        return db

    async def submit(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read and return what it returns.

        Raises Overloaded when too many wait, Unavailable when the file cannot be read.
        """
        if self._closed:
            raise Unavailable("The database is closed")
        if self._waiting >= self._max_waiting:
            raise Overloaded("Too many reads wait for the database")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting += 1
        self._reads.put((read, answer))
        try:
            return await answer
        except sqlite3.Error as error:
            logger.exception("The database could not read")
            raise Unavailable("The database cannot read", str(error)) from error
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Finish the reads that were accepted and close the connections."""
        self._closed = True
        for _ in self._threads:
            self._reads.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _work(self, db: sqlite3.Connection) -> None:
        while (asked := self._reads.get()) is not None:
            read, answer = asked
            if answer.cancelled():
                continue
            loop = answer.get_loop()
            try:
                found = _on_one_snapshot(db, read)
            except BaseException as error:  # noqa: BLE001 - whatever it is, who asked is told, and the thread goes on
                loop.call_soon_threadsafe(_fail, answer, error)
            else:
                loop.call_soon_threadsafe(_succeed, answer, found)
                del found  # a thread keeps nothing until the next read
        db.close()


def _on_one_snapshot(db: sqlite3.Connection, read: Read) -> Any:
    db.execute("BEGIN")
    try:
        return read(db)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _succeed(answer: asyncio.Future[Any], found: Any) -> None:
    if not answer.done():
        answer.set_result(found)


def _fail(answer: asyncio.Future[Any], error: BaseException) -> None:
    if answer.done():
        return
    if isinstance(error, StopIteration) or not isinstance(error, Exception):  # a future takes no such thing
        error = RuntimeError(f"A read raised {error!r}")
    answer.set_exception(error)
