"""Adding, reading, changing and deleting faces over HTTP."""

from __future__ import annotations

import hashlib
import re

from facenapi.services.auth import create_token
from tests.support.server import BLUE, GREEN, RED, picture, serving


async def test_a_face_is_added_and_read_back(tmp_path):
    async with serving(tmp_path) as client:
        photo = picture(RED)
        reply = await client("POST", "/v1/face", parts={"photo": photo, "meta": "Sam Berry"})
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"
        [face] = reply.json["results"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}000", face.pop("timestamp"))
        assert 0 < face.pop("id") < 1 << 53
        assert face == {
            "x1": 50, "x2": 110, "y1": 20, "y2": 80, "meta": "Sam Berry", "galleries": ["default"], "photo": "",
            "photo_hash": hashlib.md5(photo).hexdigest(),
        }  # fmt: skip
        stored = reply.json["results"][0]
        for path in (f"/v0/face/id/{stored['id']}", f"/faces/id/{stored['id']}/", f"/v1/face/id/{stored['id']}"):
            assert (await client("GET", path)).json == stored


async def test_keys_are_sorted_and_slashes_are_plain(tmp_path):
    async with serving(tmp_path) as client:
        face = await client.enrol(meta="a/b é")
        body = (await client("GET", f"/v1/face/id/{face['id']}")).body
        assert body.startswith(b'{"galleries":["default"],"id":')
        assert '"meta":"a/b é"'.encode() in body


async def test_the_selector_chooses_among_several_faces(tmp_path):
    two = picture((RED, (10, 10, 60, 60)), (GREEN, (100, 10, 140, 50)))
    async with serving(tmp_path) as client:
        boxes = [{"x1": 10, "x2": 60, "y1": 10, "y2": 60}, {"x1": 100, "x2": 140, "y1": 10, "y2": 50}]
        for version, code in (("v0", 400), ("v1", "TOO_MANY_FACES"), ("", 400)):
            reply = await client("POST", f"/{version}/face".replace("//", "/"),
                                 parts={"photo": two, "mf_selector": "reject"})  # fmt: skip
            assert reply.status == 400
            assert reply.json == {"code": code, "faces": boxes, "reason": "Too many faces: 2"}
        biggest = (await client("POST", "/v1/face", parts={"photo": two})).json["results"]
        every = (await client("POST", "/v1/face", parts={"photo": two, "mf_selector": "ALL"})).json["results"]
        assert [face["x1"] for face in biggest] == [10]
        assert [face["x1"] for face in every] == [10, 100]


async def test_a_box_means_the_face_it_overlaps_most_or_its_inside(tmp_path):
    two = picture((RED, (10, 10, 60, 60)), (GREEN, (100, 10, 140, 50)))
    async with serving(tmp_path) as client:

        async def boxes_of(bbox):
            reply = await client("POST", "/v1/face", parts={"photo": two, "bbox": bbox})
            return [(face["x1"], face["y1"], face["x2"], face["y2"]) for face in reply.json["results"]]

        assert await boxes_of("[90, 0, 130, 60]") == [(100, 10, 140, 50)]
        assert await boxes_of('{"x1": 90, "y1": 0, "x2": 130, "y2": 60}') == [(100, 10, 140, 50)]
        assert await boxes_of("[[0, 0, 20, 20], [99, 0, 120, 20]]") == [(10, 10, 60, 60), (100, 10, 140, 50)]
        assert await boxes_of("[150, 60, 190, 99]") == [(150, 60, 190, 99)]
        assert await boxes_of("[[0, 0, 20, 20], [1, 1, 30, 30]]") == [(10, 10, 60, 60)]
        outside = await client("POST", "/v1/face", parts={"photo": two, "bbox": "[-50, -50, -5, -5]"})
        assert (outside.status, outside.json["code"], outside.json["param"]) == (400, "BAD_PARAM", "bbox")


async def test_meta_person_and_galleries_can_be_changed(tmp_path):
    async with serving(tmp_path) as client:
        for name in ("ppl", "abc"):
            assert (await client("POST", f"/v1/galleries/{name}")).status == 201
        face = await client.enrol(galleries="ppl")
        path = f"/v0/face/id/{face['id']}"
        assert face["galleries"] == ["default", "ppl"]
        assert (await client("PUT", path, json_body={"meta": "x"})).json == face | {"meta": "x"}
        for empty in ("", None, []):
            assert (await client("PUT", path, json_body={"meta": "y"})).json["meta"] == "y"
            assert (await client("PUT", path, json_body={"meta": empty})).json == face
        assert (await client("PUT", path, json_body={"meta": "x"})).json == face | {"meta": "x"}
        for edit, names in (
            ({"add": ["abc"]}, ["default", "abc", "ppl"]),
            ({"del": ["ppl"]}, ["default", "abc"]),
            ({"set": ["ppl"]}, ["default", "ppl"]),
            ({"set": ["default"]}, ["default"]),
            ({"set": []}, ["default"]),
        ):
            assert (await client("PUT", path, json_body={"galleries": edit})).json["galleries"] == names
        for bad in ({"add": ["none"]}, {"del": ["default"]}, {"add": [], "del": []}, {}, {"put": ["ppl"]}, "ppl", 3):
            reply = await client("PUT", path, json_body={"galleries": bad})
            assert (reply.status, reply.json["code"], reply.json["param"]) == (400, "BAD_PARAM", "galleries"), bad
        changed = face | {"meta": "x", "galleries": ["default"]}
        assert (await client("GET", path)).json == changed
        assert (await client("PUT", path, json_body={"person_id": 7})).json["person_id"] == 7


async def test_a_deleted_face_is_gone_everywhere(tmp_path):
    async with serving(tmp_path) as client:
        face, other = await client.enrol(RED), await client.enrol(BLUE)
        assert (await client("DELETE", f"/v1/face/id/{face['id']}")).status == 204
        for method in ("GET", "PUT", "DELETE"):
            reply = await client(method, f"/v1/face/id/{face['id']}", json_body={"meta": "x"})
            assert (reply.status, reply.json["code"]) == (404, "NOT_FOUND")
        found = (await client("POST", "/v1/identify", parts={"photo": picture(RED)})).json
        assert found == {"results": {"[50, 20, 110, 80]": []}}
        assert [f["id"] for f in (await client("GET", "/faces")).json["results"]] == [other["id"]]


async def test_ids_that_no_face_can_have_are_not_found(tmp_path):
    async with serving(tmp_path) as client:
        for face_id in ("0", "-1", "x", "1.5", "9" * 30, "%20", "%00", "1%2F2", "%DB%B1"):
            reply = await client("GET", f"/v1/face/id/{face_id}")
            assert (reply.status, reply.json["code"]) == (404, "NOT_FOUND"), face_id


async def test_attributes_only_where_asked_and_offered(tmp_path):
    photo = picture(RED)
    asked = {"photo": photo, "gender": "true", "age": "1", "emotions": "on"}
    async with serving(tmp_path / "a") as client:
        face = (await client("POST", "/v1/face", parts=asked)).json["results"][0]
        assert (face["age"], face["gender"], face["emotions"]) == (30.5, "female", ["happy", "neutral"])
        detected = (await client("POST", "/v1/detect", parts=asked)).json
        assert detected == {
            "faces": [{"age": 30.5, "emotions": ["happy", "neutral"], "gender": "female",
                       "x1": 50, "x2": 110, "y1": 20, "y2": 80}],
            "orientation": 1,
        }  # fmt: skip
    async with serving(tmp_path / "b", gae=False) as client:
        reply = await client("POST", "/v1/detect", parts=asked)
        assert (reply.status, reply.json["code"], reply.json["param"]) == (400, "BAD_PARAM", "age")


async def test_camera_and_time_are_stored_as_given(tmp_path):
    async with serving(tmp_path) as client:
        face = await client.enrol(
            cam_id="12345678-1234-5678-1234-56781234ABCD", timestamp="2016-06-13T14:06:42.0759+03"
        )
        assert face["cam_id"] == "1234567812345678123456781234abcd"
        assert face["timestamp"] == "2016-06-13T11:06:42.075000"
        assert face["friend"] is False


async def test_owners_do_not_see_each_other(tmp_path):
    async with serving(tmp_path) as client:
        other, _ = await create_token(client.app.store)
        face = await client.enrol(RED)
        assert (await client("GET", f"/face/id/{face['id']}", key=other)).status == 404
        assert (await client("DELETE", f"/face/id/{face['id']}", key=other)).status == 404
        found = await client("POST", "/v1/identify", parts={"photo": picture(RED)}, key=other)
        assert found.json == {"results": {"[50, 20, 110, 80]": []}}
        assert (await client("GET", "/faces", key=other)).json["results"] == []
        assert (await client("GET", f"/face/id/{face['id']}")).json == face
