"""What the tests of the embedded store share."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from facenapi.errors import StartupError
from facenapi.storage.sqlite import SqliteStore, schema, spans
from facenapi.storage.sqlite.writer import Writer
from tests.storage.samples import new_face

DATABASE = "facenapi.sqlite"
ROOT = Path(__file__).resolve().parents[3]


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


# What schema 8 made in another way before.
_OLD_SPAN = """
INSERT INTO event_spans SELECT owner, {0}, id >> {0}, count(*), min(timestamp_ms), max(timestamp_ms)
    FROM faces WHERE cam_key IS NOT NULL GROUP BY owner, id >> {0};
CREATE TRIGGER event_added_{0} AFTER INSERT ON faces WHEN NEW.cam_key IS NOT NULL BEGIN
    INSERT INTO event_spans VALUES (NEW.owner, {0}, NEW.id >> {0}, 1, NEW.timestamp_ms, NEW.timestamp_ms)
        ON CONFLICT DO UPDATE SET events = events + 1;
END;
CREATE TRIGGER event_removed_{0} AFTER DELETE ON faces WHEN OLD.cam_key IS NOT NULL BEGIN
    UPDATE event_spans SET events = events - 1 WHERE owner = OLD.owner AND shift = {0} AND span = OLD.id >> {0};
END;
"""
_OLD_EVENTS = (
    "CREATE INDEX events ON faces (owner, id, rev, cam_key, friend) WHERE cam_key IS NOT NULL;"
    "CREATE INDEX events_of_camera ON faces (owner, cam_key, id, rev) WHERE cam_key IS NOT NULL;"
    "CREATE INDEX events_by_time ON faces (owner, timestamp_ms, cam_key, id, rev, friend) WHERE cam_key IS NOT NULL;"
    "CREATE INDEX events_of_friends ON faces (owner, id, rev, cam_key, friend) "
    "WHERE cam_key IS NOT NULL AND friend = 1;"
    "CREATE INDEX events_of_camera_friends ON faces (owner, cam_key, id) WHERE cam_key IS NOT NULL AND friend = 1;"
)


def put_back_to(path: Path, version: int) -> None:
    """Make a store, closed, one of schema version 7 or 1."""
    db = sqlite3.connect(path / DATABASE)
    db.executescript(
        "DROP TABLE event_spans;"
        + "".join(f"DROP TRIGGER event_added_{s}; DROP TRIGGER event_removed_{s};" for s in spans.SHIFTS)
        + "DROP INDEX events; DROP INDEX events_of_camera; DROP INDEX events_of_person; DROP INDEX events_of_both;"
        "DROP INDEX events_by_time; ALTER TABLE faces DROP COLUMN late;"
        + _OLD_EVENTS
        + f"PRAGMA user_version = {version};"
    )
    if version == 7:
        db.executescript(
            "CREATE TABLE event_spans (owner TEXT NOT NULL, shift INTEGER NOT NULL, span INTEGER NOT NULL, events "
            "INTEGER NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL, PRIMARY KEY (owner, shift, span)) "
            "WITHOUT ROWID;" + "".join(map(_OLD_SPAN.format, (40, 30, 20)))
        )
    else:
        db.executescript(
            "DROP TABLE about; DROP TABLE epochs; DROP TABLE watermarks; DELETE FROM counters WHERE name = 'floor';"
        )
    db.close()
