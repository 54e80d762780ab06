"""The bounded door for blocking work."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from facenapi.errors import Overloaded
from facenapi.process.workers import Workers


async def test_results_and_errors_come_back_and_leave_no_trace():
    workers = Workers("test", threads=2, limit=4)
    assert await asyncio.gather(*(workers.run(divmod, n, 3) for n in range(4))) == [divmod(n, 3) for n in range(4)]
    with pytest.raises(ZeroDivisionError):
        await workers.run(divmod, 1, 0)
    assert workers.busy == 0
    workers.close()


async def test_past_the_limit_it_refuses_and_a_cancelled_job_frees_its_place():
    workers = Workers("test", threads=1, limit=2)
    gate = threading.Event()
    running = asyncio.ensure_future(workers.run(gate.wait, 10))
    queued = asyncio.ensure_future(workers.run(gate.wait, 10))
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded):
        await workers.run(gate.wait, 10)
    queued.cancel()
    await asyncio.sleep(0.05)
    assert workers.busy == 1
    gate.set()
    assert await running
    assert await workers.run(int, "7") == 7
    assert workers.busy == 0
    workers.close()


async def test_they_step_back_behind_the_event_loop():
    def level():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    workers, before = Workers("test", threads=1, limit=1), level()
    assert await workers.run(level) == min(19, before + 5)
    assert level() == before
    workers.close()
