"""A shard in process: what is applied is found, what is deleted is not, and it all comes back."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from facenapi.config.options import Config
from facenapi.errors import Overloaded, StartupError, Unavailable
from facenapi.search.client import ShardClient
from facenapi.search.local import LocalShard
from facenapi.search.open import open_searcher
from facenapi.search.shard import Delete
from tests.search.support import FeedStore, faces_like, query, started, until

VECTORS = faces_like(3000)


async def test_an_added_face_is_found_and_a_deleted_one_is_not(tmp_path):
    store = FeedStore()
    shard = await started(tmp_path, store)
    await shard.apply([store.put(1, VECTORS[0], ("vip",)), store.put(2, VECTORS[1])])
    assert [hit.id for hit in await shard.search(query(VECTORS[0]))] == [1]
    assert [hit.id for hit in await shard.search(query(VECTORS[1], 5, tag="vip"))] == [1]
    assert await shard.search(query(VECTORS[0], owner="somebody else")) == []
    await shard.apply([store.remove(1)])
    assert [hit.id for hit in await shard.search(query(VECTORS[0], 5))] == [2]
    await shard.close()


async def test_changes_may_come_twice_and_in_any_order(tmp_path):
    store = FeedStore()
    shard = await started(tmp_path, FeedStore())
    first, second = store.put(1, VECTORS[0], ("a",)), store.put(1, VECTORS[1], ("b",))
    gone = Delete("o", 2, 9)
    late = store.put(2, VECTORS[2])
    await shard.apply([second, first, second, gone, late])
    hits = await shard.search(query(VECTORS[1], 5))
    assert [(hit.id, round(hit.similarity, 4)) for hit in hits] == [(1, 1.0)]
    assert await shard.search(query(VECTORS[1], 5, tag="a")) == []
    await shard.close()


async def test_a_search_knows_what_other_processes_acknowledged_before_it(tmp_path):
    store = FeedStore()
    shard = await started(tmp_path, store, poll_s=1000.0, hears=True)
    client = ShardClient([(shard, None)], 0.2)
    change = store.put(1, VECTORS[0])
    found = await asyncio.gather(*(client.search(query(VECTORS[0]), strict=True) for _ in range(5)))
    assert [[hit.id for hit in answer.hits] for answer in found] == [[change.id]] * 5
    store.remove(1)
    assert (await client.search(query(VECTORS[0]), strict=True)).hits == []
    reads = len(store.asked_from)
    assert (await client.search(query(VECTORS[0]), strict=True)).hits == []
    assert len(store.asked_from) == reads  # without news the feed is left alone
    store.down = True
    with pytest.raises(Unavailable):
        await client.search(query(VECTORS[0]), strict=True)
    await shard.close()


async def test_news_are_asked_for_once_a_request_beside_the_work_on_its_photo(tmp_path, monkeypatch):
    store, asked = FeedStore(), []
    news_since = store.news_since
    monkeypatch.setattr(store, "news_since", lambda mark: asked.append(mark) or news_since(mark))
    shard = await started(tmp_path, store, poll_s=1000.0, hears=True)
    client = ShardClient([(shard, None)], hear=shard.hear)
    store.put(1, VECTORS[0])
    asked.clear()
    since = client.arrive()
    await until(lambda: shard.info()["faces"] == 1)
    for _ in range(3):
        assert [hit.id for hit in await shard.search(replace(query(VECTORS[0]), since=since))] == [1]
    assert len(asked) == 1
    store.put(2, VECTORS[1])
    answer = await client.search(replace(query(VECTORS[1]), since=client.arrive()), strict=True)
    assert [hit.id for hit in answer.hits] == [2]  # it has waited for the question under way
    store.down = True
    with pytest.raises(Unavailable):
        await client.search(replace(query(VECTORS[1]), since=client.arrive()), strict=True)
    await client.close()


@pytest.mark.parametrize("given", [frozenset(), frozenset({"mongo_host"})])
async def test_a_store_of_one_server_is_never_asked_for_news(tmp_path, monkeypatch, given):
    store, asked = FeedStore(), []
    client = open_searcher(Config(data_dir=str(tmp_path), given=given), store)
    await client.start()
    await client.shards[0].loops.stop()  # they ask as well, each second
    news_since = store.news_since
    monkeypatch.setattr(store, "news_since", lambda mark: asked.append(mark) or news_since(mark))
    await client.search(replace(query(VECTORS[0]), since=client.arrive()), strict=True)
    assert len(asked) == len(given)
    await client.close()


async def test_a_search_waits_for_news_only_so_long(tmp_path):
    store = FeedStore()
    shard = await started(tmp_path, store, poll_s=1000.0, hears=True)
    store.put(1, VECTORS[0])
    await shard._follower._reading.acquire()  # a page that does not come
    with pytest.raises(Unavailable, match="within"):
        await ShardClient([(shard, None)], 0.05).search(query(VECTORS[0]), strict=True)
    shard._follower._reading.release()
    assert [hit.id for hit in await shard.search(query(VECTORS[0]))] == [1]
    await shard.close()


async def test_other_processes_writes_arrive_by_the_feed(tmp_path):
    store = FeedStore()
    shard = await started(tmp_path, store)
    store.put(5, VECTORS[0])
    await until(lambda: shard.info()["faces"] == 1)
    store.down = True
    await asyncio.sleep(0.05)
    store.down = False
    store.remove(5)
    await until(lambda: shard.info()["faces"] == 0)
    await shard.close()


async def test_a_folder_serves_one_shard(tmp_path):
    first = await started(tmp_path, FeedStore())
    second = LocalShard(tmp_path, FeedStore())
    with pytest.raises(StartupError, match="is in use by process"):
        await second.start()
    await second.close()
    await first.close()
    third = await started(tmp_path, FeedStore())
    await third.close()


async def test_a_busy_store_or_a_mistake_costs_a_pause_not_the_shard(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("facenapi.process.supervised.FIRST_PAUSE_S", 0.05)
    store = FeedStore()
    shard = await started(tmp_path, store)
    answer = store.changes_since
    for error in (Overloaded("busy"), RuntimeError("nobody foresaw this")):

        async def fail(*_, error=error):
            raise error

        store.changes_since = fail
        await asyncio.sleep(0.1)
        store.changes_since = answer
        await shard.apply([store.put(store.rev + 1, VECTORS[store.rev])])
        store.put(store.rev + 1, VECTORS[store.rev])  # this one comes by the feed
        await until(lambda: shard.info()["faces"] == store.rev)
    assert "nobody foresaw this" in caplog.text
    await shard.close()


@pytest.mark.parametrize("probe", [np.zeros(32), np.full(32, np.nan), np.ones(16) / 4, np.ones((2, 16)) / 32**0.5])
async def test_a_bad_probe_is_refused(tmp_path, probe):
    store = FeedStore()
    shard = await started(tmp_path, store)
    await shard.apply([store.put(1, VECTORS[0])])
    with pytest.raises(ValueError, match="probe"):
        await shard.search(query(probe.astype(np.float32)))
    await shard.close()


async def test_deletes_are_forgotten_when_nothing_can_be_late_any_more(tmp_path, monkeypatch):
    shard = await started(tmp_path, FeedStore(), snapshot_s=0.05)
    late, gone = (store := FeedStore()).put(1, VECTORS[0]), store.remove(1)
    await shard.apply([gone])
    await asyncio.sleep(0.2)
    await shard.apply([late])
    assert shard.info()["faces"] == 0
    monkeypatch.setattr("facenapi.search.index.index.TOMBSTONE_S", 0.0)
    while not shard.info()["faces"]:  # it comes back only when its tombstone is gone
        await shard.apply([late])
        await asyncio.sleep(0.01)
    await shard.close()


@pytest.mark.parametrize("floor", [float("nan"), float("inf"), -float("inf")])
def test_a_threshold_is_finite(floor):
    with pytest.raises(ValueError, match="min_similarity must be finite"):
        query(VECTORS[0], 1, floor)


async def test_a_bad_embedding_is_refused_with_one_line(tmp_path, caplog):
    store = FeedStore()
    shard = await started(tmp_path, store)
    await shard.apply(
        [
            store.put(1, VECTORS[0]),
            store.put(2, VECTORS[0][:8]),
            store.put(3, np.zeros(32)),
            store.put(4, np.full(32, np.inf)),
        ]
    )
    assert [hit.id for hit in await shard.search(query(VECTORS[0], 9))] == [1]
    assert "3 faces cannot be searched for" in caplog.text
    await shard.close()


async def test_the_client_merges_shards(tmp_path):
    store = FeedStore()
    halves = [frozenset(range(512)), frozenset(range(512, 1024))]
    shards = [await started(tmp_path / str(number), store, cells) for number, cells in enumerate(halves)]
    client = ShardClient(list(zip(shards, halves, strict=True)))
    await client.apply([store.put(number, vector) for number, vector in enumerate(VECTORS[:1000])])
    answer = await client.search(query(VECTORS[7], 10), strict=True)
    order = np.argsort(-(VECTORS[:1000] @ VECTORS[7]))[:10]
    assert [hit.id for hit in answer.hits] == order.tolist()
    assert (answer.live, answer.total) == (2, 2)
    await shards[1].close()
    partial = await client.search(query(VECTORS[7], 10), strict=False)
    assert (partial.live, partial.total) == (1, 2)
    assert all(hit.id % 1024 < 512 for hit in partial.hits)
    assert all(client.pick_cell() < 512 for _ in range(50))
    with pytest.raises(Unavailable):
        await client.search(query(VECTORS[7], 10), strict=True)
    with pytest.raises(Unavailable):
        await client.apply([store.put(600, VECTORS[0])])
    await client.close()
    with pytest.raises(Unavailable):
        await client.search(query(VECTORS[7], 10), strict=False)
    with pytest.raises(Unavailable):
        client.pick_cell()
