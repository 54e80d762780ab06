"""Marks of the processes that keep photos: one that stays behind tells that photos may have lost their face."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from facenapi.errors import StartupError


class DirtyFlag:
    """A file in a folder, locked as long as its process lives; many processes may have theirs in the same folder.

    The process removes it at a good end. The system unlocks it when the process dies.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"running-{secrets.token_hex(8)}"
        self._handle: int | None = None

    def set(self) -> None:
        """Make and lock the file; raise StartupError."""
        new = self._path.with_name(f"new-{self._path.name}")
        try:
            self._handle = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            new.rename(self._path)  # now, so that nobody ever finds it unlocked
        except OSError as error:
            raise StartupError(f"Photos cannot be kept in {new.parent}: {error.strerror}") from error

    def release(self, *, keep: bool) -> None:
        """Let go; ``keep``: the file stays, for others to find."""
        if self._handle is not None:
            if not keep:
                self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None

    def abandoned(self) -> list[Path]:
        """Return the marks in the folder that no process holds; raise OSError."""
        return [path for path in self._path.parent.glob("running*") if path != self._path and not _is_locked(path)]


def _is_locked(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:  # its process has just come to a good end
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
