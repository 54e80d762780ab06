"""Every row of the error table."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from tests.contract.client import Api, everything
from tests.contract.conftest import STORES, serving
from tests.support.effort import daily
from tests.support.pictures_server import serve_pictures
from tests.support.server import BLUE, RED, multipart, picture

ONE_STORE = True

JSON = {"Content-Type": "application/json"}
TWO_FACES = picture((RED, (10, 10, 40, 40)), (BLUE, (80, 20, 140, 80)))


# -- 401 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Token",
        "Token ",
        "Bearer {key}",
        "{key}",
        "Basic {key}",
        "Token x{key}",
        "Token {key} x",
        "Tok\xe9n {key}",
        "Token " + "x" * 999,
    ],
)
def test_no_token_or_a_wrong_one_is_auth_failed(api, header):
    sent = {"Authorization": header and header.format(key=api.key)}
    assert api.refusal("GET", "/v1/faces", headers=sent) == (401, "AUTH_FAILED", None)
    assert api("GET", "/v1/faces", headers=sent).headers["WWW-Authenticate"] == "Token"


@pytest.mark.parametrize("header", ["Token {key}", "token {key}", "TOKEN {key}", "Token   {key}"])
def test_the_scheme_is_taken_in_any_case(api, header):
    assert api("GET", "/v1/faces", headers={"Authorization": header.format(key=api.key)}).status == 200


def test_auth_comes_before_everything_else(api):
    bad = {"Authorization": None, "Content-Type": "application/json"}
    assert api.refusal("POST", "/v1/face", body=b"{", headers=bad) == (401, "AUTH_FAILED", None)
    assert api.refusal("GET", "/v1/face/id/7", headers=bad) == (401, "AUTH_FAILED", None)
    kind, body = multipart({"photo": bytes(900_000)})
    refusal = api.refusal("POST", "/v1/face", body=body, headers={"Authorization": None, "Content-Type": kind})
    assert refusal == (401, "AUTH_FAILED", None)  # the whole body was taken, so the client can read this


# -- 400 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/face", {}, "photo"),
        ("/detect", {"photo": ""}, "photo"),
        ("/verify", {"photo1": b"x"}, "photo2"),
        ("/verify", {"photo2": b"x"}, "photo1"),
        ("/identify", {"photo": b"x", "threshold": "1.0001"}, "threshold"),
        ("/identify", {"photo": b"x", "threshold": "nan"}, "threshold"),
        ("/identify", {"photo": b"x", "n": "1.5"}, "n"),
        ("/identify", {"photo": b"x", "n": "9" * 40}, "n"),
        ("/identify", {"photo": b"x", "strict": "perhaps"}, "strict"),
        ("/identify", {"photo": b"x", "x1": 1}, "y1"),
        ("/identify", {"photo": b"x", "x1": 9, "y1": 0, "x2": 5, "y2": 5}, "x1"),
        ("/face", {"photo": b"x", "bbox": "[1, 2, 3]"}, "bbox"),
        ("/face", {"photo": b"x", "bbox": "[5, 5, 5, 9]"}, "bbox"),
        ("/face", {"photo": b"x", "bbox": "{"}, "bbox"),
        ("/face", {"photo": b"x", "galleries": "a b"}, "galleries"),
        ("/face", {"photo": b"x", "cam_id": "no such thing"}, "cam_id"),
        ("/face", {"photo": b"x", "cam_id": "x" * 65}, "cam_id"),
        ("/face", {"photo": b"x", "person_id": "0"}, "person_id"),
        ("/face", {"photo": b"x", "meta": "x" * 5000}, "meta"),
        ("/face", {"photo": b"x", "timestamp": "soon"}, "timestamp"),
        ("/face", {"photo": b"x", "mf_selector": "best"}, "mf_selector"),
        ("/history/search", {"limit": "1001"}, "limit"),
        ("/history/search", {"cam_ids": "[[]]"}, "cam_ids"),
        ("/camera", {"roi": "1,2,3"}, "roi"),
        ("/camera", {"rot": "361"}, "rot"),
    ],
)
def test_bad_param_names_parameter_and_value(api, path, fields, param):
    for base in ("/v0", "/v1"):
        reply = api("POST", base + path, parts=fields)
        assert (reply.status, reply.json["code"], reply.json["param"]) == (400, "BAD_PARAM", param)
        assert sorted(reply.json) == ["code", "param", "reason", "value"]


@pytest.mark.parametrize(
    ("path", "param", "reason"),
    [
        ("/identify", "n", "must be a whole number from 0"),
        ("/identify", "x1", "must be a number"),
        ("/identify", "threshold", "must be strict, medium, low, none or a number from 0 to 1"),
        ("/identify", "mf_selector", "must be one of reject, biggest, all"),
        ("/face", "cam_id", "must be 1 to 64 letters"),
        ("/face", "age", "must be a boolean"),
        ("/history/search", "start", "must be a time in ISO 8601"),
        ("/camera", "rot", "must be [width, height, x, y]"),
    ],
)
def test_a_value_of_another_type_is_told_what_it_must_be(api, path, param, reason):
    photo = {"photo": "http://h/x"} if path in ("/identify", "/face") else {}
    for value in ({"a": 1}, ["x"], "\0"):
        reply = api("POST", path, json_body=photo | {param: value})
        assert (reply.status, reply.json["param"]) == (400, param)
        assert reply.json["reason"].startswith(f"{param} {reason}"), value


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "max_id=-1", "min_id=9007199254740992"])
def test_bad_param_in_lists(api, query):
    assert api.refusal("GET", f"/v1/faces?{query}") == (400, "BAD_PARAM", query.split("=")[0])


@pytest.mark.parametrize("body", [b"{", b"{'a': 1}", b'{"n": 1,}', b'[1]', b"5", b'"x"', b"\xff\xfe", b'{"n": NaN}',
                                  b'{"n": Infinity}', b'{"n": 1' + b"0" * 5000 + b"}", b"[" * 100_000,
                                  b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"a": "\n"}', b"{} {}"])  # fmt: skip
def test_malformed_json(api, body):
    for method, path in (
        ("POST", "/v1/face"),
        ("PUT", "/v1/face/id/1"),
        ("GET", "/v1/faces"),
        ("DELETE", "/face/meta/x"),
    ):
        assert api.refusal(method, path, body=body, headers=JSON) == (400, "MALFORMED_JSON", None)


@pytest.mark.parametrize("photo", [b"hello", b"GIF89a" + bytes(50), picture(RED)[:200], b"\x89PNG\r\n\x1a\n",
                                   b"\xff\xd8\xff" + bytes(100), bytes(1_000_001)])  # fmt: skip
def test_bad_image_says_which_photo(api, photo):
    assert api.refusal("POST", "/v1/face", parts={"photo": photo}) == (400, "BAD_IMAGE", "photo")
    parts = {"photo1": picture(RED), "photo2": photo}
    assert api.refusal("POST", "/v0/verify", parts=parts) == (400, "BAD_IMAGE", "photo2")


def test_a_url_that_cannot_be_fetched_is_a_bad_image(api):
    good = serve_pictures([picture(RED)])[0]
    assert len(api.good("POST", "/detect", json_body={"photo": good})["faces"]) == 1
    for url in (good[:-1] + "7", "http://127.0.0.1:1/x.jpg", "ftp://127.0.0.1/x", "/etc/passwd", "http://", "x"):
        assert api.refusal("POST", "/detect", json_body={"photo": url}) == (400, "BAD_IMAGE", "photo"), url


@pytest.mark.parametrize("store", STORES)
def test_a_face_below_min_quality_is_a_bad_image(store, tmp_path):
    good, dull = (RED, (10, 10, 80, 80)), ((130, 0, 0), (100, 10, 160, 80))
    with serving(store, tmp_path, "--min_quality=0.8") as server:
        api = Api(server)
        for base in ("/v0", "/v1"):
            parts = {"photo": picture(good, dull), "mf_selector": "all"}
            reply = api("POST", base + "/face", parts=parts)
            assert (reply.status, reply.json["code"], reply.json["param"]) == (400, "BAD_IMAGE", "photo")
            assert reply.json["reason"].startswith("The face at [100, 10, 160, 80] is too dark")
        assert api.good("GET", "/v1/faces")["results"] == []
        assert len(api.good("POST", "/face", parts={"photo": picture(good)})["results"]) == 1


def test_no_faces(api):
    none = picture()
    assert api.refusal("POST", "/face", parts={"photo": none}) == (400, "NO_FACES", "photo")
    assert api.refusal("POST", "/v1/identify", parts={"photo": none}) == (400, "NO_FACES", "photo")
    parts = {"photo1": picture(RED), "photo2": none}
    assert api.refusal("POST", "/v1/verify", parts=parts) == (400, "NO_FACES", "photo2")


@pytest.mark.parametrize("path", ["/face", "/identify", "/verify"])
def test_too_many_faces_differs_between_the_versions(api, path):
    for base, code in (("", 400), ("/v0", 400), ("/v1", "TOO_MANY_FACES")):
        parts = {"photo": TWO_FACES, "photo1": TWO_FACES, "photo2": TWO_FACES, "mf_selector": "reject"}
        reply = api("POST", base + path, parts=parts)
        assert (reply.status, reply.json["code"], reply.json["reason"]) == (400, code, "Too many faces: 2")
        assert [sorted(box) for box in reply.json["faces"]] == [["x1", "x2", "y1", "y2"]] * 2


# -- 404, 405, 413, 503 -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v2/faces", "/nothing", "/v1", "/v1/face/id", "/v1/face/meta", "/v1/person",
                                  "/v1/faces/x", "/v1//faces", "/detect/x", "/face/id/1/2", "/%2e%2e/x"])  # fmt: skip
@pytest.mark.parametrize("method", daily(["POST", "FOO", "GET", "PUT", "DELETE", "PATCH", "OPTIONS"], 2))
def test_unknown_paths_are_json_404(api, method, path):
    assert api.refusal(method, path) == (404, "NOT_FOUND", None)
    assert api.refusal(method, path, body=b"{", headers=JSON) == (404, "NOT_FOUND", None)


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        ("/v0/detect", "POST"),
        ("/v1/verify/", "POST"),
        ("/identify", "POST"),
        ("/v1/face", "GET, HEAD, POST"),
        ("/v1/face/id/1", "GET, HEAD, PUT, DELETE"),
        ("/v1/faces/meta/x", "GET, HEAD, DELETE"),
        ("/v1/meta", "GET, HEAD"),
        ("/v1/galleries", "GET, HEAD, POST"),
        ("/v1/galleries/x", "POST, DELETE"),
        ("/v1/persons", "GET, HEAD"),
        ("/v1/person/id/1", "GET, HEAD"),
        ("/v1/history/search", "GET, HEAD, POST"),
        ("/v1/camera", "GET, HEAD, POST"),
        ("/v1/camera/x", "GET, HEAD, PUT, DELETE"),
        ("/docs", "GET, HEAD"),
    ],
)
def test_other_methods_are_405_with_allow(api, path, allow):
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FOO"} - set(allow.split(", ")):
        reply = api(method, path, body=b"x" * 1000)
        assert (reply.status, reply.json["code"], reply.headers["Allow"]) == (405, "METHOD_NOT_ALLOWED", allow)


def test_a_body_above_the_limit_is_too_large(api):
    kind, body = multipart({"photo": bytes(2_100_000)})
    assert api.refusal("POST", "/v1/face", body=body, headers={"Content-Type": kind}) == (413, "TOO_LARGE", None)
    with api.connection() as connection:  # chunked: nobody knows the length before
        connection.sendall(api.head_of("POST", "/v1/face", Transfer_Encoding="chunked", Connection="close"))
        for _ in range(30):
            connection.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 413 ")
    for extra in ({"Expect": "100-continue", "Content_Length": 3_000_000}, {"Content_Length": 99_000_000}):
        with api.connection() as connection:  # no byte of the body is sent
            connection.sendall(api.head_of("POST", "/v1/face", **extra))
            assert everything(connection).startswith(b"HTTP/1.1 413 ")


def test_a_connection_lives_on_after_a_refused_body(api):
    kind, body = multipart({"photo": bytes(2_100_000)})
    with api.connection() as connection:
        connection.sendall(api.head_of("POST", "/v1/face", Content_Type=kind, Content_Length=len(body)) + body)
        assert b"TOO_LARGE" in connection.recv(65536)
        connection.sendall(api.head_of("GET", "/v1/faces"))
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.fixture(scope="module")
def small_server(tmp_path_factory):
    """A server that lets two requests in."""
    with serving("sqlite", tmp_path_factory.mktemp("small"), "--max_requests=2") as server:
        yield server


def test_overload_is_503_with_retry_after(small_server):
    api = Api(small_server)
    with ExitStack() as stack:
        for _ in range(2):  # two clients who have not finished writing
            connection = stack.enter_context(api.connection())
            connection.sendall(api.head_of("POST", "/v1/detect", Content_Length=10, Expect="100-continue"))
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        reply = api("GET", "/v1/faces")
        assert (reply.status, reply.json["code"], reply.headers["Retry-After"]) == (503, "OVERLOADED", "1")
    assert _soon(lambda: api("GET", "/v1/faces").status == 200)


def _soon(condition) -> bool:
    """Whether a condition comes true within some tries."""
    return any(condition() or time.sleep(0.05) for _ in range(100))
