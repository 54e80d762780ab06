"""GET /health: all of it for who has a token or is here; strangers are told ready or not, and why."""

import asyncio
import json
import socket
import sqlite3

import pytest

from facenapi.errors import Unavailable
from tests.support.server import RED, picture, serving

PROXIED = [{"X-Forwarded-For": "203.0.113.9"}, {"X-Real-IP": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}]


@pytest.mark.parametrize("headers", PROXIED)
async def test_strangers_learn_whether_it_is_ready_and_why_not(tmp_path, headers, monkeypatch):
    async with serving(tmp_path) as client:
        asked = []

        async def ping():
            asked.append(1)
            raise (
                Unavailable("The database at 10.1.2.3 cannot be reached") if asked[1:] else Unavailable("It is full")
            )

        monkeypatch.setattr("facenapi.app.ASK_S", 60)
        await client("GET", "/health", key="")
        before = client.app.store.ping
        reply = await client("GET", "/health", key="", headers=headers)
        assert (reply.status, reply.json) == (200, {"ready": True, "reason": ""})
        client.app.store.ping = ping
        for _ in range(3):
            await client("GET", "/health", key="wrong", headers=headers)
        assert not asked
        full = await client("GET", "/health", headers=headers)
        assert (full.status, full.json["store"]) == (503, "It is full")
        reply = await client("GET", "/health", key="", headers=headers)
        assert (reply.status, reply.json) == (503, {"ready": False, "reason": "The store does not work: It is full"})
        client.app.store.ping = before


async def test_a_loop_that_is_not_healthy_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("facenapi.process.supervised.FIRST_PAUSE_S", 0.01)
    async with serving(tmp_path) as client:

        async def broken():
            raise KeyError("10.1.2.3")

        client.app.loops.repeat("do its work", broken, 0.01)
        while (await client("GET", "/health")).status == 200:
            await asyncio.sleep(0.01)
        reply = await client("GET", "/health", key="", headers=PROXIED[0])
        assert reply.json["reason"] == "The server fails to do its work: KeyError"
        assert "10.1.2.3" not in json.dumps((await client("GET", "/health")).json)
        text = (await client("GET", "/metrics")).body.decode()
        assert 'facenapi_loop_healthy{what="do its work",who="The server"} 0.0' in text


async def test_nobody_without_a_token_learns_where_a_search_shard_is(tmp_path, monkeypatch, caplog):
    """Nor who has one, but from /health: it would be in figures, in reasons, in what a client is refused with."""
    monkeypatch.setattr("facenapi.process.supervised.FIRST_PAUSE_S", 0.01)
    unhealthy = 'facenapi_loop_healthy{what="be looked at",who="Search shard 1"} 0.0'
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"  # where nobody listens
        table = tmp_path / "tntapi.json"
        table.write_text(json.dumps([[address] * 1024]))
        async with serving(tmp_path, tntapi_servers_file=str(table)) as client:
            [shard] = client.app.searcher.shards

            async def broken():
                raise KeyError(address)

            shard.loops.repeat("be looked at", broken, 0.01)
            shard._about["ready"] = True  # as it was until now
            while unhealthy not in (await client("GET", "/metrics", key="")).body.decode():
                await asyncio.sleep(0.01)
            asked = [
                await client("POST", "/v1/identify", parts={"photo": picture(RED)}),
                await client("POST", "/v1/face", parts={"photo": picture(RED)}),
                await client("GET", "/health", key="", headers=PROXIED[0]),
                await client("GET", "/metrics", key=""),
            ]
            whole = await client("GET", "/health")
    assert [reply.status for reply in asked] == [503, 503, 503, 200]
    assert f"detail={address}" in caplog.text
    for reply in asked:
        assert address not in reply.body.decode(), reply
    assert whole.json["search"]["shards"][0]["address"] == address
    assert unhealthy in asked[3].body.decode()


async def test_what_a_database_says_is_for_the_operator(tmp_path):
    """A stranger's token is looked up, too: what fails then is told in words, without the driver's."""
    async with serving(tmp_path) as client:

        def damaged(db):
            raise sqlite3.DatabaseError("malformed database schema (facenapi.sqlite)")

        async def find_token(key_hash):
            return await client.app.store._read(damaged)

        async def ping():
            await client.app.store._read(damaged)

        kept = client.app.store.find_token, client.app.store.ping
        client.app.store.find_token, client.app.store.ping = find_token, ping
        client.app.auth.forget()
        refused = await client("GET", "/v1/faces", key="unknown")
        whole = await client("GET", "/health", key="")
        strange = await client("GET", "/health", key="", headers=PROXIED[0])
        client.app.store.find_token, client.app.store.ping = kept
    assert (refused.status, refused.json["reason"]) == (503, "The database cannot read")
    assert strange.json["reason"] == "The store does not work: The database cannot read"
    assert whole.json["store"] == "The database cannot read: malformed database schema (facenapi.sqlite)"
