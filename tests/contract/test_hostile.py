"""Requests that no honest client sends are refused in the same form as all others."""

from __future__ import annotations

import json

import pytest

from tests.contract.client import everything
from tests.support.server import RED, multipart, picture

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 400, "1e308", "1" + "0" * 300])
def test_huge_numbers(api, number):
    for name in ("n", "threshold", "x1", "bbox", "person_id", "timestamp", "age", "galleries", "photo"):
        body = f'{{"photo": "http://127.0.0.1:1/", "{name}": {number}}}'.encode()
        status, code, _ = api.refusal("POST", "/v1/identify" if name in ("n", "threshold", "x1") else "/v1/face",
                                      body=body, headers=JSON)  # fmt: skip
        assert (status, code) in ((400, "BAD_PARAM"), (400, "BAD_IMAGE")), name
    for name in ("limit", "max_id", "person_id", "start", "cam_ids", "friend"):
        sent = {"body": f'{{"{name}": {number}}}'.encode(), "headers": JSON}
        assert api.refusal("POST", "/history/search", **sent) == (400, "BAD_PARAM", name)
    body = f'{{"rot": {number}, "roi": [1, 2, 3, {number}]}}'.encode()
    assert api.refusal("POST", "/camera", body=body, headers=JSON)[:2] == (400, "BAD_PARAM")


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udfff x"', '"a\\u0000b"'])
def test_lone_surrogates_and_nul(api, text):
    for path, names in (("/v1/face", ("photo", "meta", "galleries", "cam_id", "timestamp", "bbox", "mf_selector")),
                        ("/v1/camera", ("meta", "url", "detector", "rot")),
                        ("/v1/history/search", ("cam_ids", "friend", "start")),
                        ("/v1/galleries", ("name",))):  # fmt: skip
        for name in names:
            body = f'{{"photo": "x", "{name}": {text}}}'.encode()
            assert api.refusal("POST", path, body=body, headers=JSON) == (400, "BAD_PARAM", name)
    body = f'{{"cam_ids": [{text}]}}'.encode()
    assert api.refusal("POST", "/history/search", body=body, headers=JSON) == (400, "BAD_PARAM", "cam_ids")
    assert api("POST", "/history/search", body=f"{{{text}: {text}}}".encode(), headers=JSON).status == 200


def test_deep_nesting_in_a_parameter(api):
    for depth in (50, 400, 900, 985, 20_000):
        nested = "[" * depth + "]" * depth
        for name in ("bbox", "galleries", "meta", "photo"):
            body = f'{{"photo": "x", "{name}": {nested}}}'.encode()
            status, code, _ = api.refusal("POST", "/v1/face", body=body, headers=JSON)
            assert (status, code) in ((400, "BAD_PARAM"), (400, "MALFORMED_JSON")), depth
        assert api.refusal("POST", "/v1/face", form={"photo": "x", "bbox": nested})[2] == "bbox"


def test_a_thousand_parts_and_fields(api):
    assert api.refusal("POST", "/v1/face", parts=[("a", "x")] * 1000)[:2] == (400, "BAD_PARAM")
    assert api.refusal("POST", "/v1/face", form=[("a", "x")] * 1001)[:2] == (400, "BAD_PARAM")
    # The HTTP parser refuses this one already.
    assert api.refusal("GET", "/v1/faces?" + "a&" * 1001) == (400, "BAD_PARAM", "request")
    assert api("GET", "/v1/faces?" + "a&" * 1001).json["reason"] == "The query has more than 1000 fields"
    many = json.dumps({"cam_ids": ["x"] * 100_000}).encode()
    assert api.refusal("POST", "/history/search", body=many, headers=JSON) == (400, "BAD_PARAM", "cam_ids")
    boxes = json.dumps({"photo": "x", "bbox": [[0, 0, 9, 9]] * 5000}).encode()
    assert api.refusal("POST", "/v1/face", body=boxes, headers=JSON) == (400, "BAD_PARAM", "bbox")


@pytest.mark.parametrize(
    "head",
    [
        b'name="photo\xff"',
        b'name="\xed\xa0\x80"',
        b"",
        b"name=\"photo\"; filename*=utf-8''%ff",
        b'name="a\x00b"',
        b'name=""',
    ],
)
def test_strange_part_heads(api, head):
    body = b"--b\r\nContent-Disposition: form-data; " + head + b"\r\n\r\nx\r\n--b--\r\n"
    for end in (body, body[:-8], body.replace(b"\r\n", b"\n")):
        sent = {"Content-Type": "multipart/form-data; boundary=b"}
        assert api.refusal("POST", "/v1/face", body=end, headers=sent)[0] == 400


def test_names_and_values_that_are_not_utf_8(api):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert api.refusal("POST", "/v1/face", body=b"%ff=1", headers=form)[:2] == (400, "BAD_PARAM")
    assert api.refusal("POST", "/v1/galleries", body=b"name=%ff", headers=form) == (400, "BAD_PARAM", "name")
    assert api.refusal("POST", "/v1/galleries", body=b"name=\xff", headers=form) == (400, "BAD_PARAM", "name")
    assert api.refusal("GET", "/v1/faces?limit=%ff") == (400, "BAD_PARAM", "limit")
    assert api.refusal("GET", "/v1/face/meta/%ff")[:2] == (400, "BAD_PARAM")
    assert api("GET", "/v1/face/meta/%00").status == 200


@pytest.mark.parametrize(
    "boundary", ["", "; boundary=", "; boundary=x", "; boundary=" + "x" * 3000, "; charset=utf-8"]
)
def test_multipart_without_a_sensible_boundary(api, boundary):
    _, body = multipart({"photo": picture(RED)})
    sent = {"Content-Type": "multipart/form-data" + boundary}
    assert api.refusal("POST", "/v1/face", body=body, headers=sent)[:2] == (400, "BAD_PARAM")


def test_ids_that_cannot_be(api):
    for word in ("0", "-1", "x", "1.5", "9" * 30, "%20", "%00", "1%2F2", "%DB%B1", "9007199254740992"):
        for path in ("/v1/face/id/", "/v1/person/id/", "/v1/person/history/id/"):
            assert api.refusal("GET", path + word) == (404, "NOT_FOUND", None), word
    assert api.refusal("GET", "/v1/camera/" + "x" * 3000) == (404, "NOT_FOUND", None)


@pytest.mark.parametrize(
    "sent",
    [
        "HELLO\r\n\r\n",
        "GET /v1/faces\r\n\r\n",
        "GET /v1/faces SSH/2.0\r\n\r\n",
        "GET /v1/faces HTTP/1.1\r\nAuthorization: Token KEY\r\n\r\n",  # no Host
        "GET /v1/faces HTTP/1.1\r\nHost: x\r\nAuthorization Token KEY\r\n\r\n",
        "GET /v1/faces HTTP/1.1\r\nHost: x\r\nAuthorization: Token KEY\x01\r\n\r\n",
        "GET /v1/faces HTTP/1.1\r\nHost: x\r\nAuthorization Token KEY: x\r\n\r\n",
        "GET /v1/faces HTTP/1.1\r\nHost: KEY@KEY\r\n\r\n",
        "POST /v1/face HTTP/1.1\r\nHost: x\r\nAuthorization: Token KEY\r\nContent-Length: KEY\r\n\r\n",
        "POST /v1/face HTTP/1.1\r\nHost: x\r\nAuthorization: Token KEY\r\nTransfer-Encoding: chunked\r\n\r\nKEY\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_the_same_form_and_not_logged(api, sent):
    with api.connection() as connection:
        connection.sendall(sent.replace("KEY", api.key).encode("latin-1"))
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json; charset=UTF-8\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    answer = {"code": "BAD_PARAM", "param": "request", "reason": "The request is not valid HTTP", "value": None}
    assert json.loads(body) == answer
    assert b"Connection: close" in head
    assert "Malformed HTTP message from 127.0.0.1\n" in api.server.log.read_text()
    assert api.key not in api.server.log.read_text()


@pytest.mark.parametrize("target", ["http://x/v1/galleries?limit=1", "HTTPS://x:8000/v1/galleries/"])
def test_a_whole_address_as_the_target_is_the_path_in_it(api, target):
    head = api.head_of("GET", target, Connection="close")
    with api.connection() as connection:
        connection.sendall(head)
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert "results" in json.loads(body)


def test_an_address_without_a_path_is_the_root(api):
    with api.connection() as connection:
        connection.sendall(api.head_of("GET", "http://x?limit=1", Connection="close"))
        assert everything(connection).startswith(b"HTTP/1.1 200 ")  # a pointer to /docs
