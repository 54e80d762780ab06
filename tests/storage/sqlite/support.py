"""What the tests of the embedded store share."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from facenapi.errors import StartupError
from facenapi.storage.sqlite import SqliteStore, schema
from facenapi.storage.sqlite.writer import Writer
from tests.storage.samples import new_face

DATABASE = "facenapi.sqlite"


async def opened(path: Path, **options) -> SqliteStore:
    store = SqliteStore(path, **options)
    await store.start()
    return store


async def filled(path: Path, count: int = 50) -> None:
    """Leave a store with faces, closed."""
    store = await opened(path)
    await store.add_faces([new_face(meta=str(i)) for i in range(count)])
    await store.close()


async def refused(path: Path) -> str:
    with pytest.raises(StartupError) as caught:
        await SqliteStore(path).start()
    return str(caught.value)


def writer_on(path: Path, **options) -> Writer:
    db = schema.connect(path / DATABASE, "normal", writes=True)
    schema.migrate(db)
    return Writer(db, **options)


class Gate:
    """A write that stands in the way until it is let go."""

    def __init__(self, writer: Writer) -> None:
        self._begun, self._open = threading.Event(), threading.Event()
        self._task = asyncio.ensure_future(writer.submit(self._write))

    def _write(self, db):
        self._begun.set()
        assert self._open.wait(20)

    async def __aenter__(self):
        await asyncio.to_thread(self._begun.wait, 20)

    async def __aexit__(self, *error):
        self._open.set()
        await self._task


def put_token(name):
    return lambda db: db.execute("INSERT INTO tokens VALUES (?, '', '', 0, 1)", (name,))
