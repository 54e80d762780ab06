"""What a shard does again and again beside the requests, and what goes wrong with it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from facenapi.errors import Overloaded, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

RETRY_S = 60.0


class Tasks:
    """Works that never end; none of them can take the shard down, searches go on meanwhile."""

    def __init__(self, name: str) -> None:
        """``name``: who does them, for the log."""
        self._name = name
        self._tasks: list[asyncio.Task[None]] = []

    def repeat(self, what: str, work: Callable[[], Awaitable[None]], every_s: float) -> None:
        """Do a work from now on with pauses, until :meth:`stop`.

        While the store or the engine is away the log says so once, a mistake is logged and costs a longer pause.
        """
        self._tasks.append(asyncio.create_task(self._repeat(what, work, every_s)))

    async def _repeat(self, what: str, work: Callable[[], Awaitable[None]], every_s: float) -> None:
        reachable = True
        while True:
            await asyncio.sleep(every_s)
            try:
                await work()
                reachable = True
            except (Unavailable, Overloaded) as error:
                if reachable:
                    log.warning("%s cannot %s: %s", self._name, what, error)
                reachable = False
            except Exception:
                log.exception("%s failed to %s, and tries again in %g s", self._name, what, RETRY_S)
                await asyncio.sleep(RETRY_S)

    async def stop(self) -> None:
        """End all works; may be called twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
