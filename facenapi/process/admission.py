"""How much may be in flight: requests, bytes of their bodies, bytes of their answers. Each is shared by owners."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from facenapi.errors import Overloaded

if TYPE_CHECKING:
    from facenapi.config.options import Config


class Shares:
    """Something scarce that owners share.

    Three quarters go to whoever asks first. The last quarter is for those who hold less than an equal part, a
    newcomer's counted: so one owner who takes all that he can get leaves the others theirs.
    """

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._held: dict[str, int] = {}  # by owner
        self.used = 0

    def has_room(self, owner: str, amount: int) -> bool:
        """Whether the owner may have so much more."""
        limit = self._limit()
        if self.used + amount <= limit - limit // 4:
            return True
        others = len(self._held) - (owner in self._held)
        return self.used + amount <= limit and self._held.get(owner, 0) + amount <= limit // (others + 2)

    def take(self, owner: str, amount: int) -> None:
        """Count what an owner holds from now on."""
        self.used += amount
        self._held[owner] = self._held.get(owner, 0) + amount

    def give_back(self, owner: str, amount: int) -> None:
        """Count what is free again."""
        self.used -= amount
        self._held[owner] -= amount
        if not self._held[owner]:
            del self._held[owner]


class Place:
    """What one request holds, until it leaves."""

    def __init__(self, admission: Admission, owner: str, counted: bool) -> None:
        self._admission = admission
        self._owner = owner
        self._counted = counted
        self._body = 0
        self._answer = 0

    def hold_body(self, amount: int) -> None:
        """Hold more of a body; raise Overloaded if there is no room for it."""
        if not self._admission.bodies.has_room(self._owner, amount):
            raise Overloaded("Too many uploads are in flight")
        self._admission.bodies.take(self._owner, amount)
        self._body += amount

    def hold_answer(self, amount: int, *, needed: bool) -> None:
        """Hold an answer; raise Overloaded if there is no room for it, unless it is needed."""
        if not needed and not self._admission.answers.has_room(self._owner, amount):
            raise Overloaded("Too many answers wait for their clients")
        self._admission.answers.take(self._owner, amount)
        self._answer += amount

    def drop_body(self) -> None:
        """Give back what the body took."""
        if self._body:
            self._admission.bodies.give_back(self._owner, self._body)
            self._body = 0

    def leave(self) -> None:
        """Give everything back; may be called again."""
        self.drop_body()
        if self._answer:
            self._admission.answers.give_back(self._owner, self._answer)
            self._answer = 0
        if self._counted:
            self._counted = False
            self._admission.leave(self._owner)


class Admission:
    """Counts the requests in flight, and what they hold."""

    def __init__(self, config: Config) -> None:
        self._requests = Shares(lambda: config.max_requests)
        # Room for one body at least, whatever the options say.
        self.bodies = Shares(lambda: max(config.max_body_memory, 2 * config.max_body_size))
        self.answers = Shares(lambda: config.max_answer_memory)
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        """How many requests are in flight."""
        return self._requests.used

    def enter(self, owner: str) -> Place:
        """Return a place for one more request; raise Overloaded if there is none for this owner."""
        if not self._requests.has_room(owner, 1):
            raise Overloaded("Too many requests are in flight")
        self._requests.take(owner, 1)
        self._idle.clear()
        return Place(self, owner, counted=True)

    def outside(self, owner: str) -> Place:
        """Return a place that does not count as a request: for refusals and what is public."""
        return Place(self, owner, counted=False)

    def leave(self, owner: str) -> None:
        """Count one request less."""
        self._requests.give_back(owner, 1)
        if not self.running:
            self._idle.set()

    async def idle(self) -> None:
        """Return when none is in flight."""
        await self._idle.wait()
