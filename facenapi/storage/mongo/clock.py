"""One clock for all servers: the database's, carried on between looks by this process's own running time.

Servers' clocks may differ by minutes, or be wrong by years. What servers tell each other (how old a change is, until
when a lease holds) and the ids they give out are therefore told by the database's clock.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Any

from facenapi.errors import Unavailable

RENEW_S = 30.0
# Further apart, one of the two is wrong, and faces would get times and ids that are far from those of others.
MOST_APART_S = 3600.0


class DatabaseClock:
    """Tells the database's time. Call :meth:`renew` before the first use, and often: it mostly does nothing."""

    def __init__(self, hello: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        self._hello = hello
        self._offset = 0.0  # from time.monotonic() to the database's seconds since 1970
        self._renew_at = 0.0

    async def renew(self) -> None:
        """Look at the database's clock if that was long ago. Raises the driver's errors."""
        asked = time.monotonic()
        if asked < self._renew_at:
            return
        moment = (await self._hello())["localTime"]
        told = time.monotonic()
        self._offset = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - (asked + told) / 2
        self._renew_at = told + RENEW_S

    def seconds(self) -> float:
        """Return the time in seconds since 1970."""
        return time.monotonic() + self._offset

    def milliseconds(self) -> int:
        """Return the time in milliseconds since 1970."""
        return round(self.seconds() * 1000)

    def compare(self) -> None:
        """Raise Unavailable if this machine's clock and the database's are too far apart to store faces."""
        ahead = time.time() - self.seconds()
        if abs(ahead) > MOST_APART_S:
            raise Unavailable(
                f"This server's clock is {abs(ahead) / 3600:.1f} hours {'ahead of' if ahead > 0 else 'behind'} the "
                "database's: one of them is wrong, so no face is stored"
            )
