"""What the log keeps to itself, and what only the log is told."""

from __future__ import annotations

import logging
import re

import pytest

from facenapi.errors import Unavailable
from tests.support.effort import daily
from tests.support.fakes import FakeDetector
from tests.support.rawserver import RawServer
from tests.support.server import RED, picture, serving


class BrokenDetector(FakeDetector):
    """Fails in a way that nobody foresaw."""

    async def detect(self, photo):
        raise RuntimeError("secret detail of /etc/passwd")


async def test_internals_stay_in_the_log(tmp_path, caplog):
    async with serving(tmp_path, detector=BrokenDetector()) as client:
        reply = await client("POST", "/v1/detect", parts={"photo": picture(RED)})
        assert reply.status == 500
        assert reply.json == {
            "code": "INTERNAL_ERROR",
            "reason": "The server made a mistake; its log has the details",
        }
        assert "secret detail" in caplog.text
        assert "Traceback" in caplog.text


def failing(error):
    """Return a method that raises."""

    async def fail(*_):
        raise error

    return fail


@pytest.mark.parametrize("level", daily([logging.DEBUG, logging.INFO]))
async def test_no_token_reaches_the_log(tmp_path, caplog, level):
    caplog.set_level(level)
    async with serving(tmp_path, detector=BrokenDetector(), fetch_allow_private=True, max_body_size=30000) as client:
        server = RawServer(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        key, bad = client.key, "wrong-but-secret-token"
        query = f"?token={key}&Authorization={key}"
        await client("GET", "/v1/galleries" + query)
        await client("GET", "/v1/galleries" + query, key=bad)
        await client("GET", "/v1/nothing" + query)
        await client("GET", f"/uploads/1-{key}_thumb.jpg")  # where a link is enough, it is a token
        await client("PATCH", "/v1/face" + query)
        await client("DELETE", "/v1/detect")
        await client("POST", "/v1/detect" + query, parts={"photo": picture(RED)})
        await client("POST", "/v1/detect", json_body={"photo": server.url})
        await client("POST", "/v1/detect", parts={"photo": bytes(40000)})
        await client("POST", "/v1/detect", body=b"{", headers={"Content-Type": "application/json"})
        await client("GET", "/v1/galleries", headers={"Authorization": f"Bearer {key}"})
        await client("POST", "/v1/face" + query, parts={"photo": b"no photo", "meta": key})
        await client("POST", "/v1/face", form={"photo": f"http://127.0.0.1:1/?token={key}"})
        await client("GET", "/v1/faces" + query + "&limit=x")
        await client("PUT", "/v1/face/id/1" + query, json_body={"meta": key})
        broken = client.app.store.list_galleries
        client.app.store.list_galleries = failing(Unavailable("The store is away"))
        await client("GET", "/v1/galleries" + query)
        client.app.store.list_galleries = failing(RuntimeError("a mistake of ours"))
        await client("GET", "/v1/galleries" + query)
        client.app.store.list_galleries = broken
        client.app.config.max_requests = 0
        await client("GET", "/v1/galleries" + query)
        client.app.config.rate_limit = 0.001
        for _ in range(3):
            await client("GET", "/v1/galleries" + query)
        server.stop()
        logged = {int(status) for status in re.findall(r"method=\S+ path=\S+ status=(\d+)", caplog.text)}
        assert logged >= {400, 401, 404, 405, 413, 429, 500, 503}
        assert key not in caplog.text
        assert bad not in caplog.text


async def test_a_path_cannot_write_a_line_of_its_own(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with serving(tmp_path) as client:
        await client("GET", "/face/id/%0aERROR fake".replace(" ", "%20"))
        assert all("\n" not in record.getMessage() for record in caplog.records)
