"""Files and names that survive a crash of the machine: on the disk before anybody is told that they are there."""

from __future__ import annotations

import os
from pathlib import Path


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until the disk has it.

    Its name is sure after a :func:`sync` of the folder. Raises OSError.
    """
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace_synced(path: Path, data: bytes) -> None:
    """Write a file so that after a crash the old or the new one is there whole. Raises OSError."""
    aside = path.with_name(path.name + ".new")
    write_synced(aside, data)
    aside.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until the disk has a file's content, or the names in a folder. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
