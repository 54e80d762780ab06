"""Shards over real sockets: the same answers, and a dead, hung or mad one is reported."""

import asyncio
import json

import numpy as np
import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from facenapi.errors import Overloaded, StartupError, Unavailable
from facenapi.search.client import ShardClient
from facenapi.search.local import LocalShard
from facenapi.search.remote import wire
from facenapi.search.remote.client import RemoteShard
from facenapi.search.remote.peers import HEADER, Hello
from facenapi.search.remote.server import ShardServer
from facenapi.search.shard import Delete, Hit, Query, Upsert
from tests.search.support import FeedStore, faces_like

VECTORS = faces_like(400)
HALVES = [frozenset(range(0, 1024, 2)), frozenset(range(1, 1024, 2))]


def query(vector, n=5, floor=None, tag=None):
    return Query("o", "m", vector, n, floor, tag)


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


async def serve(folder, store, cells, port=0):
    """Start a shard process's server in this process; return it and its port."""
    server = ShardServer(LocalShard(folder, store, cells, poll_s=0.05), "127.0.0.1", port)
    return server, await server.start()


@pytest.fixture
def store():
    return FeedStore()


async def connected(ports, **more):
    shards = [RemoteShard(f"127.0.0.1:{port}", ping_s=0.05, **more) for port in ports]
    client = ShardClient(list(zip(shards, HALVES, strict=True)))
    await client.start()
    await until(lambda: all(shard.info()["ready"] for shard in shards))
    return client


async def test_two_shards_answer_together_and_a_dead_one_is_reported(tmp_path, store):
    servers = [await serve(tmp_path / str(n), store, cells) for n, cells in enumerate(HALVES)]
    client = await connected([port for _, port in servers])
    await client.apply([store.put(n, vector, ("even",) * (n % 2 == 0)) for n, vector in enumerate(VECTORS)])
    answer = await client.search(query(VECTORS[3]), strict=True)
    assert [hit.id for hit in answer.hits] == np.argsort(-(VECTORS @ VECTORS[3]))[:5].tolist()
    assert (answer.live, answer.total) == (2, 2)
    assert all(hit.id % 2 == 0 for hit in (await client.search(query(VECTORS[3], tag="even"), strict=True)).hits)
    with pytest.raises(ValueError, match="probe"):
        await client.search(query(VECTORS[3][:7] / np.linalg.norm(VECTORS[3][:7])), strict=True)

    dead, port = servers[1]
    await dead.close()
    await until(lambda: not client.shards[1].info()["ready"])
    partial = await client.search(query(VECTORS[3]), strict=False)
    assert (partial.live, partial.total) == (1, 2)
    with pytest.raises(Unavailable):
        await client.search(query(VECTORS[3]), strict=True)
    assert all(client.pick_cell() % 2 == 0 for _ in range(20))
    store.remove(3)
    store.put(1001, VECTORS[3])

    again, _ = await serve(tmp_path / "empty", store, HALVES[1], port)
    await until(lambda: client.shards[1].info()["ready"])
    whole = await client.search(query(VECTORS[3], 1), strict=True)
    assert [hit.id for hit in whole.hits] == [1001]
    await client.close()
    for server in (servers[0][0], again):
        await server.close()


async def test_cells_move_by_a_change_of_the_table(tmp_path, store):
    for n, vector in enumerate(VECTORS):
        store.put(n, vector)
    for cells in ([frozenset(range(300)), frozenset(range(300, 1024))], HALVES, HALVES[::-1]):
        servers = [await serve(tmp_path / str(n), store, mine) for n, mine in enumerate(cells)]
        shards = [RemoteShard(f"127.0.0.1:{port}", ping_s=0.05) for _, port in servers]
        client = ShardClient(list(zip(shards, cells, strict=True)))
        await client.start()
        await until(lambda shards=shards: all(shard.info()["ready"] for shard in shards))
        assert sum(shard.info()["faces"] for shard in shards) == len(VECTORS)
        for n in (0, 7, 399):
            assert [hit.id for hit in (await client.search(query(VECTORS[n], 1), strict=True)).hits] == [n]
        await client.close()
        for server, _ in servers:
            await server.close()


async def test_a_shard_that_answers_nonsense_does_not_count(tmp_path, store):
    server, port = await serve(tmp_path, store, None)
    shard = RemoteShard(f"127.0.0.1:{port}", ping_s=0.05)
    await shard.start()
    await until(lambda: shard.info()["ready"])
    for garbage in (
        b"",
        b"<html>",
        wire.pack_hits([Hit(1, 0.5), Hit(1, 0.5)]),
        wire.pack_hits([Hit(1, 7.0)]),
        wire.pack_hits([Hit(1, 0.1), Hit(2, 0.2)]),
        wire.pack_hits([Hit(1, float("nan"))]),
        wire.pack_hits([Hit(n, 0.1) for n in range(6)]),
    ):

        async def answer(path, body, garbage=garbage):
            return garbage

        shard._post = answer
        with pytest.raises(Unavailable, match="nonsense"):
            await shard.search(query(VECTORS[0]))
    await shard.close()
    await server.close()


async def test_http_interface(tmp_path, store):
    server, port = await serve(tmp_path, store, HALVES[0])
    await until(lambda: server.shard.info()["ready"])
    fetch = AsyncHTTPClient(force_instance=True)

    async def get(path, body=None):
        answer = await fetch.fetch(
            HTTPRequest(
                f"http://127.0.0.1:{port}{path}",
                "GET" if body is None else "POST",
                body=body,
                headers={HEADER: Hello().text()},
            ),
            raise_error=False,
        )
        return answer.code, answer.body

    assert (await get("/apply", wire.pack_changes([store.put(2, VECTORS[0])])))[0] == 200
    stray = await get("/apply", wire.pack_changes([store.put(3, VECTORS[0])]))
    assert stray == (421, b"Cell 3 is not served here")
    code, reason = await get("/apply", wire.pack_changes([store.put(4, VECTORS[0][:7]), store.put(6, VECTORS[6])]))
    assert (code, b"7 numbers" in reason) == (422, True)
    assert (await get("/apply", b"junk"))[0] == 400
    probe = VECTORS[0].tobytes()
    code, body = await get("/search?owner=o&model=m&n=1", probe)
    assert code == 200
    assert [hit.id for hit in wire.unpack_hits(body, 1)] == [2]
    for bad in ("owner=o&model=m&n=x", "owner=o&n=1", "owner=o&model=m&n=0"):
        assert (await get(f"/search?{bad}", probe))[0] == 400
    for bad in ("x", "nan", "inf", "-inf", "1e999"):
        assert (await get(f"/search?owner=o&model=m&n=1&min_similarity={bad}", probe))[0] == 400
    for bad in (b"", b"abc", probe[:-4], b"\xff" * 128):
        assert (await get("/search?owner=o&model=m&n=1", bad))[0] == 400
    assert json.loads((await get("/stat/info"))[1])["faces"] == 2
    assert json.loads((await get("/stat/list"))[1])["collections"][0]["dim"] == 32
    assert (await get("/health"))[0] == 200
    assert b"facenapi_shard_faces 2.0" in (await get("/metrics"))[1]
    await server.shard.close()
    assert (await get("/health"))[0] == 503
    assert (await get("/search?owner=o&model=m&n=1", probe))[0] == 503
    fetch.close()
    await server.close()


async def test_a_busy_shard_is_overloaded(tmp_path, store):
    server = ShardServer(LocalShard(tmp_path, store, queue=0), "127.0.0.1", 0)
    port = await server.start()
    shard = RemoteShard(f"127.0.0.1:{port}", ping_s=0.05)
    await shard.start()
    await until(lambda: shard.info()["ready"])
    with pytest.raises(Overloaded):
        await shard.search(query(VECTORS[0]))
    await shard.close()
    await server.close()


async def test_what_is_stored_is_never_refused_as_if_nothing_had_been_done(store, monkeypatch):
    shard = RemoteShard("127.0.0.1:9")

    async def busy(_):
        raise Overloaded("busy")

    monkeypatch.setattr(shard, "apply", busy)
    with pytest.raises(Unavailable, match="catch up"):
        await ShardClient([(shard, None)]).apply([store.put(1, VECTORS[0])])
    await shard.close()


async def test_a_shard_waits_for_the_store(tmp_path, store, monkeypatch):
    monkeypatch.setattr("facenapi.search.remote.server.RETRY_S", 0.01)
    store.down = True
    store.put(1, VECTORS[0])
    server, _ = await serve(tmp_path, store, None)
    await asyncio.sleep(0.05)
    assert not server.shard.info()["ready"]
    store.down = False
    await until(lambda: server.shard.info()["ready"])
    assert server.shard.info()["faces"] == 1
    await server.close()


async def test_a_busy_store_costs_a_shard_a_pause(tmp_path, store, monkeypatch, caplog):
    monkeypatch.setattr("facenapi.search.remote.server.RETRY_S", 0.01)
    answer = store.changes_since

    async def fail_once(*_):
        store.changes_since = answer
        raise Overloaded("Too many operations wait")

    store.changes_since = fail_once
    server, _ = await serve(tmp_path, store, None)
    await server.loaded()
    assert server.shard.info()["ready"]
    assert "waits for the store: Too many operations wait" in caplog.text
    await server.close()


async def test_a_shard_that_cannot_have_its_folder_says_so(tmp_path, store):
    first, _ = await serve(tmp_path / "used", store, None)
    await first.loaded()
    (tmp_path / "file").touch()
    for name, reason in (("used", "is in use by process"), ("file", "Cannot use data folder")):
        server, _ = await serve(tmp_path / name, store, None)
        with pytest.raises(StartupError, match=reason):
            await server.loaded()
        await server.close()
    await first.close()


def test_changes_travel():
    changes = [
        Upsert("o", "m", 5, 7, frozenset({"a", "ü"}), b"1234" * 3),
        Delete("o", 9, 8),
        Upsert("p", "m", 6, 9, frozenset(), b""),
    ]
    assert wire.unpack_changes(wire.pack_changes(changes)) == changes
    packed = wire.pack_changes(changes)
    for bad in (
        packed[:-1],
        packed + b"x",
        b"",
        b"[[1]]\n",
        b"{}x",
        b'[["o", -1, 2]]\n',
        b'[["o", 1, 2, "m", [3], 0]]\n',
        b'[["o", 1, 2, "m", [], 4], ["o", 2, 2, "m", [], 4]]\n1234567',
        b'[["o", 1, -1]]\n',
        b'[["o", 1, true]]\n',
        b'[["o", 1, %d, "m", [], 0]]\n' % 2**63,
    ):
        with pytest.raises(ValueError):  # noqa: PT011 - any reason will do
            wire.unpack_changes(bad)
