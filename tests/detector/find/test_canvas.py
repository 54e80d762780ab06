"""Levels on canvases give what they give alone: tried on the CPU, meant for GPUs."""

import numpy as np
import pytest

from facenapi.detector.find.canvas import arrange, cells_on_canvases
from facenapi.detector.find.mtcnn import Mtcnn, Settings
from facenapi.detector.run.device import Device
from facenapi.detector.run.engine import Engine
from tests.support import photos

DEFAULTS = Settings(0.5, 0.5, 0.9, 0.79)


@pytest.fixture(scope="module")
def with_sides(dlib_pack):
    """Return an engine of the proposal network that likes some sides and sizes."""
    network = (dlib_pack / "pnet.onnx").read_bytes()

    def make(*sides):
        return Engine(network, Device("cpu", 2), max_batch=4, lanes=2, sizes=(1, 2, 4), sides=sides)

    return make


def levels_of(sizes):
    random = np.random.default_rng(3)
    return [random.uniform(-1, 1, (3, height, width)).astype(np.float32) for height, width in sizes]


@pytest.mark.parametrize(
    "sizes",
    [
        [(200, 300), (158, 237), (124, 187), (98, 148), (77, 117), (61, 92), (48, 73), (38, 57), (30, 45), (12, 18)],
        [(12, 12)],
        [(13, 13), (12, 13)],
        [(300, 13), (237, 12)],
        [(64, 64)] * 40,
        [(500, 700), (395, 553), (312, 436), (14, 20)],  # the first two are larger than any canvas
    ],
)
def test_cells_are_those_of_each_level_alone(with_sides, sizes):
    engine = with_sides(128, 512)
    levels = levels_of(sizes)
    found = cells_on_canvases(engine, levels)
    for level, cells in zip(levels, found, strict=True):
        alone = engine.run(level[None])[0][0]
        assert cells.shape == alone.shape
        rows, columns = (length - size % 2 for length, size in zip(alone.shape[1:], level.shape[1:], strict=True))
        assert np.allclose(cells[:, :rows, :columns], alone[:, :rows, :columns], atol=1e-5)


@pytest.mark.parametrize(
    "name", ["astronaut", "grace_hopper", "two_faces", pytest.param("large", marks=pytest.mark.slow)]
)
def test_faces_are_the_same(engines, dlib_pack, with_sides, make_photo, name):
    data = photos.large(2448, 1836) if name == "large" else getattr(photos, name)()
    pixels = make_photo(data).reduced.pixels
    one_by_one, packed = (
        Mtcnn(proposal, engines["rnet"], engines["onet"], DEFAULTS).find(pixels, 30)
        for proposal in (engines["pnet"], with_sides(512, 1024, 1536))
    )
    assert len(packed) == len(one_by_one) > 0
    size = (one_by_one.boxes[:, 2:] - one_by_one.boxes[:, :2]).max()
    assert np.allclose(packed.boxes, one_by_one.boxes, atol=1e-5 * size)
    assert np.allclose(packed.points, one_by_one.points, atol=1e-5 * size)
    assert np.allclose(packed.scores, one_by_one.scores, atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_places_do_not_overlap_and_lie_at_even_pixels(seed):
    random = np.random.default_rng(seed)
    side = 256
    sizes = sorted(((2 * int(a), 2 * int(b)) for a, b in random.integers(6, side // 2 + 1, (12, 2))), reverse=True)
    taken = np.zeros((12, side, side), int)
    for (height, width), place in zip(sizes, arrange(sizes, side), strict=True):
        assert place.top % 2 == place.left % 2 == 0
        assert place.top + height <= side
        assert place.left + width <= side
        taken[place.canvas, place.top : place.top + height, place.left : place.left + width] += 1
    assert taken.max() == 1
    assert taken.sum() == sum(height * width for height, width in sizes)


def test_one_canvas_of_the_smallest_side_that_holds_everything(with_sides):
    engine = with_sides(64, 128, 256)
    shapes = []
    inner = engine.run
    engine.run = lambda rows: (shapes.append(rows.shape), inner(rows))[1]
    cells_on_canvases(engine, levels_of([(90, 60), (70, 48), (20, 14)]))
    cells_on_canvases(engine, levels_of([(40, 40), (40, 40)]))
    cells_on_canvases(engine, levels_of([(250, 250), (200, 200), (160, 160)]))
    assert shapes == [(1, 3, 128, 128), (1, 3, 128, 128), (3, 3, 256, 256)]
