"""The decode pool: photos are decoded where it can be ended.

A native call cannot be stopped in a thread. In a process of its own it can: a child that takes longer than the
deadline, dies or talks nonsense is killed and replaced, and costs its photo an answer, nobody else anything.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from facenapi.errors import Unavailable
from facenapi.photos.child_process import ChildProcess, DiedError, NotStartedError, TooSlowError
from facenapi.photos.formats.plain import Refused
from facenapi.process.places import Places

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facenapi.photos.picture import Region

log = logging.getLogger(__name__)

T = TypeVar("T")
Read = Callable[[dict[str, Any], ChildProcess], T]  # of an answer, and of the child that has pixels for it

_TRIES = 2  # a child may die of something else than its photo
# The deadline counts a child's own work, lest a busy machine refuses good photos. One that does not work at all, but
# hangs, has this many times as long.
_PATIENCE = 6
_MOST_SIDE = 1 << 16


class DecodePool:
    """Decodes photos in children, ``threads`` at a time for one owner, one more for all the others.

    Children are started when they are needed; as many as threads stay. Thread-safe; everything blocks.
    """

    def __init__(self, threads: int, timeout_s: float) -> None:
        self._threads, self._timeout_s = threads, timeout_s
        self._places = Places(threads)
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()
        self._lock = threading.Lock()
        self._keys = itertools.count()
        self._closed = False
        self.deaths = 0  # children that had to be replaced

    def start(self) -> None:
        """Start the first child, without waiting for it."""
        with self._lock:
            if not (self._closed or self._idle or self._busy):
                self._idle.append(ChildProcess())

    def close(self) -> None:
        """Kill all children, whatever they do; whoever waits is told that the server stops."""
        self._places.close()
        with self._lock:
            self._closed = True
            idle, busy = self._idle, self._busy.copy()
            self._idle = []
        for child in idle:
            child.close()
        for child in busy:
            child.end()

    def decode(self, owner: str, data: bytes, max_size: int, side: int) -> DecodedThere:
        """Decode a photo within the owner's share.

        Raises:
            Refused: there is something wrong with it, or it takes longer than the deadline.
            Unavailable: the server stops, or no child can be started.
        """
        return DecodedThere(self, owner, data, {"key": next(self._keys), "max_size": max_size, "side": side})

    def ask(self, owner: str, request: dict[str, Any], data: bytes, read: Read[T]) -> T:
        """Return what ``read`` makes of a child's answer; raise what :meth:`decode` does."""
        with self._places.held(owner):
            for left in reversed(range(_TRIES)):
                try:
                    found = self._try(request, data, read)
                except TooSlowError:
                    log.warning("a photo took longer to decode than decode_timeout; its decoder was ended")
                    reason = f"The photo takes longer than {self._timeout_s:g} seconds to decode"
                    raise Refused(reason, "timeout") from None
                except DiedError as error:
                    if self._closed:
                        raise Unavailable("The server is stopping") from None
                    log.warning("a photo's decoder %s%s", error, "; trying another one" if left else "")
                    if isinstance(error, NotStartedError) and not left:
                        raise Unavailable("No photo can be decoded now") from None
                else:
                    if isinstance(found, Refused):
                        raise found
                    return found
        raise Refused("The photo cannot be decoded", "crash")

    def _try(self, request: dict[str, Any], data: bytes, read: Read[T]) -> T | Refused:
        """Ask one child; it is replaced if it raises TooSlowError or DiedError."""
        child = self._take(request["key"])
        try:
            asked = request | {"budget": self._timeout_s}
            unknown = data if child.key != request["key"] else None
            answer = child.ask(asked, unknown, _PATIENCE * self._timeout_s)
            refused = Refused(str(answer["reason"]), str(answer["rule"])) if "reason" in answer else None
            found = refused or read(answer, child)
        except BaseException as error:
            self._drop(child)
            if isinstance(error, KeyError | TypeError | ValueError):
                raise DiedError("answered nonsense") from error
            if isinstance(error, OSError):
                raise NotStartedError(f"has no room for its pixels: {error.strerror}") from error
            raise
        self._give_back(child, request["key"] if answer.get("kept") else None)
        return found

    def forget(self, key: int) -> None:
        """Let the child that has a photo at hand drop it; a busy one does by itself."""
        with self._lock:
            for child in self._idle:
                if child.key == key:
                    child.forget()

    def let_go(self) -> None:
        """End the children beyond the number of threads that had nothing to do since the last call."""
        with self._lock:
            spare = max(0, len(self._idle) + len(self._busy) - self._threads)
            ended = [child for child in self._idle if child.rested][:spare]
            self._idle = [child for child in self._idle if child not in ended]
            for child in self._idle:
                child.rested = True
        for child in ended:
            child.close()

    def _take(self, key: int) -> ChildProcess:
        """Return the child that has the photo, else the latest that has none, else any, else a new one."""
        with self._lock:
            if self._closed:
                raise Unavailable("The server is stopping")
            latest = reversed(self._idle)  # what it needs is in the processor's cache, and the others may rest
            child = min(latest, key=lambda idle: (idle.key != key, idle.key is not None), default=None)
            if child is None:
                try:
                    child = ChildProcess()
                except OSError as error:
                    raise NotStartedError(f"cannot be started: {error.strerror}") from error
            else:
                self._idle.remove(child)
                child.rested = False
            self._busy.add(child)
        return child

    def _give_back(self, child: ChildProcess, key: int | None) -> None:
        child.key = key
        with self._lock:
            self._busy.discard(child)
            if not self._closed:
                self._idle.append(child)
                return
        child.close()

    def _drop(self, child: ChildProcess) -> None:
        child.close()
        with self._lock:
            self._busy.discard(child)
            self.deaths += 1


class DecodedThere:
    """Implements :class:`facenapi.photos.photo.Decoded` with a pool's children.

    The file stays until :meth:`close`: whoever asks for a part may have to begin anew.
    """

    def __init__(self, pool: DecodePool, owner: str, data: bytes, request: dict[str, int]) -> None:
        self._pool, self._owner, self._request = pool, owner, request
        self._file: bytes | None = data
        self.width, self.height, self.orientation, self.pixels = self._pool.ask(
            owner, request | {"op": "open"}, data, _opened
        )

    def part(self, region: Region) -> tuple[Region, NDArray[np.uint8]]:
        """Return the pixels of a region, or of all."""
        file = self._file
        if file is None:
            raise Refused("The photo is no longer needed", "closed")
        asked = self._request | {"op": "part", "region": region}
        return self._pool.ask(self._owner, asked, file, lambda answer, child: _cut(region, answer, child))

    def close(self) -> None:
        """Let go of the file, and of its pixels where a child has them."""
        self._file = None
        self._pool.forget(self._request["key"])


def _opened(answer: dict[str, Any], child: ChildProcess) -> tuple[int, int, int, NDArray[np.uint8]]:
    width, height = (_number(answer[name], _MOST_SIDE) for name in ("width", "height"))
    across, down = (_number(value, most) for value, most in zip(answer["shape"], (width, height), strict=True))
    return width, height, _number(answer["orientation"], 8), child.pixels(across, down)


def _cut(asked: Region, answer: dict[str, Any], child: ChildProcess) -> tuple[Region, NDArray[np.uint8]]:
    left, top, right, bottom = (_number(value, _MOST_SIDE, least=0) for value in answer["region"])
    if left > asked[0] or top > asked[1] or right < asked[2] or bottom < asked[3]:
        raise ValueError("a region beside the one that was asked for")
    return (left, top, right, bottom), child.pixels(right - left, bottom - top)


def _number(value: object, most: int, least: int = 1) -> int:
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError("not such a number")
    return value
