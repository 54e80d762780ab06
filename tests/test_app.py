"""The application as a whole: overload, rate limits, drain, reload, request ids."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tornado.simple_httpclient import HTTPStreamClosedError

from facenapi import __version__
from facenapi.config.options import Config
from tests.support.fakes import FakeDetector
from tests.support.server import RED, multipart, picture, serving


class SlowDetector(FakeDetector):
    """Takes its time, and can be held."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.waiting = 0

    async def detect(self, photo):
        self.waiting += 1
        await self.gate.wait()
        return await super().detect(photo)


async def until(condition):
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def test_past_the_limit_requests_are_refused_at_once_and_health_still_answers(tmp_path):
    detector = SlowDetector()
    async with serving(tmp_path, detector=detector, max_requests=3) as client:
        accepted = [
            asyncio.ensure_future(client("POST", "/v1/detect", parts={"photo": picture(RED)})) for _ in range(3)
        ]
        await until(lambda: detector.waiting == 3)
        refused = await client("POST", "/v1/detect", parts={"photo": picture(RED)})
        assert (refused.status, refused.json["code"]) == (503, "OVERLOADED")
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await client("GET", "/v1/galleries")).status == 503
        assert (await client("GET", "/health", key="")).json["version"] == __version__
        figures = (await client("GET", "/metrics", key="")).body.decode()
        assert "facenapi_requests_in_flight 3.0" in figures
        assert f'facenapi_build_info{{version="{__version__}"}} 1.0' in figures
        detector.gate.set()
        assert [reply.status for reply in await asyncio.gather(*accepted)] == [200] * 3
        assert (await client("GET", "/v1/galleries")).status == 200


async def test_ten_times_too_many_photos_are_refused_before_they_are_received(tmp_path):
    detector = SlowDetector()
    async with serving(tmp_path, detector=detector, max_decode_jobs=2) as client:
        photo = {"photo": picture(RED)}
        accepted = [asyncio.ensure_future(client("POST", "/v1/face", parts=photo)) for _ in range(2)]
        await until(lambda: detector.waiting == 2)
        paths = ["/v1/detect", "/v1/face", "/v0/identify", "/v1/verify", "/faces/gallery/default/identify"] * 4
        refused = await asyncio.gather(*(client("POST", path, parts=photo) for path in paths))
        assert {(reply.status, reply.json["code"], reply.headers["Retry-After"]) for reply in refused} == {
            (503, "OVERLOADED", "1")}  # fmt: skip
        head = f"POST /v1/face HTTP/1.1\r\nHost: x\r\nAuthorization: Token {client.key}\r\n"
        asked = await send(client, head + "Expect: 100-continue\r\nContent-Length: 500000\r\n\r\n")
        assert asked.startswith(b"HTTP/1.1 503 ")
        assert (await client("GET", "/v1/galleries")).status == 200  # what needs no photo goes on
        assert not any(task.done() for task in accepted)
        detector.gate.set()
        assert [reply.status for reply in await asyncio.gather(*accepted)] == [200] * 2
        assert client.app.photos.busy == 0


class BlindDetector(FakeDetector):
    """Sees nothing, fast."""

    async def detect(self, photo):
        return []


async def test_a_full_decode_queue_is_overload(tmp_path):
    async with serving(tmp_path, detector=BlindDetector(), max_decode_jobs=1, threads=1) as client:
        big = picture(RED, size=(3000, 2000))
        replies = await asyncio.gather(*(client("POST", "/v1/detect", parts={"photo": big}) for _ in range(8)))
        assert {reply.status for reply in replies} == {200, 503}
        assert (await client("POST", "/v1/detect", parts={"photo": big})).status == 200


async def test_only_so_many_photos_are_open_at_a_time(tmp_path):
    detector = SlowDetector()
    async with serving(tmp_path, detector=detector, open_photos=2) as client:
        running = [
            asyncio.ensure_future(client("POST", "/v1/detect", parts={"photo": picture(RED)})) for _ in range(5)
        ]
        await until(lambda: client.app.photos.busy == 5 and detector.waiting == 2)
        await asyncio.sleep(0.1)
        assert detector.waiting == 2
        detector.gate.set()
        assert [reply.status for reply in await asyncio.gather(*running)] == [200] * 5
        assert client.app.photos.busy == 0


async def test_a_token_is_kept_to_its_rate(tmp_path):
    async with serving(tmp_path, rate_limit=2) as client:
        statuses = [(await client("GET", "/galleries")).status for _ in range(6)]
        assert statuses[:4] == [200] * 4
        assert statuses[-1] == 429
        reply = await client("GET", "/galleries")
        assert (reply.json["code"], reply.headers["Retry-After"]) == ("OVERLOADED", "1")


async def test_a_client_that_hangs_up_cancels_its_work(tmp_path):
    detector = SlowDetector()
    async with serving(tmp_path, detector=detector) as client:
        kind, body = multipart({"photo": picture(RED)})
        head = f"POST /face HTTP/1.1\r\nHost: x\r\nAuthorization: Token {client.key}\r\nContent-Type: {kind}\r\n"
        host, port = client.base.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await until(lambda: detector.waiting == 1)
        assert client.app.requests.running == 1
        writer.close()
        await until(lambda: client.app.requests.running == 0)
        detector.gate.set()
        assert await client.app.store.count_faces((await client.app.store.list_tokens())[0].owner) == 0


async def test_drain_finishes_what_is_in_flight(tmp_path):
    detector = SlowDetector()
    async with serving(tmp_path, detector=detector, open_photos=20) as client:
        app = client.app
        running = [
            asyncio.ensure_future(client("POST", "/v1/detect", parts={"photo": picture(RED)})) for _ in range(20)
        ]
        await until(lambda: detector.waiting == 20)
        draining = asyncio.ensure_future(app.drain())
        await asyncio.sleep(0.05)
        assert not draining.done()
        assert (await app.readiness())["ready"] is False
        detector.gate.set()
        replies = await asyncio.gather(*running)
        await draining
        assert [reply.status for reply in replies] == [200] * 20
        assert {reply.headers["Connection"] for reply in replies} == {"close"}


async def test_drain_gives_up_in_time(tmp_path, caplog):
    detector = SlowDetector()
    async with serving(tmp_path, detector=detector, shutdown_timeout=0.2) as client:
        running = asyncio.ensure_future(client("POST", "/v1/detect", parts={"photo": picture(RED)}))
        await until(lambda: detector.waiting == 1)
        await client.app.drain()
        with pytest.raises(HTTPStreamClosedError):
            await running
        assert "1 requests did not finish in time" in caplog.text


async def test_reload_takes_over_what_can_change(tmp_path):
    async with serving(tmp_path, max_identify_limit=1) as client:
        for _ in range(3):
            await client.enrol(RED)

        async def found():
            reply = await client("POST", "/identify", parts={"photo": picture(RED), "n": 0})
            return len(reply.json["results"]["[50, 20, 110, 80]"])

        assert await found() == 1
        new = replace(client.app.config, max_identify_limit=2, port=99, max_body_size=4000)
        assert client.app.reload(new) == (["max_body_size", "max_identify_limit"], ["port"])
        assert await found() == 2
        assert (await client("POST", "/detect", parts={"photo": bytes(5000)})).status == 413


async def test_request_id_and_timing_on_request(tmp_path):
    async with serving(tmp_path) as client:
        asked = {"X-Request-Id": "abc-1", "X-Timing": "1"}
        reply = await client("POST", "/v1/detect", parts={"photo": picture(RED)}, headers=asked)
        assert reply.headers["X-Request-Id"] == "abc-1"
        assert {part.split(";")[0] for part in reply.headers["Server-Timing"].split(", ")} == {
            "queue", "decode", "detect", "attributes", "total"}  # fmt: skip
        plain = await client("GET", "/galleries", headers={"X-Request-Id": "a b\tc"})
        assert len(plain.headers["X-Request-Id"]) == 16
        assert "Server-Timing" not in plain.headers
        assert "Server" not in plain.headers


def test_config_adopts_only_what_is_marked():
    config = Config()
    assert config.adopt(Config(port=1, logging="debug")) == (["logging"], ["port"])
    assert (config.port, config.logging) == (8000, "debug")


async def send(client, head, body=b"", *, close=True):
    """Send bytes as they are; return the writer, or all that the server answered."""
    host, port = client.base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(head.encode("latin-1") + body)
    if not close:
        return writer
    answer = await asyncio.wait_for(reader.read(65536), 10)
    writer.close()
    return answer


async def test_an_upload_that_breaks_off_leaves_nothing_behind(tmp_path):
    async with serving(tmp_path) as client:
        head = (
            f"POST /face HTTP/1.1\r\nHost: x\r\nAuthorization: Token {client.key}\r\nContent-Length: 900000\r\n\r\n"
        )
        await client("GET", "/galleries")
        before = len(asyncio.all_tasks())
        writers = [await send(client, head, bytes(100000), close=False) for _ in range(5)]
        await until(lambda: client.app.requests.running == 5)
        for writer in writers:
            writer.close()
        await until(lambda: client.app.requests.running == 0)
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_who_has_no_token_takes_up_no_place(tmp_path):
    async with serving(tmp_path, max_requests=2) as client:
        head = "POST /face HTTP/1.1\r\nHost: x\r\nAuthorization: Token wrong\r\nContent-Length: 900000\r\n\r\n"
        writers = [await send(client, head, bytes(100000), close=False) for _ in range(4)]
        await asyncio.sleep(0.1)
        assert (await client("GET", "/galleries")).status == 200
        for writer in writers:
            writer.close()


@pytest.mark.parametrize("length", ["\xb2", "9" * 5000, "-1", "1e3"])
async def test_an_odd_content_length_is_no_error_of_the_server(tmp_path, length, caplog):
    async with serving(tmp_path) as client:
        answer = await send(client, f"POST /face HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n")
        assert not answer.startswith(b"HTTP/1.1 5")
        assert "Traceback" not in caplog.text


@pytest.mark.parametrize("request_line", ["GET /v1/nonsense", "PATCH /v1/face", "PUT /v1/galleries"])
async def test_without_a_token_nothing_is_told(tmp_path, request_line):
    method, path = request_line.split()
    async with serving(tmp_path) as client:
        reply = await client(method, path, key="")
        assert (reply.status, reply.json["code"]) == (401, "AUTH_FAILED")


async def test_a_json_body_is_small(tmp_path):
    async with serving(tmp_path) as client:
        body = b'{"photo": "' + bytes(2 << 20) + b'"}'
        reply = await client("POST", "/v1/face", body=body, headers={"Content-Type": "application/json"})
        assert (reply.status, reply.json["reason"]) == (413, "The body is larger than 1048576 bytes")


async def test_a_deleted_face_in_the_index_hides_no_match(tmp_path):
    async with serving(tmp_path) as client:
        ghost, face = await client.enrol(RED), await client.enrol(RED)
        owner = (await client.app.store.list_tokens())[0].owner
        shard = client.app.searcher.shards[0]
        apply, shard.apply = shard.apply, None  # the shard hears nothing of it
        await client.app.store.delete_face(owner, ghost["id"])
        found = await client("POST", "/identify", parts={"photo": picture(RED), "n": 1})
        shard.apply = apply
        assert [match["face"]["id"] for match in found.json["results"]["[50, 20, 110, 80]"]] == [face["id"]]
