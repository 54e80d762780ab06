"""What stands between the wire and the methods: refusals, proxies, browsers, the log."""

from __future__ import annotations

import re

import pytest

from tests.contract.client import Api, answer, line_of, logged
from tests.contract.conftest import APP, serving
from tests.support.effort import daily
from tests.support.server import RED, picture

# -- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["TRACE", "PROPFIND", "M-SEARCH", "CONNECT", "PARAMETERS", "PREPARE", "get"])
def test_unknown_methods_are_refused_in_the_same_form(api, method):
    reply = api(method, "/v1/faces")
    assert (reply.status, reply.json["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert (reply.headers["Allow"], reply.json["reason"]) == ("GET, HEAD, POST", f"{method} is not allowed here")
    line = logged(api.server, reply.headers["X-Request-Id"])
    assert f" method={method} path=/v1/faces status=405 code=METHOD_NOT_ALLOWED " in line
    assert api.refusal(method, "/nowhere", body=b"x" * 9) == (404, "NOT_FOUND", None)
    assert api.refusal(method, "/v1/faces", headers={"Authorization": None}) == (401, "AUTH_FAILED", None)
    with api.connection() as connection:  # and the connection goes on
        for _ in range(2):
            connection.sendall(api.head_of(method, "/v1/faces", Content_Length=1) + b"x")
            assert connection.recv(65536).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET /v1/faces HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431, "TOO_LARGE"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "TOO_LARGE"),
        (b"x" * 1_000_000, 431, "TOO_LARGE"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000, 431, "TOO_LARGE"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "BAD_PARAM"),
        (b"POST /v1/face HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400, "BAD_PARAM"),
        (b"POST /docs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 99, 400, "BAD_PARAM"),
        (b"GET /docs HTTP/1.1\r\n\r\n", 400, "BAD_PARAM"),
    ],
)  # fmt: skip
def test_what_no_handler_answers_has_the_same_form_too(api, sent, status, code):
    found, headers, body = answer(api, sent)
    assert (found, body["code"], headers["connection"]) == (status, code, "close")
    assert headers["content-type"] == "application/json; charset=utf-8"
    line = logged(api.server, headers["x-request-id"])
    assert " owner=- from=127.0.0.1 " in line
    assert f" status={status} code={code} " in line


def test_the_connection_header_tells_the_truth(api):
    _, headers, _ = answer(api, api.head_of("GET", "/v1/face/meta/%ff", Content_Length=9))  # refused before the body
    assert headers["connection"] == "close"
    with api.connection() as connection:
        connection.sendall(api.head_of("POST", "/v1/galleries/x%20x", Content_Length=3) + b"x=y")
        assert b"Connection: close" not in connection.recv(65536)
        connection.sendall(api.head_of("GET", "/v1/faces"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ('{"a": [1, null, "x"]}', {"a": [1, None, "x"]}),
        ("[true, 1.5]", [True, 1.5]),
        ("1e999", "Infinity"),
        ("12345678901234567890", "12345678901234567890"),
        ("[" + "7, " * 100 + "7]", ("[" + "7, " * 100)[:200]),
        ('["\\ud800"]', ["?"]),
        ("0.5", 0.5),
        ("[" * 900 + "]" * 900, "[" * 200),
    ],
)
def test_the_value_of_a_bad_parameter_is_json(api, sent, shown):
    body = f'{{"photo": "x", "galleries": {sent}}}'.encode()
    reply = api("POST", "/v1/face", body=body, headers={"Content-Type": "application/json"})
    assert (reply.status, reply.json["code"], reply.json["value"]) == (400, "BAD_PARAM", shown)


@pytest.mark.parametrize("first", [b"no picture", picture()])
@pytest.mark.parametrize("second", daily([b"no picture", picture(), picture(RED)]))
def test_verify_names_the_first_photo_that_is_wrong(api, first, second):
    code = "BAD_IMAGE" if first == b"no picture" else "NO_FACES"
    for _ in range(3):
        parts = {"photo2": second, "photo1": first}
        assert api.refusal("POST", "/v1/verify", parts=parts) == (400, code, "photo1")


@pytest.mark.parametrize("header", ["Token\t{key}", "token \t {key} ", "\tTOKEN {key}"])
def test_tabs_in_authorization(api, header):
    assert api("GET", "/v1/faces", headers={"Authorization": header.format(key=api.key)}).status == 200


# -- proxies --------------------------------------------------------------------------------------


def test_a_proxy_that_is_trusted_says_who_the_client_is(edge):
    api = Api(edge)
    for sent, address in (
        ({"X-Forwarded-For": "1.2.3.4, 9.8.7.6, 10.0.0.1"}, "9.8.7.6"),
        ({"X-Forwarded-For": "10.0.0.3"}, "10.0.0.3"),
        ({"X-Forwarded-For": "9.8.7.6:4711"}, "9.8.7.6"),
        ({"X-Forwarded-For": "[2001:db8::1]:4711"}, "2001:db8::1"),
        ({"X-Forwarded-For": "1.2.3.4, nonsense\t"}, "127.0.0.1"),
        ({"X-Real-IP": "9.9.9.9"}, "9.9.9.9"),
        ({}, "127.0.0.1"),
    ):
        reply = api("GET", "/v1/faces", headers=sent)
        assert line_of(edge, reply)["from"] == address, sent


def test_a_path_prefix(edge):
    api = Api(edge)
    for _ in range(3):
        api.face()
    for path in ("/v1/faces", "/faces-api/v1/faces"):  # a proxy that takes the prefix away, and one that does not
        for prefix, begin in ((None, "/faces-api"), ("/other/way/", "/other/way"), ("/..//x y", "/faces-api")):
            page = api.good("GET", path, query={"limit": 1}, headers={"X-Forwarded-Prefix": prefix})
            assert page["next_page"].startswith(f"{begin}/v1/faces?limit=1&max_id=")
    assert api("GET", "/faces-apix/v1/faces").status == 404
    seen, path = [], "/faces-api/v1/faces?limit=1"
    while path:
        page = api.good("GET", path)
        seen += page["results"]
        path = page["next_page"]
    assert len(seen) == 3


# -- browsers -------------------------------------------------------------------------------------


def test_preflights_are_answered_before_authentication(edge):
    api = Api(edge)
    asked = {"Authorization": None, "Origin": APP, "Access-Control-Request-Method": "PUT",
             "Access-Control-Request-Headers": "authorization,content-type"}  # fmt: skip
    reply = api("OPTIONS", "/v1/face/id/7", headers=asked)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["Access-Control-Allow-Origin"] == APP
    assert reply.headers["Access-Control-Allow-Methods"] == "GET, HEAD, PUT, DELETE"
    assert reply.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert reply.headers["Vary"] == "Origin"
    for origin in ("https://evil.example.com", APP + ".evil.example.com", "null", None):
        reply = api("OPTIONS", "/v1/face/id/7", headers=asked | {"Origin": origin})
        assert (reply.status, reply.json["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert reply.headers["Access-Control-Allow-Origin"] is None


def test_answers_and_refusals_may_be_read_by_pages_of_an_allowed_origin(edge):
    api = Api(edge)
    for path, status in (("/v1/faces", 200), ("/v1/face/id/7", 404), ("/health", 200)):
        reply = api("GET", path, headers={"Origin": "http://localhost:3000"})
        assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (status, "http://localhost:3000")
        assert {"X-Live-Servers", "X-Request-Id", "Retry-After"} <= set(
            reply.headers["Access-Control-Expose-Headers"].split(", ")
        )
    reply = api("GET", "/v1/faces", headers={"Origin": "http://localhost:3001"})
    assert (reply.status, reply.headers["Access-Control-Allow-Origin"]) == (200, None)


def test_what_depends_on_more_than_the_origin_says_so(edge):
    for path in ("/", "/docs"):
        varies = Api(edge)("GET", f"/faces-api{path}", headers={"Accept": "text/html"}).headers["Vary"].split(", ")
        assert {"Accept", "Origin"} <= set(varies), path


def test_without_the_option_there_is_no_cors(api):
    asked = {"Origin": APP, "Access-Control-Request-Method": "GET", "Authorization": None}
    reply = api("OPTIONS", "/v1/faces", headers=asked)
    assert (reply.status, reply.json["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]


def test_strangers_are_kept_to_the_rate_by_their_address_behind_a_proxy_too(tmp_path):
    with serving("sqlite", tmp_path, "--rate_limit=0.001") as server:
        api = Api(server)

        def status(address: str, key: str | None = None) -> int:
            headers = {"Authorization": key and f"Token {key}", "X-Forwarded-For": address}
            return api("GET", "/v1/faces", headers=headers).status

        assert [status("9.8.7.6"), status("9.8.7.6", "guessed"), status("9.8.7.6", "another")] == [401, 429, 429]
        assert [status("9.8.7.5", "guessed"), status("9.8.7.5")] == [401, 429]
        assert status("9.8.7.6", server.key) == 200  # who has a token is nobody's stranger
        assert api("GET", "/health", headers={"Authorization": None}).status == 200


# -- the documentation ------------------------------------------------------------------------------


def test_docs_are_json_for_programs_and_a_page_for_people(edge):
    api = Api(edge)
    bare = {"Authorization": None}
    assert api("GET", "/docs", headers=bare).json == {"results": ["v0", "v1"]}
    assert api("GET", "/docs", headers=bare | {"Accept": "*/*"}).json == {"results": ["v0", "v1"]}
    browser = bare | {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    reply = api("GET", "/faces-api/docs", headers=browser)
    assert reply.headers["Content-Type"] == "text/html; charset=UTF-8"
    links = re.findall(r'href="([^"]+)"', reply.body.decode())
    assert links
    for link in links:
        assert link.startswith("/faces-api/docs/v")
        assert api("GET", link, headers=bare).status == 200
    for path in ("/docs/v1/overview.html", "/v1/docs/v1/overview.html", "/v0/docs/v1/overview.html/"):
        reply = api("GET", path, headers=bare)
        assert (reply.status, reply.headers["Location"]) == (302, "/faces-api/docs/v1")


def test_nothing_below_docs_asks_for_a_token(api):
    for path in ("/docs/v7", "/docs/v1/x", "/docs/a/b/c", "/v1/docs/%00", "/docs/v7/openapi.json", "/docs//"):
        for method in ("GET", "POST", "PROPFIND"):
            status, code, _ = api.refusal(method, path, headers={"Authorization": None})
            assert (status, code) in ((404, "NOT_FOUND"), (405, "METHOD_NOT_ALLOWED")), (method, path)
        assert api.refusal("GET", path, headers={"Authorization": None})[0] == 404
    assert api.refusal("POST", "/docs", headers={"Authorization": None})[0] == 405
