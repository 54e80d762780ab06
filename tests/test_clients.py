"""Clients that are slow, hasty, or gone."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager

import pytest

from facenapi.process import linger
from tests.support.server import RED, multipart, picture, serving
from tests.test_app import SlowDetector, until


@asynccontextmanager
async def connected(client):
    """Yield the ends of a bare connection."""
    host, port = client.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


def head(client, method="GET", path="/v1/galleries", **headers):
    lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: Token {client.key}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def one_answer(reader):
    """Return the head and the body of the next answer."""
    found = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    length = int(found.lower().partition("content-length: ")[2].split("\r\n")[0])
    return found, await reader.readexactly(length)


def refused(answer, status, code):
    """Check that an answer is a whole refusal in the contract's form, which ends the connection."""
    lines, _, body = answer.decode().partition("\r\n\r\n")
    assert lines.startswith(f"HTTP/1.1 {status} ")
    headers = dict(line.lower().split(": ", 1) for line in lines.split("\r\n")[1:])
    assert (headers["connection"], headers["content-type"]) == ("close", "application/json; charset=utf-8")
    assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])
    assert int(headers["content-length"]) == len(body)
    assert json.loads(body)["code"] == code


async def drip(writer, data, pause=0.02):
    """Write one byte at a time until the other side has had enough."""
    for number in range(len(data)):
        if writer.transport.is_closing():
            return
        writer.write(data[number : number + 1])
        await asyncio.sleep(pause)


@pytest.fixture
def brief(monkeypatch):
    """Let a connection that was refused linger for a moment only."""
    monkeypatch.setattr(linger, "_SECONDS", 0.2)


@pytest.mark.usefixtures("brief")
async def test_a_slow_head_is_cut_off(tmp_path):
    async with serving(tmp_path, head_timeout=0.3) as client, connected(client) as (reader, writer):
        dripping = asyncio.create_task(drip(writer, head(client, X_Filler="x" * 1000)))
        start = time.monotonic()
        refused(await asyncio.wait_for(reader.read(), 10), 408, "TIMEOUT")
        assert time.monotonic() - start >= 0.25
        await asyncio.wait_for(dripping, 10)
        assert (await client("GET", "/v1/galleries")).status == 200


@pytest.mark.usefixtures("brief")
async def test_a_slow_body_is_cut_off_and_its_place_is_free(tmp_path):
    async with serving(tmp_path, body_timeout=0.3, max_requests=1) as client, connected(client) as (reader, writer):
        kind, body = multipart({"photo": picture(RED)})
        writer.write(head(client, "POST", "/v1/face", Content_Type=kind, Content_Length=len(body)))
        dripping = asyncio.create_task(drip(writer, body))
        await until(lambda: client.app.requests.running == 1)
        refused(await asyncio.wait_for(reader.read(), 10), 408, "TIMEOUT")
        await until(lambda: client.app.requests.running == 0)
        await asyncio.wait_for(dripping, 60)
        reply = await client("GET", "/v1/faces")
        assert (reply.status, reply.json["results"]) == (200, [])


async def test_a_silent_connection_is_closed_also_after_an_answer(tmp_path):
    async with serving(tmp_path, idle_timeout=0.3) as client:
        async with connected(client) as (reader, _):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        async with connected(client) as (reader, writer):
            writer.write(head(client))
            assert (await one_answer(reader))[0].startswith("HTTP/1.1 200 ")
            assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_an_endless_head_is_cut_off(tmp_path):
    async with serving(tmp_path) as client, connected(client) as (reader, writer):
        writer.write(head(client)[:-2] + b"X-Filler: " + b"x" * 200_000)
        refused(await asyncio.wait_for(reader.read(), 10), 431, "TOO_LARGE")
        assert (await client("GET", "/v1/galleries")).status == 200


async def test_pipelined_requests_are_answered_in_turn(tmp_path):
    async with serving(tmp_path) as client, connected(client) as (reader, writer):
        kind, body = multipart({"photo": picture(RED), "meta": "first"})
        enrol = head(client, "POST", "/v1/face", Content_Type=kind, Content_Length=len(body)) + body
        refused = head(client, "POST", "/v1/nothing", Content_Length=len(body)) + body
        writer.write(enrol + refused + head(client, path="/v1/faces") + head(client, "DELETE", "/v1/face/meta/first")
                     + head(client, path="/v1/faces"))  # fmt: skip
        seen = []
        for length in (True, True, True, False, True):
            found, content = await one_answer(reader) if length else (await reader.readuntil(b"\r\n\r\n"), b"")
            seen.append((str(found).split()[1], b'"meta":"first"' in content))
        assert seen == [("200", True), ("404", False), ("200", True), ("204", False), ("200", False)]
        assert client.app.requests.running == 0


async def test_a_client_that_pipelines_and_leaves_holds_no_place(tmp_path):
    """What it has sent hides that it left, until the first answer cannot be written."""
    detector = SlowDetector()
    async with serving(tmp_path, detector=detector) as client:
        await client("GET", "/v1/galleries")
        before = len(asyncio.all_tasks())
        kind, body = multipart({"photo": picture(RED)})
        detect = head(client, "POST", "/v1/detect", Content_Type=kind, Content_Length=len(body)) + body
        async with connected(client) as (_, writer):
            writer.write(detect * 3)
            await until(lambda: detector.waiting == 1)
        await asyncio.sleep(0.05)
        assert client.app.requests.running == 1
        detector.gate.set()
        await until(lambda: client.app.requests.running == 0 and len(asyncio.all_tasks()) <= before)


async def test_clients_that_leave_at_any_moment_leave_nothing_behind(tmp_path):
    async with serving(tmp_path) as client:
        await client("GET", "/v1/galleries")
        before = len(asyncio.all_tasks())
        kind, body = multipart({"photo": picture(RED)})
        whole = head(client, "POST", "/v1/detect", Content_Type=kind, Content_Length=len(body)) + body
        for end in range(0, len(whole) + 1, max(1, len(whole) // 40)):
            async with connected(client) as (_, writer):
                writer.write(whole[:end])
                await writer.drain()
        await until(lambda: client.app.requests.running == 0 and client.app.photos.busy == 0)
        await until(lambda: len(asyncio.all_tasks()) <= before)
        assert (await client("POST", "/v1/detect", parts={"photo": picture(RED)})).status == 200
