"""Files are for the user of the server alone, and root leaves none that this user cannot read."""

from __future__ import annotations

import errno
import logging
import os
import pwd
import stat
from pathlib import Path

log = logging.getLogger(__name__)

UMASK = 0o077
LOG_MODE = 0o640  # who looks after the machine reads logs


def keep_private() -> None:
    """Let whatever this process makes be its user's alone."""
    os.umask(UMASK)


def become_owner(folder: Path) -> None:
    """Let root, in the data folder of another user, be that user from now on.

    What root made there the server could not read. Raises OSError.
    """
    if os.geteuid() != 0:
        return
    try:
        owner = folder.stat()
    except FileNotFoundError:
        return
    if owner.st_uid == 0:
        return
    try:
        os.initgroups(pwd.getpwuid(owner.st_uid).pw_name, owner.st_gid)
    except KeyError:  # a user of another machine, or of a container
        os.setgroups([])
    os.setgid(owner.st_gid)
    os.setuid(owner.st_uid)


def give_to_owner(made: Path) -> None:
    """Let what root made in the data folder of another user, if it is there, belong to that user."""
    if os.geteuid() != 0 or not made.exists():
        return
    owner = made.parent.stat()
    if owner.st_uid == 0:
        return
    for path in (made, *made.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def open_log(path: str, flags: int) -> int:
    """Open a log file as ``open`` wants its opener: readable for its group, whatever the umask says."""
    handle = os.open(path, flags | os.O_CLOEXEC, LOG_MODE)
    there = os.fstat(handle)
    if stat.S_ISREG(there.st_mode) and there.st_size == 0 and there.st_uid == os.geteuid():  # no device's, as root
        os.fchmod(handle, LOG_MODE)
    return handle


def room_fault(folder: Path, error: BaseException | None = None) -> str:
    """Return what the disk of a folder has too little of, in words; "" if neither it nor the error says so."""
    number = error.errno if isinstance(error, OSError) else None
    if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
        number = errno.ENOSPC
    if number == errno.EDQUOT:
        return "the disk quota of this user is used up"
    try:
        disk = os.statvfs(folder)
    except OSError:
        disk = None
    if disk is not None and disk.f_files and not (disk.f_favail if os.geteuid() else disk.f_ffree):
        return "the disk has no inode left for another file"
    if number == errno.ENOSPC or (disk is not None and (disk.f_bavail if os.geteuid() else disk.f_bfree) < 4):
        return "the disk is full"
    return ""
