"""Persons who turned out to be one, the faces of a person, and what a server offers."""

from __future__ import annotations

import pytest

from tests.contract.client import Api, ids
from tests.contract.conftest import STORES, serving
from tests.support.server import BLUE, GREEN, RED


@pytest.fixture(scope="module", params=STORES)
def persons(request, tmp_path_factory):
    """A server that makes persons."""
    with serving(request.param, tmp_path_factory.mktemp("merge"), "--person_identify=True",
                 "--person_identify_global=True") as server:  # fmt: skip
        yield server


def test_a_merge_moves_every_face_and_the_other_is_gone(persons):
    api = Api(persons)
    faces = [api.face(color) for color in (RED, RED, GREEN, GREEN, GREEN, BLUE)]
    one, other, third = faces[0]["person_id"], faces[2]["person_id"], faces[5]["person_id"]
    merged = api.good("POST", f"/v1/person/id/{one}/merge", json_body={"other": other})
    assert (merged["id"], merged["count"]) == (one, 5)
    assert api.refusal("GET", f"/v1/person/id/{other}") == (404, "NOT_FOUND", None)
    assert set(ids(api.good("GET", "/v1/persons"))) == {one, third}
    assert ids(api.good("GET", f"/v1/person/id/{one}/faces")) == sorted(
        (face["id"] for face in faces[:5]), reverse=True
    )
    # The index knows it, too: the next sighting of either is one of the one person.
    assert api.face(GREEN)["person_id"] == one
    assert api.face(RED)["person_id"] == one


def test_a_merge_of_what_is_not_there_changes_nothing(persons):
    api = Api(persons)
    person = api.face(RED)["person_id"]
    path = f"/v1/person/id/{person}/merge"
    assert api.refusal("POST", path, json_body={"other": person}) == (400, "BAD_PARAM", "other")
    assert api.refusal("POST", path, json_body={"other": person + 1}) == (400, "BAD_PARAM", "other")
    assert api.refusal("POST", path, json_body={}) == (400, "BAD_PARAM", "other")
    assert api.refusal("POST", f"/v1/person/id/{person + 1}/merge", json_body={"other": person})[0] == 404
    stranger = api.other()
    assert stranger.refusal("POST", path, json_body={"other": person})[0] in (400, 404)
    assert api.good("GET", f"/v1/person/id/{person}")["count"] == 1


def test_the_faces_of_a_person_come_in_pages(persons):
    api = Api(persons)
    faces = [api.face(RED)["id"] for _ in range(5)]
    [person] = ids(api.good("GET", "/v1/persons"))
    page = api.good("GET", f"/v1/person/id/{person}/faces?limit=2")
    assert ids(page) == [faces[4], faces[3]]
    page = api.good("GET", page["next_page"])
    assert ids(page) == [faces[2], faces[1]]
    assert ids(api.good("GET", page["prev_page"])) == [faces[4], faces[3]]
    assert api.refusal("GET", f"/v1/person/id/{person + 1}/faces") == (404, "NOT_FOUND", None)


def test_a_server_says_what_it_offers(persons):
    offer = Api(persons).good("GET", "/v1/server")
    assert (offer["attributes"], offer["persons"], offer["photos"]) == (True, True, "off")
    assert [(one["name"], one["false_accept_rate"]) for one in offer["thresholds"]] == [
        ("low", 0.1), ("medium", 0.001), ("default", 3.5e-05), ("strict", 1e-05)]  # fmt: skip
