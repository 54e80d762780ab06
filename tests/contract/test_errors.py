"""Every row of the error table, and requests that no honest client sends."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack

import pytest

from tests.contract.client import Api, everything
from tests.contract.conftest import STORES, serving
from tests.support.pictures_server import serve_pictures
from tests.support.server import BLUE, RED, multipart, picture

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
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "FOO"])
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


# -- what no honest client sends --------------------------------------------------------------------


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
