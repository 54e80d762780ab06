"""A number of places, shared out fairly between owners: the one door in front of whatever there is too little of."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager

from facenapi.errors import Overloaded


class Places:
    """Grants places, from any thread.

    Of those who wait, the owner that holds the fewest is next, among equals the one that has waited longest.
    There is one more than an owner may hold: a single one never keeps all the others waiting.
    """

    def __init__(self, most: int) -> None:
        """``most``: places for one owner."""
        self._free = most + 1
        self._most = most
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[Future[None]]] = {}
        self._lock = threading.Lock()
        self._closed = False

    @contextmanager
    def held(self, owner: str) -> Iterator[None]:
        """Hold a place while the context lasts; blocks until there is one. Raises Overloaded when all is over."""
        self._take(owner).result()
        try:
            yield
        finally:
            self._give_back(owner)

    @asynccontextmanager
    async def held_async(self, owner: str) -> AsyncIterator[None]:
        """Do the same on an event loop."""
        turn = self._take(owner)
        try:
            await asyncio.wrap_future(turn)
        except asyncio.CancelledError:
            if not turn.cancel():  # it was granted at the same moment
                self._give_back(owner)
            raise
        try:
            yield
        finally:
            self._give_back(owner)

    def close(self) -> None:
        """Refuse everybody who waits or comes."""
        with self._lock:
            self._closed = True
            waiting = [turn for turns in self._waiting.values() for turn in turns]
            self._waiting.clear()
        for turn in waiting:
            if turn.set_running_or_notify_cancel():
                turn.set_exception(_stopping())

    def _take(self, owner: str) -> Future[None]:
        turn: Future[None] = Future()
        with self._lock:
            if self._closed:
                raise _stopping()
            self._waiting.setdefault(owner, deque()).append(turn)
            granted = self._grant()
        _tell(granted)
        return turn

    def _give_back(self, owner: str) -> None:
        with self._lock:
            self._free += 1
            self._held[owner] -= 1
            if not self._held[owner]:
                del self._held[owner]
            granted = self._grant()
        _tell(granted)

    def _grant(self) -> list[Future[None]]:
        """Share out what is free; return whom to tell, once the lock is no longer held."""
        granted: list[Future[None]] = []
        while self._free and self._waiting:
            owner = min(self._waiting, key=lambda name: self._held[name])
            if self._held[owner] >= self._most:
                break
            turns = self._waiting.pop(owner)
            turn = turns.popleft()
            if turns:
                self._waiting[owner] = turns  # behind the others
            if turn.set_running_or_notify_cancel():
                self._free -= 1
                self._held[owner] += 1
                granted.append(turn)
        return granted


def _tell(granted: list[Future[None]]) -> None:
    for turn in granted:
        turn.set_result(None)


def _stopping() -> Overloaded:
    return Overloaded("The server is stopping")
