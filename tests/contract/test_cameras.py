"""Rows of the endpoint table about cameras."""

from __future__ import annotations

import re

import pytest

FIELDS = {"meta": "entrance", "url": "rtsp://10.0.0.1/1", "detector": "north", "rot": 90, "roi": [640, 480, 10, 20],
          "enabled": True}  # fmt: skip


@pytest.mark.parametrize("base", ["", "/v0", "/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_cameras_are_made_listed_changed_and_deleted(api, base, slash):
    reply = api("POST", f"{base}/camera{slash}", json_body=FIELDS)
    assert reply.status == 201
    camera = reply.json
    assert re.fullmatch(r"[0-9a-f]{32}", camera["id"])
    assert camera == FIELDS | {"id": camera["id"]}
    path = f"{base}/camera/{camera['id']}{slash}"
    assert api.good("GET", path) == camera
    assert api.good("PUT", path, json_body={"enabled": False, "rot": "-90"}) == camera | {
        "enabled": False,
        "rot": -90,
    }
    assert api.good("PUT", path, json_body={}) == camera | {"enabled": False, "rot": -90}
    assert api.good("GET", f"{base}/camera{slash}") == [camera | {"enabled": False, "rot": -90}]
    assert (api("DELETE", path).status, api("DELETE", path).status) == (204, 404)
    assert api.refusal("GET", path) == api.refusal("PUT", path, json_body=FIELDS) == (404, "NOT_FOUND", None)
    assert api("GET", f"{base}/camera{slash}").body == b"[]"


def test_a_camera_answers_what_was_set_and_no_more(api):
    bare = api.good("POST", "/camera")
    assert list(bare) == ["id"]
    form = api.good("POST", "/camera", form={"roi": "1,2,3,4", "enabled": "no", "rot": "+5"})
    assert form == {"id": form["id"], "roi": [1, 2, 3, 4], "enabled": False, "rot": 5}
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
    number = camera["id"].upper()
    dashed = f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:]}"
    assert api.good("GET", f"/camera/{dashed}") == camera
