"""A folder that one process at a time may use."""

import errno
import os

import pytest

from facenapi.errors import StartupError
from facenapi.process.folder_lock import FolderLock


def test_who_has_it_is_named(tmp_path):
    first, second = (FolderLock(tmp_path / "folder", "a.lock") for _ in range(2))
    first.acquire()
    first.acquire()
    with pytest.raises(StartupError, match=f"is in use by process {os.getpid()}: stop that server"):
        second.acquire()
    first.release()
    first.release()
    second.acquire()
    second.release()


@pytest.mark.parametrize(
    ("call", "number", "said"),
    [("fcntl.flock", errno.ENOLCK, "cannot be locked: No locks"), ("os.pwrite", errno.ENOSPC, "the disk is full")],
)
def test_what_hinders_it_is_not_taken_for_another_process(tmp_path, monkeypatch, call, number, said):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    lock = FolderLock(tmp_path, "a.lock")
    with monkeypatch.context() as patch:
        patch.setattr(call, refuse)
        with pytest.raises(StartupError, match=said):
            lock.acquire()
    lock.acquire()
    lock.release()
