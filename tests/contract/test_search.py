"""Rows and semantics of detect, verify and identify: thresholds, selectors, boxes, galleries, n."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.contract.client import Api, ids
from tests.contract.conftest import serving
from tests.support.server import BLUE, GREEN, RED, YELLOW, picture

# Colours whose faces are as similar to RED's, for the FakeDetector, as the name says.
LOW, MEDIUM = (0, 123, 138), (4, 225, 249)  # 0.589 and 0.685
BOX = {"x1": 50, "x2": 110, "y1": 20, "y2": 80}
KEY = "[50, 20, 110, 80]"
SMALL, LARGE = (10, 10, 40, 40), (80, 20, 140, 80)
TWO = [{"x1": 80, "x2": 140, "y1": 20, "y2": 80}, {"x1": 10, "x2": 40, "y1": 10, "y2": 40}]


def two(small=RED, large=BLUE):
    return picture((small, SMALL), (large, LARGE))


@pytest.mark.parametrize("base", ["", "/v0", "/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_detect(api, base, slash):
    path = f"{base}/detect{slash}"
    assert api.good("POST", path, parts={"photo": two()}) == {"faces": TWO, "orientation": 1}
    assert api.good("POST", path, parts={"photo": picture()}) == {"faces": [], "orientation": 1}
    seen = api.good("POST", path, parts={"photo": picture(RED), "age": "yes", "gender": 1, "emotions": "TRUE"})
    assert seen["faces"] == [BOX | {"age": 30.5, "emotions": ["happy", "neutral"], "gender": "female"}]
    seen = api.good("POST", path, parts={"photo": picture(RED), "age": "off", "gender": "", "emotions": "on"})
    assert seen["faces"] == [BOX | {"emotions": ["happy", "neutral"]}]
    assert api.good("POST", path, parts={"photo": two(), "bbox": "[0, 0, 30, 30]"})["faces"] == TWO[1:]


@pytest.mark.parametrize("base", ["", "/v0", "/v1"])
def test_quality_is_told_where_it_is_asked_for(api, base):
    parts = {"size": 0.5, "sharpness": 0.0, "exposure": 1.0, "pose": 1.0}
    photo = picture(((0, 0, 255), (10, 10, 40, 40)))
    [seen] = api.good("POST", f"{base}/detect", parts={"photo": photo, "quality": "on"})["faces"]
    assert (seen["quality"], seen["quality_parts"]) == (0, parts)
    [added] = api.good("POST", f"{base}/face", parts={"photo": photo, "quality": 1})["results"]
    assert (added.pop("quality"), added.pop("quality_parts")) == (0, parts)
    assert api.good("GET", f"{base}/face/id/{added['id']}") == added  # told once, not kept
    for path, name in (("detect", "faces"), ("face", "results")):
        [face] = api.good("POST", f"{base}/{path}", parts={"photo": photo, "quality": "no"})[name]
        assert not {"quality", "quality_parts"} & set(face)
    assert api.good("POST", f"{base}/detect", parts={"photo": picture(), "quality": 1})["faces"] == []
    assert api.refusal("POST", f"{base}/face", parts={"photo": photo, "quality": 2}) == (400, "BAD_PARAM", "quality")


def test_exif_orientation_is_applied_and_told(api):
    upright = Image.open(io.BytesIO(picture(RED, size=(150, 200))))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(stored, "PNG", exif=exif)
    assert api.good("POST", "/v1/detect", parts={"photo": stored.getvalue()}) == {"faces": [BOX], "orientation": 6}


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_picture_formats(api, kind):
    photo = io.BytesIO()
    Image.open(io.BytesIO(picture(RED))).save(photo, kind, lossless=True)
    assert api.good("POST", "/v1/detect", parts={"photo": photo.getvalue()})["faces"] == [BOX]


@pytest.mark.parametrize("base", ["", "/v0", "/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_verify(api, base, slash):
    path = f"{base}/verify{slash}"
    same = api.good("POST", path, parts={"photo1": picture(RED), "photo2": picture(RED, size=(300, 300))})
    assert same == {"results": [{"bbox1": BOX, "bbox2": BOX, "confidence": 1, "verified": True}], "verified": True}
    other = api.good("POST", path, parts={"photo1": picture(RED), "photo2": picture(LOW)})
    assert (other["verified"], other["results"][0]["verified"]) == (False, False)  # 0.75 is the default
    bare = api.good("POST", path, parts={"photo1": picture(RED), "photo2": picture(LOW), "threshold": "none"})
    assert sorted(bare) == ["results"]
    assert sorted(bare["results"][0]) == ["bbox1", "bbox2", "confidence"]
    assert bare["results"][0]["confidence"] == pytest.approx(0.589, abs=1e-3)


@pytest.mark.parametrize(
    ("threshold", "matches"),
    [("strict", ""), ("Medium", "M"), ("LOW", "LM"), (0.7834, ""), ("0.6616", "M"), ("0.569", "LM"), (1, ""),
     ("0", "LM"), (" 0.6 ", "M"), (".6", "M"), ("6e-1", "M"), ("", "")],
)  # fmt: skip
def test_thresholds_by_name_number_and_text(api, threshold, matches):
    for color, name in ((LOW, "L"), (MEDIUM, "M")):
        fields = {"photo1": picture(RED), "photo2": picture(color), "threshold": threshold}
        answer = api.good("POST", "/v1/verify", parts=fields)
        assert answer["verified"] is (name in matches), name
        assert answer["results"][0]["verified"] is (name in matches), name


def test_a_match_is_at_or_above_the_threshold(api):
    photos = {"photo1": picture(RED), "photo2": picture(MEDIUM)}
    exact = api.good("POST", "/v1/verify", parts=photos)["results"][0]["confidence"]
    for threshold, verified in ((exact, True), (exact + 1e-6, False), (exact - 1e-6, True)):
        assert api.good("POST", "/v1/verify", parts=photos | {"threshold": repr(threshold)})["verified"] is verified
        face = api.face(MEDIUM)
        fields = {"photo": picture(RED), "threshold": repr(threshold)}
        assert bool(api.good("POST", "/v1/identify", parts=fields)["results"][KEY]) is verified
        api("DELETE", f"/face/id/{face['id']}")


def test_verify_pairs_every_selected_face(api):
    fields = {"photo1": two(RED, BLUE), "photo2": two(RED, GREEN), "mf_selector": "all"}
    answer = api.good("POST", "/v1/verify", parts=fields)
    assert [(pair["bbox1"], pair["bbox2"]) for pair in answer["results"]] == [
        (TWO[0], TWO[0]), (TWO[0], TWO[1]), (TWO[1], TWO[0]), (TWO[1], TWO[1])]  # fmt: skip
    assert [pair["verified"] for pair in answer["results"]] == [False, False, False, True]
    assert answer["verified"] is False  # BLUE has no match
    fields = {"photo1": picture(RED), "photo2": two(RED, GREEN), "mf_selector": "all"}
    assert api.good("POST", "/v1/verify", parts=fields)["verified"] is True  # each face of photo1 has one


def test_a_box_overrides_the_selector_in_verify(api):
    fields = {"photo1": two(RED, BLUE), "photo2": picture(RED), "mf_selector": "reject"}
    assert api.refusal("POST", "/v1/verify", parts=fields)[1] == "TOO_MANY_FACES"
    answer = api.good("POST", "/v1/verify", parts=fields | {"bbox1": "[5, 5, 45, 45]"})
    assert answer["results"] == [{"bbox1": TWO[1], "bbox2": BOX, "confidence": 1, "verified": True}]
    both = [[5, 5, 45, 45], {"x1": 90, "y1": 30, "x2": 130, "y2": 70}]
    answer = api.good("POST", "/v1/verify", parts=fields | {"bbox1": str(both).replace("'", '"')})
    assert [pair["bbox1"] for pair in answer["results"]] == [TWO[1], TWO[0]]


@pytest.mark.parametrize("base", ["", "/v0", "/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_identify_with_and_without_a_gallery(api, base, slash):
    api.gallery("ppl")
    inside, outside = api.face(RED, galleries="ppl"), api.face(MEDIUM)
    answer = api.good("POST", f"{base}/identify{slash}", parts={"photo": picture(RED), "n": 5, "threshold": "low"})
    [best, second] = answer["results"][KEY]
    assert best == {"confidence": 1, "face": inside}
    assert second["face"] == outside
    for word in ("face", "faces"):
        found = api.good("POST", f"{base}/{word}/gallery/ppl/identify{slash}",
                         parts={"photo": picture(RED), "n": 5, "threshold": "none"})  # fmt: skip
        assert [match["face"] for match in found["results"][KEY]] == [inside]
    refusal = api.refusal("POST", f"{base}/faces/gallery/none/identify", parts={"photo": picture(RED)})
    assert refusal == (404, "NOT_FOUND", None)


def test_a_stranger_keeps_its_key(api):
    assert api("POST", "/v1/identify", parts={"photo": picture(RED)}).body == b'{"results":{"[50, 20, 110, 80]":[]}}'
    api.face(RED)
    answer = api.good("POST", "/v1/identify", parts={"photo": two(RED, BLUE), "mf_selector": "all"})
    assert sorted(answer["results"]) == ["[10, 10, 40, 40]", "[80, 20, 140, 80]"]
    assert answer["results"]["[80, 20, 140, 80]"] == []
    assert len(answer["results"]["[10, 10, 40, 40]"]) == 1


def test_n_is_one_by_default_and_zero_is_all(api):
    faces = [api.face(RED)["id"] for _ in range(4)]
    for n, count in (("", 1), ("1", 1), ("3", 3), ("0", 4), ("100", 4)):
        found = api.good("POST", "/v1/identify", parts={"photo": picture(RED), "n": n})["results"][KEY]
        assert len(found) == count, n
        assert {match["face"]["id"] for match in found} <= set(faces)
    assert api.refusal("POST", "/v1/identify", parts={"photo": picture(RED), "n": "-1"}) == (400, "BAD_PARAM", "n")


def test_identify_takes_boxes_in_every_form(api):
    small, large = "[10, 10, 40, 40]", "[80, 20, 140, 80]"
    for fields, keys in (
        ({"bbox": "[5, 5, 45, 45]"}, [small]),
        ({"bbox": "5,5,45,45"}, [small]),
        ({"bbox": '{"x1": 5, "y1": 5, "x2": 45, "y2": 45}'}, [small]),
        ({"x1": 5, "y1": "5", "x2": 45.5, "y2": 45}, [small]),
        ({"bbox": "[[5, 5, 45, 45], [90, 30, 120, 60]]"}, [large, small]),
        ({}, [large]),
        ({"mf_selector": "all"}, [small, large]),
        ({"bbox": "[150, 0, 190, 15]"}, ["[150, 0, 190, 15]"]),
        ({"bbox": "[-60, -60, 5, 5]"}, ["[-60, -60, 5, 5]"]),
    ):
        answer = api.good("POST", "/v1/identify", parts={"photo": two(), **fields})
        assert sorted(answer["results"]) == sorted(keys), fields
    some = {"photo": two(), "x1": 1, "y1": 1, "x2": 9}
    assert api.refusal("POST", "/v1/identify", parts=some) == (400, "BAD_PARAM", "y2")


def test_every_identify_answer_says_how_many_shards_live(api):
    for fields in ({}, {"strict": "true"}, {"strict": "no"}):
        reply = api("POST", "/v0/identify", parts={"photo": picture(RED), **fields})
        assert (reply.status, reply.headers["X-Live-Servers"]) == (200, "1/1")


def test_the_selector_rejects_takes_the_biggest_or_all(api):
    expected = {"faces": TWO, "reason": "Too many faces: 2"}
    for path in ("/face", "/identify"):
        for base, code in (("", 400), ("/v0", 400), ("/v1", "TOO_MANY_FACES")):
            reply = api("POST", base + path, parts={"photo": two(), "mf_selector": "reject"})
            assert (reply.status, reply.json) == (400, expected | {"code": code})
    assert len(api.good("POST", "/face", parts={"photo": two(), "mf_selector": "biggest"})["results"]) == 1
    added = api.good("POST", "/face", parts={"photo": two(), "mf_selector": "all", "meta": "both"})["results"]
    assert [face["meta"] for face in added] == ["both", "both"]
    assert api.refusal("POST", "/face", parts={"photo": two(), "mf_selector": "first"})[2] == "mf_selector"


def test_a_deleted_face_is_gone_at_once_and_an_added_one_there_at_once(api):
    for _ in range(5):
        face = api.face(YELLOW)
        sent = {"parts": {"photo": picture(YELLOW), "n": 9}}
        assert [m["face"]["id"] for m in api.good("POST", "/identify", **sent)["results"][KEY]] == [face["id"]]
        api("DELETE", f"/face/id/{face['id']}")
        assert api.good("POST", "/identify", **sent)["results"][KEY] == []
        assert ids(api.good("GET", "/faces")) == []


def test_a_face_that_changes_its_galleries_is_found_there_at_once(api):
    api.gallery("a", "b")
    face = api.face(RED, galleries="a")
    for verb, where in (({"set": ["b"]}, "b"), ({"set": ["a"]}, "a"), ({"add": ["b"]}, "b")):
        api.good("PUT", f"/face/id/{face['id']}", json_body={"galleries": verb})
        found = api.good("POST", f"/faces/gallery/{where}/identify", parts={"photo": picture(RED)})
        assert [match["face"]["id"] for match in found["results"][KEY]] == [face["id"]]


def test_a_photo_of_a_crowd_is_searched_for_every_face(api):
    api.face(RED)
    places = [(5 * (number % 40), 12 * (number // 40)) for number in range(60)]
    crowd = [((250, 4 * number, 9), (x, y, x + 4, y + 11)) for number, (x, y) in enumerate(places)]
    reply = api(
        "POST", "/v1/identify", parts={"photo": picture((RED, (0, 60, 40, 100)), *crowd), "mf_selector": "all"}
    )
    assert reply.status == 200
    assert len(reply.json["results"]) == 61
    assert len(reply.json["results"]["[0, 60, 40, 100]"]) == 1


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A server that gives, and takes, two of everything."""
    with serving("sqlite", tmp_path_factory.mktemp("narrow"), "--max_identify_limit=2", "--max_faces=2") as server:
        yield server


def test_an_answer_that_holds_as_many_as_the_server_gives_says_so(narrow):
    api = Api(narrow)
    for _ in range(3):
        api.face()
    for n, limit in ((0, 2), (3, 2), (2, None), (1, None)):
        found = api.good("POST", "/identify", parts={"photo": picture(RED), "n": n})
        assert found.get("limit") == limit, n
    api("DELETE", f"/face/id/{api.good('GET', '/faces')['results'][0]['id']}")
    api("DELETE", f"/face/id/{api.good('GET', '/faces')['results'][0]['id']}")
    assert "limit" not in api.good("POST", "/identify", parts={"photo": picture(RED), "n": 0})


def test_an_answer_with_as_many_faces_as_the_server_takes_says_so(narrow):
    api = Api(narrow)
    one = picture((RED, SMALL))
    for path in ("/detect", "/face"):
        everyone = {"mf_selector": "all"}
        assert api.good("POST", path, parts={"photo": two()} | everyone)["limit"] == 2
        assert "limit" not in api.good("POST", path, parts={"photo": one} | everyone)
        boxes = "[[80, 20, 140, 80], [10, 10, 40, 40]]"
        assert "limit" not in api.good("POST", path, parts={"photo": two(), "bbox": boxes} | everyone)
    assert "limit" not in api.good("POST", "/face", parts={"photo": two()})  # the biggest
