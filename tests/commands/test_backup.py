"""facenapi backup and restore: a copy of one moment while writing goes on, and the way back."""

import asyncio
import errno
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from tests.support.effort import daily
from tests.support.server import BLUE, GREEN, RED, picture, serving

DATABASE = "facenapi.sqlite"


async def command(facenapi, *arguments):
    """Run a command in a thread that may have a loop of its own."""
    return await asyncio.to_thread(facenapi, *arguments)


def count(path):
    db = sqlite3.connect(path)
    try:
        return db.execute("SELECT count(*), (SELECT count(*) FROM memberships) FROM faces").fetchone()
    finally:
        db.close()


async def test_a_copy_is_of_one_moment_and_comes_back_with_tokens_and_photos(facenapi, tmp_path):
    data, copy = tmp_path / "data", tmp_path / "copy"
    async with serving(data, photo_storage="files") as client:
        kept, changed = await client.enrol(RED, meta="kept"), await client.enrol(GREEN, meta="before")
        stop = threading.Event()

        async def write():
            while not stop.is_set():
                await client("PUT", f"/v1/face/id/{changed['id']}", json_body={"meta": f"{stop.is_set()} later"})
                await client.enrol(BLUE)

        writing = asyncio.create_task(write())
        said = await command(facenapi, "backup", copy, f"--data_dir={data}", "-q")
        stop.set()
        await writing
        assert (said.status, f" faces of {data}/store/{DATABASE}, " in said.out) == (0, True), said
        assert [path.stat().st_mode & 0o077 for path in copy.rglob("*") if path.is_file()].count(0) > 6
        faces, members = count(copy / DATABASE)
        assert faces == members >= 2
        refused = await command(facenapi, "restore", copy, f"--data_dir={data}", "--replace")
        assert (refused.status, "is in use by process" in refused.err) == (1, True)
        await client("DELETE", f"/v1/face/id/{kept['id']}")
        key, later = client.key, await client.enrol(BLUE)
    refused = await command(facenapi, "restore", copy, f"--data_dir={data}")
    assert (refused.status, "--replace" in refused.err) == (1, True)
    said = await command(facenapi, "restore", copy, f"--data_dir={data}", "--replace")
    assert said.status == 0, said
    assert (data / "store" / f"{DATABASE}.before-1").exists()
    assert said.out.count("before-1\n") == 2
    # Each state has its own photos, and those that came while it was copied are swept up.
    ours = {path.name for path in (data / "photos").rglob("*") if path.suffix}
    assert ours == {path.name for path in (copy / "photos").rglob("*") if path.suffix}
    name = later["thumbnail"].rpartition("/")[2]
    assert name not in ours
    assert list((data / "photos.before-1").rglob(name))
    assert (data / "photos" / "running-restore").exists()
    async with serving(data, photo_storage="files") as client:
        client.key = key
        assert (await client("GET", f"/v1/face/id/{later['id']}")).status == 404
        reply = await client("POST", "/v1/identify", parts={"photo": picture(RED)})
        [[match]] = reply.json["results"].values()
        assert match["face"]["id"] == kept["id"]
        [page] = [(await client("GET", "/v1/faces?limit=1000")).json["results"]]
        assert len(page) == faces
        thumbnail = match["face"]["thumbnail"]
        assert (await client("GET", thumbnail[thumbnail.index("/uploads") :])).status == 200


@pytest.mark.slow
async def test_photos_that_cannot_be_put_aside_stop_a_restore(facenapi, tmp_path, monkeypatch):
    data, copy = tmp_path / "data", tmp_path / "copy"
    async with serving(data, photo_storage="files") as client:
        await client.enrol(RED)
        assert (await command(facenapi, "backup", copy, f"--data_dir={data}", "-q")).status == 0
    before, replace = sorted(data.rglob("*")), Path.replace

    def busy(path, target):
        if path.name == "photos":  # as a folder is that is mounted there
            raise OSError(errno.EBUSY, "Device or resource busy", str(path))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", busy)
    said = await command(facenapi, "restore", copy, f"--data_dir={data}", "--replace")
    assert (said.status, said.err.count("\n"), "cannot be kept beside" in said.err) == (1, 1, True)
    assert sorted(data.rglob("*")) == before


async def test_a_backup_that_ends_among_the_photos_is_not_taken_for_one(facenapi, tmp_path, monkeypatch):
    data, copy = tmp_path / "data", tmp_path / "copy"
    async with serving(data, photo_storage="files") as client:
        await client.enrol(RED)

    def full(source, _):
        raise OSError(errno.ENOSPC, "No space left on device", str(source))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        said = await command(facenapi, "backup", copy, f"--data_dir={data}", "-q")
    assert (said.status, said.err.count("\n")) == (1, 1), said
    assert f"cannot be copied to {copy / 'photos'}" in said.err
    assert said.err.endswith("the disk is full\n")
    said = await command(facenapi, "restore", copy, f"--data_dir={data}", "--replace")
    assert (said.status, "did not come to its end" in said.err) == (1, True), said
    said = await command(facenapi, "backup", copy, f"--data_dir={data}", "-q")
    assert (said.status, "is not empty: name a new folder" in said.err) == (1, True), said
    assert (await command(facenapi, "backup", tmp_path / "new", f"--data_dir={data}", "-q")).status == 0
    assert [path.name for path in (tmp_path / "new").iterdir() if path.is_file()] == [DATABASE]


@pytest.mark.parametrize("damage", daily(["cut", "emptied", "of something else", "of a newer release"]))
async def test_what_cannot_be_restored_changes_nothing(facenapi, tmp_path, damage):
    data, copy = tmp_path / "data", tmp_path / "copy"
    async with serving(data) as client:
        face = await client.enrol(RED)
        key = client.key
    assert facenapi_in_thread(facenapi, "backup", copy, f"--data_dir={data}", "-q").status == 0
    path = copy / DATABASE
    if damage == "emptied":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.unlink()
        db = sqlite3.connect(path)
        db.executescript(f"CREATE TABLE faces (x); PRAGMA user_version = {99 if 'newer' in damage else 0}")
        db.close()
    said = facenapi_in_thread(facenapi, "restore", copy, f"--data_dir={data}", "--replace")
    assert (said.status, said.err.count("\n")) == (1, 1), said
    assert not [path for path in (data / "store").iterdir() if ".before" in path.name or ".new" in path.name]
    async with serving(data) as client:
        client.key = key
        assert (await client("GET", f"/v1/face/id/{face['id']}")).status == 200


def facenapi_in_thread(facenapi, *arguments):
    said = []
    thread = threading.Thread(target=lambda: said.append(facenapi(*arguments)))
    thread.start()
    thread.join()
    return said[0]


@pytest.mark.slow
async def test_all_owners_go_into_one_file(facenapi, tmp_path):
    data, other, file = tmp_path / "data", tmp_path / "other", tmp_path / "all.ndjson"
    async with serving(data) as client:
        await client.enrol(RED)
        said = await command(facenapi, "token", f"--data_dir={data}")
        client.key = said.out.strip()
        await client.enrol(GREEN)
        await client.enrol(BLUE)
        said = await command(facenapi, "export", file, f"--data_dir={data}", "-q")
        assert (said.status, said.out) == (0, f"{file}: 3 faces of {data}/store/{DATABASE}\n")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("all")] == ["all.ndjson"]
    async with serving(other):
        pass
    said, place = await command(facenapi, "import", file, f"--data_dir={other}", "-q"), f"{other}/store/{DATABASE}"
    assert (said.status, said.out, said.err.count("No token leads")) == (0, f"{file}: 3 new faces in {place}\n", 2)
    said = await command(facenapi, "import", file, "--owner=me", f"--data_dir={other}", "-q")
    assert (said.status, "several owners" in said.err or "another owner" in said.err) == (1, True)
    shutil.rmtree(other)


@pytest.mark.slow
async def test_a_store_is_in_a_new_epoch_after_each_of_them(facenapi, tmp_path):
    """So that no snapshot of search takes it for what it was."""
    data, copy, file = tmp_path / "data", tmp_path / "copy", tmp_path / "all.ndjson"

    def latest():
        db = sqlite3.connect(data / "store" / DATABASE)
        try:
            return db.execute("SELECT * FROM epochs ORDER BY rowid DESC").fetchone()
        finally:
            db.close()

    async with serving(data) as client:
        await client.enrol(RED)
    seen = [latest()]
    for words in (("backup", copy), ("export", file)):
        assert (await command(facenapi, *words, f"--data_dir={data}", "-q")).status == 0
        assert latest() == seen[0]
    for words in (("restore", copy, "--replace"), ("import", file, "-q"), ("import", file, "-q")):
        assert (await command(facenapi, *words, f"--data_dir={data}")).status == 0
        assert latest() not in seen
        seen.append(latest())
