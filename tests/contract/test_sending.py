"""Section 1: every way of sending a parameter, and what counts as absent."""

from __future__ import annotations

import json

import pytest

from tests.contract.client import ids
from tests.support.pictures_server import serve_pictures
from tests.support.server import BLUE, RED, multipart, picture

ONE_STORE = True

WAYS = ["json", "urlencoded", "multipart", "query", "file part"]


@pytest.fixture(scope="module")
def url():
    return serve_pictures([picture(RED)])[0]


def send(api, way, path, photo, **fields):
    """Send fields in one of the ways; ``photo`` is a URL."""
    fields = {"photo": photo, **fields}
    if way == "json":
        return api("POST", path, json_body=fields)
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
    if way == "urlencoded":
        return api("POST", path, form=texts)
    if way == "multipart":
        return api("POST", path, parts=texts)
    if way == "query":
        return api("POST", path, query=texts)
    return api("POST", path, parts={name: value.encode() for name, value in texts.items()})


@pytest.mark.parametrize("way", WAYS)
def test_all_kinds_of_parameters_in_every_way(api, url, way):
    api.gallery("a", "b")
    reply = send(api, way, "/v1/face", url, meta="é ü", galleries=["b", "a"], bbox=[[40, 10, 100, 70]], age=True,
                 cam_id="12345678123456781234567812345678", timestamp="2016-06-13T11:06:42Z")  # fmt: skip
    assert reply.status == 200, reply
    face = reply.json["results"][0]
    assert (face["meta"], face["photo"], face["age"]) == ("é ü", url, 30.5)
    assert face["galleries"] == ["default", "a", "b"]
    assert face["timestamp"] == "2016-06-13T11:06:42.000000"
    reply = send(api, way, "/v1/identify", url, n=5, threshold=0.5, strict=False, x1=40, y1=10.5, x2=100, y2=70)
    assert [match["face"]["id"] for match in reply.json["results"]["[50, 20, 110, 80]"]] == [face["id"]]


def test_sources_mix_and_the_body_wins(api):
    api.gallery("a", "b")
    parts = {"photo": picture(RED), "meta": "body"}
    [face] = api.good("POST", "/v1/face", parts=parts, query={"galleries": "a,b", "meta": "query"})["results"]
    assert (face["meta"], face["galleries"]) == ("body", ["default", "a", "b"])
    [face] = api.good("POST", "/v1/face", parts=parts | {"meta": ""}, query={"meta": "query"})["results"]
    assert face["meta"] == "query"  # an empty value is an absent one
    path = f"/v1/face/id/{face['id']}?meta=query"
    assert api.good("PUT", path, json_body={"meta": ""})["meta"] == ""  # but in PUT, where it clears
    assert api.good("PUT", path, form={"meta": ""})["meta"] == ""
    assert api.good("PUT", path, json_body={})["meta"] == "query"
    camera = f"/v1/camera/{api.good('POST', '/v1/camera', json_body={'roi': [1, 2, 3, 4]})['id']}"
    assert "roi" not in api.good("PUT", camera, json_body={"roi": []}, query={"roi": "5,6,7,8"})


@pytest.mark.parametrize(
    "sent",
    [
        {"form": [("galleries", "a,b")]},
        {"form": [("galleries", " a , b ")]},
        {"form": [("galleries", '["a", "b"]')]},
        {"form": [("galleries", "a"), ("galleries", "b")]},
        {"form": [("galleries", ""), ("galleries", "a,b")]},
        {"form": [("galleries", '["a", "b"]'), ("galleries[]", "")]},
        {"form": [("galleries[]", "a"), ("galleries[]", "b")]},
        {"form": [("galleries[]", "a"), ("galleries", "b")]},
        {"form": [("galleries[0]", "a"), ("galleries[1]", "b")]},
        {"json_body": {"galleries": ["a", "b"]}},
        {"json_body": {"galleries": "a,b"}},
        {"parts": [("galleries", "a"), ("galleries", "b")]},
        {"parts": [("galleries[]", "a"), ("galleries[]", "b")]},
    ],
)
def test_lists_in_every_spelling(api, url, sent):
    api.gallery("a", "b")
    [face] = api.good("POST", "/v0/face", query={"photo": url}, **sent)["results"]
    assert face["galleries"] == ["default", "a", "b"]


@pytest.mark.parametrize("query", ["galleries=a,b", "galleries=a&galleries=b", "galleries[]=a&galleries%5B%5D=b",
                                   "galleries=%5B%22a%22%2C%22b%22%5D"])  # fmt: skip
def test_lists_in_the_query(api, query):
    api.gallery("a", "b")
    [face] = api.good("POST", f"/v0/face?{query}", parts={"photo": picture(RED)})["results"]
    assert face["galleries"] == ["default", "a", "b"]


@pytest.mark.parametrize("nothing", ["[]", "null", " [ ] "])
def test_json_texts_of_nothing_are_absent(api, nothing):
    texts = dict.fromkeys(("galleries", "bbox"), nothing)
    for sent in ({"parts": texts | {"photo": picture(RED)}}, {"parts": {"photo": picture(RED)}, "query": texts}):
        [face] = api.good("POST", "/v1/face", **sent, headers={"X": "y"})["results"]
        assert face["galleries"] == ["default"]
    event = api.face(cam_id="a" * 32)
    for sent in (
        {"query": {"cam_ids": nothing}},
        {"form": {"cam_ids": nothing}},
        {"json_body": {"cam_ids": nothing}},
    ):
        assert api.good("POST", "/v1/history/search", **sent)["results"] == [event]
    assert sorted(api.good("POST", "/v1/camera", form={"roi": nothing, "meta": "m"})) == ["id", "meta"]
    assert api.face(meta="null")["meta"] == "null"  # which is a name like any other


@pytest.mark.parametrize("name", ["bbox", "bbox[]"])
@pytest.mark.parametrize(
    "boxes", [["[10, 10, 60, 60]", "[100, 10, 140, 50]"],
              ['{"x1": 10, "y1": 10, "x2": 60, "y2": 60}', " [100, 10, 140, 50]"]]
)  # fmt: skip
def test_boxes_may_be_repeated(api, name, boxes):
    two = picture((RED, (10, 10, 60, 60)), (BLUE, (100, 10, 140, 50)))
    parts = [("photo", two), *((name, box) for box in boxes)]
    assert [face["x1"] for face in api.good("POST", "/v1/detect", parts=parts)["faces"]] == [10, 100]


def test_a_photo_part_without_content_type_and_file_name(api):
    kind, body = multipart([("photo", picture(RED))])
    for was, becomes in ((b"", b""), (b'; filename="photo.png"', b""), (b'"photo.png"', b'""')):
        changed = body.replace(was, becomes) if was else body
        answer = api("POST", "/v1/detect", body=changed, headers={"Content-Type": kind})
        assert (answer.status, len(answer.json["faces"])) == (200, 1), becomes


def test_a_list_of_parts_and_a_quoted_boundary(api):
    kind, body = multipart([("photo", picture(BLUE))], boundary="a b'c")
    answer = api("POST", "/v1/detect", body=body, headers={"Content-Type": kind.replace("=a b'c", '="a b\'c"')})
    assert (answer.status, len(answer.json["faces"])) == (200, 1)


def test_json_is_taken_under_any_content_type(api, url):
    body = json.dumps({"photo": url}).encode()
    for kind in ("application/json", "application/json; charset=utf-8", "application/vnd.api+json", "text/plain",
                 "application/x-www-form-urlencoded", None):  # fmt: skip
        reply = api("POST", "/v1/detect", body=body, headers={"Content-Type": kind})
        assert (reply.status, len(reply.json["faces"])) == (200, 1), kind


@pytest.mark.parametrize("empty", ["", None, []])
def test_empty_values_are_absent(api, url, empty):
    body = dict.fromkeys(
        ("meta", "galleries", "cam_id", "bbox", "person_id", "timestamp", "mf_selector", "age"), empty
    )
    [face] = api.good("POST", "/v1/face", json_body=body | {"photo": url})["results"]
    assert (face["meta"], face["galleries"], "cam_id" in face) == ("", ["default"], False)
    assert api.refusal("POST", "/v1/face", json_body={"photo": empty}) == (400, "BAD_PARAM", "photo")
    assert api.good("PUT", f"/face/id/{face['id']}", json_body={"meta": empty}) == face


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'""', b"  \r\n"])
@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_json_content_type_with_an_empty_body_is_fine(api, method, body):
    path = {"GET": "/v0/faces", "DELETE": "/v0/face/meta/x", "POST": "/v0/history/search"}[method]
    reply = api(method, path, body=body, headers={"Content-Type": "application/json"})
    assert reply.status in (200, 204), reply


def test_unknown_parameters_are_ignored(api, url):
    body = {"photo": url, "nothing": {"x": [1]}, "": None, "photo2": 7}
    assert api("POST", "/v1/detect?what=ever&=&&x", json_body=body).status == 200


@pytest.mark.parametrize("word", ["1", "yes", "TRUE", "On", True, 1])
def test_words_for_true(api, url, word):
    assert "age" in api.good("POST", "/detect", json_body={"photo": url, "age": word})["faces"][0]


@pytest.mark.parametrize("word", ["0", "No", "false", "OFF", False, 0])
def test_words_for_false(api, url, word):
    assert "age" not in api.good("POST", "/detect", json_body={"photo": url, "age": word})["faces"][0]


@pytest.mark.parametrize("word", ["2", "y", "maybe", 2, -1, 0.5, [True], {}, "truefalse"])
def test_other_words_are_no_booleans(api, url, word):
    refusal = api.refusal("POST", "/detect", json_body={"photo": url, "age": word})
    assert refusal == (400, "BAD_PARAM", "age")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016-06-13", "2016-06-13T00:00:00.000000"),
        ("2016-06-13 11:06", "2016-06-13T11:06:00.000000"),
        ("20160613T110642Z", "2016-06-13T11:06:42.000000"),
        ("2016-06-13T11:06:42.0759", "2016-06-13T11:06:42.075000"),
        ("2016-06-13t11:06:42.075999z", "2016-06-13T11:06:42.075000"),
        ("2016-06-13T13:06:42+02:00", "2016-06-13T11:06:42.000000"),
        ("2016-06-13T09:36:42-0130", "2016-06-13T11:06:42.000000"),
        ("1969-12-31T23:59:59.9", "1969-12-31T23:59:59.900000"),
        ("2016-W24-1", "2016-06-13T00:00:00.000000"),
        ("2016-165", "2016-06-13T00:00:00.000000"),
        ("2016-06", "2016-06-01T00:00:00.000000"),
        ("2016", "2016-01-01T00:00:00.000000"),
        ("2016-06-12T24:00:00Z", "2016-06-13T00:00:00.000000"),
        ("2016-06-12T24Z", "2016-06-13T00:00:00.000000"),
        ("2016165", "2016-06-13T00:00:00.000000"),
        ("2016165T110642", "2016-06-13T11:06:42.000000"),
        ("2016W241T1106Z", "2016-06-13T11:06:00.000000"),
        ("2016-W24", "2016-06-13T00:00:00.000000"),
        ("+002016-06-13T11:06:42Z", "2016-06-13T11:06:42.000000"),
        ("2016-06-13T09:36:42\N{MINUS SIGN}01:30", "2016-06-13T11:06:42.000000"),
        ("2016-06-13T13:06:42 02:00", "2016-06-13T11:06:42.000000"),
        ("2016-06-13 13:06 0200", "2016-06-13T11:06:00.000000"),
        ("2016-06-13T13:06:42+02", "2016-06-13T11:06:42.000000"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000"),
        ("2016-12-31T23:59:60.500+00:00", "2017-01-01T00:00:00.500000"),
        ("20161231T235960", "2017-01-01T00:00:00.000000"),
        ("2016-06-13T11:06:42,0759", "2016-06-13T11:06:42.075000"),
        ("2016-06-13T11:06:42.075999999", "2016-06-13T11:06:42.075000"),
        ("2016-06-13T11:06.5", "2016-06-13T11:06:30.000000"),
        ("2016-06-13T11,25Z", "2016-06-13T11:15:00.000000"),
    ],
)
def test_times_in_any_iso_8601(api, text, expected):
    assert api.face(timestamp=text)["timestamp"] == expected


@pytest.mark.parametrize("text", ["yesterday", "2016-13-01", "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00",
                                  "1465816002", "2016-06-13T25:00", "²016-06-13", "2016-000",
                                  "2016-06-13T24:01", "9999-12-31T24:00", "2016-06-13T11:60", "2016-06-13T11:06:61",
                                  "-000001-01-01", "+012016-01-01", "2016-06-13 25", "2016-06-13 11 06 42",
                                  "2016-W54-1", "2016366x"])  # fmt: skip
def test_other_texts_are_no_times(api, text):
    parts = {"photo": picture(RED), "timestamp": text}
    assert api.refusal("POST", "/v1/face", parts=parts) == (400, "BAD_PARAM", "timestamp")


def test_an_unescaped_plus_in_a_query(api):
    api.face(cam_id="door", timestamp="2016-06-13T11:06:42")
    for start, found in (("2016-06-13T13:06:42+02:00", 1), ("2016-06-13T13:06:43+02:00", 0)):
        assert len(api.good("GET", f"/history/search?start={start}")["results"]) == found


def test_a_body_on_get_is_read(api):
    face = api.face(cam_id="12345678123456781234567812345678")
    found = api.good("GET", "/v0/history/search", json_body={"cam_ids": ["12345678-1234-5678-1234-567812345678"]})
    assert ids(found) == [face["id"]]
    found = api.good("GET", "/v0/history/search", json_body={"cam_ids": ["00000000000000000000000000000000"]})
    assert ids(found) == []


def test_expect_100_continue(api):
    kind, body = multipart({"photo": picture(RED)})
    with api.connection() as connection:
        head = api.head_of("POST", "/v1/detect", Content_Type=kind, Content_Length=len(body), Expect="100-continue",
                           Connection="close")  # fmt: skip
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_chunked_body(api):
    kind, body = multipart({"photo": picture(RED)})
    with api.connection() as connection:
        connection.sendall(api.head_of("POST", "/v1/detect", Content_Type=kind, Transfer_Encoding="chunked"))
        for start in range(0, len(body), 100):
            piece = body[start : start + 100]
            connection.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
