"""Rows of the endpoint table about cameras."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from tests.support.effort import daily
from tests.support.pictures_server import serve_pictures
from tests.support.server import RED, picture

FIELDS = {"meta": "entrance", "url": "rtsp://10.0.0.1/1", "detector": "north", "rot": [320, 240, 5, 6],
          "roi": [640, 480, 10, 20], "enabled": True}  # fmt: skip
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


@pytest.mark.parametrize("base", ["", "/v0", "/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_cameras_are_made_listed_changed_and_deleted(api, base, slash):
    reply = api("POST", f"{base}/camera{slash}", json_body=FIELDS)
    assert reply.status == 201
    camera = reply.json
    assert re.fullmatch(UUID, camera["id"])
    assert camera == FIELDS | {"id": camera["id"]}
    path = f"{base}/camera/{camera['id']}{slash}"
    assert api.good("GET", path) == camera
    changed = camera | {"enabled": False, "rot": [1, 2, 3, 4]}
    assert api.good("PUT", path, json_body={"enabled": False, "rot": "1,2,3,4"}) == changed
    assert api.good("PUT", path, json_body={}) == changed
    assert api.good("GET", f"{base}/camera{slash}") == [changed]
    assert (api("DELETE", path).status, api("DELETE", path).status) == (204, 404)
    assert api.refusal("GET", path) == api.refusal("PUT", path, json_body=FIELDS) == (404, "NOT_FOUND", None)
    assert api("GET", f"{base}/camera{slash}").body == b"[]"


def test_a_camera_answers_what_was_set_and_no_more(api):
    bare = api.good("POST", "/camera")
    assert list(bare) == ["id"]
    form = api.good("POST", "/camera", form={"roi": "1,2,3,4", "enabled": "no", "rot": "[5, 6, 7, 8]"})
    assert form == {"id": form["id"], "roi": [1, 2, 3, 4], "enabled": False, "rot": [5, 6, 7, 8]}
    text = api.good("POST", "/camera", query={"roi": "[1, 2, 3, 4]", "meta": "é"})
    assert text == {"id": text["id"], "roi": [1, 2, 3, 4], "meta": "é"}
    assert api.good("GET", "/camera") == [bare, form, text]


def test_cameras_by_detector(api):
    north, south = (api.good("POST", "/camera", json_body={"detector": name}) for name in ("north", "south"))
    assert api.good("GET", "/camera?detector=north") == [north]
    assert api.good("GET", "/camera?detector=south") == [south]
    assert api.good("GET", "/camera?detector=west") == []
    assert api.good("GET", "/camera?detector=") == [north, south]


def test_a_camera_is_found_with_dashes_and_in_capitals(api):
    camera = api.good("POST", "/camera", json_body={"meta": "x"})
    number = camera["id"]
    for spelling in (number.upper(), number.replace("-", ""), "{%s}" % number.upper(), f"urn:uuid:{number}"):  # noqa: UP031
        assert api.good("GET", f"/camera/{quote(spelling)}") == camera
        assert api.face(cam_id=spelling)["cam_id"] == number.replace("-", "")


@pytest.mark.parametrize("empty", ["", None, []])
def test_an_empty_value_clears_a_field(api, empty):
    camera = api.good("POST", "/camera", json_body=FIELDS)
    path = f"/camera/{camera['id']}"
    left = dict(camera)
    for name in ("meta", "url", "roi", "rot", "detector"):
        del left[name]
        assert api.good("PUT", path, json_body={name: empty}) == left
        assert api.good("GET", path) == left
    assert api.good("PUT", path, json_body={"enabled": empty}) == left
    assert api.good("PUT", path, form={"meta": "again", "roi": "[]"}) == left | {"meta": "again"}
    assert api.good("GET", "/camera") == [left | {"meta": "again"}]
    assert sorted(api.good("POST", "/camera", json_body=dict.fromkeys(FIELDS, empty))) == ["id"]


@pytest.mark.parametrize("wrong", [90, "90", [1, 2, 3], [1, 2, 3, -4], "north", {"x": 1}, True])
def test_regions_are_width_height_x_and_y(api, wrong):
    for name in ("rot", "roi"):
        reply = api("POST", "/camera", json_body={name: wrong})
        assert (reply.status, reply.json["code"], reply.json["param"]) == (400, "BAD_PARAM", name)
        assert reply.json["reason"].startswith(f"{name} must be ")


@pytest.mark.parametrize(
    ("sent", "stored"),
    daily([(25, "25"), ("10.0.0.1:554_A-b", "10.0.0.1:554_A-b"), ("fkvideo", "fkvideo"),
           (1510630062609, "1510630062609"), (" 7 ", "7"), ("x" * 64, "x" * 64)], 2),
)  # fmt: skip
def test_faces_take_any_name_of_a_camera(api, sent, stored):
    body = {"photo": serve_pictures([picture(RED)])[0], "cam_id": sent}
    [face] = api.good("POST", "/v1/face", json_body=body)["results"]
    assert face["cam_id"] == stored
    for cam_ids in ([sent], stored, f"{stored},none"):
        found = api.good("POST", "/history/search", json_body={"cam_ids": cam_ids})["results"]
        assert [event["cam_id"] for event in found] == [stored]


@pytest.mark.parametrize("wrong", ["a b", "é", "x" * 65, "a/b", -1, 1.5, True, ["a"], {}])
def test_other_values_name_no_camera(api, wrong):
    sent = {"json_body": {"photo": "x", "cam_id": wrong}}
    assert api.refusal("POST", "/v1/face", **sent) == (400, "BAD_PARAM", "cam_id")
