"""Rows of the endpoint table about faces, metas and galleries."""

from __future__ import annotations

import hashlib
import re
import time
from urllib.parse import quote

import pytest

from tests.contract.client import ids
from tests.support.server import BLUE, GREEN, RED, picture

ROW_VERSIONS = ("", "/v0", "/v1")


def test_post_face_answers_the_face(api):
    photo = picture(RED)
    before = time.time()
    [face] = api.good("POST", "/v1/face", parts={"photo": photo, "meta": "Sam Berry"})["results"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}000", face["timestamp"])
    assert 0 < face["id"] < 2**53
    assert before - 1 < (face["id"] >> 10) / 2500 < time.time() + 1  # ticks of 0.4 ms above ten bits of cell
    assert {key: face[key] for key in face if key not in ("id", "timestamp")} == {
        "x1": 50, "x2": 110, "y1": 20, "y2": 80, "meta": "Sam Berry", "galleries": ["default"], "photo": "",
        "photo_hash": hashlib.md5(photo).hexdigest(),
    }  # fmt: skip


def test_answers_are_sorted_strict_json(api):
    reply = api("POST", "/v0/face", parts={"photo": picture(RED), "meta": 'é"/\u2028'})
    assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"
    text = reply.body.decode()
    names = re.findall(r'"(\w+)":', text.split("[", 1)[1])
    assert names == sorted(names)
    assert '"x1":50,' in text
    assert reply.json["results"][0]["meta"] == 'é"/\u2028'


def test_post_face_takes_everything_it_may(api):
    api.gallery("ppl", "staff")
    fields = {
        "meta": "m", "galleries": "staff,ppl", "cam_id": "12345678-1234-5678-1234-56781234ABCD", "gender": "yes",
        "age": "1", "emotions": "on", "timestamp": "2016-06-13T14:06:42.0759+03:00", "bbox": "[40, 10, 90, 90]",
        "mf_selector": "all",
    }  # fmt: skip
    face = api.face(RED, **fields)
    assert face["galleries"] == ["default", "ppl", "staff"]
    assert face["cam_id"] == "1234567812345678123456781234abcd"
    assert (face["gender"], face["age"], face["emotions"]) == ("female", 30.5, ["happy", "neutral"])
    assert face["timestamp"] == "2016-06-13T11:06:42.075000"
    assert face["friend"] is False
    assert api.good("GET", f"/face/id/{face['id']}") == face


def test_a_later_face_has_a_higher_id(api):
    found = [api.face()["id"] for _ in range(5)]
    assert found == sorted(set(found))


@pytest.mark.parametrize("base", ROW_VERSIONS)
@pytest.mark.parametrize("word", ["face", "faces"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_get_put_delete_face_in_every_spelling(api, base, word, slash):
    face = api.face(meta="one")
    path = f"{base}/{word}/id/{face['id']}{slash}"
    assert api.good("GET", path) == face
    assert api.good("PUT", path, json_body={"meta": "two"}) == face | {"meta": "two"}
    reply = api("DELETE", path)
    assert (reply.status, reply.body) == (204, b"")
    assert api.refusal("GET", path) == (404, "NOT_FOUND", None)
    assert api.refusal("PUT", path, json_body={"meta": "x"}) == (404, "NOT_FOUND", None)
    assert api.refusal("DELETE", path) == (404, "NOT_FOUND", None)


def test_put_face_edits_galleries_by_exactly_one_key(api):
    api.gallery("a", "b")
    path = f"/v0/face/id/{api.face(galleries='a')['id']}"
    for edit, expected in (
        ({"add": ["b"]}, ["default", "a", "b"]), ({"add": ["b"]}, ["default", "a", "b"]),
        ({"del": ["a"]}, ["default", "b"]), ({"del": ["a"]}, ["default", "b"]),
        ({"set": ["a"]}, ["default", "a"]), ({"set": []}, ["default"]), ({"set": ["default"]}, ["default"]),
    ):  # fmt: skip
        assert api.good("PUT", path, json_body={"galleries": edit})["galleries"] == expected
    assert api.good("PUT", path, form={"galleries": '{"add": ["b"]}'})["galleries"] == ["default", "b"]
    for wrong in (
        {},
        {"add": ["a"], "del": ["b"]},
        {"put": ["a"]},
        ["a"],
        7,
        {"add": ["nowhere"]},
        {"del": ["nowhere"]},
        {"del": ["b", "nowhere"]},
        {"set": ["nowhere"]},
        {"del": ["default"]},
    ):
        assert api.refusal("PUT", path, json_body={"galleries": wrong}) == (400, "BAD_PARAM", "galleries"), wrong
    assert api.good("GET", path)["galleries"] == ["default", "b"]


@pytest.mark.parametrize("base", ROW_VERSIONS)
@pytest.mark.parametrize("word", ["face", "faces"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_meta_lists_and_deletes_exact_matches(api, base, word, slash):
    api.gallery("ppl")
    one, two = api.face(meta="Sam Berry"), api.face(BLUE, meta="Sam Berry", galleries="ppl")
    others = [
        api.face(GREEN, meta=meta, galleries="ppl")["id"] for meta in ("sam berry", "Sam", "Sam Berry ", "Sam+Berry")
    ]
    path = f"{base}/{word}/meta/Sam%20Berry{slash}"
    inside = f"{base}/{word}/gallery/ppl/meta/Sam%20Berry{slash}"
    assert api.good("GET", path) == {"results": [two, one], "next_page": None, "prev_page": None}
    assert api.good("GET", inside)["results"] == [two]
    assert api("DELETE", inside).status == 204
    assert api.good("GET", path)["results"] == [one]
    assert api("DELETE", path).status == 204
    assert api.good("GET", path)["results"] == []
    assert sorted(ids(api.good("GET", "/faces"))) == sorted(others)


@pytest.mark.parametrize("meta", ["a/b", "a+b", "50%", "é 中", "?x=1&y", "..", "a//", "id"])
def test_any_meta_can_be_asked_for(api, meta):
    face = api.face(meta=meta)
    assert ids(api.good("GET", f"/v1/faces/meta/{quote(meta, safe='')}")) == [face["id"]]


@pytest.mark.parametrize("base", ROW_VERSIONS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_faces_and_faces_of_a_gallery_newest_first(api, base, slash):
    api.gallery("ppl")
    one, two, three = api.face(), api.face(BLUE, galleries="ppl"), api.face(GREEN)
    page = {"next_page": None, "prev_page": None}
    assert api.good("GET", f"{base}/faces{slash}") == page | {"results": [three, two, one]}
    assert api.good("GET", f"{base}/faces/gallery/ppl{slash}") == page | {"results": [two]}
    assert api.good("GET", f"{base}/faces/gallery/default{slash}")["results"] == [three, two, one]
    assert api.refusal("GET", f"{base}/faces/gallery/none{slash}") == (404, "NOT_FOUND", None)


@pytest.mark.parametrize("base", ROW_VERSIONS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_meta_counts_and_first_faces(api, base, slash):
    api.gallery("ppl")
    first = api.face(meta="a")
    other = api.face(BLUE, meta="b", galleries="ppl")
    api.face(GREEN, meta="a")
    b, a = {"count": 1, "face": other, "meta": "b"}, {"count": 2, "face": first, "meta": "a"}
    assert api.good("GET", f"{base}/meta{slash}")["results"] == [b, a]
    assert api.good("GET", f"{base}/meta/gallery/ppl{slash}")["results"] == [b]
    assert api.refusal("GET", f"{base}/meta/gallery/none{slash}") == (404, "NOT_FOUND", None)
    api("DELETE", f"/face/id/{first['id']}")
    assert api.good("GET", f"{base}/meta")["results"][1]["count"] == 1


@pytest.mark.parametrize("base", ROW_VERSIONS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_galleries_are_made_listed_and_deleted_with_their_faces(api, base, slash):
    assert api.good("GET", f"{base}/galleries{slash}") == {"results": ["default"]}
    reply = api("POST", f"{base}/galleries/test-gal_1{slash}", headers={"Content-Type": "application/json"})
    assert (reply.status, reply.json) == (201, {"name": "test-gal_1"})
    reply = api("POST", f"{base}/galleries{slash}", json_body={"name": "abc"})
    assert (reply.status, reply.json) == (201, {"name": "abc"})
    assert api.good("GET", f"{base}/galleries{slash}") == {"results": ["default", "abc", "test-gal_1"]}
    inside, outside = api.face(RED, galleries="abc"), api.face(BLUE)
    assert api("DELETE", f"{base}/galleries/abc{slash}").status == 204
    assert api.good("GET", f"{base}/galleries{slash}") == {"results": ["default", "test-gal_1"]}
    assert ids(api.good("GET", "/faces")) == [outside["id"]]
    assert api.refusal("GET", f"/face/id/{inside['id']}") == (404, "NOT_FOUND", None)
    assert api.good("POST", "/v1/identify", parts={"photo": picture(RED)})["results"] == {"[50, 20, 110, 80]": []}


def test_default_gallery_always_exists_and_stays(api):
    assert api.refusal("POST", "/v1/galleries/default") == (400, "BAD_PARAM", "name")
    assert api.refusal("DELETE", "/v1/galleries/default") == (400, "BAD_PARAM", "name")
    assert api.refusal("DELETE", "/v1/galleries/none") == (404, "NOT_FOUND", None)
    assert api.face(galleries="default")["galleries"] == ["default"]


def test_a_gallery_is_named_by_at_most_48_letters(api):
    assert api("POST", "/v1/galleries/" + "x" * 48).status == 201
    for name in ("x" * 49, "a%20b", "%D0%B6", "a.b", "a%0A"):
        assert api.refusal("POST", f"/v1/galleries/{name}") == (400, "BAD_PARAM", "name"), name
    assert api.refusal("POST", "/v1/galleries", json_body={}) == (400, "BAD_PARAM", "name")
    assert api.refusal("POST", "/v1/galleries/" + "x" * 48) == (400, "BAD_PARAM", "name")


def test_an_unknown_gallery_is_refused_and_not_made(api):
    fields = {"photo": picture(RED), "galleries": "nowhere"}
    assert api.refusal("POST", "/v1/face", parts=fields) == (400, "BAD_PARAM", "galleries")
    assert api.good("GET", "/galleries") == {"results": ["default"]}
    assert api.good("GET", "/faces")["results"] == []


def test_a_face_can_be_added_through_the_path_of_a_gallery(api):
    api.gallery("ppl")
    [face] = api.good("POST", "/v0/faces/gallery/ppl", parts={"photo": picture(RED)})["results"]
    assert face["galleries"] == ["default", "ppl"]
    refusal = api.refusal("POST", "/v0/faces/gallery/none", parts={"photo": picture(RED)})
    assert refusal == (404, "NOT_FOUND", None)


def test_faces_without_a_meta_are_a_group_too(api):
    api.gallery("g")
    plain, named, inside = api.face(), api.face(meta="m"), api.face(galleries="g")
    assert api.good("GET", "/v1/face/meta/")["results"] == [inside, plain]
    assert api.good("GET", "/faces/gallery/g/meta/")["results"] == [inside]
    assert api("DELETE", "/face/gallery/g/meta/").status == 204
    assert api.good("GET", "/face/meta/")["results"] == [plain]
    assert api("DELETE", "/v0/face/meta/").status == 204
    assert api.good("GET", "/faces")["results"] == [named]
    assert api("DELETE", "/v0/face/meta").status == 404
