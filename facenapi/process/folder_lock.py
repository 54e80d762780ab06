"""A folder that one process at a time may use."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from facenapi.errors import StartupError
from facenapi.process.private import room_fault


class FolderLock:
    """Holds a file in a folder locked and names the holder in it. The system lets go when the process dies."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._handle: int | None = None

    def acquire(self) -> None:
        """Make the folder if needed and lock it; raise StartupError that names who has it. May be called twice."""
        if self._handle is not None:
            return
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self._folder / self._name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = room_fault(self._folder.parent, error) or error.strerror
            raise StartupError(f"Cannot use data folder {self._folder}: {reason}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            holder = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise StartupError(
                f"Data folder {self._folder} is in use by process {holder}: "
                "stop that server or choose another data_dir"
            ) from None
        except OSError as error:  # a network file system without locks, a full disk
            os.close(handle)
            reason = room_fault(self._folder, error) or error.strerror
            raise StartupError(f"Data folder {self._folder} cannot be locked: {reason}") from error
        self._handle = handle

    def release(self) -> None:
        """Let go; may be called twice."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
