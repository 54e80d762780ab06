"""What is tried again, what a refusal becomes, where the next page is: no server is needed for that."""

import json

import httpx
import pytest

from facenapi.client import (
    ApiError,
    AuthFailed,
    BadParam,
    Client,
    FacenapiError,
    NoAnswer,
    NotFound,
    Overloaded,
    Unavailable,
    exchange,
)
from facenapi.client.transports import base_of
from tests.client.inloop import InLoop

FACE = {"results": [{"id": 1}]}


class Script:
    """Answers requests by a script of (status, body, headers) and exceptions, and keeps what was asked."""

    def __init__(self, *script):
        self.script, self.asked = list(script), []

    def __call__(self, request):
        self.asked.append(request)
        step = self.script.pop(0)
        if isinstance(step, type):
            raise step("broken", request=request)
        status, body, *headers = step
        return httpx.Response(status, json=body, headers=dict(headers))


@pytest.fixture(params=[Client, InLoop], ids=["blocking", "async"])
def client(request, monkeypatch):
    """Return a maker of clients that ask a script; the pauses are kept instead of slept."""
    pauses, made = [], []
    monkeypatch.setattr("facenapi.client.transports.time.sleep", pauses.append)

    async def sleep(seconds):
        pauses.append(seconds)

    monkeypatch.setattr("facenapi.client.transports.anyio.sleep", sleep)

    def make(*script, **options):
        asked = Script(*script)
        client = request.param("http://server/", "secret", transport=httpx.MockTransport(asked), **options)
        made.append(client)
        return client, asked, pauses

    yield make
    for client in made:
        client.__exit__()


BUSY = (503, {"code": "OVERLOADED", "reason": "busy"}, ("Retry-After", "3"))
AWAY = (503, {"code": "SERVICE_UNAVAILABLE", "reason": "shard"})
RATE = (429, {"code": "OVERLOADED", "reason": "too often"}, ("Retry-After", "1"))


@pytest.mark.parametrize("step", [BUSY, RATE, httpx.ConnectError, httpx.ConnectTimeout])
def test_what_was_surely_not_done_is_tried_again(client, step):
    facenapi, asked, pauses = client(step, (200, FACE))
    assert facenapi.add_face(b"photo") == FACE["results"]
    assert len(asked.asked) == 2
    wanted = float(step[2][1]) if isinstance(step, tuple) else 0.25
    assert pauses[0] >= wanted
    assert b"\r\n\r\nphoto\r\n" in asked.asked[1].content


@pytest.mark.parametrize("step", [AWAY, (502, {}), (504, {}), (408, {}), httpx.ReadError, httpx.ReadTimeout])
def test_what_nobody_knows_about_is_tried_again_only_if_that_does_no_harm(client, step):
    facenapi, asked, pauses = client(step, step, (200, FACE), step, step, step)
    assert facenapi.face(1) == FACE
    assert len(pauses) == 2
    for adding in (
        lambda: facenapi.add_face(b"photo"),
        lambda: facenapi.add_gallery("x"),
        lambda: facenapi.merge_persons(1, 2),
    ):
        with pytest.raises((Unavailable, ApiError) if isinstance(step, tuple) else NoAnswer) as caught:
            adding()
        assert getattr(caught.value, "sent", True)
    assert len(asked.asked) == 6


def test_the_last_refusal_is_raised_and_pauses_grow(client):
    facenapi, asked, pauses = client(*[BUSY] * 9, retries=5)
    with pytest.raises(Overloaded, match="OVERLOADED: busy") as caught:
        facenapi.galleries()
    assert (caught.value.status, caught.value.retry_after, len(asked.asked)) == (503, 3.0, 6)
    assert pauses[:2] == [3.0, 3.0]
    assert 4 <= pauses[4] <= 8


def test_a_server_that_asks_for_much_patience_is_left_to_the_caller(client):
    facenapi, _, pauses = client((503, {"code": "OVERLOADED"}, ("Retry-After", "600")))
    with pytest.raises(Overloaded):
        facenapi.galleries()
    assert pauses == []


def test_no_connection_says_so(client):
    facenapi, *_ = client(httpx.ConnectError, retries=0)
    with pytest.raises(NoAnswer, match="http://server does not answer: broken") as caught:
        facenapi.galleries()
    assert not caught.value.sent


def test_a_deletion_that_was_done_by_a_try_whose_answer_was_lost_is_done(client):
    gone = (404, {"code": "NOT_FOUND", "reason": "There is no face 1"})
    facenapi, *_ = client(httpx.ReadError, gone, BUSY, gone)
    assert facenapi.delete_face(1) is None
    with pytest.raises(NotFound):  # that try was refused, so nothing of ours has deleted it
        facenapi.delete_face(1)


def test_a_refusal_has_all_that_the_server_says(client):
    body = {"code": "BAD_PARAM", "reason": "must be text", "param": "n", "value": [1]}
    facenapi, *_ = client((400, body, ("X-Request-Id", "r1")), (401, {"code": "AUTH_FAILED", "reason": "who?"}))
    with pytest.raises(BadParam, match=r"BAD_PARAM: must be text \(n\)") as caught:
        facenapi.identify(b"x", n=-1)
    error = caught.value
    assert (error.code, error.param, error.value, error.reason) == ("BAD_PARAM", "n", [1], "must be text")
    assert (error.status, error.request_id, error.body) == (400, "r1", body)
    with pytest.raises(AuthFailed):
        facenapi.galleries()


def test_answers_that_are_not_the_servers(client):
    facenapi, *_ = client((500, ["x"]), retries=0)
    with pytest.raises(ApiError) as caught:
        facenapi.galleries()
    assert (caught.value.code, caught.value.reason) == ("HTTP_500", "Internal Server Error")
    page = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>log in</html>"))
    with (
        Client("http://server", "secret", transport=page) as other,
        pytest.raises(FacenapiError, match="server does"),
    ):
        other.galleries()


def test_pages_follow_the_bound_of_the_link_whatever_its_path(client):
    link = "/a/proxys/prefix/v1/faces/gallery/g?limit=2&max_id=7"
    first = {"results": [{"id": 9}, {"id": 7}], "next_page": link, "prev_page": None}
    facenapi, asked, _ = client((200, first), (200, {"results": [{"id": 3}], "next_page": None}))
    faces = facenapi.faces(gallery="g", page_size=2, min_id=1)
    assert [face["id"] for face in faces] == [9, 7, 3]
    one, two = (request.url for request in asked.asked)
    assert (one.path, dict(one.params)) == ("/v1/faces/gallery/g", {"limit": "2", "min_id": "1"})
    assert (two.path, dict(two.params)) == ("/v1/faces/gallery/g", {"limit": "2", "max_id": "7"})


def test_filters_in_a_body_go_along_to_the_next_page(client):
    facenapi, asked, _ = client((200, {"results": [1], "next_page": "/x?max_id=5"}), (200, {"results": [2]}))
    assert list(facenapi.history(cam_ids=["a"], friend=False)) == [1, 2]
    assert [json.loads(request.content) for request in asked.asked] == [
        {"cam_ids": ["a"], "friend": False},
        {"cam_ids": ["a"], "friend": False, "max_id": "5"},
    ]


@pytest.mark.parametrize(("url", "base"), [
    ("http://h:1", "http://h:1/v1"), ("h", "http://h/v1"), ("https://h/p/", "https://h/p/v1"),
    ("http://h/v1/", "http://h/v1"), ("http://[::1]:8000", "http://[::1]:8000/v1"),
])  # fmt: skip
def test_addresses(url, base):
    assert base_of(url) == base


@pytest.mark.parametrize("url", ["", "ftp://h", "http://", "http://h?x=1", "http://u:p@h", "http://h:x"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(ValueError, match=r"server|[Pp]ort"):
        Client(url, "secret")


@pytest.mark.parametrize("token", ["", "two words", "sécret", "a\nb"])
def test_what_is_no_token_is_refused_without_showing_it(token, monkeypatch):
    monkeypatch.delenv("FACENAPI_TOKEN", raising=False)
    with pytest.raises(ValueError, match=r"^a token is needed: give it, or put it into the environment \w+ \w+$"):
        Client("http://h", token)
    with pytest.raises(ValueError, match="a token is needed"):
        Client("http://h")


def test_a_token_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("FACENAPI_TOKEN", "secret")
    asked = Script((200, {"results": []}))
    with Client(transport=httpx.MockTransport(asked)) as facenapi:
        facenapi.galleries()
    assert asked.asked[0].headers["Authorization"] == "Token secret"
    assert str(asked.asked[0].url) == "http://127.0.0.1:8000/v1/galleries"


@pytest.mark.parametrize(
    ("text", "path"), [("a/b?c#d", "a%2Fb%3Fc%23d"), ("50%", "50%25"), (".", "%2E"), ("..", "%2E%2E")]
)
def test_pieces_of_a_path_stay_one_piece(text, path):
    assert exchange.segment(text) == path
    asked = Script((204, None))
    with Client("http://h", "secret", transport=httpx.MockTransport(asked)) as facenapi:
        facenapi.delete_faces(meta=text)
    assert asked.asked[0].url.raw_path == b"/v1/faces/meta/" + path.encode()
