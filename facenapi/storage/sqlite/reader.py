"""Reads: a few connections, each in a thread of its own, each read on one snapshot."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from facenapi.errors import Overloaded, Unavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Readers:
    """Runs read functions beside the writer; WAL lets neither wait for the other."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], threads: int = 4, max_waiting: int = 5000) -> None:
        self._connect = connect
        self._max_waiting = max_waiting
        self._waiting = 0
        self._closed = False
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._count = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="store-reader")

    async def open(self) -> None:
        """Open all connections, so that later no read pays for one and no file is opened any more."""
        together = threading.Barrier(self._count)  # keeps one thread from doing it all
        loop = asyncio.get_running_loop()
        await asyncio.gather(
            *(loop.run_in_executor(self._threads, self._open_one, together) for _ in range(self._count))
        )

    def _open_one(self, together: threading.Barrier) -> None:
        self._run(lambda db: db.execute("SELECT count(*) FROM sqlite_master").fetchone())
        together.wait(60)

    async def submit(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read and return what it returns.

        Raises Overloaded when too many wait, Unavailable when the file cannot be read.
        """
        if self._closed:
            raise Unavailable("The database is closed")
        if self._waiting >= self._max_waiting:
            raise Overloaded("Too many reads wait for the database")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, read)
        except sqlite3.Error as error:
            logger.exception("The database could not read")
            raise Unavailable(f"The database cannot read: {error}") from error
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """Finish the reads that were accepted and close the connections."""
        self._closed = True
        await asyncio.to_thread(self._threads.shutdown)
        while self._open:
            self._open.pop().close()

    def _run(self, read: Callable[[sqlite3.Connection], T]) -> T:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._connect()
            self._open.append(db)
        db.execute("BEGIN")
        try:
            return read(db)
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
