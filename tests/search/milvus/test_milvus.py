"""Search in Milvus: what any shard does, servers that share it, and the API in front of it."""

import sys

import numpy as np
import pytest

from facenapi.config.options import Config
from facenapi.errors import Overloaded, StartupError, Unavailable
from facenapi.search.milvus.schema import State
from facenapi.search.milvus.shard import MilvusShard
from facenapi.search.open import open_searcher
from facenapi.search.shard import Delete
from tests.search.lite import found, query, started, until
from tests.search.support import FeedStore, faces_like
from tests.support.server import GREEN, RED, picture, serving

pytestmark = pytest.mark.slow

VECTORS = faces_like(1000)


async def test_an_added_face_is_found_and_a_deleted_one_is_not(lite, store):
    shard = await started(lite, store)
    assert await found(shard, VECTORS[0]) == []
    await shard.apply([store.put(1, VECTORS[0], ('v"i\\p',)), store.put(2, VECTORS[1], owner="ö'")])
    assert await found(shard, VECTORS[0]) == [1]
    assert await found(shard, VECTORS[1], 5) == [1]
    assert await found(shard, VECTORS[1], 5, tag='v"i\\p') == [1]
    assert await found(shard, VECTORS[1], 5, tag="vip") == []
    assert await found(shard, VECTORS[1], 5, owner="ö'") == [2]
    assert await found(shard, VECTORS[1], 5, model="another") == []
    await shard.apply([store.remove(1)])
    assert await found(shard, VECTORS[0], 5) == []
    await shard.close()
    await shard.close()
    with pytest.raises(Unavailable):
        await shard.search(query(VECTORS[0]))


async def test_changes_may_come_twice_and_in_any_order(lite, store):
    shard = await started(lite, FeedStore())
    first, second = store.put(1, VECTORS[0], ("a",)), store.put(1, VECTORS[1], ("b",))
    gone, late = Delete("o", 2, 9), store.put(2, VECTORS[2])
    await shard.apply([second, first, second, gone, late])
    for changes in ([first], [late], [gone, late]):
        await shard.apply(changes)
        hits = await shard.search(query(VECTORS[1], 5))
        assert [(hit.id, round(hit.similarity, 4)) for hit in hits] == [(1, 1.0)]
    assert await found(shard, VECTORS[1], 5, tag="a") == []
    await shard.apply([Delete("somebody else", 1, 50)])
    assert await found(shard, VECTORS[1], 5) == [1]
    await shard.apply([Delete("o", 1, second.rev)])  # a deletion may have the revision of the face's last change
    assert await found(shard, VECTORS[1], 5) == []
    await shard.close()


async def test_servers_share_it(lite, store):
    one, other = await started(lite, store), await started(lite, store)
    await one.apply([store.put(1, VECTORS[0])])
    assert await found(other, VECTORS[0]) == [1]
    await other.apply([store.remove(1)])
    assert await found(one, VECTORS[0]) == []
    store.put(5, VECTORS[0])  # by a server that died before it told Milvus
    await until(lambda: one.info()["revision"] == other.info()["revision"] == store.rev)
    assert await found(one, VECTORS[0]) == [5]
    await one.close()
    await other.close()


def test_two_servers_may_make_the_same_collections(lite):
    one, other = lite.engine(), lite.engine()
    for engine in (one, other):
        engine.connect()
    assert [one.make("m", 32), other.make("m", 16)] == [32, 32]
    one.save(State(5, 1))
    other.save(State(5, 2))
    assert one.state() == State(5, 2)
    for engine in (one, other):
        engine.close()


async def test_a_restart_reads_only_what_is_new(lite, store):
    shard = await started(lite, store)
    await shard.apply([store.put(number, vector) for number, vector in enumerate(VECTORS[:50])])
    await until(lambda: shard.info()["revision"] == store.rev)
    await shard.close()
    store.put(99, VECTORS[99])
    store.remove(1)
    store.asked_from.clear()
    shard = await started(lite, store)
    assert store.asked_from == [store.rev - 2]
    assert shard.info()["faces"] == 50
    assert await found(shard, VECTORS[99]) == [99]
    assert await found(shard, VECTORS[1], 1, 0.999) == []
    await until(lambda: 0 in store.asked_from)  # the comparison, which nobody waited for
    await shard.close()


async def test_the_vector_of_an_older_model_stays_and_follows_the_face(lite, store):
    shard = await started(lite, store)
    await shard.apply([store.put(1, VECTORS[0], ("a",))])
    await shard.apply([store.put(1, faces_like(1, dim=48)[0], ("b",), model="new")])
    assert await found(shard, VECTORS[0], 1, 0.999, "b") == [1]
    assert await found(shard, VECTORS[0], tag="a") == []
    assert await found(shard, faces_like(1, dim=48)[0], 1, 0.999, "b", model="new") == [1]
    await shard.apply([store.remove(1)])
    assert await found(shard, VECTORS[0]) == []
    assert await found(shard, faces_like(1, dim=48)[0], model="new") == []
    await shard.close()


async def test_a_long_answer_is_whole(lite, store):
    shard = await started(lite, store)
    await shard.apply([store.put(number, vector) for number, vector in enumerate(VECTORS)])
    sims = VECTORS @ VECTORS[0]
    for n, floor in ((1000, None), (1000, -0.05), (300, -0.05), (5, -0.05), (1000, 0.5)):
        hits = await shard.search(query(VECTORS[0], n, floor))
        wanted = np.sort(sims[sims >= (-2 if floor is None else floor)])[::-1][:n]
        assert np.allclose([hit.similarity for hit in hits], wanted, atol=1e-5)
    await shard.close()


async def test_a_bad_probe_is_refused(lite, store):
    shard = await started(lite, store)
    await shard.apply([store.put(1, VECTORS[0])])
    for probe in (np.zeros(32), np.full(32, np.nan), np.ones(16) / 4, np.ones((2, 16)) / 32**0.5):
        with pytest.raises(ValueError, match="probe"):
            await shard.search(query(probe.astype(np.float32)))
    with pytest.raises(ValueError, match="positive"):
        await shard.search(query(VECTORS[0], 0))
    await shard.close()


async def test_a_bad_embedding_is_refused_with_one_line(lite, store, caplog):
    shard = await started(lite, store)
    bad = [VECTORS[0][:8], np.zeros(32), np.full(32, np.inf)]
    await shard.apply([store.put(number, vector) for number, vector in enumerate([VECTORS[0], *bad])])
    many = tuple(f"g{number}" for number in range(5000))
    await shard.apply([store.put(9, VECTORS[1], many), store.put(10, VECTORS[2])])
    assert await found(shard, VECTORS[0], 9) == [0, 10]
    assert "3 faces cannot be searched for" in caplog.text
    assert "face 9: it is in more than 4096 galleries" in caplog.text
    await shard.close()


async def test_searches_are_bounded(lite, store):
    shard = MilvusShard(lite.engine(), store, queue=0)
    await shard.start()
    with pytest.raises(Overloaded):
        await shard.search(query(VECTORS[0]))
    await shard.close()


async def test_the_api_searches_in_it(lite, tmp_path):
    async with serving(
        tmp_path / "data", milvus_uri=f"http://127.0.0.1:{lite.port}", tntapi_request_timeout=30
    ) as api:
        assert (await api("POST", "/v1/galleries/vip")).status == 201
        red, _ = await api.enrol(RED, galleries="vip"), await api.enrol(GREEN)
        for path, status in (("/v1/identify", 200), ("/v1/faces/gallery/vip/identify", 200)):
            reply = await api("POST", path, parts={"photo": picture(RED)})
            assert (reply.status, reply.headers["X-Live-Servers"]) == (status, "1/1")
            (matches,) = reply.json["results"].values()
            assert [match["face"]["id"] for match in matches] == [red["id"]]
        assert (await api("DELETE", f"/v1/face/id/{red['id']}")).status == 204
        reply = await api("POST", "/v1/identify", parts={"photo": picture(RED)})
        assert list(reply.json["results"].values()) == [[]]
        lite.stop()
        assert (await api("POST", "/v1/identify", parts={"photo": picture(RED)})).status == 503
        assert not (tmp_path / "data" / "index").exists()
    lite.start()


def test_configuration(tmp_path, store, monkeypatch):
    config = Config(milvus_uri="http://127.0.0.1:1", data_dir=str(tmp_path))
    (shard,) = open_searcher(config, store).shards
    assert isinstance(shard, MilvusShard)
    with pytest.raises(StartupError, match="set one of them"):
        open_searcher(Config(milvus_uri="http://127.0.0.1:1", tntapi_servers_file="table"), store)
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    for name in [name for name in sys.modules if name.startswith("facenapi.search.milvus")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(StartupError, match=r"pip install 'facenapi\[milvus\]'"):
        open_searcher(config, store)
