"""The embedded store's file: damaged, of an older release, of a newer one."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from facenapi.errors import StartupError, Unavailable
from facenapi.storage.base import FaceChange, FaceFilter, Page
from facenapi.storage.sqlite import folder, schema
from tests.storage.samples import add
from tests.storage.sqlite.support import DATABASE, ROOT, filled, opened, put_back_to, refused
from tests.support import skewed


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
    put_back_to(tmp_path, 1)
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


def migrate_in_a_child(path, steps: int) -> int:
    """Migrate, killed after so many steps of SQLite's machine; return the exit status."""
    command = [sys.executable, "-m", "tests.storage.child", str(path), "migrate", str(steps)]
    return subprocess.run(command, cwd=ROOT, check=False, timeout=60).returncode


@pytest.mark.slow
@pytest.mark.gen_test(timeout=120)
async def test_a_migration_that_is_killed_is_made_whole_by_the_next_start(tmp_path):
    """At any point of it, again and again: a file is as it was before a step of it, or as it is after."""
    store = await opened(tmp_path)
    await skewed.fill(store, skewed.World(500))
    where = FaceFilter(events=True, end_ms=skewed.World(500).time_at(0.5))
    expected = await store.list_faces(skewed.OWNER, where, Page(1000))
    await store.close()
    put_back_to(tmp_path, 7)
    ends = []
    for steps in (1, 20_000, 60_000, 120_000, 160_000, 10**9):
        ends.append(migrate_in_a_child(tmp_path, steps))
        db = schema.connect(tmp_path / DATABASE, "normal")
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert schema.version_of(db) == (7 if ends[-1] else len(schema.MIGRATIONS))
        db.close()
    assert ends == [-signal.SIGKILL] * 5 + [0]
    store = await opened(tmp_path)
    assert [finding for finding in await store.report() if not finding.well] == []
    assert await store.list_faces(skewed.OWNER, where, Page(1000)) == expected
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
