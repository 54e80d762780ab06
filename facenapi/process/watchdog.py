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


async def beat(metrics: Metrics) -> None:
    """Run until cancelled. A loop that is stuck sends no sign of life, and systemd restarts the service."""
    watchdog_s = int(os.environ.get("WATCHDOG_USEC", "0")) / 2e6
    due = time.monotonic()
    while True:
        start, cpu = time.monotonic(), time.thread_time()
        if watchdog_s and start >= due:
            systemd.watchdog()
            due = start + watchdog_s
        await asyncio.sleep(PERIOD_S)
        late = max(0.0, time.monotonic() - start - PERIOD_S)
        # Of the delay, what the loop's own thread computed; the rest it waited for a processor.
        metrics.lag(late, min(late, time.thread_time() - cpu))
