"""Both clients against a server with the real networks, in a process of its own."""

import io
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from facenapi.client import AuthFailed, BadImage, BadParam, Client, NoAnswer, NoFaces, NotFound, TooManyFaces
from tests.client.inloop import InLoop
from tests.support.live import Server
from tests.support.photos import no_face, two_faces
from tests.support.pictures_server import serve_pictures

pytestmark = pytest.mark.slow  # tests/test_end_to_end.py has the daily server with real networks


@pytest.fixture(scope="module")
def server(tmp_path_factory, model_pack):
    options = ("--fetch_allow_private=True", "--person_identify=True")
    with Server(tmp_path_factory.mktemp("server"), *options) as running:
        yield running


BOTH = (pytest.param(Client, id="blocking"), pytest.param(InLoop, id="async", marks=pytest.mark.slow))


@pytest.fixture(params=BOTH)
def facenapi(request, server):
    """A client of a new owner."""
    with request.param(server.url, server.new_key()) as client:
        yield client


def test_a_photo_in_any_form_is_the_same_photo(facenapi, astronaut, tmp_path):
    file = tmp_path / "eileen.png"
    file.write_bytes(astronaut)
    image = Image.open(io.BytesIO(astronaut)).convert("RGB")
    [url] = serve_pictures([astronaut])
    for photo in (file, str(file), astronaut, url, image, np.asarray(image)):
        found = facenapi.detect(photo, gender=True, age=True, emotions=True, quality=True)
        face = max(found["faces"], key=lambda face: face["quality"])  # a badge on the suit may pass for one
        assert (face["gender"], face["emotions"][0]) == ("female", "happy")
        assert abs(face["x1"] - 181) < 12
        assert face["quality"] == min(face["quality_parts"].values())
    assert facenapi.detect(astronaut, bbox=(170, 60, 270, 180))["faces"]


def test_a_person_is_enrolled_identified_changed_and_deleted(facenapi, astronaut, grace_hopper):
    facenapi.add_gallery("crew")
    assert facenapi.galleries() == ["default", "crew"]
    [face] = facenapi.add_face(astronaut, meta="Eileen Collins", galleries=["crew"])
    assert facenapi.face(face["id"]) == face
    small = Image.open(io.BytesIO(astronaut)).convert("RGB").resize((300, 300))
    found = facenapi.identify(small, gallery="crew", n=2, threshold="medium", strict=True)
    assert (found["live_servers"], found["servers"]) == (1, 1)
    [candidates] = found["results"]
    assert [match["face"] for match in candidates["matches"]] == [face]
    assert set(candidates["box"]) == {"x1", "y1", "x2", "y2"}
    [nobody] = facenapi.identify(grace_hopper)["results"]
    assert nobody["matches"] == []
    verified = facenapi.verify(small, astronaut)
    assert verified["verified"]
    assert "verified" not in facenapi.verify(small, grace_hopper, threshold="none")
    changed = facenapi.edit_face(face["id"], meta="", del_galleries=["crew"])
    assert (changed["meta"], changed["galleries"]) == ("", ["default"])
    assert list(facenapi.faces(meta="")) == [changed]
    facenapi.delete_face(face["id"])
    with pytest.raises(NotFound):
        facenapi.face(face["id"])
    facenapi.delete_gallery("crew")
    assert facenapi.galleries() == ["default"]


def test_lists_are_iterated_over_all_pages(facenapi, astronaut):
    for number in range(5):
        facenapi.add_face(astronaut, meta=f"photo {number % 2}/%..")
    faces = list(facenapi.faces(page_size=2))
    assert len({face["id"] for face in faces}) == 5
    assert faces == sorted(faces, key=lambda face: -face["id"])
    assert list(facenapi.faces(page_size=2, max_id=faces[1]["id"])) == faces[2:]
    assert list(facenapi.faces(meta="photo 0/%..", page_size=1)) == faces[::2]
    assert [(meta["meta"], meta["count"]) for meta in facenapi.metas(page_size=1)] == [
        ("photo 1/%..", 2), ("photo 0/%..", 3)
    ]  # fmt: skip
    facenapi.delete_faces(meta="photo 0/%..")
    assert list(facenapi.faces()) == faces[1::2]


def test_persons_cameras_and_history(facenapi, astronaut, grace_hopper):
    camera = facenapi.add_camera(
        meta="entrance", detector="north", roi=(640, 480, 0, 0), rot=(8, 6, 0, 0), enabled=True
    )
    assert facenapi.cameras(detector="north") == [camera] == [facenapi.camera(camera["id"])]
    assert facenapi.cameras(detector="south") == []
    changed = facenapi.edit_camera(camera["id"], enabled=False, rot=[])
    assert changed == {name: value for name, value in camera.items() if name != "rot"} | {"enabled": False}
    when = datetime(2020, 5, 1, 12, tzinfo=UTC)
    for number in range(3):
        facenapi.add_face(astronaut, cam_id=camera["id"], timestamp=when + timedelta(hours=number))
    [other] = facenapi.add_face(grace_hopper, cam_id=camera["id"])
    [hers, *_], [theirs] = list(facenapi.history(end="2020-05-02")), list(facenapi.history(start="2021-01-01"))
    assert theirs == other
    since = when + timedelta(hours=1)
    seen = facenapi.person_history(hers["person_id"], cam_ids=[camera["id"]], start=since, page_size=1)
    assert [sighting["timestamp"][:13] for sighting in seen] == ["2020-05-01T14", "2020-05-01T13"]
    assert len(list(facenapi.history(person_id=hers["person_id"], friend=False, page_size=1))) == 3
    assert [person["id"] for person in facenapi.persons()] == [other["person_id"], hers["person_id"]]
    person = facenapi.person(hers["person_id"])
    assert (person["count"], person["face"]["person_id"]) == (3, hers["person_id"])
    merged = facenapi.merge_persons(hers["person_id"], other["person_id"])
    assert merged["count"] == len(list(facenapi.person_faces(hers["person_id"], page_size=2))) == 4
    facenapi.delete_camera(camera["id"])
    with pytest.raises(NotFound):
        facenapi.camera(camera["id"])


def test_refusals_say_what_is_wrong(facenapi, astronaut):
    with pytest.raises(BadParam) as caught:
        facenapi.add_face(astronaut, galleries=["none"])
    assert (caught.value.param, caught.value.status) == ("galleries", 400)
    assert "none" in str(caught.value.value)
    with pytest.raises(BadImage) as caught:
        facenapi.detect(b"no picture")
    assert caught.value.param == "photo"
    with pytest.raises(NoFaces) as caught:
        facenapi.verify(astronaut, no_face())
    assert caught.value.param == "photo2"
    with pytest.raises(TooManyFaces, match="Too many faces: 2") as caught:
        facenapi.add_face(two_faces(), mf_selector="reject")
    assert len(caught.value.faces) == 2
    assert len(facenapi.add_face(two_faces(), mf_selector="all")) == 2
    with pytest.raises(BadParam):
        facenapi.add_gallery("default")
    assert "/faces/id/{face_id}" in facenapi.openapi()["paths"]
    offer = facenapi.server()
    assert (offer["attributes"], offer["persons"], len(offer["thresholds"])) == (True, True, 4)


def test_who_and_where(server):
    with Client(server.url, "wrong") as client, pytest.raises(AuthFailed):
        client.galleries()
    with Client("http://127.0.0.1:9", "x", retries=0) as client, pytest.raises(NoAnswer) as caught:
        client.galleries()
    assert not caught.value.sent


@pytest.mark.slow
def test_one_client_serves_many_threads(server, astronaut):
    with Client(server.url, server.new_key()) as client, ThreadPoolExecutor(16) as pool:
        added = list(pool.map(lambda number: client.add_face(astronaut, meta=str(number)), range(32)))
        assert sorted(face["meta"] for face in client.faces()) == sorted(str(number) for number in range(32))
    assert len({faces[0]["id"] for faces in added}) == 32
