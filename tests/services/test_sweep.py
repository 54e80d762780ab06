"""Kept photos that lost their face while the photo storage was away."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import time
from pathlib import Path

import pytest

from facenapi.commands.installation import open_kept
from facenapi.config.options import Config
from facenapi.errors import StartupError
from facenapi.services import sweep
from facenapi.storage.base import FaceFilter
from tests.support.effort import daily
from tests.support.pictures_server import DavServer
from tests.support.server import BLUE, RED, serving
from tests.test_app import until


@pytest.fixture
def dav():
    with DavServer() as server:
        yield server


@pytest.fixture
def hasty(monkeypatch):
    """Let the hourly sweep come at once."""
    monkeypatch.setattr(sweep, "_HOUR", 0.05)
    monkeypatch.setattr(sweep, "_SLACK", 0.05)


async def test_what_could_not_be_removed_is_removed_while_the_server_runs(tmp_path, dav, hasty, caplog):
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=f"{dav.url}/a") as client:
        goes, stays = await client.enrol(RED), await client.enrol(BLUE)
        dav.refuse = True
        assert (await client("DELETE", f"/v1/face/id/{goes['id']}")).status == 204
        await until(lambda: caplog.text.count("A kept photo could not be removed") > 6)  # tried more than once
        assert len(dav.files) == 6
        dav.refuse = False
        await until(lambda: len(dav.files) == 3)
        assert {stays[name].removeprefix(dav.url) for name in ("photo", "thumbnail", "normalized")} == set(dav.files)
        await until(lambda: not client.app.pictures.left_over)
    assert marks(tmp_path) == []


def marks(folder):
    return [path.name for path in (folder / "webdav").glob("*running*")]


def leave_mark(folder):
    """Leave what a process leaves that was killed."""
    (folder / "webdav").mkdir(exist_ok=True)
    (folder / "webdav" / "running-killed").touch()


async def test_an_interrupted_sweep_leaves_a_mark(tmp_path, dav, monkeypatch):
    leave_mark(tmp_path)
    entered = asyncio.Event()

    async def endless(*_):
        entered.set()
        await asyncio.sleep(1000)

    monkeypatch.setattr(sweep.SweepingKeeper, "sweep", endless)
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url):
        await asyncio.wait_for(entered.wait(), 10)
    assert len(marks(tmp_path)) == 1


async def test_the_start_of_a_server_leaves_the_photos_that_another_is_storing(tmp_path, dav, caplog, monkeypatch):
    caplog.set_level("INFO")
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url) as client:
        inside, gate = asyncio.Event(), asyncio.Event()
        add_faces = client.app.store.add_faces

        async def slow(*arguments):
            inside.set()
            await gate.wait()
            return await add_faces(*arguments)

        monkeypatch.setattr(client.app.store, "add_faces", slow)
        storing = asyncio.create_task(client.enrol(RED))
        await inside.wait()
        leave_mark(tmp_path)
        other = sweep.open_pictures(client.app.config, client.app.store)
        await other.start()
        await until(lambda: "Swept up 0 kept photos" in caplog.text)
        gate.set()
        await storing
        assert len(dav.files) == 3
        assert other.left_over  # what the killed one left may be as young
        assert len(marks(tmp_path)) == 2
        other.left_over = 0
        await other.close()
        assert len(marks(tmp_path)) == 1  # the other's mark stays
    assert marks(tmp_path) == []


async def test_a_running_neighbour_is_no_reason_to_sweep(tmp_path, dav, hasty, caplog):
    caplog.set_level("INFO")
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url) as client:
        other = sweep.open_pictures(client.app.config, client.app.store)
        await other.start()
        await asyncio.sleep(0.3)
        assert (client.app.pictures.left_over, other.left_over) == (0, 0)
        await other.close()
    assert "Swept up" not in caplog.text


async def test_what_is_young_after_a_crash_goes_at_the_next_look(tmp_path, dav, caplog, monkeypatch):
    monkeypatch.setattr(sweep, "_HOUR", 0.5)
    caplog.set_level("INFO")
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url) as client:
        kept = Path((await client.enrol(RED))["photo"]).stem
    orphan = f"{kept[:-3]}xyz.png"
    next((tmp_path / "webdav").rglob(f"{kept}*")).with_name(orphan).touch()
    dav.files[f"/{orphan}"] = b"left over"
    leave_mark(tmp_path)
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url):
        await until(lambda: "Swept up 0 kept photos" in caplog.text)
        assert f"/{orphan}" in dav.files
        monkeypatch.setattr(sweep, "_SLACK", 0.05)
        await until(lambda: f"/{orphan}" not in dav.files)
        assert len(dav.files) == 3


@pytest.mark.parametrize("error", daily([OSError(5, "Input/output error"), ValueError("a mistake")]))
@pytest.mark.usefixtures("hasty")
async def test_a_sweep_that_fails_comes_again(tmp_path, dav, monkeypatch, caplog, error):
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url) as client:
        await client.enrol(RED)
        [token] = await client.app.store.list_tokens()
        await client.app.store.delete_faces(token.owner, FaceFilter())
        (next((tmp_path / "webdav").glob("*/*")).parent / "lost+found").mkdir()
        scandir, failures = os.scandir, [error] * 2

        def failing(folder):
            if failures:
                raise failures.pop()
            return scandir(folder)

        monkeypatch.setattr(os, "scandir", failing)
        client.app.pictures.left_over = 1
        await until(lambda: dav.files == {})
        assert caplog.text.count(str(error)) >= 2
        await until(lambda: not client.app.pictures.left_over)


@pytest.mark.parametrize("interrupted", daily([False, True]))
async def test_what_a_command_could_not_remove_is_removed_by_the_running_server(tmp_path, dav, hasty, interrupted):
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url) as client:
        await client.enrol(RED)
        [token] = await client.app.store.list_tokens()
        faces = await client.app.store.delete_faces(token.owner, FaceFilter())
        dav.refuse = not interrupted
        with pytest.raises(KeyboardInterrupt) if interrupted else contextlib.nullcontext():
            async with open_kept(client.app.config) as pictures:
                if interrupted:
                    raise KeyboardInterrupt
                await pictures.forget(faces)
        assert len(dav.files) == 3
        dav.refuse = False
        await until(lambda: dav.files == {})
        await until(lambda: not client.app.pictures.left_over)


async def test_a_command_that_removed_all_leaves_no_mark(tmp_path, dav):
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url) as client:
        async with open_kept(client.app.config):
            assert len(marks(tmp_path)) == 2
        assert len(marks(tmp_path)) == 1


async def test_a_photo_that_could_not_be_written_leaves_nothing(tmp_path, dav):
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url) as client:
        dav.refuse = True
        with pytest.raises(AssertionError, match="503"):
            await client.enrol(RED)
        assert client.app.pictures.left_over
        assert [path.name for path in (tmp_path / "webdav").rglob("*.*")] != []
        dav.refuse = False
        assert await client.app.pictures.sweep(time.time() + 1) == 1
        assert [path.name for path in (tmp_path / "webdav").rglob("*.*")] == []


@pytest.mark.slow
async def test_what_another_machine_sent_is_swept_up_where_its_removal_failed(tmp_path, dav, hasty):
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url) as client:
        face = await client.enrol(RED)
        shutil.rmtree(
            next(path for path in (tmp_path / "webdav").iterdir() if path.is_dir())
        )  # the other machine has the notes
        dav.refuse = True
        assert (await client("DELETE", f"/v1/face/id/{face['id']}")).status == 204
        assert len(dav.files) == 3
        dav.refuse = False
        await until(lambda: dav.files == {})
        await until(lambda: not client.app.pictures.left_over)


async def test_credentials_go_to_the_photo_storage_only(tmp_path, dav, caplog):
    caplog.set_level("DEBUG")
    url = dav.url.replace("://", "://user:s%40cret@")
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=f"{url}/a/") as client:
        face = await client.enrol(RED)
        assert {face[name] for name in ("photo", "thumbnail", "normalized")} == {dav.url + path for path in dav.files}
        dav.refuse = True
        assert (await client("DELETE", f"/v1/face/id/{face['id']}")).status == 204
    assert dav.authorizations == {"Basic " + base64.b64encode(b"user:s@cret").decode()}
    assert "cret" not in caplog.text


@pytest.mark.parametrize(
    ("option", "url"),
    [("upload_path", "https://user:secret@photos.example.com/"), ("upload_path", "http://[secret"),
     ("ffupload_url", "http://[secret"), ("ffupload_url", "http://user:secret@/"),
     ("ffupload_url", "http://user:secret@127.0.0.1:99999/")],
)  # fmt: skip
def test_urls_that_would_show_credentials_or_are_none_are_refused(tmp_path, option, url):
    options = {"data_dir": str(tmp_path), "photo_storage": "webdav", "ffupload_url": "http://127.0.0.1/"} | {
        option: url
    }
    with pytest.raises(StartupError, match=r"must|needs") as caught:
        sweep.open_files(Config(**options))
    assert "secret" not in str(caught.value)


async def test_photos_that_were_kept_are_told_of_where_the_option_is_off(tmp_path, caplog):
    async with serving(tmp_path, photo_storage="files") as client:
        await client.enrol(RED)
    assert "photo_storage is off" not in caplog.text
    async with serving(tmp_path):
        assert caplog.text.count(f"Photos were kept ({tmp_path / 'photos'}) and photo_storage is off") == 1
