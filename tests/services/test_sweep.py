"""Kept photos that lost their face while the photo storage was away."""

from __future__ import annotations

import asyncio
import time

import pytest

from facenapi.services import sweep
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
    assert not (tmp_path / "webdav" / "running").exists()


async def test_an_interrupted_sweep_leaves_its_mark(tmp_path, dav, monkeypatch):
    (tmp_path / "webdav").mkdir()
    (tmp_path / "webdav" / "running").touch()
    entered = asyncio.Event()

    async def endless(*_):
        entered.set()
        await asyncio.sleep(1000)

    monkeypatch.setattr(sweep.SweepingKeeper, "sweep", endless)
    async with serving(tmp_path, photo_storage="webdav", ffupload_url=dav.url):
        await asyncio.wait_for(entered.wait(), 10)
    assert (tmp_path / "webdav" / "running").exists()


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
