"""Places are shared out fairly, and none is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from facenapi.errors import Overloaded
from facenapi.process.places import Places


async def hold(places, owner, log, gate):
    async with places.held_async(owner):
        log.append(owner)
        await gate.wait()


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)


async def test_no_owner_holds_all_and_who_holds_least_is_next():
    places, log, gates = Places(2), [], [asyncio.Event() for _ in range(9)]
    tasks = [asyncio.ensure_future(hold(places, owner, log, gates[i])) for i, owner in enumerate("aaaaabbcc")]
    await settle()
    assert log == ["a", "a", "b"]
    gates[5].set()  # of the only b: now the other b, for a has its share
    await settle()
    assert log == ["a", "a", "b", "b"]
    gates[0].set()
    await settle()
    assert log[4] == "c"
    for gate in gates:
        gate.set()
    await asyncio.gather(*tasks)
    assert Counter(log) == {"a": 5, "b": 2, "c": 2}


async def test_who_gives_up_loses_no_place():
    places, dice = Places(3), random.Random(4)

    async def one(owner):
        async with places.held_async(owner):
            await asyncio.sleep(dice.random() / 100)

    for _ in range(8):
        tasks = [asyncio.ensure_future(one(dice.choice("abcd"))) for _ in range(30)]
        for task in dice.sample(tasks, 15):
            asyncio.get_running_loop().call_later(dice.random() / 50, task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
    log, gate = [], asyncio.Event()
    tasks = [asyncio.ensure_future(hold(places, owner, log, gate)) for owner in "wxyz"]
    await settle()
    assert len(log) == 4
    gate.set()
    await asyncio.gather(*tasks)


async def test_closing_refuses_those_who_wait_and_those_who_come():
    places, log, gate = Places(1), [], asyncio.Event()
    tasks = [asyncio.ensure_future(hold(places, "a", log, gate)) for _ in range(2)]
    await settle()
    places.close()
    with pytest.raises(Overloaded):
        await tasks[1]
    with pytest.raises(Overloaded), places.held("b"):
        pass
    gate.set()
    await tasks[0]
