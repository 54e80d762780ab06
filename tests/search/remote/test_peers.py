"""Servers and shards that do not belong together: both say so, and nothing is answered from the wrong place."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from facenapi.config.options import Config
from facenapi.errors import StartupError, Unavailable
from facenapi.search.client import ShardClient
from facenapi.search.local import LocalShard
from facenapi.search.remote import peers, wire
from facenapi.search.remote.client import RemoteShard
from facenapi.search.remote.peers import HEADER, Hello, secret_of
from facenapi.search.remote.server import ShardServer
from facenapi.search.shard import Query
from tests.search.support import FeedStore, faces_like

VECTORS = faces_like(40)
HALVES = [frozenset(range(0, 1024, 2)), frozenset(range(1, 1024, 2))]


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


async def health(port, **headers):
    fetched = AsyncHTTPClient(force_instance=True).fetch(
        HTTPRequest(f"http://127.0.0.1:{port}/health", headers=headers), raise_error=False
    )
    answer = await fetched
    return answer.code, json.loads(answer.body) if answer.body.startswith(b"{") else answer.body


@asynccontextmanager
async def shard_of(folder, store, cells=None, port=0, secret=""):
    server = ShardServer(LocalShard(folder, store, cells, poll_s=0.02), "127.0.0.1", port, secret)
    port = await server.start()
    await server.loaded()
    try:
        yield server, port
    finally:
        await server.close()


@asynccontextmanager
async def watching(port, store, cells=None, **more):
    shard = RemoteShard(f"127.0.0.1:{port}", store=store, cells=cells, ping_s=0.02, **more)
    await shard.start()
    try:
        yield shard
    finally:
        await shard.close()


async def refused(shard, port, reason):
    """Both sides say why, and a search is refused."""
    await until(lambda: reason in shard.info().get("reason", ""))
    assert not shard.ready
    with pytest.raises(Unavailable):
        await shard.search(Query("o", "m", VECTORS[0], 1))
    code, about = await health(port, **{HEADER: shard._hello.text()})
    assert (code, about["ready"], reason in about["reason"]) == (409, False, True)
    assert reason in (await health(port))[1]["refused"]


async def test_one_that_belongs_is_ready_and_stays_so_when_servers_start(tmp_path):
    store = FeedStore()
    async with shard_of(tmp_path, store) as (_, port), watching(port, store, model=lambda: ("m", 32)) as shard:
        assert shard.ready
        await shard.apply([store.put(1, VECTORS[0])])
        for name in "234":
            store.begin_epoch(name)
            await shard.apply([store.put(int(name), VECTORS[int(name)])])
            assert [hit.id for hit in await shard.search(Query("o", "m", VECTORS[0], 1))] == [1]
        await asyncio.sleep(0.1)
        assert shard.ready


async def test_swapped_addresses(tmp_path):
    store = FeedStore()
    async with (
        shard_of(tmp_path / "0", store, HALVES[0]) as (_, even),
        shard_of(tmp_path / "1", store, HALVES[1]) as (_, odd),
        watching(odd, store, HALVES[0]) as first,
        watching(even, store, HALVES[1]) as second,
    ):
        client = ShardClient([(first, HALVES[0]), (second, HALVES[1])])
        await refused(first, odd, "other cells")
        await refused(second, even, "other cells")
        with pytest.raises(Unavailable):
            await client.search(Query("o", "m", VECTORS[0], 1), strict=False)
        with pytest.raises(Unavailable):
            client.pick_cell()


async def test_a_shard_of_another_store_or_of_another_past_of_this_one(tmp_path):
    ours, theirs, copy = FeedStore("ours"), FeedStore("theirs"), FeedStore("ours")
    theirs.put(1, VECTORS[0])
    ours.begin_epoch("ours-2")
    copy.begin_epoch("copy-2")  # a backup of ours that another server has opened
    for other in (theirs, copy):
        async with shard_of(tmp_path / other.epochs[-1][0], other) as (_, port), watching(port, ours) as shard:
            await refused(shard, port, "another past of it")


async def test_vectors_of_another_length_and_another_protocol(tmp_path, monkeypatch):
    store = FeedStore()
    store.put(1, VECTORS[0])
    async with shard_of(tmp_path, store) as (_, port):
        async with watching(port, store, model=lambda: ("m", 128)) as shard:
            await refused(shard, port, "have 32 numbers in the shard, 128 in the server")
        monkeypatch.setattr(peers.Hello, "text", lambda self: '{"wire": 1}')
        async with watching(port, store) as shard:
            await refused(shard, port, "speaks version 1 of the shards' protocol")


async def test_one_that_is_replaced_between_two_looks_refuses_the_call_itself(tmp_path):
    store = FeedStore()
    async with shard_of(tmp_path / "a", store) as (_, port):
        shard = RemoteShard(f"127.0.0.1:{port}", store=store, ping_s=60)
        await shard.start()
    assert shard.ready
    async with shard_of(tmp_path / "b", FeedStore("other"), port=port) as (other, _):
        for call in (shard.search(Query("o", "m", VECTORS[0], 1)), shard.apply([store.put(5, VECTORS[5])])):
            with pytest.raises(Unavailable):
                await call
        assert not shard.ready  # seen at once
        assert other.shard.info()["faces"] == 0
    await shard.close()


async def test_strangers_learn_and_change_nothing(tmp_path):
    store = FeedStore()
    store.put(1, VECTORS[0])
    async with shard_of(tmp_path, store, secret="opensesame") as (server, port):
        client = AsyncHTTPClient(force_instance=True)
        for secret in ("", "Token wrong", "Token opensesamE", "opensesame"):
            headers = {HEADER: Hello().text(), "Authorization": secret}
            for path, body in (
                ("/search?owner=o&model=m&n=1", VECTORS[0].tobytes()),
                ("/apply", wire.pack_changes([store.remove(1) if 1 in store.faces else store.put(2, VECTORS[1])])),
                ("/stat/list", None),
                ("/stat/info", None),
            ):
                request = HTTPRequest(
                    f"http://127.0.0.1:{port}{path}", "POST" if body else "GET", body=body, headers=headers
                )
                assert (await client.fetch(request, raise_error=False)).code == 401
        assert await health(port) == (200, {"ready": True, "reason": ""})
        async with watching(port, store, secret="another") as shard:
            assert "another shard_secret" in shard.info()["reason"]
        async with watching(port, store, secret="opensesame") as shard:
            await until(lambda: shard.ready)
    assert server.metrics.applied._value.get() == 0


def test_without_a_secret_nobody_else_can_reach_it(tmp_path):
    shard = LocalShard(tmp_path, FeedStore())
    for host in ("0.0.0.0", "10.0.0.1", "shard1", "::"):
        with pytest.raises(StartupError, match="set shard_secret or shard_secret_file"):
            ShardServer(shard, host, 1)
        ShardServer(shard, host, 1, "a secret")
    for host in ("127.0.0.1", "127.8.8.8", "::1", "localhost"):
        ShardServer(shard, host, 1)


def test_the_secret_comes_from_an_option_or_a_file(tmp_path):
    file = tmp_path / "secret"
    assert secret_of(Config()) == ""
    assert secret_of(Config(shard_secret="a")) == "a"
    file.write_text("b\n")
    assert secret_of(Config(shard_secret_file=str(file))) == "b"
    for content, reason in ((b"", "is empty"), (b"\xff", "not text")):
        file.write_bytes(content)
        with pytest.raises(StartupError, match=reason):
            secret_of(Config(shard_secret_file=str(file)))
    with pytest.raises(StartupError, match="No such file"):
        secret_of(Config(shard_secret_file=str(tmp_path / "none")))
