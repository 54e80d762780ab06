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
from facenapi.search.shard import Delete, Query
from facenapi.search.upkeep.builder import Builder, BuildError
from tests.search.support import FeedStore, faces_like

VECTORS = faces_like(3000)


def query(vector, n=1, floor=None, tag=None, *, owner="o", model="m"):
    return Query(owner, model, vector, n, floor, tag)


async def started(folder, store, cells=None, **more):
    shard = LocalShard(folder, store, cells, **{"poll_s": 0.02, "capacity": 500, "niceness": 0, **more})
    await shard.start()
    return shard


async def until(condition):
    """Wait for a background thing; the test's own timeout is the limit."""
    while not condition():
        await asyncio.sleep(0.01)


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


async def snapshot_of_700(tmp_path):
    """Leave the snapshot of a store behind whose revisions went from 1001 to 1700."""
    store = FeedStore()
    store.rev = 1000
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, vector) for number, vector in enumerate(VECTORS[:700])])
    await until(lambda: shard.info()["segments"])
    await shard.close()


@pytest.mark.parametrize(("rev", "said"), [(0, "is of another store"), (5000, "650 faces were searched for")])
async def test_a_snapshot_of_another_store_is_put_right(tmp_path, caplog, rev, said):
    await snapshot_of_700(tmp_path)
    store = FeedStore()
    store.rev = rev  # below that of the snapshot: seen at once; above: by the comparison
    for number in range(600, 650):
        store.put(number, VECTORS[-number])
    shard = await started(tmp_path, store)
    await until(lambda: shard.info()["faces"] == 50)
    assert said in caplog.text
    await shard.apply([store.put(9000, VECTORS[0]), store.put(600, VECTORS[1]), store.remove(601)])
    found = [hit.id for hit in await shard.search(Query("o", "m", VECTORS[1], 100))]
    assert (found[0], len(found), 601 in found) == (600, 50, False)
    await until(lambda: shard.info()["faces"] == 50)
    await shard.close()


def put_back(store: FeedStore, rev: int, *, epoch: str | None = "2") -> FeedStore:
    """Return the store as it was at a revision, as a backup has it, opened by a server since then."""
    old = FeedStore(store.name)
    old.faces = {key: face for key, face in store.faces.items() if face.rev <= rev}
    old.epochs, old.rev = [entry for entry in store.epochs if entry[1] <= rev], rev
    if epoch:
        old.begin_epoch(epoch)
    return old


async def holds_what_the_store_has(shard, store):
    await until(lambda: shard.ready and shard.info()["faces"] == len(store.faces))
    for face_id, face in store.faces.items():
        hits = await shard.search(query(np.frombuffer(face.embedding, "<f4"), 1))
        assert (hits[0].id, hits[0].similarity > 0.999) == (face_id, True)


async def test_a_backup_that_was_used_past_the_snapshots_revision_is_read_anew(tmp_path, caplog):
    store = FeedStore()
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, VECTORS[number]) for number in range(30)])
    await until(lambda: shard.info()["revision"] == store.rev)
    await shard.close()
    store = put_back(store, 10)
    for number in range(40):
        store.put(5 + number, VECTORS[100 + number])  # some ids are taken again, by other faces, in older revisions
    assert store.rev > 30
    shard = await started(tmp_path, store)
    await holds_what_the_store_has(shard, store)
    assert "is of another store, or of another past" in caplog.text
    await shard.close()


async def test_a_store_that_is_put_back_under_a_running_shard_is_read_anew(tmp_path, caplog):
    store = FeedStore()
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, VECTORS[number]) for number in range(30)])
    await until(lambda: shard.info()["revision"] == store.rev)
    store.begin_epoch("1b")  # another server starts, which changes nothing
    store.put(30, VECTORS[30])
    await until(lambda: shard.info()["faces"] == 31)
    assert "begins anew" not in caplog.text
    old = put_back(store, 10)
    store.faces, store.epochs, store.rev = old.faces, old.epochs, old.rev
    for number in range(40):
        store.put(5 + number, VECTORS[100 + number])
    await until(lambda: "begins anew" in caplog.text)
    await holds_what_the_store_has(shard, store)
    await shard.close()


async def test_who_was_away_while_deletions_were_forgotten_reads_all_anew(tmp_path):
    store = FeedStore()
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, VECTORS[number]) for number in range(30)])
    await until(lambda: shard.info()["revision"] == store.rev)
    await shard.close()
    for number in range(20):
        store.remove(number)
    store.tombstones.clear()
    store.floor = store.rev
    shard = await started(tmp_path, store, compare_s=1e9)
    assert shard.info()["faces"] == 10
    await shard.close()


async def test_revisions_of_another_past_are_found_by_the_comparison(tmp_path, caplog):
    store = FeedStore()
    store.rev = 1000
    shard = await started(tmp_path, store)
    await shard.apply([store.put(number, VECTORS[number]) for number in range(30)])
    await until(lambda: shard.info()["revision"] == store.rev)
    await shard.close()
    past, store = store, FeedStore()
    for number in range(30):
        store.put(number, VECTORS[100 + number])  # the same ids, in revisions that look older
    store.rev, store.epochs = past.rev + 5, past.epochs  # and nothing else tells
    shard = await started(tmp_path, store)
    await until(lambda: "30 faces were searched for" in caplog.text)
    await until(lambda: shard.info()["revision"] == store.rev)
    await holds_what_the_store_has(shard, store)
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
    assert shard.info()["faces"] == 1999
    for number in (0, 1, 2, 4, 2999):
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
