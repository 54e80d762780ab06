"""The limits of connections, over real sockets: in every phase, in number, and shared out by owner."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
from contextlib import AsyncExitStack

import numpy as np
import pytest

from facenapi.config.options import Config
from facenapi.errors import Overloaded
from facenapi.process import acceptor as acceptor_module
from facenapi.process import descriptors, listener
from facenapi.process.acceptor import Acceptor
from facenapi.process.admission import Admission, Shares
from facenapi.services.auth import create_token
from tests.support.photos import encode
from tests.support.server import RED, multipart, picture, serving
from tests.test_app import until
from tests.test_clients import connected, head, one_answer, refused

MB = 1 << 20


def test_the_last_quarter_is_for_those_who_hold_little():
    shares = Shares(lambda: 100)
    for _ in range(75):
        assert shares.has_room("greedy", 1)
        shares.take("greedy", 1)
    assert not shares.has_room("greedy", 1)
    for owner in ("a", "b"):
        for _ in range(10):
            assert shares.has_room(owner, 1)
            shares.take(owner, 1)
    assert not shares.has_room("c", 6)
    assert shares.has_room("c", 5)
    shares.give_back("greedy", 75)
    assert shares.has_room("greedy", 1)


def test_a_place_gives_everything_back():
    admission = Admission(Config(max_requests=4, max_body_memory=4 * MB, max_answer_memory=MB, max_body_size=MB))
    places = [admission.enter("x") for _ in range(3)]
    places[0].hold_body(3 * MB)
    with pytest.raises(Overloaded):
        places[1].hold_body(1)
    places[2].hold_answer(MB, needed=True)
    with pytest.raises(Overloaded):
        places[2].hold_answer(1, needed=False)
    for place in places * 2:
        place.leave()
    assert (admission.running, admission.bodies.used, admission.answers.used) == (0, 0, 0)


async def test_one_owners_slow_uploads_leave_the_others_theirs(tmp_path):
    async with serving(tmp_path, max_requests=16) as client, AsyncExitStack() as stack:
        upload = head(client, "POST", "/v1/detect", Content_Type="image/png", Content_Length=999_999)
        readers = []
        for _ in range(40):
            reader, writer = await stack.enter_async_context(connected(client))
            writer.write(upload + b"x" * 1000)
            readers.append(reader)
        await until(lambda: client.app.requests.running == 12)
        # Which 12 have got in depends on whose turn it was.
        refused = asyncio.as_completed([reader.read() for reader in readers], timeout=20)
        answers = [await next(refused) for _ in range(28)]
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 503"}
        assert all(b"Retry-After: 1\r\n" in answer and b"Connection: close" in answer for answer in answers)
        key, _ = await create_token(client.app.store)
        reply = await client("POST", "/v1/detect", parts={"photo": picture(RED)}, key=key)
        assert reply.status == 200


async def test_bytes_of_bodies_in_flight_are_bounded_and_come_back(tmp_path):
    async with serving(tmp_path, max_body_memory=4 * MB, max_body_size=2 * MB) as client, AsyncExitStack() as stack:
        bodies = client.app.requests.bodies
        places = []
        for _ in range(6):
            reader, writer = await stack.enter_async_context(connected(client))
            writer.write(head(client, "POST", "/v1/detect", Content_Type="image/png", Content_Length=MB + 100))
            writer.write(bytes(MB))
            places.append((reader, writer))
        await until(lambda: 2 * MB < bodies.used <= 3 * MB)
        answers = asyncio.as_completed([reader.read(100) for reader, _ in places], timeout=20)
        assert [(await next(answers))[:12] for _ in range(3)] == [b"HTTP/1.1 503"] * 3
        for _, writer in places:
            writer.close()
        await until(lambda: bodies.used == 0 and client.app.requests.running == 0)


async def test_a_client_that_does_not_read_is_cut_off(tmp_path, caplog):
    async with serving(tmp_path, write_timeout=0.2) as client:
        client.app.store.list_galleries = _many_galleries
        host, port = client.base.removeprefix("http://").split(":")
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            deaf.sendall(head(client))
            await until(lambda: client.app.requests.answers.used > 8 * MB)
            await until(lambda: client.app.requests.answers.used == 0)
            await until(lambda: "does not read its answer" in caplog.text)
        assert client.app.requests.running == 0


async def _many_galleries(owner):
    del owner
    return [f"g{number:048}" for number in range(200_000)]


@pytest.mark.slow
async def test_answers_that_nobody_reads_are_bounded(tmp_path):
    async with serving(tmp_path, max_answer_memory=24 * MB) as client, AsyncExitStack() as stack:
        client.app.store.list_galleries = _many_galleries
        first = []
        for _ in range(4):
            reader, writer = await stack.enter_async_context(connected(client))
            writer.write(head(client))
            first.append(await asyncio.wait_for(reader.readuntil(b"\r\n"), 10))
        assert first == [b"HTTP/1.1 200 OK\r\n"] * 1 + [b"HTTP/1.1 503 Service Unavailable\r\n"] * 3
        assert (await client("DELETE", "/v1/face/meta/x")).status == 204


async def test_connections_are_bounded_and_idle_ones_make_room(tmp_path, caplog, monkeypatch):
    async with serving(tmp_path, max_connections=4) as client, AsyncExitStack() as stack:
        for _ in range(4):
            reader, writer = await stack.enter_async_context(connected(client))
            writer.write(head(client)[:-2])  # unfinished heads: not idle
        reader, writer = await stack.enter_async_context(connected(client))
        answer = await asyncio.wait_for(reader.read(), 10)
        refused(answer, 503, "OVERLOADED")
        assert b"Retry-After: 1\r\n" in answer
        assert "status=503 code=OVERLOADED" in caplog.text
    monkeypatch.setattr(listener, "_IDLE_S", 0.2)
    async with serving(tmp_path / "2", max_connections=4) as client, AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(connected(client)) for _ in range(4)]
        await asyncio.sleep(0.3)
        reader, writer = await stack.enter_async_context(connected(client))
        writer.write(head(client))
        assert (await one_answer(reader))[0].startswith("HTTP/1.1 200 ")
        assert await asyncio.wait_for(idle[0][0].read(), 10) == b""  # the one that was idle for longest


async def test_errors_of_accept_do_not_spin(caplog, monkeypatch):
    monkeypatch.setattr(acceptor_module, "_PAUSE_S", 0.1)

    class Exhausted:
        calls = 0

        def __init__(self):
            self._pair = socket.socketpair()
            self._pair[1].send(b"x")  # readable for ever

        def close(self):
            for end in self._pair:
                end.close()

        def fileno(self):
            return self._pair[0].fileno()

        def accept(self):
            Exhausted.calls += 1
            raise OSError(errno.EMFILE, "Too many open files")

    taken = []
    listening = Exhausted()
    acceptor = Acceptor(listening, lambda *found: taken.append(found))
    await asyncio.sleep(0.25)
    acceptor.stop()
    listening.close()
    assert 2 <= Exhausted.calls <= 4
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert taken == []


def test_connections_stay_below_the_limit_of_descriptors():
    limit = descriptors.limit()
    assert 0 < descriptors.for_clients(Config())[0] < limit
    assert descriptors.for_clients(Config(max_connections=7)) == (7, True)
    assert descriptors.for_clients(Config(max_connections=999_999))[0] < limit
    assert descriptors.raise_limit() >= limit


async def test_what_the_index_holds_open_is_left_to_it(tmp_path, monkeypatch, caplog):
    """A server of very many owners: a segment's file for each of them."""
    monkeypatch.setattr("facenapi.process.listener._COUNT_S", 0.02)
    monkeypatch.setattr(descriptors, "limit", lambda: 3000)
    async with serving(tmp_path) as client:
        listener = client.app._http
        assert listener._most > 2000
        segments = [os.open(os.devnull, os.O_RDONLY) for _ in range(1000)]
        try:
            await until(lambda: listener._most < 2000)
            assert listener._most + len(segments) < 3000
            assert "raise it" not in caplog.text
            monkeypatch.setattr(descriptors, "limit", lambda: 1200)
            await until(lambda: listener._most == 300)
            assert "raise it (LimitNOFILE)" in caplog.text
        finally:
            for file in segments:
                os.close(file)


async def test_a_refusal_reaches_a_client_that_still_writes(tmp_path):
    """What it writes is thrown away for a while: a reset would take the answer with it."""
    kind, body = multipart({"photo": bytes(18 * MB)})
    async with (
        serving(tmp_path, max_requests=1, max_body_size=20 * MB) as client,
        connected(client) as (_, holding),
        connected(client) as (reader, writer),
    ):
        holding.write(head(client, "POST", "/v1/detect", Content_Type="image/png", Content_Length=9999))
        await until(lambda: client.app.requests.running == 1)
        writer.write(head(client, "POST", "/v1/detect", Content_Type=kind, Content_Length=len(body)))
        for start in range(0, len(body), MB):
            writer.write(body[start : start + MB])
            await asyncio.wait_for(writer.drain(), 10)
        found, content = await one_answer(reader)
        assert (found.split()[1], json.loads(content)["code"]) == ("503", "OVERLOADED")


async def test_a_connection_that_is_over_is_forgotten(tmp_path):
    async with serving(tmp_path) as client:
        for _ in range(5):  # each on a connection of its own
            assert (await client("GET", "/v1/galleries")).status == 200
        await until(lambda: not client.app._http.connections)
        await asyncio.sleep(0.05)
        assert client.app._http.idle == {}


async def test_files_and_pages_are_answers_too(tmp_path):
    """Whoever does not read them, with a token or without, takes no more memory than there is for answers."""
    large = bytes(100_000)
    (tmp_path / "guide").mkdir()
    (tmp_path / "guide" / "large.png").write_bytes(large)
    (tmp_path / "api-page").mkdir()
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        (tmp_path / "api-page" / name).write_bytes(large)
    options = {"guide_dir": str(tmp_path / "guide"), "photo_storage": "files"}
    async with serving(tmp_path, **options) as client:
        noise = np.random.default_rng(1).integers(0, 99, (200, 300, 3), np.uint8)  # of no colour that is a face
        noise[20:80, 50:110] = RED
        face = (await client("POST", "/v1/face", parts={"photo": encode(noise, "PNG")})).json["results"][0]
        paths = ["/docs/guide/large.png", "/docs/v1/try/swagger-ui-bundle.js", "/docs/v1", "/docs/v1/openapi.json",
                 face["photo"].removeprefix(client.base)]  # fmt: skip
        assert [(await client("GET", path, key="")).status for path in paths] == [200] * 5
        answers, limit = client.app.requests.answers, client.app.config.max_answer_memory
        answers.take("others", limit)
        for path in paths:
            reply = await client("GET", path, key="")
            assert (reply.status, reply.json["code"]) == (503, "OVERLOADED"), path
            assert "Cache-Control" not in reply.headers
        answers.give_back("others", limit)
        assert [(await client("GET", path, key="")).status for path in paths] == [200] * 5
        await until(lambda: answers.used == 0)
