import json

import numpy as np
import pytest

from facenapi.detector.find.mtcnn import Mtcnn, Settings, scales
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def upstream(engines, dlib_pack):
    """MTCNN with the upstream package's default settings."""
    return Mtcnn(engines["pnet"], engines["rnet"], engines["onet"], Settings(0.6, 0.7, 0.8, 0.709))


@pytest.mark.parametrize("name", ["astronaut", "grace_hopper"])
def test_equals_upstream(name, upstream, golden, pixels):
    faces = upstream.find(pixels[name], 20)
    assert len(faces) == 1
    expected = golden[name]
    side = expected["box"][3] - expected["box"][1]
    # The issue asks for 1 % of the face; exact area resampling brings it to a thousandth of that.
    assert np.abs(faces.boxes[0] - expected["box"]).max() < 1e-4 * side
    assert np.abs(faces.points[0] - expected["points"]).max() < 1e-4 * side
    assert faces.scores[0] == pytest.approx(expected["score"], abs=1e-5)


def test_recorded_figures_are_those_of_the_golden_files(golden):
    beside = ROOT.parent / "shared" / "golden" / "mtcnn.json"
    upstream = json.loads(beside.read_text("utf-8"))["images"] if beside.exists() else []
    for image in upstream:
        assert np.allclose(image["faces"][0]["box"], golden[image["key"]]["box"], atol=1e-3)
        assert np.allclose(image["faces"][0]["kps"], golden[image["key"]]["points"], atol=1e-3)
    assert set(golden) == {"astronaut", "grace_hopper"}


def test_sizes_are_limited(upstream, pixels):
    assert len(upstream.find(pixels["grace_hopper"], 20, 60)) == 0
    assert len(upstream.find(pixels["grace_hopper"], 100, 400)) == 1


def test_two_faces_best_first(upstream, pixels):
    canvas = np.zeros((600, 1024, 3), np.uint8)
    canvas[:512, :512] = pixels["astronaut"]
    canvas[:, 512:] = pixels["grace_hopper"]
    faces = upstream.find(canvas, 20)
    assert len(faces) == 2
    assert faces.scores[0] >= faces.scores[1]


@pytest.mark.parametrize("shape", [(1, 1), (11, 500), (12, 12), (13, 40), (64, 3)])
def test_small_and_flat_pictures_do_not_break(upstream, shape):
    assert len(upstream.find(np.zeros((*shape, 3), np.uint8), 20)) == 0


def test_noise_is_bounded_work(upstream):
    noise = np.random.default_rng(5).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert len(upstream.find(noise, 20)) == 0


def test_scales_cover_the_sizes():
    found = scales(1000, 30, np.inf, 0.79)
    assert found[0] == pytest.approx(0.4)
    assert 12 <= 1000 * found[-1] < 12 / 0.79
    assert scales(1000, 30, 60, 0.79)[-1] <= 12 / 60
    assert scales(10, 30, np.inf, 0.79) == []
