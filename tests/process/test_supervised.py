"""Works that run again and again: none ends unnoticed, whatever it raises."""

import asyncio

import pytest
from tornado.iostream import UnsatisfiableReadError

from facenapi.errors import Unavailable
from facenapi.process import supervised
from facenapi.process.supervised import Loops, faults, gauges


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(supervised, "FIRST_PAUSE_S", 0.001)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


async def cancelled_by_something_it_called():
    task = asyncio.create_task(asyncio.sleep(9))
    task.cancel()
    await task


def raising(error):
    async def work():
        raise error

    return work


@pytest.mark.parametrize(
    "work",
    [
        raising(UnsatisfiableReadError()),
        raising(RecursionError()),
        raising(MemoryError()),
        raising(StopAsyncIteration()),
        cancelled_by_something_it_called,
    ],
)
async def test_whatever_a_work_raises_it_goes_on_and_says_that_it_is_not_healthy(work, caplog):
    loops = Loops("The test")
    fails = True

    async def sometimes():
        if fails:
            await work()

    loop = loops.repeat("do it", sometimes, 0.001)
    await until(lambda: loop.failures >= 3)
    [fault] = faults(loops)
    assert fault.startswith("The test fails to do it: ")
    assert ("loop_healthy", {"who": "The test", "what": "do it"}, False) in list(gauges(loops))
    assert "The test failed to do it" in caplog.text
    fails = False
    await until(lambda: not faults(loops))
    runs = loop.runs
    await until(lambda: loop.runs > runs + 3)
    await loops.stop()
    assert not list(loops)


async def test_an_outage_is_told_once_and_is_not_its_fault(caplog):
    loops = Loops("The test")
    loop = loops.repeat("reach it", raising(Unavailable("it is away")), 0.001)
    await until(lambda: loop.runs > 5)
    assert caplog.text.count("it is away") == 1
    assert not faults(loops)
    assert loop.failures == 0
    await loops.stop()


async def test_one_that_hangs_is_not_healthy_and_ends_when_it_must():
    loops = Loops("The test")
    loops.repeat("wait", lambda: asyncio.sleep(999), 0, patience_s=0.01)
    await until(lambda: faults(loops) == ["The test hangs when it has to wait"])
    await loops.stop()


async def test_one_that_loses_its_cancellation_ends_all_the_same():
    """PyMongo does so now and then while it looks for a server that is gone."""
    loops, begun = Loops("The test"), asyncio.Event()

    async def work():
        begun.set()
        try:
            await asyncio.sleep(999)
        except asyncio.CancelledError:
            raise Unavailable("no server") from None

    loops.repeat("lose it", work, 0)
    await begun.wait()
    await asyncio.wait_for(loops.stop(), 5)


async def test_what_is_done_once_is_done_until_it_succeeds():
    loops, tries = Loops("The test"), []

    async def work():
        tries.append(1)
        if len(tries) < 4:
            raise Unavailable("not yet") if len(tries) < 3 else KeyError("a mistake")

    loop = loops.once("do it", work)
    await until(loop.task.done)
    assert len(tries) == 4
    assert not faults(loops)
    await loops.stop()
