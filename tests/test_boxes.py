"""Boxes that clients draw, with the real networks: where there is no face, and where only the client sees one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.live import Server, form, jpeg

pytestmark = pytest.mark.slow  # tests/test_end_to_end.py has the daily server with real networks

# The photo that a box belongs to, and the box.
METHODS = {"face": ("photo", "bbox"), "identify": ("photo", "bbox"), "verify": ("photo1", "bbox1")}


@pytest.fixture(scope="module")
def server(tmp_path_factory, model_pack):
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


def ask(server, method, photo, box, **more):
    """Ask a method about a box of a photo; return status and answer."""
    names = METHODS[method]
    fields = {names[0]: photo, names[1]: str(list(box))} | ({"photo2": photo} if method == "verify" else {})
    return server.call("POST", f"/v1/{method}", *form(fields | more))


@pytest.mark.parametrize("method", METHODS)
def test_a_box_without_a_face(server, astronaut, method):
    photo, bbox = METHODS[method]
    for box, code, param in (
        ((600, 600, 700, 700), "BAD_PARAM", bbox),  # outside
        ((-90, 100, 0, 200), "BAD_PARAM", bbox),  # touching the edge
        ((200, 300, 100, 400), "BAD_PARAM", bbox),  # inside out
        ((20, 20, 21, 21), "NO_FACES", photo),
        ((20, 20, 20.4, 20.4), "NO_FACES", photo),
        ((-90, 300, 4, 400), "NO_FACES", photo),
    ):
        status, answer = ask(server, method, astronaut, box)
        assert (status, answer["code"], answer["param"]) == (400, code, param), box


@pytest.mark.parametrize("method", METHODS)
def test_nothing_on_a_wall_is_compared(server, method):
    wall = np.random.default_rng(2).normal(150, 2, (300, 400, 3)).clip(0, 255).astype(np.uint8)
    status, answer = ask(server, method, jpeg(wall), (100, 100, 200, 220))
    assert (status, answer["code"], answer["param"]) == (400, "NO_FACES", METHODS[method][0])
    assert "nothing to compare" in answer["reason"]


def test_every_box_of_an_answer_may_be_sent_back(server, astronaut):
    """Of a face that was found, and of one that nobody but the caller sees."""
    for drawn in ([180, 60, 270, 180], [20.4, 300.2, 60.3, 361.7]):
        status, answer = ask(server, "face", astronaut, drawn, quality=1)
        assert status == 200, answer
        [face] = answer["results"]
        assert (face["quality"] == 0) is (drawn[0] < 100)
        box = [face[name] for name in ("x1", "y1", "x2", "y2")]
        [[key, matches]] = ask(server, "identify", astronaut, box)[1]["results"].items()
        assert key == str(box)
        assert matches[0]["confidence"] > 0.95
        assert matches[0]["face"]["id"] == face["id"]
