"""Paging: newest first, links that keep path and filters, steady while others insert and delete."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.contract.client import Api, ids
from tests.support.server import BLUE, GREEN, RED, YELLOW

CAMERAS = ["0" * 32, "1" * 32]


@pytest.fixture(scope="module")
def full(server):
    """An owner with 25 faces: every second in gallery g and from camera 1, metas m0 to m4."""
    api = Api(server)
    api.gallery("g")
    faces = []
    for number in range(25):
        fields = {"galleries": "g", "cam_id": CAMERAS[1]} if number % 2 else {"cam_id": CAMERAS[0]}
        color = (RED, GREEN, BLUE, YELLOW)[number % 4]
        faces.append(api.face(color, meta=f"m{number % 5}", timestamp=f"2020-01-{number + 1:02}", **fields)["id"])
    return api, faces[::-1]


def walk(api, path, link="next_page"):
    """Follow links from a page; return the ids of every page."""
    pages = []
    while path:
        answer = api.good("GET", path)
        pages.append(ids(answer) if "id" in (answer["results"] or [{"id": 0}])[0] else answer["results"])
        path = answer.get(link)
        assert len(pages) < 50
    return pages


def last_page(api, path):
    answer = api.good("GET", path)
    while answer.get("next_page"):
        path, answer = answer["next_page"], api.good("GET", answer["next_page"])
    return path


@pytest.mark.parametrize(
    ("path", "keep"),
    [
        ("/v0/faces?limit=7", lambda number: True),
        ("/faces/?limit=7", lambda number: True),
        ("/v1/faces/gallery/g?limit=3&unknown=a%20b", lambda number: number % 2),
        ("/v1/face/meta/m3/?limit=2", lambda number: number % 5 == 3),
        ("/v1/faces/gallery/g/meta/m3?limit=1", lambda number: number % 2 and number % 5 == 3),
    ],
)
def test_pages_forth_and_back(full, path, keep):
    api, faces = full
    limit = int(re.search(r"limit=(\d+)", path)[1])
    wanted = [face for number, face in zip(range(24, -1, -1), faces, strict=True) if keep(number)]
    expected = [wanted[start : start + limit] for start in range(0, len(wanted), limit)]
    assert walk(api, path) == expected
    first = api.good("GET", path)
    assert first["prev_page"] is None
    assert first["next_page"] == f"{path}&max_id={first['results'][-1]['id']}"
    back = walk(api, last_page(api, path), "prev_page")
    assert [face for page in reversed(back) for face in page] == wanted
    assert api.good("GET", last_page(api, path))["next_page"] is None


def test_prev_page_holds_what_came_just_before(full):
    api, faces = full
    second = api.good("GET", api.good("GET", "/v1/faces?limit=5")["next_page"])
    assert second["prev_page"] == f"/v1/faces?limit=5&min_id={faces[5]}"
    assert ids(api.good("GET", second["prev_page"])) == faces[:5]
    third = api.good("GET", second["next_page"])
    assert ids(api.good("GET", third["prev_page"])) == faces[5:10]


def test_bounds_are_exclusive_and_the_limit_is_at_most_1000(full):
    api, faces = full
    assert ids(api.good("GET", f"/v1/faces?max_id={faces[3]}&limit=2")) == faces[4:6]
    assert ids(api.good("GET", f"/v1/faces?min_id={faces[3]}&limit=2")) == faces[1:3]
    assert ids(api.good("GET", f"/v1/faces?min_id={faces[9]}&max_id={faces[5]}")) == faces[6:9]
    assert ids(api.good("GET", "/v1/faces?limit=1000")) == faces
    assert api.refusal("GET", "/v1/faces?limit=1001") == (400, "BAD_PARAM", "limit")


def test_a_page_beyond_the_end_leads_back(full):
    api, faces = full
    beyond = api.good("GET", f"/v1/faces?max_id={faces[-1]}&limit=5")
    assert (beyond["results"], beyond["next_page"]) == ([], None)
    assert ids(api.good("GET", beyond["prev_page"])) == faces[-5:]
    above = api.good("GET", f"/v1/faces?min_id={faces[0]}&limit=5")
    assert (above["results"], above["prev_page"]) == ([], None)
    assert ids(api.good("GET", above["next_page"])) == faces[:5]


def test_metas_are_paged_by_their_first_face(full):
    api, _ = full
    pages = [[item["meta"] for item in page] for page in walk(api, "/v1/meta?limit=2")]
    assert pages == [["m4", "m3"], ["m2", "m1"], ["m0"]]
    second = api.good("GET", api.good("GET", "/v1/meta?limit=2")["next_page"])
    assert [item["meta"] for item in api.good("GET", second["prev_page"])["results"]] == ["m4", "m3"]
    inside = [page[0]["meta"] for page in walk(api, "/v1/meta/gallery/g?limit=1")]
    assert inside == ["m4", "m2", "m0", "m3", "m1"]


def test_history_keeps_its_filters_from_query_and_body(full):
    api, faces = full
    wanted = [face for number, face in zip(range(24, -1, -1), faces, strict=True) if number % 2 and 4 <= number <= 20]
    filters = {"cam_ids": [CAMERAS[1]], "start": "2020-01-05", "end": "2020-01-21T00:00:00", "limit": 3,
               "friend": False}  # fmt: skip
    for first in (
        api.good("POST", "/v0/history/search", json_body=filters),
        api.good("POST", "/v0/history/search", parts=filters | {"cam_ids": CAMERAS[1]}),
        api.good("GET", "/v0/history/search", query=filters | {"cam_ids": CAMERAS[1]}),
    ):
        found = ids(first)
        assert first["next_page"].startswith("/v0/history/search?")
        assert "prev_page" not in first
        while "next_page" in first:
            first = api.good("POST", first["next_page"])  # noqa: PLW2901
            found += ids(first)
        assert found == wanted


def test_a_link_carries_no_strangers_from_the_body(full):
    api, _ = full
    sent = [("limit", 2), ("file", bytes(5000)), ("photo", b"\xff"), ("x", "y")]
    assert re.fullmatch(r"/v1/history/search\?limit=2&max_id=\d+",
                        api.good("POST", "/v1/history/search", parts=sent)["next_page"])  # fmt: skip
    body = b'{"limit": 2, "\\ud800": "\\ud800", "deep": ' + b"[" * 500 + b"]" * 500 + b"}"
    found = api.good("POST", "/v1/history/search", body=body, headers={"Content-Type": "application/json"})
    assert re.fullmatch(r"/v1/history/search\?limit=2&max_id=\d+", found["next_page"])


def test_links_stay_within_what_they_may_ask_for(api):
    face = api.face()
    for path in ("/v1/faces", "/persons"):
        link = api.good("GET", f"{path}?min_id=9007199254740991")["next_page"]
        assert link is None or api("GET", link).status == 200
    link = api.good("GET", "/v1/faces?min_id=9007199254740991")["next_page"]
    assert api.good("GET", link)["results"] == [face]


def test_pages_are_steady_while_others_insert_and_delete(server):
    api = Api(server)
    before = [api.face(meta="old")["id"] for _ in range(20)][::-1]
    with ThreadPoolExecutor(2) as pool:
        inserted = [pool.submit(api.face, BLUE, meta="new") for _ in range(15)]
        pages = walk(api, "/v1/faces/meta/old?limit=3")
        whole = walk(api, "/v1/faces?limit=3")
        added = {future.result()["id"] for future in inserted}
    assert [face for page in pages for face in page] == before
    seen = [face for page in whole for face in page]
    assert [face for face in seen if face not in added] == before
    assert len(seen) == len(set(seen))
    second = api.good("GET", f"/v1/faces/meta/old?limit=5&max_id={before[4]}")
    for face in before[5:10]:
        api("DELETE", f"/face/id/{face}")
    again = api.good("GET", f"/v1/faces/meta/old?limit=5&max_id={before[4]}")
    assert ids(second) == before[5:10]
    assert ids(again) == before[10:15]


@pytest.mark.parametrize("path", ["/v1/faces", "/v1/meta", "/v1/persons"])
@pytest.mark.parametrize("value", [b'"\\ud800"', b"1e400", b'{"a": [1e400]}', b'"' + b"x" * 100_000 + b'"'])
def test_a_link_carries_only_what_the_method_knows(full, path, value):
    api, _ = full
    body = b'{"friend": %b, "cam_ids": %b, "start": %b, "limit": 1}' % (value, value, value)
    answer = api.good("GET", path, body=body, headers={"Content-Type": "application/json"})
    assert answer["next_page"] is None or re.fullmatch(rf"{path}\?limit=1&max_id=\d+", answer["next_page"])
    assert (answer["next_page"] is None) == (path == "/v1/persons")  # there are none
