"""One door for blocking work: a bounded queue in front of a few threads."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from facenapi.errors import Overloaded

P = ParamSpec("P")
T = TypeVar("T")

_STEP_BACK = 5  # nice levels


class Workers:
    """Threads for one kind of blocking work; past ``limit`` waiting or running jobs it refuses at once.

    They have a lower priority than the event loop, so that a busy server refuses, lists and tells its health as
    quickly as an idle one.
    """

    def __init__(self, name: str, threads: int, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=_step_back)
        self._lock = threading.Lock()
        self.busy = 0

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return ``function(*args)`` from a thread. A cancelled caller takes its queued job along.

        Raises:
            Overloaded: the queue is full.
        """
        if self.busy >= self._limit:
            raise Overloaded(f"Too many photos are waiting ({self._name})")
        self._count(1)
        job = self._executor.submit(function, *args, **kwargs)
        job.add_done_callback(lambda _: self._count(-1))
        return await asyncio.wrap_future(job)

    def _count(self, step: int) -> None:
        """Count jobs in and out; out from the threads, and a job that was given up still counts until it ends."""
        with self._lock:
            self.busy += step

    def close(self) -> None:
        """Drop what is queued and wait for what is running."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _step_back() -> None:
    """Let the event loop go first. On Linux every thread has a nice level of its own, and hands it on to its own."""
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):  # elsewhere there is no such thing
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _STEP_BACK)
