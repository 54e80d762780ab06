"""One child of the decode pool, as its parent holds it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import facenapi
from facenapi.photos.child import MESSAGE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEPT = 2 << 20  # bytes of shared memory that are used again
_START_S = 60.0  # until a child must be ready, on a machine that is busy
_ROOT = Path(facenapi.__file__).resolve().parent.parent
# As process/allocator.py has it for the parent: the memory of photos goes back when they do; but for one block of
# 16 MB, which fits the pixels of most photos, and which the system would otherwise have to clear for each of them.
_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "2000000",
    "MALLOC_TRIM_THRESHOLD_": "20000000",
    "MALLOC_ARENA_MAX": "2",
    "PILLOW_BLOCKS_MAX": "1",
}


class DiedError(Exception):
    """A child is of no more use; the text says what it did."""


class NotStartedError(DiedError):
    """It has never been ready, or the system does not give what it needs: no photo can be blamed."""


class TooSlowError(Exception):
    """A child has used up its time."""


class Memory:
    """Anonymous memory to be shared with a child, by its descriptor; goes with this object.

    The first 2 MB stay, to be used again: the system takes longer to clear pages than anybody to fill them.
    """

    descriptor = -1

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("photo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def write(self, data: bytes) -> None:
        """Put a file at the beginning."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        with open(self.descriptor, "wb", closefd=False) as out:
            out.write(data)

    def shrink(self) -> None:
        """Let go of what is not kept."""
        if os.fstat(self.descriptor).st_size > _KEPT:
            os.ftruncate(self.descriptor, _KEPT)


class PixelMemory(Memory):
    """Memory that a child writes pixels to: as many bytes from the beginning as its position tells then."""

    def __init__(self) -> None:
        super().__init__()
        os.ftruncate(self.descriptor, _KEPT)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)  # that would end whoever reads it
        self._kept = mmap.mmap(self.descriptor, _KEPT, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)

    def rewind(self) -> None:
        """Get ready to be written to."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)

    @property
    def is_kept(self) -> bool:
        """Whether what was written was few enough to be copied; otherwise the memory is that of the pixels now."""
        return os.lseek(self.descriptor, 0, os.SEEK_CUR) <= _KEPT

    def pixels(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the (height, width, 3) that a child has written last; raise DiedError if it has not.

        Few are a copy, many are in place.
        """
        written, needed = os.lseek(self.descriptor, 0, os.SEEK_CUR), width * height * 3
        if not needed <= written <= os.fstat(self.descriptor).st_size:
            raise DiedError("wrote too few pixels")
        if written <= _KEPT:
            return np.frombuffer(self._kept, np.uint8, needed, written - needed).reshape(height, width, 3).copy()
        flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
        mapped = mmap.mmap(self.descriptor, written, flags=flags, prot=mmap.PROT_READ)
        return np.frombuffer(mapped, np.uint8, needed, written - needed).reshape(height, width, 3)


class ChildProcess:
    """A child that was started. Not thread-safe, but for :meth:`end`.

    ``key``: the photo that it has at hand, if any. ``rested``: whether it had nothing to do for a while.
    """

    def __init__(self) -> None:
        self.key: int | None = None
        self.rested = False
        self._ready = False
        self._file, self._pixels = Memory(), PixelMemory()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
            try:
                self._process = subprocess.Popen(  # noqa: S603 - nothing of it is from outside
                    [sys.executable, "-P", "-m", "facenapi.photos.child", str(theirs.fileno())],
                    stdin=subprocess.PIPE,  # closed with this process: see child.py
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=os.environ | _MEMORY | {"PYTHONPATH": path},
                )
            except OSError:
                self._control.close()
                raise

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, request: dict[str, Any], data: bytes | None, timeout_s: float) -> dict[str, Any]:
        """Send a request about a file, None if the child has it at hand, and return the answer.

        Raises TooSlowError and DiedError: the child must be closed then.
        """
        try:
            if not self._ready:
                self._receive(_START_S)
                self._ready = True
            self._file.write(data or b"")
            self._pixels.rewind()
            descriptors = [self._file.descriptor, self._pixels.descriptor]
            size = None if data is None else len(data)
            socket.send_fds(self._control, [json.dumps(request | {"size": size}).encode()], descriptors)
            answer = self._receive(timeout_s)
            self._file.shrink()
        except TimeoutError as error:
            raise (TooSlowError() if self._ready else NotStartedError("did not start in time")) from error
        except OSError as error:
            raise DiedError(f"went away ({error.strerror})") from error
        return answer

    def pixels(self, width: int, height: int) -> NDArray[np.uint8]:
        """Return the (height, width, 3) that came with the last answer; raise DiedError if they did not."""
        found = self._pixels.pixels(width, height)
        if not self._pixels.is_kept:
            self._pixels = PixelMemory()
        return found

    def forget(self) -> None:
        """Let the photo at hand go."""
        self.key = None
        with contextlib.suppress(OSError):  # it is dead: who asks next will find out
            self._control.send(b'{"op": "forget"}')

    def end(self) -> None:
        """Kill it, from any thread; whoever waits for its answer gets DiedError, and has to call :meth:`close`."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Kill it and let go of everything."""
        self.end()
        self._control.close()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        self._control.settimeout(timeout_s)
        message = self._control.recv(MESSAGE)
        if not message:
            self.end()  # if it has only closed its end; otherwise the status is its own
            if self._process.returncode == -signal.SIGPROF:
                raise TooSlowError
            raise (DiedError if self._ready else NotStartedError)(f"ended with status {self._process.returncode}")
        try:
            answer = json.loads(message)
        except ValueError as error:
            raise DiedError("answered nonsense") from error
        if not isinstance(answer, dict):
            raise DiedError("answered nonsense")
        return answer
