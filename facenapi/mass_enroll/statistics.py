"""A line of figures every so many seconds, as a log needs it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from facenapi.mass_enroll.jobfile import State


class Statistics:
    """Says them while it is open; None as the interval: nothing."""

    def __init__(self, state: State, total: int, interval_s: float | None, say: Callable[[str], None]) -> None:
        self._state, self._total, self._interval_s, self._say = state, total, interval_s, say
        self._begin, self._before = time.monotonic(), self._counts()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._print, name="statistics", daemon=True)

    def __enter__(self) -> Statistics:
        if self._interval_s is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread.is_alive():
            self._thread.join()

    def line(self) -> str:
        """Return the figures of now."""
        enrolled, failed = self._counts()
        seconds = max(time.monotonic() - self._begin, 1e-3)
        rate = (enrolled + failed - sum(self._before)) / seconds
        return f"[{enrolled + failed}/{self._total}] {enrolled} enrolled, {failed} failed; {rate:.2f} photos/s"

    def _counts(self) -> tuple[int, int]:
        return len(self._state.enrolled), len(self._state.failed)

    def _print(self) -> None:
        while not self._end.wait(self._interval_s):
            self._say(self.line())
