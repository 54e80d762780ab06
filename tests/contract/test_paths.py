"""Section 1: versions, slashes, HEAD, what answers without a token; and the documentation."""

from __future__ import annotations

import html
import json
import re

import pytest

from tests.support.server import RED, picture

ONE_STORE = True

ANONYMOUS = {"Authorization": None}


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs/v0", "/docs/v1/", "/docs/v1/openapi.json",
                                  "/v1/docs", "/v0/docs/v0", "/health", "/health/live", "/health/ready/",
                                  "/metrics"])  # fmt: skip
def test_what_answers_without_a_token(api, path):
    for method in ("GET", "HEAD"):
        assert api(method, path, headers=ANONYMOUS).status == 200


@pytest.mark.parametrize(
    "request_line",
    ["POST /detect", "POST /verify", "POST /identify", "POST /faces/gallery/g/identify", "POST /face", "GET /face",
     "GET /face/id/1", "PUT /face/id/1", "DELETE /face/id/1", "GET /face/meta/x", "DELETE /face/meta/x",
     "GET /face/gallery/g/meta/x", "DELETE /faces/gallery/g/meta/x", "GET /faces", "GET /faces/gallery/g",
     "GET /meta", "GET /meta/gallery/g", "GET /galleries", "POST /galleries/g", "POST /galleries",
     "DELETE /galleries/g",
     "GET /persons", "GET /person/id/1", "GET /person/history/id/1", "POST /history/search", "GET /history/search",
     "POST /camera", "GET /camera", "GET /camera/x", "PUT /camera/x", "DELETE /camera/x"],
)  # fmt: skip
def test_everything_else_needs_one_in_every_version(api, request_line):
    method, path = request_line.split(" ")
    for base in ("", "/v0", "/v1"):
        for slash in ("", "/"):
            refusal = api.refusal(method, base + path + slash, headers=ANONYMOUS)
            assert refusal == (401, "AUTH_FAILED", None)


def test_head_is_get_without_the_body(api):
    face = api.face(meta="x", cam_id="12345678123456781234567812345678")
    camera = api.good("POST", "/v1/camera", json_body={"meta": "door"})["id"]
    for path in (f"/v1/face/id/{face['id']}", "/v0/faces", "/face/meta/x", "/v1/meta", "/galleries", "/persons",
                 "/history/search", "/camera", f"/camera/{camera}", "/v1/docs"):  # fmt: skip
        head, get = api("HEAD", path), api("GET", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.body))
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert api("HEAD", "/v1/face/id/1").status == 404


def test_docs_lists_versions_and_serves_both_forms(api):
    assert api.good("GET", "/docs") == {"results": ["v0", "v1"]}
    for version, word, other in (("v0", "face", "faces"), ("v1", "faces", "face")):
        document = api.good("GET", f"/docs/{version}/openapi.json")
        assert document["openapi"].startswith("3.1.")
        assert document["servers"] == [{"url": f"/{version}"}]
        assert {f"/{word}/id/{{face_id}}", f"/{word}/meta/{{meta}}"} <= set(document["paths"])
        assert f"/{other}/id/{{face_id}}" not in document["paths"]
    assert api.refusal("GET", "/docs/v2") == (404, "NOT_FOUND", None)
    assert api.refusal("GET", "/docs/v2/openapi.json") == (404, "NOT_FOUND", None)


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_the_page_shows_an_example_of_every_method_and_needs_nothing_else(api, version):
    reply = api("GET", f"/docs/{version}", headers=ANONYMOUS)
    assert reply.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    page = reply.body.decode()
    assert not re.search(r"<script|src=|@import|<link", page)
    operations = [
        (method, path)
        for path, methods in api.good("GET", f"/docs/{version}/openapi.json")["paths"].items()
        for method in methods
    ]
    sections = page.split("<h3 id=")[1:]
    assert len(sections) == len(operations) > 25
    for method, path in operations:
        [section] = [part for part in sections if part.startswith(f'"{method}{path}"')]
        assert f"curl -X {method.upper()}" in section
        assert ("from facenapi_client import Client" in section) == (version == "v1")
        assert "Answer 20" in section


def test_the_examples_on_the_page_are_json_and_work(api):
    page = html.unescape(api("GET", "/docs/v1").body.decode())
    answers = re.findall(r"<pre>([{\[].*?)</pre>", page, re.DOTALL)
    assert len(answers) > 20
    assert all(json.loads(answer) for answer in answers)
    calls = re.findall(r"<pre>curl -X (\w+) [^<]*?-d '([^<]*?)' \\\n\s+http://[^/]+([a-z0-9/]+)</pre>", page)
    calls = [call for call in calls if call[2] in ("/v1/camera", "/v1/galleries", "/v1/history/search")]
    assert sorted({path for _, _, path in calls}) == ["/v1/camera", "/v1/galleries", "/v1/history/search"]
    for method, body, path in calls:
        assert api(method, path, body=body.encode(), headers={"Content-Type": "application/json"}).status in (
            200,
            201,
        )


def test_the_health_says_what_works(api):
    state = api("GET", "/health", headers=ANONYMOUS).json
    assert (state["ready"], state["store"]) == (True, "ok")
    assert state["search"]["live"] == state["search"]["total"] == 1


def test_answers_hide_what_software_this_is(api):
    reply = api("POST", "/v1/face", parts={"photo": picture(RED)})
    assert "Server" not in reply.headers
    for path in ("/nothing", "/v1/faces"):
        assert b"ornado" not in api("POST", path, body=b"{").body
