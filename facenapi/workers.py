"""One door for blocking work: a bounded queue in front of a few threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from facenapi.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """Threads for one kind of blocking work; past ``limit`` waiting or running jobs it refuses at once."""

    def __init__(self, name: str, threads: int, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.busy = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``function(*args)`` from a thread. A cancelled caller takes its queued job along.

        Raises:
            Overloaded: the queue is full.
        """
        if self.busy >= self._limit:
            raise Overloaded(f"Too many photos are waiting ({self._name})")
        self.busy += 1
        job = self._executor.submit(function, *args, **kwargs)
        job.add_done_callback(lambda _: loop.call_soon_threadsafe(self._done) if not loop.is_closed() else None)
        loop = asyncio.get_running_loop()
        return await asyncio.wrap_future(job)

    def _done(self) -> None:
        self.busy -= 1

    def close(self) -> None:
        """Drop what is queued and wait for what is running."""
        self._executor.shutdown(wait=True, cancel_futures=True)
