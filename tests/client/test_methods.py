"""The client has a method for everything that the server declares, with all its parameters."""

import inspect
import json
import re
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest

from facenapi.client import AsyncClient, Client
from facenapi.client.methods import Methods
from facenapi.handlers.openapi import Offered, operations
from facenapi.urls import API

BOX = {"x1": 1, "y1": 2, "x2": 30, "y2": 40}
# Values for parameters, by name; whatever takes others says so in CALLS.
VALUES = {
    "photo": b"\xff\xd8photo", "photo1": b"\xff\xd8one", "photo2": "http://h/two.jpg",
    "bbox": BOX, "bbox1": [BOX, (5, 6, 7, 8)], "bbox2": (1, 2, 3, 4), "threshold": "strict", "mf_selector": "all",
    "gallery": "staff", "meta": "Sam", "n": 3, "strict": True, "galleries": ["a", "b"], "cam_id": "cam1",
    "person_id": 7, "timestamp": datetime(2020, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=3))),
    "gender": True, "age": True, "emotions": True, "quality": True, "face_id": 5, "name": "staff",
    "add_galleries": ["a"], "del_galleries": ["b"], "set_galleries": ["c"], "max_id": 9, "min_id": 1, "page_size": 10,
    "cam_ids": ["cam1", "cam2"], "start": "2020-01-01", "end": datetime(2021, 1, 1, tzinfo=UTC), "friend": False,
    "url": "rtsp://h/1", "detector": "north", "rot": (8, 6, 0, 0), "roi": [8, 6, 0, 0], "enabled": False, "other": 8,
}  # fmt: skip
ANSWERS = {"results": {}, "faces": [], "id": "x"}
# What only older clients need: identify's box as four numbers, and the second ways to say the same.
LEFT_OUT = {"x1", "y1", "x2", "y2"}
OTHER_WAYS = {("post", "/galleries/{gallery}"), ("post", "/faces/gallery/{gallery}"), ("get", "/history/search")}


def sent_by(name):
    """Return method, path and the names and values of parameters of the requests of a client's method."""
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(200, json=ANSWERS)

    names = set(inspect.signature(getattr(Methods, name)).parameters) - {"self"}
    optional = [choice for choice in ({}, {"gallery"}, {"meta"}, {"gallery", "meta"}) if set(choice) <= names]
    with Client("http://h", "secret", transport=httpx.MockTransport(answer)) as client:
        required = {
            key for key, value in inspect.signature(getattr(Methods, name)).parameters.items()
            if value.default is inspect.Parameter.empty
        } - {"self"}  # fmt: skip
        for left_out in optional:
            given = {key: VALUES[key] for key in names - (set(left_out) - required)}
            result = getattr(client, name)(**given)
            if inspect.isgenerator(result):
                list(result)
    return [(request.method.lower(), request.url.path.removeprefix("/v1"), values(request)) for request in asked]


def values(request):
    found = dict(request.url.params)
    kind = request.headers.get("Content-Type", "")
    if kind == "application/json":
        found |= json.loads(request.content)
    elif kind:
        parts = re.findall(rb'name="(\w+)".*?\r\n\r\n(.*?)\r\n--', request.content, re.DOTALL)
        found |= {name.decode(): value.decode("latin-1") for name, value in parts}
    return found


METHODS = sorted(name for name in vars(Methods) if not name.startswith("_"))


@pytest.fixture(scope="module")
def sent():
    return {name: sent_by(name) for name in METHODS}


def test_every_operation_has_its_method_and_that_all_its_parameters(sent):
    requests = [request for found in sent.values() for request in found]
    missing = []
    for template, method, declared in operations("v1", tuple(API), Offered()):
        pattern = re.sub(r"\{\w+\}", "[^/]+", template)
        hits = [fields for verb, path, fields in requests if verb == method and re.fullmatch(pattern, path)]
        wanted = {param.name for param in declared.params} - LEFT_OUT
        known = set().union(*hits) if hits else set()
        if (method, template) not in OTHER_WAYS and not (hits and wanted <= known):
            missing.append((method, template, sorted(wanted - known)))
    assert missing == [], "facenapi/client/methods.py lacks these"


def test_nothing_is_sent_that_the_server_does_not_know(sent):
    table = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", template)), method, {param.name for param in declared.params})
             for template, method, declared in operations("v1", tuple(API), Offered())]  # fmt: skip
    for name in set(METHODS) - {"openapi"}:
        for verb, path, fields in sent[name]:
            known = [names for pattern, method, names in table if method == verb and pattern.fullmatch(path)]
            assert known, (name, verb, path)
            assert set(fields) <= set.union(*known), name


def test_values_are_written_as_the_contract_has_them(sent):
    [(_, _, face)] = sent["add_face"][:1]
    assert json.loads(face["galleries"]) == ["a", "b"]
    assert json.loads(face["bbox"]) == BOX
    assert face["timestamp"] == "2020-01-02T00:04:05"
    assert (face["gender"], face["photo"]) == ("true", "ÿØphoto")
    verified = sent["verify"][0][2]
    assert (verified["photo1"], verified["photo2"]) == ("ÿØone", "http://h/two.jpg")
    assert sent["history"][0][2]["cam_ids"] == ["cam1", "cam2"]
    assert json.loads(sent["person_history"][0][2]["cam_ids"]) == ["cam1", "cam2"]
    assert sent["edit_face"][0][2]["galleries"] == {"add": ["a"], "del": ["b"], "set": ["c"]}


def test_both_clients_have_the_same_methods_with_help():
    blocking, awaited = Client(token="x"), AsyncClient(token="x")
    for name in METHODS:
        assert getattr(Client, name).__doc__ == getattr(AsyncClient, name).__doc__ != ""
        signature = inspect.signature(getattr(blocking, name))
        assert "self" not in signature.parameters
        assert signature == inspect.signature(getattr(awaited, name))


def test_mistakes_that_the_server_could_not_see():
    client = Client(token="x")
    with pytest.raises(ValueError, match="needs a zone"):
        client.add_face(b"x", timestamp=datetime(2020, 1, 1))  # noqa: DTZ001 - that is the mistake
    with pytest.raises(TypeError, match="a list is needed"):
        client.add_face(b"x", galleries="staff")
