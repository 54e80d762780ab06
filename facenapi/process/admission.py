"""How many requests are in flight, and how many may be."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from facenapi.errors import Overloaded

if TYPE_CHECKING:
    from facenapi.config.options import Config


class Admission:
    """Counts the requests in flight."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self.running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def enter(self) -> None:
        """Count one more; raise Overloaded (and count it all the same: leave() follows) above the limit."""
        self.running += 1
        self._idle.clear()
        if self.running > self._config.max_requests:
            raise Overloaded("Too many requests are in flight")

    def leave(self) -> None:
        """Count one less."""
        self.running -= 1
        if not self.running:
            self._idle.set()

    async def idle(self) -> None:
        """Return when none is in flight."""
        await self._idle.wait()
