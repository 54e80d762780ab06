import json
from pathlib import Path

import numpy as np
import onnx
import pytest

import facenapi.detector.packs.build as module
from facenapi.detector.describe.align import chip_matrix, warp
from facenapi.detector.describe.embedding import unit
from facenapi.detector.packs.build.embedders import DLIB_TEMPLATE
from facenapi.detector.run.device import wants_int8

NOISE = 0.03


@pytest.fixture(scope="module")
def chips(golden, pixels):
    """Chips of the portraits at shaken points, lighter, darker and mirrored: (N, 3, 150, 150)."""
    rng = np.random.default_rng(7)
    found = []
    for name, photo in pixels.items():
        points = np.array(golden[name]["points"])
        size = np.ptp(points[:, 0])
        for light in (0.5, 0.8, 1.0, 1.3, 1.7):
            shaken = points + rng.normal(0, NOISE * size, (5, 2))
            chip = warp(photo, chip_matrix(shaken, np.array(DLIB_TEMPLATE), 150), 150)
            chip = np.clip(chip * light, 0, 255).round().astype(np.float32).transpose(2, 0, 1)
            found += [chip, chip[:, :, ::-1]]
    return np.stack(found)


@pytest.mark.skipif(
    not wants_int8("auto"), reason="without VNNI 8-bit products saturate, and the server does not use them"
)
def test_8_bit_embedding_is_that_of_32_bits(engines, dlib_pack, chips):
    exact = unit(engines["embedding"].run(chips)[0])
    quick = unit(engines["embedding_int8"].run(chips)[0])
    assert (exact * quick).sum(axis=1).min() >= 0.999


def test_8_bit_rows_do_not_depend_on_their_batch(engines, dlib_pack, chips):
    engine = engines["embedding_int8"]
    together = engine.run(chips)[0]
    for i in range(len(chips)):
        assert np.array_equal(engine.run(chips[i : i + 1])[0][0], together[i])


def test_every_activation_has_a_range(dlib_pack):
    ranges = json.loads((Path(module.__file__).parent / "ranges.json").read_text("utf-8"))
    model = onnx.load(dlib_pack / "embedding_int8.onnx")
    outputs = {node.output[0].removesuffix("_8") for node in model.graph.node if node.op_type.startswith("QLinear")}
    assert outputs == set(ranges)
    assert all(low <= high for low, high in ranges.values())
