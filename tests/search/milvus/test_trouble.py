"""Milvus that is away, hangs, has lost everything or was written to by others."""

import asyncio
import logging
import socket

import pytest

from facenapi.errors import Overloaded, StartupError, Unavailable
from facenapi.search.client import ShardClient
from facenapi.search.milvus.engine import Engine
from facenapi.search.milvus.shard import MilvusShard
from tests.search.lite import Valve, found, query, started, until
from tests.search.support import FeedStore, faces_like

pytestmark = pytest.mark.slow

VECTORS = faces_like(100)


async def turns_during(work):
    """Return how often the event loop came round while it waited for something."""
    work, turns = asyncio.ensure_future(work), 0
    while not work.done():
        await asyncio.sleep(0.01)
        turns += 1
    await work
    return turns


async def refused(work):
    with pytest.raises(Unavailable):
        await work


async def test_writes_of_two_servers_that_cross_are_put_right(lite, store, monkeypatch):
    slow, fast = await started(lite, store), await started(lite, store)
    old = store.put(1, VECTORS[0], ("old",))
    await slow.apply([old])
    await until(lambda: slow.info()["revision"] == store.rev)
    store.down = True  # so that the feed is late
    older, newer = store.put(1, VECTORS[1], ("older",)), store.put(1, VECTORS[2], ("newer",))
    await fast.apply([newer])
    monkeypatch.setattr(slow._engine, "revisions", lambda *_: {1: ("o", old.rev)})  # looked before the other wrote
    await slow.apply([older])
    monkeypatch.undo()
    assert await found(fast, VECTORS[1], tag="older") == [1]
    store.down = False
    await until(lambda: slow.info()["revision"] == store.rev)
    assert await found(fast, VECTORS[2], 1, 0.99, "newer") == [1]
    assert await found(fast, VECTORS[2], tag="older") == []
    await slow.close()
    await fast.close()


@pytest.mark.parametrize(("rev", "said"), [(0, "is of another store"), (5000, "40 vectors removed")])
async def test_what_another_store_has_left_is_put_right(lite, caplog, rev, said):
    store = FeedStore()
    store.rev = 1000
    shard = await started(lite, store)
    await shard.apply([store.put(number, vector) for number, vector in enumerate(VECTORS[:50])])
    await until(lambda: shard.info()["revision"] == store.rev)
    await shard.close()
    store = FeedStore()
    store.rev = rev  # below that in Milvus: seen at once; above: by the comparison
    for number in range(40, 60):
        store.put(number, VECTORS[-number])
    shard = await started(lite, store)
    await until(lambda: said in caplog.text)
    assert sorted(await found(shard, VECTORS[1], 100)) == list(range(40, 60))
    assert await found(shard, VECTORS[-45], 1, 0.999) == [45]
    await shard.close()


async def test_when_it_is_down_searches_fail_at_once_and_nothing_is_lost(lite, store, caplog):
    shard = await started(lite, store)
    client = ShardClient([(shard, None)])
    await client.apply([store.put(1, VECTORS[0])])
    await until(lambda: shard.info()["revision"] == store.rev)
    lite.stop()
    with pytest.raises(Unavailable):
        await client.search(query(VECTORS[0]), strict=False)
    with pytest.raises(Unavailable):
        await client.apply([store.put(2, VECTORS[1])])
    await until(lambda: not shard.ready)
    with pytest.raises(Unavailable):
        client.pick_cell()
    with pytest.raises(Unavailable, match="not ready"):
        await client.search(query(VECTORS[0]), strict=False)
    store.remove(1)
    lite.start()
    await until(lambda: shard.ready)
    answer = await client.search(query(VECTORS[0], 5), strict=True)
    assert [hit.id for hit in answer.hits] == [2]
    assert caplog.text.count("Milvus is gone") == 1
    await client.close()


async def test_it_need_not_live_at_the_start(lite, store):
    store.put(3, VECTORS[3])
    lite.stop()
    shard = await started(lite, store)
    assert not shard.ready
    lite.start()
    await until(lambda: shard.ready)
    assert await found(shard, VECTORS[3]) == [3]
    await shard.close()


async def test_what_it_has_lost_comes_back(tmp_path, lite, store):
    for number, vector in enumerate(VECTORS[:20]):
        store.put(number, vector)
    shard = await started(lite, store)
    other = await started(lite, store)
    await shard.apply([store.put(20, VECTORS[20]), store.remove(0)])

    async def is_whole(made):
        await until(lambda: shard.ready and other.ready and shard._made == other._made >= made)
        assert sorted(await found(shard, VECTORS[3], 100)) == list(range(1, 21))

    lite.stop()
    (tmp_path / "lite.db").rename(tmp_path / "lost.db")
    lite.start()
    await is_whole(shard._made + 1)
    third = MilvusShard(lite.engine(), FeedStore(), poll_s=60)  # begins anew, with a store that has nothing
    await third.start()
    await third.close()
    await is_whole(third._made)
    await shard.close()
    await other.close()


async def test_one_that_hangs_at_the_start_blocks_nobody(store):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        shard = MilvusShard(Engine(address, timeout_s=0.5), store, poll_s=0.05)
        assert await turns_during(shard.start()) > 10
        assert not shard.ready
        await shard.close()


async def test_one_that_hangs_later_blocks_nobody(lite, store):
    async with Valve(lite.port) as valve:
        shard = MilvusShard(Engine(f"http://127.0.0.1:{valve.port}", timeout_s=1.0), store, poll_s=0.05)
        await shard.start()
        await shard.apply([store.put(1, VECTORS[1])])
        valve.shut()
        writing = asyncio.ensure_future(shard.apply([store.put(2, VECTORS[2])]))
        assert await turns_during(refused(shard.search(query(VECTORS[1])))) > 10
        await until(lambda: not shard.ready)
        assert await turns_during(refused(shard.search(query(VECTORS[1])))) <= 1  # at once
        valve.open()
        await until(lambda: shard.ready)
        assert await found(shard, VECTORS[2]) == [2]
        valve.shut()
        hung = asyncio.ensure_future(shard.apply([store.put(3, VECTORS[3])]))
        await asyncio.sleep(0.1)
        await shard.close()  # waits for nobody
        outcomes = await asyncio.gather(writing, hung, return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, Unavailable) for outcome in outcomes)


async def test_a_busy_store_or_a_mistake_costs_a_pause_not_the_shard(lite, store, monkeypatch, caplog):
    monkeypatch.setattr("facenapi.process.supervised.FIRST_PAUSE_S", 0.05)
    shard = await started(lite, store)
    answer = store.changes_since
    for error in (Overloaded("busy"), RuntimeError("nobody foresaw this")):

        async def fail(*_, error=error):
            raise error

        store.changes_since = fail
        await asyncio.sleep(0.2)
        store.changes_since = answer
        assert shard.ready
        await shard.apply([store.put(store.rev + 1, VECTORS[store.rev])])
        await until(lambda: shard.info()["revision"] == store.rev)
    assert "nobody foresaw this" in caplog.text
    await shard.close()


async def test_secrets_are_in_no_log_and_no_error(lite, store, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    secret = "hunter2"  # no password of anything
    shard = await started(lite, store, token=f"root:{secret}")
    lite.stop()
    with pytest.raises(Unavailable) as failed:
        await shard.apply([store.put(1, VECTORS[0])])
    await shard.close()
    for uri in (f"foo://root:{secret}@host", f"http://root:{secret}@host:port", f"root:{secret}"):
        with pytest.raises(StartupError, match="milvus_uri is not valid") as refused:
            await MilvusShard(Engine(uri), store).start()
        assert secret not in str(refused.value)
    written = capfd.readouterr()
    assert "Milvus: " in caplog.text
    assert secret not in caplog.text + written.out + written.err + str(failed.value)
    lite.start()
