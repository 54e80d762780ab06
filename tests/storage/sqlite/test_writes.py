"""The embedded store's writes and reads when they fail, or are too many."""

from __future__ import annotations

import asyncio
import sqlite3
from concurrent.futures import Future

import pytest

from facenapi.errors import Overloaded, Unavailable
from facenapi.storage.base import Page
from facenapi.storage.sqlite import schema
from facenapi.storage.sqlite.reader import Readers
from facenapi.storage.sqlite.writer import Writer
from tests.storage.samples import new_face
from tests.storage.sqlite.support import DATABASE, Gate, opened, put_token, writer_on


async def test_a_full_disk_is_unavailable_and_leaves_nothing_half_written(tmp_path):
    store = await opened(tmp_path)
    await store.add_faces([new_face(meta="kept")])
    pages = await store._write(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    limit = "PRAGMA max_page_count = {}"
    await store._write(lambda db: db.execute(limit.format(pages + 40)).fetchall())
    results = [
        await asyncio.gather(store.add_faces([new_face(meta="kept", embedding=bytes(2048))]), return_exceptions=True)
        for _ in range(100)
    ]
    errors = [result for [result] in results if isinstance(result, Exception)]
    stored = len(results) - len(errors)
    assert stored > 5
    assert {(type(error), "full" in str(error)) for error in errors} == {(Unavailable, True)}
    results = await asyncio.gather(
        *(store.add_faces([new_face(embedding=bytes(5000))] * 50) for _ in range(5)), return_exceptions=True
    )
    assert {type(result) for result in results} == {Unavailable}
    with pytest.raises(Unavailable):
        await store._write(lambda db: db.execute("CREATE TABLE big AS SELECT zeroblob(10000000)"))
    assert await store.count_faces("ann") == stored + 1
    [summary] = await store.list_metas("ann", None, Page())
    assert (summary.first.meta, summary.faces) == ("kept", stored + 1)
    await store.close()
    store = await opened(tmp_path)
    await store.add_faces([new_face(meta="kept")])
    assert await store.count_faces("ann") == stored + 2
    await store.close()


async def test_a_database_locked_from_outside_fails_writes_and_health_until_released(tmp_path, monkeypatch):
    store = await opened(tmp_path)
    await store._write(lambda db: None)
    store._writer._db.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="locked"):
        await store.add_faces([new_face()])
    with pytest.raises(Unavailable, match="locked"):
        await store.ping()
    assert await store.count_faces("ann") == 0
    other.execute("ROLLBACK")
    other.close()
    await store.ping()
    await store.add_faces([new_face()])
    assert await store.count_faces("ann") == 1
    await store.close()


async def test_a_write_that_fails_does_not_fail_its_neighbours(tmp_path):
    writer = writer_on(tmp_path)

    def refused(db):
        put_token("b")(db)
        raise KeyError("b")

    async with Gate(writer):
        writes = [
            put_token("a"),
            refused,
            put_token("a"),
            put_token("c"),
            lambda db: db.execute("nonsense"),
            put_token("d"),
        ]
        writes = [asyncio.ensure_future(writer.submit(write)) for write in writes]
        await asyncio.sleep(0)
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [
        sqlite3.Cursor,
        KeyError,
        sqlite3.IntegrityError,
        sqlite3.Cursor,
        sqlite3.OperationalError,
        sqlite3.Cursor,
    ]
    found = await writer.submit(lambda db: db.execute("SELECT key_hash FROM tokens").fetchall())
    assert found == [("a",), ("c",), ("d",)]
    await writer.close()


@pytest.mark.parametrize("others_fail", [False, True])
async def test_a_transaction_that_is_lost_fails_all_of_its_writes(tmp_path, others_fail):
    writer = writer_on(tmp_path)

    def lost(db):
        db.execute("ROLLBACK")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_WRITE
        raise error

    async with Gate(writer):
        writes = [put_token("a"), put_token("a" if others_fail else "b"), lost, put_token("c")]
        writes = [asyncio.ensure_future(writer.submit(write)) for write in writes]
        await asyncio.sleep(0)
    results = await asyncio.gather(*writes, return_exceptions=True)
    expected = [Unavailable, sqlite3.IntegrityError if others_fail else Unavailable, Unavailable, Unavailable]
    assert [type(result) for result in results] == expected
    assert await writer.submit(lambda db: db.execute("SELECT count(*) FROM tokens").fetchone()) == (0,)
    await writer.ping()
    await writer.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_writer_that_dies_leaves_nobody_waiting(tmp_path, monkeypatch):
    writer = writer_on(tmp_path)
    await writer.submit(lambda db: None)

    def defect(self, jobs):
        raise SystemExit

    monkeypatch.setattr(Writer, "_commit", defect)
    results = await asyncio.gather(*(writer.submit(lambda db: None) for _ in range(5)), return_exceptions=True)
    assert {type(result) for result in results} == {Unavailable}
    with pytest.raises(Unavailable):
        await writer.ping()
    writer._thread.join()
    writer._db.close()


async def test_a_queue_of_writes_is_bounded(tmp_path):
    writer = writer_on(tmp_path, max_waiting=2)
    async with Gate(writer):
        waiting = [asyncio.ensure_future(writer.submit(lambda db: 1)) for _ in range(3)]
        with pytest.raises(Overloaded):
            await waiting[2]
    assert await asyncio.gather(*waiting[:2]) == [1, 1]
    await writer.close()


async def test_a_write_nobody_waits_for_any_more_is_not_begun(tmp_path):
    writer = writer_on(tmp_path)
    begun = []
    async with Gate(writer):
        waiting = asyncio.ensure_future(writer.submit(begun.append))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await writer.close()
    assert begun == []


async def test_reads_are_bounded_and_their_errors_are_unavailable(tmp_path):
    writer = writer_on(tmp_path)
    await writer.submit(lambda db: None)
    readers = Readers(lambda: schema.connect(tmp_path / DATABASE, "normal"), threads=1, max_waiting=2)
    await readers.open()
    gate: Future[int] = Future()
    waiting = [asyncio.ensure_future(readers.submit(lambda db: gate.result(20))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await readers.submit(lambda db: 1)
    gate.set_result(5)
    assert await asyncio.gather(*waiting) == [5, 5]
    with pytest.raises(Unavailable):
        await readers.submit(lambda db: db.execute("DELETE FROM tokens"))
    for _ in range(2):
        with pytest.raises(RuntimeError, match="StopIteration"):
            await readers.submit(lambda db: next(iter(())))
    assert await readers.submit(lambda db: 7) == 7
    await readers.close()
    await writer.close()
