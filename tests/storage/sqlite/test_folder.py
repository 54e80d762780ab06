"""The embedded store's folder when things go wrong: killed, missing, moved, opened twice."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from facenapi.errors import StartupError, Unavailable
from facenapi.storage.base import FaceFilter, Page, Token
from facenapi.storage.ids import seconds_of
from facenapi.storage.sqlite import SqliteStore, schema
from facenapi.storage.sqlite.folder import OpenFile
from tests.storage.samples import add, new_face
from tests.storage.sqlite.support import DATABASE, filled, opened, refused

ROOT = Path(__file__).resolve().parents[3]


def start_child(folder_path: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.storage.child", str(folder_path), *args],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


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


async def test_persons_without_a_face_are_gone_after_reopening(tmp_path):
    """They are left by a server that dies between the two."""
    store = await opened(tmp_path)
    for _ in range(2):
        person = await store.new_person("ann")
    await store.add_faces([new_face(person_id=person)])
    await store.close()
    store = await opened(tmp_path)
    assert [await store.get_person("ann", one) is None for one in (person - 1, person)] == [True, False]
    assert await store.new_person("ann") == person + 1
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
    store._ids._clock = lambda: time.time() - 600
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


def test_a_file_that_grows_between_the_looks_of_two_threads_was_not_cut_off(tmp_path, monkeypatch):
    (tmp_path / DATABASE).write_bytes(b"x" * 4096)
    file, stat = OpenFile(tmp_path / DATABASE), Path.stat

    def overtaken(path):
        seen = stat(path)
        monkeypatch.setattr(Path, "stat", stat)
        with (tmp_path / DATABASE).open("ab") as grown:
            grown.write(b"x" * 4096)
        assert file.fault() == ""
        return seen

    monkeypatch.setattr(Path, "stat", overtaken)
    assert file.fault() == ""


@pytest.mark.parametrize("name", [DATABASE, f"{DATABASE}-wal"])
async def test_a_file_that_another_program_cuts_off_refuses_writes(tmp_path, name):
    """As a copy over it does, which leaves the file the same one."""
    store = await opened(tmp_path)
    await add(store, "kept")
    os.truncate(tmp_path / name, 100)
    for _ in range(2):
        with pytest.raises(Unavailable, match="was cut off"):
            await add(store, "lost")
        with pytest.raises(Unavailable, match=r"was cut off|cannot read"):
            await store.ping()
    await store.close()


async def test_a_log_that_sqlite_cuts_down_itself_is_no_fault(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "LOG_LIMIT", 1 << 16)
    store, log = await opened(tmp_path), tmp_path / f"{DATABASE}-wal"
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM faces").fetchone()
        while log.stat().st_size < 1 << 18:
            await add(store, "x" * 4000)
    store._writer._db.execute("PRAGMA wal_checkpoint")
    await add(store, "the log begins anew")
    assert log.stat().st_size == 1 << 16
    await add(store, "b")
    await store.ping()
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
