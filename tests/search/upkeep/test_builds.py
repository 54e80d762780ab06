"""A shard builds its segments, may fall behind, and stops new faces until it has caught up."""

import asyncio

import pytest

from facenapi.errors import Overloaded, Unavailable
from facenapi.search.client import ShardClient
from facenapi.search.local import LocalShard
from facenapi.search.shard import Query
from facenapi.search.upkeep.builder import Builder, BuildError
from tests.search.support import FeedStore, faces_like, query, started, until

VECTORS = faces_like(1500)


async def test_a_shard_that_lags_gets_no_new_faces_but_hears_of_old_ones(tmp_path, monkeypatch):
    shard = await started(tmp_path, store := FeedStore())
    client = ShardClient([(shard, None)])
    assert 0 <= client.pick_cell() < 1024
    monkeypatch.setattr(shard._upkeep, "lagging", True)
    with pytest.raises(Overloaded):
        client.pick_cell()
    await client.apply([store.put(1, VECTORS[0])])
    assert [hit.id for hit in await shard.search(Query("o", "m", VECTORS[0], 1))] == [1]
    await shard.close()


class HeldBuilds:
    """Lets a shard build when it is told to."""

    def __init__(self, shard):
        self._build, self._may = shard._upkeep.build, asyncio.Event()
        self.let, self.hold = self._may.set, self._may.clear
        shard._upkeep.build = self

    async def __call__(self):
        return self._may.is_set() and await self._build()


async def test_builds_that_fall_behind_stop_new_faces_but_not_deletes(tmp_path, monkeypatch):
    monkeypatch.setattr("facenapi.search.upkeep.maintenance.WAITING_BUFFERS", 3)
    store = FeedStore()
    store.put(0, VECTORS[0])
    shard = await started(tmp_path, store, capacity=20)
    builds, client = HeldBuilds(shard), ShardClient([(shard, None)])
    await until(lambda: store.asked_from.count(0) == 2)  # the comparison, too, has read the feed
    await client.apply([store.put(number, VECTORS[number]) for number in range(1, 80)])
    await asyncio.sleep(0.1)
    assert (shard.info()["waiting_buffers"], shard.lagging) == (3, False)
    await client.apply([store.put(80, VECTORS[80])])
    await until(lambda: shard.lagging)
    with pytest.raises(Overloaded):
        client.pick_cell()
    for number in range(81, 130):  # other servers go on
        store.put(number, VECTORS[number])
    store.remove(7)
    await until(lambda: shard.info()["faces"] == 80)
    assert shard.info()["waiting_buffers"] == 4
    builds.let()
    await until(lambda: shard.info()["faces"] == 129)
    assert not shard.lagging
    assert 0 <= client.pick_cell() < 1024
    assert [hit.id for hit in await shard.search(query(VECTORS[128]))] == [128]
    assert await shard.search(query(VECTORS[7], floor=0.999)) == []
    await shard.close()


@pytest.mark.slow
async def test_what_a_first_load_leaves_may_wait_only_until_it_is_built(tmp_path, monkeypatch):
    monkeypatch.setattr("facenapi.search.upkeep.maintenance.WAITING_BUFFERS", 3)
    store = FeedStore()
    for number in range(200):
        store.put(number, VECTORS[number])
    shard = LocalShard(tmp_path, store, poll_s=0.02, capacity=20, niceness=0)
    builds = HeldBuilds(shard)
    await shard.start()
    await asyncio.sleep(0.1)
    assert (shard.info()["waiting_buffers"], shard.lagging) == (9, False)
    builds.let()
    await until(lambda: shard.info()["waiting_buffers"] == 0 and shard.info()["segments"])
    builds.hold()
    await shard.apply([store.put(number, VECTORS[number]) for number in range(200, 300)])
    await until(lambda: shard.lagging)
    await shard.close()


async def test_segments_are_built_and_a_restart_reads_only_what_is_new(tmp_path):
    store = FeedStore()
    shard = await started(tmp_path, store)
    for number, vector in enumerate(VECTORS):
        await shard.apply([store.put(number, vector)])
        if number % 3 == 0:
            await shard.apply([store.remove(number)])
    # One or two, by how much had come when the first was built.
    await until(lambda: shard.info()["segments"] > 0 and shard.info()["waiting_buffers"] == 0)
    await shard.close()
    await shard.close()
    with pytest.raises(Unavailable):
        await shard.search(query(VECTORS[0]))
    store.remove(1)
    store.asked_from.clear()
    shard = await started(tmp_path, store)
    assert store.asked_from[0] == store.rev - 1
    await until(lambda: 0 in store.asked_from)  # the comparison, which nobody waited for
    assert shard.info()["faces"] == 999
    for number in (0, 1, 2, 4, 1499):
        hits = await shard.search(query(VECTORS[number], 1, 0.999))
        assert [hit.id for hit in hits] == ([number] if number % 3 and number != 1 else [])
    await shard.close()


async def test_a_segment_that_cannot_be_built_keeps_no_other_owner_waiting(tmp_path, monkeypatch):
    monkeypatch.setattr("facenapi.search.upkeep.maintenance.RETRY_S", 3600)
    store = FeedStore()
    for number, vector in enumerate(VECTORS):
        store.put(number, vector, owner="o" if number % 2 else "unlucky")
    build = Builder.build

    def refuse_the_first(builder, plan, folder):
        if 2 in plan.sources[0][0].ids:
            raise BuildError("out of memory")
        return build(builder, plan, folder)

    monkeypatch.setattr(Builder, "build", refuse_the_first)
    shard = await started(tmp_path, store)
    await until(lambda: shard.info()["segments"] == 1)
    await shard.close()


@pytest.mark.slow
async def test_a_release_that_is_replaced_under_the_server_takes_no_faces_away(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("facenapi.search.upkeep.builder.FORMAT", 99)  # of this process, not of the child
    shard = await started(tmp_path, store := FeedStore(), capacity=20)
    await shard.apply([store.put(number, VECTORS[number]) for number in range(50)])
    await until(lambda: "could not be built" in caplog.text)
    assert [hit.id for hit in await shard.search(query(VECTORS[3]))] == [3]
    assert "is rebuilt from the store" not in caplog.text
    await shard.close()
