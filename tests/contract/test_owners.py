"""A token is an owner: nothing of one owner exists for another."""

from __future__ import annotations

import pytest

from tests.contract.client import Api
from tests.support.server import RED, picture

CAMERA = "12345678123456781234567812345678"


@pytest.fixture
def two(server):
    """An owner with one of everything, and another with nothing."""
    api = Api(server)
    api.gallery("ppl")
    face = api.face(RED, meta="Sam", galleries="ppl", cam_id=CAMERA)
    camera = api.good("POST", "/camera", json_body={"detector": "north"})
    return api, api.other(), face, camera


def everything_of(api, face, camera):
    """Return all answers about what there is."""
    paths = ["/faces", "/faces/gallery/default", "/meta", "/galleries", "/persons", "/camera", "/history/search",
             "/face/meta/Sam", "/camera?detector=north", f"/history/search?cam_ids={CAMERA}",
             f"/face/id/{face['id']}", f"/camera/{camera['id']}", "/faces/gallery/ppl", "/meta/gallery/ppl",
             "/face/gallery/ppl/meta/Sam", "/person/id/1", "/person/history/id/1"]  # fmt: skip
    return {path: (reply.status, reply.json) for path in paths for reply in [api("GET", path)]}


def test_another_owner_sees_nothing(two):
    _, other, face, camera = two
    seen = everything_of(other, face, camera)
    empty = {"results": [], "next_page": None, "prev_page": None}
    for path in ("/faces", "/faces/gallery/default", "/meta", "/persons", "/face/meta/Sam"):
        assert seen.pop(path) == (200, empty), path
    assert seen.pop("/galleries") == (200, {"results": ["default"]})
    assert seen.pop("/camera") == seen.pop("/camera?detector=north") == (200, [])
    assert seen.pop("/history/search") == seen.pop(f"/history/search?cam_ids={CAMERA}") == (200, {"results": []})
    assert {path: status for path, (status, _) in seen.items()} == dict.fromkeys(seen, 404)
    assert len(seen) == 7


def test_another_owner_finds_nothing(two):
    api, other, face, _ = two
    sent = {"photo": picture(RED), "threshold": "none", "n": 0}
    [(key, matches)] = api.good("POST", "/identify", parts=sent)["results"].items()
    assert [match["face"]["id"] for match in matches] == [face["id"]]
    assert other.good("POST", "/identify", parts=sent) == {"results": {key: []}}
    assert other.refusal("POST", "/faces/gallery/ppl/identify", parts=sent) == (404, "NOT_FOUND", None)
    other.gallery("ppl")
    assert other.good("POST", "/faces/gallery/ppl/identify", parts=sent) == {"results": {key: []}}


def test_another_owner_changes_nothing(two):
    api, other, face, camera = two
    before = everything_of(api, face, camera)
    for method, path in (("PUT", f"/face/id/{face['id']}"), ("DELETE", f"/face/id/{face['id']}"),
                         ("PUT", f"/camera/{camera['id']}"), ("DELETE", f"/camera/{camera['id']}"),
                         ("DELETE", "/galleries/ppl"), ("DELETE", "/face/gallery/ppl/meta/Sam")):  # fmt: skip
        assert other.refusal(method, path, json_body={"meta": "mine"}) == (404, "NOT_FOUND", None), path
    assert other("DELETE", "/face/meta/Sam").status == 204  # of the other's own there are none
    refusal = other.refusal("POST", "/face", parts={"photo": picture(RED), "galleries": "ppl"})
    assert refusal == (400, "BAD_PARAM", "galleries")
    other.gallery("ppl")
    other.face(RED, meta="Sam", galleries="ppl", cam_id=CAMERA)
    assert other("DELETE", "/face/gallery/ppl/meta/Sam").status == 204
    assert other("DELETE", "/galleries/ppl").status == 204
    assert everything_of(api, face, camera) == before
