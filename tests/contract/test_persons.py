"""Persons, friends and camera history."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.client import Api, ids
from tests.contract.conftest import STORES, serving
from tests.support.server import BLUE, GREEN, RED, YELLOW, picture

DOOR, GATE = "0000000000000000000000000000000d", "00000000000000000000000000000009"
DASHED = "00000000-0000-0000-0000-00000000000D"


@pytest.fixture(scope="module", params=STORES)
def by_camera(request, tmp_path_factory):
    """A server that assigns persons, searched for camera by camera; three days make a friend."""
    options = ("--person_identify=True", "--friend_count=3", "--friend_interval=604800")
    with serving(request.param, tmp_path_factory.mktemp("camera"), *options) as server:
        yield server


@pytest.fixture(scope="module", params=STORES)
def everywhere(request, tmp_path_factory):
    """A server that assigns persons, searched for among all faces of the owner."""
    options = ("--person_identify=True", "--person_identify_global=True", "--max_requests=300")
    with serving(request.param, tmp_path_factory.mktemp("global"), *options) as server:
        yield server


@pytest.fixture
def cameras(by_camera):
    """A client of the first."""
    return Api(by_camera)


@pytest.fixture
def world(everywhere):
    """A client of the second."""
    return Api(everywhere)


# -- persons --------------------------------------------------------------------------------------


def test_persons_are_off_by_default(api):
    assert "person_id" not in api.face(cam_id=DOOR)
    assert api.good("GET", "/v1/persons")["results"] == []


def test_the_same_face_at_a_camera_is_the_same_person_counted_up_from_one(cameras):
    seen = [cameras.face(color, cam_id=DOOR)["person_id"] for color in (RED, BLUE, RED, BLUE, GREEN)]
    assert seen == [1, 2, 1, 2, 3]


def test_there_are_always_ids_for_more_persons(cameras):
    for person in (2**53 - 1, 2**52):
        for method, path, more in (
            ("POST", "/v1/face", {"parts": {"photo": picture(RED), "person_id": person}}),
            ("PUT", f"/v1/face/id/{cameras.face(RED)['id']}", {"json_body": {"person_id": person}}),
        ):
            assert cameras.refusal(method, path, **more) == (400, "BAD_PARAM", "person_id")
    assert cameras.face(RED, person_id=2**52 - 1)["person_id"] == 2**52 - 1
    new = cameras.face(BLUE)["person_id"]
    assert cameras.good("GET", f"/v1/person/id/{new}")["count"] == 1


def test_each_camera_has_persons_of_its_own(cameras):
    assert [cameras.face(RED, cam_id=cam)["person_id"] for cam in (DOOR, GATE, DASHED, GATE)] == [1, 2, 1, 2]
    assert [cameras.face(RED)["person_id"] for _ in range(2)] == [3, 3]  # faces without a camera among themselves
    named_none = {"cam_id": "none"}
    assert [cameras.face(RED, **more)["person_id"] for more in (named_none, {}, named_none)] == [4, 3, 4]


def test_with_global_all_cameras_share_them(world):
    assert [world.face(RED, cam_id=cam)["person_id"] for cam in (DOOR, GATE)] == [1, 1]
    assert [world.face(color)["person_id"] for color in (RED, BLUE, BLUE)] == [1, 2, 2]


def test_two_faces_of_one_photo(world):
    both = picture((RED, (10, 10, 60, 60)), (RED, (100, 10, 140, 50)))
    twice = world.good("POST", "/face", parts={"photo": both, "bbox": "[[10,10,30,60],[110,10,140,50]]"})["results"]
    assert {face["person_id"] for face in twice} == {1}


def test_a_refused_photo_makes_no_person(world):
    for fields in ({"galleries": "nowhere", "person_id": 5}, {"person_id": 0}, {"bbox": "[1]"}):
        assert world("POST", "/face", parts={"photo": picture(RED), **fields}).status == 400
    assert world.good("GET", "/persons")["results"] == []
    assert world.face(RED)["person_id"] == 1


def test_a_person_that_is_given_is_taken(world):
    assert world.face(RED)["person_id"] == 1
    assert world.face(BLUE, person_id=1)["person_id"] == 1
    assert world.face(BLUE)["person_id"] == 1  # the most similar face is of person 1


def test_a_person_who_is_named_first_comes_into_being_and_the_counter_goes_on_above(world):
    assert world.face(RED, person_id=5)["person_id"] == 5
    assert world.face(BLUE)["person_id"] == 6
    face = world.face(GREEN)
    assert world.good("PUT", f"/face/id/{face['id']}", json_body={"person_id": 20})["person_id"] == 20
    assert [person["id"] for person in world.good("GET", "/persons")["results"]] == [20, 6, 5]
    assert world.face(YELLOW)["person_id"] == 21
    assert world.refusal("PUT", "/face/id/7", json_body={"person_id": 99}) == (404, "NOT_FOUND", None)
    assert world.refusal("GET", "/person/id/99") == (404, "NOT_FOUND", None)


def test_a_person_goes_with_the_last_face_however_it_goes(world):
    world.gallery("g")
    by_id, again = world.face(RED), world.face(RED)
    world.face(BLUE, meta="m")
    world.face(GREEN, galleries="g")
    moved = world.face(YELLOW)

    def people():
        return [person["id"] for person in world.good("GET", "/persons")["results"]]

    assert people() == [4, 3, 2, 1]
    world("DELETE", f"/face/id/{by_id['id']}")
    assert people() == [4, 3, 2, 1]
    world("DELETE", f"/face/id/{again['id']}")
    assert people() == [4, 3, 2]
    world("DELETE", "/face/meta/m")
    assert people() == [4, 3]
    world("DELETE", "/galleries/g")
    assert people() == [4]
    world("PUT", f"/face/id/{moved['id']}", json_body={"person_id": 9})
    assert people() == [9]
    for person in (1, 2, 3, 4):
        assert world.refusal("GET", f"/person/id/{person}") == (404, "NOT_FOUND", None)
        assert world.refusal("GET", f"/person/history/id/{person}") == (404, "NOT_FOUND", None)


@pytest.mark.slow
def test_persons_that_come_and_go_at_once_keep_their_faces(world):
    def one(number):
        face = world.face(RED, person_id=3)
        return number % 2 and world("DELETE", f"/face/id/{face['id']}").status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(one, range(24))) == {0, 204}
    assert world.good("GET", "/person/id/3")["count"] == 12


@pytest.mark.slow
def test_fifty_simultaneous_first_sightings_are_one_person(world):
    with ThreadPoolExecutor(50) as pool:
        faces = list(pool.map(lambda _: world.face(YELLOW), range(50)))
    assert {face["person_id"] for face in faces} == {1}
    assert world.good("GET", "/persons")["results"] == [{"id": 1, "meta": ""}]
    assert world.good("GET", "/person/id/1")["count"] == 50


@pytest.mark.parametrize("base", ["", "/v0", "/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_persons_are_listed_and_shown(world, base, slash):
    first = world.face(RED, meta="old")
    world.face(BLUE, meta="b")
    world.face(RED, meta="new")
    page = world.good("GET", f"{base}/persons{slash}")
    people = [{"id": 2, "meta": "b"}, {"id": 1, "meta": "new"}]
    assert page == {"results": people, "next_page": None, "prev_page": None}
    assert world.good("GET", f"{base}/person/id/1{slash}") == {"id": 1, "meta": "new", "count": 2, "face": first}
    assert world.refusal("GET", f"{base}/person/id/3{slash}") == (404, "NOT_FOUND", None)
    newest = world.good("GET", f"{base}/persons{slash}?limit=1")
    assert (newest["results"], newest["next_page"]) == (people[:1], f"{base}/persons{slash}?limit=1&max_id=2")
    assert world.good("GET", newest["next_page"])["results"] == people[1:]


def test_put_person_id_repairs(world):
    first, second = world.face(RED), world.face(BLUE)
    path = f"/v1/face/id/{second['id']}"
    assert world.good("PUT", path, json_body={"person_id": 1}) == second | {"person_id": 1}
    assert world.good("GET", "/person/id/1")["count"] == 2
    assert world.face(BLUE)["person_id"] == 1
    assert world.good("GET", path)["person_id"] == 1
    assert world.good("GET", "/person/id/1")["face"] == first


def test_a_deleted_face_is_no_longer_anybodys_likeness(world):
    face = world.face(GREEN)
    world("DELETE", f"/face/id/{face['id']}")
    assert world.face(GREEN)["person_id"] == face["person_id"] + 1


# -- friends ----------------------------------------------------------------------------------------


def test_a_friend_was_seen_on_distinct_utc_days(cameras):
    def seen(timestamp, cam_id=DOOR):
        return cameras.face(RED, cam_id=cam_id, timestamp=timestamp)["friend"]

    assert seen("2020-01-01T08:00") is False
    assert seen("2020-01-01T23:59:59.999") is False  # the same day
    assert seen("2020-01-02T01:00+02:00") is False  # in UTC it is still the first of January
    assert seen("2020-01-02T00:00") is False  # the second day
    assert seen("2020-01-05T12:00") is True  # the third
    assert seen("2020-01-07T12:00", GATE) is False  # another camera
    assert seen("2020-01-03T12:00") is True  # what is later does not count: days 1, 2, 3
    assert seen("2020-01-12T11:00") is False  # within seven days only the 5th and today
    assert cameras.face(RED, timestamp="2020-01-06")["friend"] is False  # no camera


def test_being_a_friend_is_decided_when_the_face_is_added(cameras):
    faces = [cameras.face(RED, cam_id=DOOR, timestamp=f"2020-01-0{day}") for day in (3, 4, 5)]
    assert [face["friend"] for face in faces] == [False, False, True]
    for face in faces[:2]:
        cameras("DELETE", f"/face/id/{face['id']}")
    assert cameras.good("GET", f"/face/id/{faces[2]['id']}")["friend"] is True


# -- history ------------------------------------------------------------------------------------------


def history(api, **filters):
    return ids(api.good("POST", "/v0/history/search", json_body=filters))


def test_history_filters_are_inclusive_and_combine(cameras):
    days = [cameras.face(color, cam_id=cam, timestamp=f"2020-01-0{day}T12:00", meta=f"m{day}")["id"]
            for day, color, cam in ((1, RED, DOOR), (2, RED, DOOR), (3, RED, DOOR), (4, BLUE, GATE))]  # fmt: skip
    cameras.face(RED)  # no camera, no event
    one, two, three, four = days
    assert history(cameras) == [four, three, two, one]
    assert history(cameras, start="2020-01-02T12:00", end="2020-01-03T12:00:00.000") == [three, two]
    assert history(cameras, start="2020-01-02T12:00:00.001") == [four, three]
    assert history(cameras, end="2020-01-01T11:59:59.999") == []
    assert history(cameras, cam_ids=[DASHED]) == [three, two, one]
    assert history(cameras, cam_ids=f"{DASHED},{GATE}") == [four, three, two, one]
    assert history(cameras, cam_ids=["f" * 32]) == []
    assert history(cameras, cam_ids=[1, 25]) == []
    assert history(cameras, cam_ids=[]) == [four, three, two, one]
    assert history(cameras, person_id=2) == [four]
    assert history(cameras, person_id="1", cam_ids=[DOOR], start="2020-01-02") == [three, two]
    assert history(cameras, friend=True) == [three]
    assert history(cameras, friend="no") == [four, two, one]
    assert history(cameras, person_id=77) == []
    assert history(cameras, max_id=three) == [two, one]
    assert history(cameras, limit=1, max_id=three, start="2020-01-01") == [two]


@pytest.mark.parametrize("base", ["", "/v0", "/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_history_search_answers_events_and_leaves_the_link_out_at_the_end(cameras, base, slash):
    old, new = (cameras.face(RED, cam_id=DOOR) for _ in range(2))
    path = f"{base}/history/search{slash}"
    for method in ("GET", "POST"):
        assert cameras.good(method, path) == {"results": [new, old]}
        first = cameras.good(method, path, json_body={"limit": 1})
        assert first == {"results": [new], "next_page": f"{path}?limit=1&max_id={new['id']}"}
        assert cameras.good(method, first["next_page"]) == {"results": [old]}
    assert {"cam_id", "person_id", "friend"} <= set(new)


@pytest.mark.parametrize("base", ["", "/v0", "/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_history_of_a_person(cameras, base, slash):
    one = cameras.face(RED, cam_id=DOOR, meta="Sam", timestamp="2020-01-01T12:00")
    two = cameras.face(RED, cam_id=DOOR, meta="Sam", timestamp="2020-01-02T12:00")
    cameras.face(BLUE, cam_id=DOOR)
    path = f"{base}/person/history/id/1{slash}"

    def sighting(face):
        return {"person_id": 1, "face_id": face["id"], "cam_id": DOOR, "meta": "Sam", "screenshot": "",
                "timestamp": face["timestamp"]}  # fmt: skip

    assert cameras.good("GET", path) == {"results": [sighting(two), sighting(one)]}
    body = {"cam_ids": [DASHED], "start": "2020-01-01T12:00", "end": "2020-01-01T12:00"}
    assert cameras.good("GET", path, json_body=body) == {"results": [sighting(one)]}
    assert cameras.good("GET", path, query={"end": "2020-01-01T12:00"}) == {"results": [sighting(one)]}
    assert cameras.good("GET", path, query={"cam_ids": GATE}) == {"results": []}
    assert cameras.refusal("GET", f"{base}/person/history/id/7{slash}") == (404, "NOT_FOUND", None)
