"""Adding faces for a client that does not wait for them: the server does, also while it is stopped."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from facenapi.errors import Unavailable
from tests.support.server import RED, multipart, picture, serving


@pytest.mark.parametrize(("error", "level"), [(Unavailable("away"), logging.INFO), (KeyError("?"), logging.ERROR)])
async def test_what_becomes_of_faces_whose_client_hangs_up_is_awaited(tmp_path, monkeypatch, caplog, error, level):
    async with serving(tmp_path) as client:
        begun, gone = asyncio.Event(), asyncio.Event()

        async def fail(_):
            begun.set()
            await gone.wait()
            raise error

        monkeypatch.setattr(client.app.store, "add_faces", fail)
        kind, body = multipart({"photo": picture(RED)})
        head = (f"POST /v1/face HTTP/1.1\r\nHost: x\r\nAuthorization: Token {client.key}\r\n"
                f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n")  # fmt: skip
        _, writer = await asyncio.open_connection("127.0.0.1", int(client.base.rpartition(":")[2]))
        writer.write(head.encode() + body)
        await begun.wait()
        writer.close()
        while client.app._http.connections:
            await asyncio.sleep(0.01)
        caplog.set_level(logging.INFO)
        stopping = asyncio.ensure_future(client.app.requests.idle())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        gone.set()
        await stopping
        gc.collect()
    told = [record for record in caplog.records if record.name in ("asyncio", "facenapi.services.enrol")]
    assert [record.levelno for record in told] == [level]
    assert str(error) in told[0].getMessage() or told[0].exc_info


async def test_photos_of_faces_that_a_stop_does_not_wait_for_are_left_to_a_sweep(tmp_path):
    options = {"person_identify": True, "photo_storage": "files", "shutdown_timeout": 0.1}
    async with serving(tmp_path, **options) as client:
        owner = (await client.app.store.list_tokens())[0].owner
        async with client.app.store.lock(f"persons:{owner}"):
            adding = asyncio.ensure_future(client.enrol(RED))
            while not ([*tmp_path.rglob("*.png")] and client.app.pictures.unsettled):
                await asyncio.sleep(0.01)
            await client.app.drain()
        assert [*tmp_path.rglob("*.png")]
        assert [*tmp_path.glob("photos/running-*")]
        adding.cancel()
