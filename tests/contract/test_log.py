"""The access log: who asked for what, and why it was refused."""

from __future__ import annotations

import re

import pytest

from tests.contract.client import Api, line_of, logged
from tests.contract.conftest import serving
from tests.support import hostile
from tests.support.server import RED, multipart, picture


def test_the_log_says_why(edge):
    api = Api(edge)
    kind, body = multipart({"photo": b"no picture"})
    for sent, code in (
        ({"method": "POST", "path": "/v1/face", "body": body, "headers": {"Content-Type": kind}}, "BAD_IMAGE"),
        ({"method": "GET", "path": "/v1/face/id/7"}, "NOT_FOUND"),
        ({"method": "GET", "path": "/v1/faces", "headers": {"Authorization": None}}, "AUTH_FAILED"),
    ):
        line = line_of(edge, api(**sent))
        assert (line["code"], line["level"]) == (code, "WARNING")
        assert (line["owner"] == "-") == (code == "AUTH_FAILED")
    line = line_of(edge, api("GET", "/v1/faces"))
    assert {"time", "level", "logger", "owner", "from", "method", "path", "status", "ms"} <= set(line)
    assert "code" not in line


@pytest.mark.parametrize(
    ("photo", "rule"),
    [
        (b"no picture", "unknown-format"),
        (hostile.jpeg_of_scans(60, 60, 3000), "jpeg-scans"),
        (picture(RED)[:80], "png-decode"),
        ("http://127.0.0.1:1/", "fetch"),
    ],
)
def test_the_log_names_the_rule_that_a_photo_broke(edge, photo, rule):
    reply = Api(edge)("POST", "/v1/detect", parts={"photo": photo})
    assert line_of(edge, reply)["rule"] == rule
    assert "rule" not in reply.json


def test_probes_are_logged_at_debug(edge, api):
    for path in ("/health", "/health/live", "/health/ready", "/metrics"):
        assert line_of(edge, Api(edge, "x")("GET", path))["level"] == "DEBUG"
        quiet = api("GET", path).headers["X-Request-Id"]
        assert quiet not in api.server.log.read_text()


def test_the_owner_of_a_refusal_for_overload_is_logged(tmp_path):
    with serving("sqlite", tmp_path, "--rate_limit=0.001") as server:
        api = Api(server)
        replies = [api("GET", "/v1/faces") for _ in range(3)]
        assert replies[-1].status == 429
        owner = re.search(r"owner=(\w+) ", logged(server, replies[0].headers["X-Request-Id"]))[1]
        line = logged(server, replies[-1].headers["X-Request-Id"])
    assert f" owner={owner} " in line
    assert " status=429 code=OVERLOADED " in line
