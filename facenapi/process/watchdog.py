"""A pulse of the event loop: how late it wakes up, and the sign of life for systemd's watchdog."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING

from facenapi.process import systemd

if TYPE_CHECKING:
    from facenapi.process.metrics import Metrics

PERIOD_S = 0.02


class Pulse:
    """Beats again and again. A loop that is stuck sends no sign of life, and systemd restarts the service."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._watchdog_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6
        self._due = time.monotonic()

    async def beat(self) -> None:
        """Give a sign of life if it is time, and measure how late the loop wakes up."""
        start, cpu = time.monotonic(), time.thread_time()
        if self._watchdog_s and start >= self._due:
            systemd.watchdog()
            self._due = start + self._watchdog_s
        await asyncio.sleep(PERIOD_S)
        late = max(0.0, time.monotonic() - start - PERIOD_S)
        # Of the delay, what the loop's own thread computed; the rest it waited for a processor.
        self._metrics.lag(late, min(late, time.thread_time() - cpu))
