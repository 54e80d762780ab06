"""Files of vectors that are damaged while a server has them: no wrong answer, and all is built again."""

import asyncio
import os
import re

import numpy as np
import pytest
from prometheus_client import generate_latest

from facenapi.errors import Unavailable
from facenapi.search.local import LocalShard
from facenapi.search.remote.metrics import Metrics
from facenapi.search.shard import Query
from facenapi.search.upkeep.builder import Builder
from tests.search.support import FeedStore, faces_like, query, started, until


def cut_off(path):
    """Leave nothing: a process that had mapped the file would get SIGBUS."""
    os.truncate(path, 0)


def overwrite(path):
    """Have other vectors in the file."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(np.random.default_rng(1).bytes(size))


def replace(path):
    """Have another file under the name, which the server has not opened."""
    path.with_name("new").write_bytes(b"no vectors")
    path.with_name("new").replace(path)


async def segment_of_400(folder, store, vectors):
    """Return a shard with one segment, and the file of its vectors."""
    shard = LocalShard(folder, store, poll_s=0.02, capacity=300, niceness=0)
    await shard.start()
    await shard.apply([store.put(number, vector, ("vip",)) for number, vector in enumerate(vectors[:400])])
    await shard.apply([store.put(1000, vectors[0], owner="other")])
    while not shard.info()["segments"] or shard.info()["waiting_buffers"]:
        await asyncio.sleep(0.02)
    (path,) = folder.glob("segment-*/vectors")
    return shard, path


async def answers_rightly(shard, vectors, numbers, tag=None):
    """Look for faces until the index was rebuilt; every answer is right, or there is none. Return how many none."""
    refused = 0
    for number in numbers:
        while True:
            try:
                hits = await shard.search(Query("o", "m", vectors[number], 1, None, tag))
            except Unavailable:
                assert await shard.search(Query("other", "m", vectors[0], 1))  # nobody else is kept waiting
                refused += 1
                await asyncio.sleep(0.02)
            else:
                assert [(hit.id, round(hit.similarity, 5)) for hit in hits] == [(number, 1.0)]
                break
    return refused


@pytest.mark.slow
@pytest.mark.parametrize(("damage", "tag"), [(cut_off, None), (overwrite, "vip"), (replace, None)])
async def test_what_happens_to_a_file_under_the_server_spoils_no_answer(tmp_path, caplog, damage, tag):
    store, vectors = FeedStore(), faces_like(400)
    shard, path = await segment_of_400(tmp_path, store, vectors)
    damage(path)
    refused = await answers_rightly(shard, vectors, range(0, 400, 7), tag)
    assert (refused > 0, "is rebuilt from the store" in caplog.text) == ((damage is not replace,) * 2)
    assert shard.info()["faces"] == 401
    while not shard.info()["segments"] or shard.info()["waiting_buffers"]:
        await asyncio.sleep(0.02)
    assert await answers_rightly(shard, vectors, range(400), tag) == 0
    await shard.close()


@pytest.mark.slow
@pytest.mark.parametrize("damage", [cut_off, overwrite])
async def test_nothing_is_built_of_a_damaged_segment(tmp_path, caplog, damage):
    store, vectors = FeedStore(), faces_like(1000)
    shard, path = await segment_of_400(tmp_path, store, vectors)
    damage(path)
    await shard.apply([store.put(number, vectors[number]) for number in range(400, 1000)])
    while not (shard.info()["segments"] and not shard.info()["waiting_buffers"] and shard.info()["faces"] == 1001):
        await asyncio.sleep(0.02)
    assert "is rebuilt from the store" in caplog.text
    await answers_rightly(shard, vectors, range(0, 1000, 7))
    await shard.close()


@pytest.mark.slow
async def test_where_every_segment_is_damaged_builds_wait_ever_longer_and_searches_do_not(
    tmp_path, monkeypatch, caplog
):
    build = Builder.build

    def damaging(builder, plan, folder):
        segment = build(builder, plan, folder)
        overwrite(folder / "vectors")
        return segment

    monkeypatch.setattr(Builder, "build", damaging)
    store, vectors = FeedStore(), faces_like(400)
    shard = await started(tmp_path, store, capacity=300)
    await shard.apply([store.put(number, vector) for number, vector in enumerate(vectors)])
    for times, pause_s in enumerate((0.01, 0.01, 0.01, 3600), 1):
        monkeypatch.setattr("facenapi.process.supervised.FIRST_PAUSE_S", pause_s)
        await until(lambda: shard.info()["segments"] == 1)
        with pytest.raises(Unavailable):
            await shard.search(query(vectors[3]))
        await until(lambda times=times: shard.info()["damages"] == times)
    rests = re.findall(r"damaged, (\d) times in a row: .* for (\S+) s", caplog.text)
    assert rests == [("1", "0.01"), ("2", "0.02"), ("3", "0.04"), ("4", "600")]
    assert await answers_rightly(shard, vectors, range(0, 400, 7)) == 0
    await asyncio.sleep(0.2)  # ten looks at what is to be built
    assert (shard.info()["segments"], shard.info()["waiting_buffers"]) == (0, 1)
    assert b"facenapi_shard_damages 4.0" in generate_latest(Metrics(shard).registry)
    await shard.close()


@pytest.mark.slow
async def test_a_face_whose_vector_is_damaged_can_be_put_right(tmp_path):
    store, vectors = FeedStore(), faces_like(400)
    shard, path = await segment_of_400(tmp_path, store, vectors)
    cut_off(path)
    await shard.apply([store.put(7, vectors[7], ("staff",))])
    assert [hit.id for hit in await shard.search(Query("o", "m", vectors[7], 1, None, "staff"))] == [7]
    await shard.close()


async def test_a_start_does_not_read_the_vectors(tmp_path, caplog):
    store, vectors = FeedStore(), faces_like(400)
    shard, path = await segment_of_400(tmp_path, store, vectors)
    await shard.close()
    overwrite(path)  # a start that looked at them would find out
    shard = LocalShard(tmp_path, store, poll_s=0.02, capacity=300, niceness=0)
    await shard.start()
    assert (shard.info()["segments"], shard.info()["faces"], caplog.text.count("rebuilt")) == (1, 401, 0)
    assert await answers_rightly(shard, vectors, range(0, 400, 7)) > 0
    await shard.close()


@pytest.mark.slow
async def test_a_snapshot_that_is_saved_before_all_is_read_again_says_so(tmp_path, monkeypatch):
    store, vectors = FeedStore(), faces_like(400)
    shard, path = await segment_of_400(tmp_path, store, vectors)
    cut_off(path)
    asked = asyncio.Event()
    pages = store.changes_since

    async def stuck(*_):
        asked.set()
        await asyncio.sleep(3600)

    store.changes_since = stuck
    with pytest.raises(Unavailable):
        await shard.search(Query("o", "m", vectors[3], 1))
    await asked.wait()
    await shard._upkeep.save()
    store.changes_since = pages
    await shard.close()
    shard = LocalShard(tmp_path, store, poll_s=0.02, capacity=300, niceness=0)
    await shard.start()
    assert await answers_rightly(shard, vectors, range(0, 400, 7)) == 0
    await shard.close()
