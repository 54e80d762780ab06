"""The embedded store when things go wrong: killed, full, locked, damaged, missing, opened twice."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from pathlib import Path

import pytest

from facenapi.errors import Overloaded, StartupError, Unavailable
from facenapi.storage.base import FaceChange, FaceFilter, Page, Token
from facenapi.storage.ids import seconds_of
from facenapi.storage.sqlite import SqliteStore, folder, lists, schema, spans
from facenapi.storage.sqlite.reader import Readers
from facenapi.storage.sqlite.writer import Writer
from tests.storage.samples import add, new_face

ROOT = Path(__file__).resolve().parents[2]
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


def start_child(folder_path: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.storage.child", str(folder_path), *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        FaceFilter(),
        FaceFilter(gallery="default", meta="1"),
        FaceFilter(events=True),
        FaceFilter(cam_ids=("c1", "c2")),
        FaceFilter(events=True, friend=True),
        FaceFilter(events=True, friend=False),
        FaceFilter(events=True, start_ms=1, end_ms=2),
        FaceFilter(cam_ids=("c1", "c2"), friend=True),
        FaceFilter(cam_ids=("c1", "c2"), start_ms=1, friend=True),
    ],
    ids=str,
)
async def test_an_index_leads_to_the_faces_of_a_page(tmp_path, where):
    await filled(tmp_path, 3)
    db = schema.connect(tmp_path / DATABASE, "normal")
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    lists.faces(db, "ann", where, Page())
    db.set_trace_callback(None)
    queries = [
        statement
        for statement in statements
        if "LIMIT" in statement and "count(" not in statement and "event_spans" not in statement
    ]
    assert queries
    for query in queries:
        # The ids of the page come first, then their faces.
        ids, *plan, page, face = [row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert (ids, page, face) == ("CO-ROUTINE k", "SCAN k", "SEARCH f USING INTEGER PRIMARY KEY (rowid=?)")
        assert re.match(
            r"SEARCH (f USING (COVERING )?INDEX events|m USING (PRIMARY KEY|COVERING INDEX memb))", plan[0]
        )
        assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan) or "events_by_time" in plan[0]
    db.close()


# -- reopening ------------------------------------------------------------------------------------


async def test_everything_is_there_after_reopening(tmp_path):
    await filled(tmp_path)
    store = await opened(tmp_path)
    assert await store.count_faces("ann") == 50
    last = (await store.list_faces("ann", FaceFilter(), Page(1)))[0]
    [face] = await store.add_faces([new_face()])
    assert (face.id > last.id, face.rev > last.rev) == (True, True)
    await store.close()
    await store.close()


async def test_files_are_for_the_server_alone(tmp_path):
    await filled(tmp_path / "new")
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "new", tmp_path / "new" / DATABASE)} == {0}


async def test_a_closed_store_refuses(tmp_path):
    store = SqliteStore(tmp_path)
    with pytest.raises(Unavailable):
        await store.ping()
    with pytest.raises(Unavailable):
        await store.new_person("ann")
    await store.start()
    await store.close()
    for call in (store.ping(), store.new_person("ann"), store.list_tokens()):
        with pytest.raises(Unavailable):
            await call


async def test_killed_during_writes_nothing_acknowledged_is_lost(tmp_path):
    child = start_child(tmp_path, "write")
    acknowledged = [int(child.stdout.readline()) for _ in range(300)]
    child.kill()
    acknowledged += [int(line) for line in child.stdout.read().split("\n")[:-1]]
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    store = await opened(tmp_path)
    found = await store.get_faces("ann", acknowledged)
    assert len(found) == len(acknowledged)
    faces = await store.list_faces("ann", FaceFilter(), Page(10**6))
    assert all(face.embedding == b"\0\0\x80?" * 128 for face in faces)
    summaries = await store.list_metas("ann", None, Page(10**6))
    assert {entry.first.meta: entry.faces for entry in summaries} == {
        meta: sum(face.meta == meta for face in faces) for meta in {face.meta for face in faces}
    }
    assert await store.count_faces("ann") == len(faces)
    await store.close()


# -- who may open ---------------------------------------------------------------------------------


async def test_a_second_server_is_refused_by_name(tmp_path):
    child = start_child(tmp_path, "hold")
    assert child.stdout.readline() == "open\n"
    assert f"process {child.pid}" in await refused(tmp_path)
    child.kill()
    child.wait()
    child.stdout.close()
    await (await opened(tmp_path)).close()


async def test_a_command_may_work_beside_the_server(tmp_path):
    server = await opened(tmp_path)
    command = await opened(tmp_path, shared=True)
    await command.add_token(Token("h", "ann", "", 1))
    [face] = await command.add_faces([new_face()])
    assert await server.find_token("h") is not None
    assert (await server.changes_since(0)).faces == [face]
    assert (await server.add_faces([new_face()]))[0].rev == face.rev + 1
    await command.close()
    await server.ping()
    await server.close()


async def test_a_command_makes_no_database(tmp_path):
    with pytest.raises(StartupError, match="no database"):
        await opened(tmp_path, shared=True)
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in await refused(tmp_path / "file")


# -- damaged files --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"garbage" * 1000),
        lambda path: os.truncate(path, path.stat().st_size // 2),
        lambda path: path.write_bytes(path.read_bytes()[:8192] + os.urandom(path.stat().st_size - 8192)),
        lambda path: [path.unlink(), sqlite3.connect(path).execute("CREATE TABLE other (x)").connection.close()],
    ],
    ids=["missing", "emptied", "garbage", "truncated", "overwritten", "foreign"],
)
async def test_a_damaged_database_stops_the_start_and_is_left_alone(tmp_path, damage):
    await filled(tmp_path)
    path = tmp_path / DATABASE
    damage(path)
    before = path.read_bytes() if path.exists() else None
    message = await refused(tmp_path)
    assert "backup" in message
    assert "\n" not in message
    assert (path.read_bytes() if path.exists() else None) == before
    if damage.__code__.co_names == ("unlink",):
        (tmp_path / "store.marker").unlink()
        await (await opened(tmp_path)).close()


async def test_a_database_of_the_first_release_is_brought_up_to_date(tmp_path):
    store = await opened(tmp_path)
    await store.add_gallery("ann", "staff")
    first, _ = await add(store, "a", "b", galleries=("staff",), cam_id="c1", friend=False)
    first = await store.update_face("ann", first.id, FaceChange(person_id=await store.new_person("ann")))
    await store.close()
    db = sqlite3.connect(tmp_path / DATABASE)
    db.executescript(
        "PRAGMA user_version = 1;"
        "DROP TABLE event_spans;"
        + "".join(f"DROP TRIGGER event_added_{s}; DROP TRIGGER event_removed_{s};" for s in spans.SHIFTS)
        + "DROP TABLE about; DROP TABLE epochs; DROP TABLE watermarks; DELETE FROM counters WHERE name = 'floor';"
        "DROP INDEX events; DROP INDEX events_of_camera; DROP INDEX events_by_time; DROP INDEX events_of_friends;"
        "DROP INDEX events_of_camera_friends;"
        "CREATE INDEX events ON faces (owner) WHERE cam_key IS NOT NULL;"
        "CREATE INDEX events_of_camera ON faces (owner, cam_key) WHERE cam_key IS NOT NULL;"
        "CREATE INDEX events_by_time ON faces (owner, timestamp_ms, cam_key) WHERE cam_key IS NOT NULL;"
        "CREATE INDEX events_of_friends ON faces (owner) WHERE cam_key IS NOT NULL AND friend = 1;"
    )
    db.close()
    store = await opened(tmp_path)
    for where in (
        FaceFilter(),
        FaceFilter(gallery="staff"),
        FaceFilter(gallery="staff", meta="a"),
        FaceFilter(events=True),
        FaceFilter(cam_ids=("c1",), friend=False),
    ):
        found = await store.list_faces("ann", where, Page())
        assert found[-1] == first
    assert [finding for finding in await store.report() if not finding.well] == []
    await store.close()


async def test_a_database_of_a_newer_release_is_refused(tmp_path):
    await filled(tmp_path)
    db = sqlite3.connect(tmp_path / DATABASE)
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert "newer release" in await refused(tmp_path)
    with pytest.raises(StartupError, match="version 99"):
        await opened(tmp_path, shared=True)


async def test_a_large_file_is_checked_while_the_server_works(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "CHECK_AT_ONCE_BYTES", 0)
    await filled(tmp_path, 500)
    path = tmp_path / DATABASE
    db = sqlite3.connect(path)
    [page] = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'memberships_by_meta'").fetchone()
    db.close()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    store = await opened(tmp_path)
    await asyncio.wait([loop.task for loop in store.loops])
    with pytest.raises(Unavailable, match="damaged"):
        await store.ping()
    await store.close()


async def test_closing_does_not_wait_for_the_check(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "CHECK_AT_ONCE_BYTES", 0)
    await filled(tmp_path, 2000)
    store = await opened(tmp_path)
    await asyncio.wait_for(store.close(), 10)
    assert not list(store.loops)


# -- writes that fail -----------------------------------------------------------------------------


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


def writer_on(path: Path, **options) -> Writer:
    db = schema.connect(path / DATABASE, "normal", writes=True)
    schema.migrate(db)
    return Writer(db, **options)


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


# -- clocks ---------------------------------------------------------------------------------------


async def test_a_clock_that_was_wrong_spoils_no_later_face(tmp_path):
    store = await opened(tmp_path)
    store._ids._clock = lambda: 3_534_364_800  # 2082: such an id would be no exact number in JSON
    with pytest.raises(Unavailable, match="clock"):
        await add(store, "a")
    assert await store.count_faces("ann") == 0
    store._ids._clock = lambda: 2_500_000_000  # 2049
    [strange] = await add(store, "a")
    store._ids._clock = time.time
    [face] = await add(store, "b")
    await store.close()
    store = await opened(tmp_path)
    [other] = await add(store, "c")
    assert strange.id > other.id > face.id
    assert seconds_of(other.id) < time.time() + 3600
    assert set(await store.get_faces("ann", [strange.id, face.id, other.id])) == {strange.id, face.id, other.id}
    await store.close()


# -- what is written is what will be opened next ----------------------------------------------------


def renamed(folder):
    folder.rename(folder.with_name("aside"))


def replaced(folder):
    renamed(folder)
    shutil.copytree(folder.with_name("aside"), folder)


def emptied(folder):
    for path in folder.iterdir():
        path.unlink()


def database_replaced(folder):
    copy = folder / "copy"
    shutil.copy(folder / DATABASE, copy)
    copy.rename(folder / DATABASE)


def log_removed(folder):
    (folder / f"{DATABASE}-wal").unlink()


def made_a_link_to_another(folder):
    replaced(folder)
    folder.rename(folder.with_name("other"))
    folder.symlink_to(folder.with_name("other"))


@pytest.mark.parametrize(
    "change", [renamed, replaced, emptied, database_replaced, log_removed, made_a_link_to_another]
)
async def test_a_store_that_is_not_where_it_was_refuses_writes(tmp_path, change, caplog):
    folder = tmp_path / "store"
    store = await opened(folder)
    [kept] = await add(store, "kept")
    change(folder)
    for _ in range(3):
        with pytest.raises(Unavailable, match="moved or replaced"):
            await add(store, "lost")
        with pytest.raises(Unavailable, match="moved or replaced"):
            await store.ping()
    assert caplog.text.count("was moved or replaced under the server") == 1
    assert (await store.list_faces("ann", FaceFilter(), Page())) == [kept]
    await store.close()


async def test_a_store_that_comes_back_is_written_again(tmp_path):
    folder = tmp_path / "store"
    store = await opened(folder)
    await add(store, "a")
    renamed(folder)
    with pytest.raises(Unavailable):
        await add(store, "lost")
    folder.with_name("aside").rename(folder)
    await store.ping()
    await add(store, "b")
    await store.close()
    store = await opened(folder)
    assert [face.meta for face in await store.list_faces("ann", FaceFilter(), Page())] == ["b", "a"]
    await store.close()


# -- a list costs what it returns -------------------------------------------------------------------


async def steps_of(path, count, in_order):
    """Return how many steps of SQLite's machine each list of a store of events takes, by filter and page."""
    store = await opened(path)
    person = await store.new_person("ann")
    for start in range(0, count, 500):
        await store.add_faces(
            [
                new_face(
                    cam_id=f"c{n % 3}", friend=n % 2 == 0, person_id=person, meta=str(n % 50), embedding=bytes(4),
                    timestamp_ms=(n if in_order else n * 7919 % count) * 1000,
                )
                for n in range(start, min(count, start + 500))
            ]
        )  # fmt: skip
    ids = [face.id for face in await store.list_faces("ann", FaceFilter(), Page(count))]
    await store.close()
    db = schema.connect(path / DATABASE, "normal")
    old, new = count // 10 * 1000, count * 9 // 10 * 1000
    taken = {}
    for times in ({}, {"end_ms": old}, {"start_ms": new}, {"start_ms": old, "end_ms": old + 60_000}, {"end_ms": -1}):
        for more in ({}, {"cam_ids": ("c1", "c2")}, {"friend": True}, {"friend": False}, {"person_id": person}):
            for page in (Page(50), Page(50, max_id=ids[len(ids) * 9 // 10]), Page(50, min_id=ids[-50])):
                where = FaceFilter(events=True, **times, **more)
                steps = [0]
                db.set_progress_handler(lambda steps=steps: steps.__setitem__(0, steps[0] + 1), 10)
                lists.faces(db, "ann", where, page)
                taken[where, page.limit, page.max_id is None, page.min_id is None] = steps[0]
                db.set_progress_handler(None, 0)
    db.close()
    return [*taken.values()], [*taken]


async def test_history_costs_what_it_returns_whatever_is_newer(tmp_path, monkeypatch):
    monkeypatch.setattr(lists, "SORTED_EVENTS", 200)
    few, _ = await steps_of(tmp_path / "few", 1500, in_order=True)
    many, names = await steps_of(tmp_path / "many", 9000, in_order=True)
    for before, after, name in zip(few, many, names, strict=True):
        assert after <= 2 * before + 400, (name, before, after)


async def test_ids_of_a_time_range_are_never_too_few(tmp_path):
    store = await opened(tmp_path)
    times = [5000, 3000, 9000, 1000, 7000, 3000]
    faces = [(await store.add_faces([new_face(cam_id="c", timestamp_ms=time)]))[0] for time in times]
    await store.delete_face("ann", faces[3].id)
    for start in (None, 0, 3000, 6000, 10_000):
        for end in (None, 0, 3000, 6000, 10_000):
            where = FaceFilter(events=True, start_ms=start, end_ms=end)
            wanted = [
                face.id
                for face in reversed(faces)
                if face is not faces[3] and (start or 0) <= face.timestamp_ms <= (10_000 if end is None else end)
            ]
            assert [face.id for face in await store.list_faces("ann", where, Page())] == wanted
    assert [finding for finding in await store.report() if not finding.well] == []
    await store.close()
