"""Kept photos in a folder."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from facenapi.errors import Unavailable
from facenapi.storage.pictures.photos import FolderFiles, WebDavFiles

HOUR = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()
NAME = "ann-2026112612-x.jpg"


@pytest.fixture
def files(tmp_path):
    """A folder with one file."""
    (tmp_path / "ann" / "2026112612").mkdir(parents=True)
    (tmp_path / "ann" / "2026112612" / NAME).touch()
    return FolderFiles(tmp_path)


def later():
    return time.time() + 5


def test_what_is_young_is_not_listed(files):
    assert files.batches("ann", time.time() - 5) == []
    assert files.batches("ann", later()) == [(HOUR, [NAME])]
    assert files.batches("bob", later()) == []


def test_what_is_not_ours_is_not_listed(files, tmp_path):
    hour = tmp_path / "ann" / "2026112612"
    for folder in ("lost+found", "2026999999", "2026112613"):
        (tmp_path / "ann" / folder).mkdir()
    (tmp_path / "ann" / "2026112614").touch()
    (hour / "ann-2026112612-folder.jpg").mkdir()
    for name in ("Thumbs.db", "bob-2026112612-x.jpg", "ann-2026112613-x.jpg"):
        (hour / name).touch()
    assert files.batches("ann", later()) == [(HOUR, [NAME])]


def test_what_vanishes_meanwhile_is_not_listed(files, tmp_path, monkeypatch):
    (tmp_path / "ann" / "2026112612" / "ann-2026112612-y.jpg").touch()
    (tmp_path / "ann" / "2026112613").mkdir()
    scandir = os.scandir

    def late(folder):
        """List a folder, and lose one file or all of it."""
        if Path(folder).name == "2026112613":
            raise FileNotFoundError(folder)
        entries = list(scandir(folder))
        (tmp_path / "ann" / "2026112612" / NAME).unlink(missing_ok=True)
        return contextlib.nullcontext(entries)

    monkeypatch.setattr(os, "scandir", late)
    assert files.batches("ann", later()) == [(HOUR, ["ann-2026112612-y.jpg"])]


def test_a_disk_that_fails_is_unavailable(files, monkeypatch):
    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(Unavailable, match="Input/output error"):
        files.batches("ann", later())


async def test_the_folder_of_an_hour_goes_with_its_last_file(files, tmp_path):
    hour = tmp_path / "ann" / "2026112612"
    await files.put("ann-2026112612-y.jpg", b"photo")
    await files.delete(NAME)
    assert [path.name for path in hour.iterdir()] == ["ann-2026112612-y.jpg"]
    await files.delete("ann-2026112612-y.jpg")
    await files.delete("ann-2026112612-y.jpg")
    assert list((tmp_path / "ann").iterdir()) == []
    await files.put(NAME, b"again")
    assert await files.get(NAME) == b"again"
    await files.close()


async def test_a_folder_that_goes_while_a_file_comes_is_made_again(files, tmp_path, monkeypatch):
    real, gone = Path.open, []

    def late(path, mode):
        if not gone:
            gone.append(path)
            path.parent.rmdir()
        return real(path, mode)

    monkeypatch.setattr(Path, "open", late)
    await files.put("ann-2026112613-y.jpg", b"photo")
    assert await files.get("ann-2026112613-y.jpg") == b"photo"
    assert len(gone) == 1
    await files.close()


async def test_a_storage_that_does_not_answer_has_refused_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        files = WebDavFiles(f"http://127.0.0.1:{silent.getsockname()[1]}/", 0.2, 1, tmp_path)
        await files.start()
        with pytest.raises(Unavailable, match="The photo storage cannot be reached"):
            await files.put(NAME, b"photo")
        await files.close()
