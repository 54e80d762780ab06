"""GET /health: all of it for who has a token or is here; strangers are told ready or not, and why."""

import asyncio
import json

import pytest

from facenapi.errors import Unavailable
from tests.support.server import serving

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
