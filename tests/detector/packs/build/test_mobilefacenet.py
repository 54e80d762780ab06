"""The TensorFlow Lite reader and the converter, by numpy and by the interpreter's numbers."""

import json

import numpy as np
import pytest
from PIL import Image

from facenapi.detector.describe.crops import rows
from facenapi.detector.describe.embedding import unit
from facenapi.detector.packs.build.mobilefacenet import embedding_net
from facenapi.detector.packs.build.networks import _TFLITE_FILE
from facenapi.detector.packs.build.sources import FACE_DETECTION, read_tarball
from facenapi.detector.packs.build.tflite import read_tflite
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.run.device import Device
from facenapi.detector.run.engine import Engine
from tests.detector.conftest import shared
from tests.detector.packs.build.synthetic import convolve


@pytest.fixture(scope="module")
def tflite(downloads):
    """The file as it is published."""
    return read_tarball((downloads / FACE_DETECTION.file).read_bytes(), [_TFLITE_FILE])[_TFLITE_FILE]


def test_the_reader_sees_what_is_in_the_file(tflite):
    network = read_tflite(tflite)
    kinds = [operator.kind for operator in network.operators]
    counts = {"CONV_2D": 35, "DEPTHWISE_CONV_2D": 17, "ADD": 45, "RESHAPE": 1}
    counts |= dict.fromkeys(("RELU", "ABS", "SUB", "MUL"), 33)
    assert {kind: kinds.count(kind) for kind in set(kinds)} == counts
    assert len(network.tensors) == 369
    assert network.tensors[network.input].shape == (2, 112, 112, 3)
    assert network.tensors[network.output].shape == (2, 192)
    assert sum(t.values.size for t in network.tensors if t.values is not None) == 1_292_992 + 2


def reference(network, pixels):
    """Compute a network operator by operator, as TensorFlow defines them, on one (112, 112, 3) picture."""
    values = {number: t.values for number, t in enumerate(network.tensors) if t.values is not None}
    values[network.input] = pixels.transpose(2, 0, 1).astype(np.float64)
    plain = {"RELU": lambda x: np.maximum(x, 0), "ABS": np.abs, "SUB": np.subtract, "ADD": np.add}
    for operator in network.operators:
        given = [values[number] for number in operator.inputs]
        if operator.kind.endswith("CONV_2D"):
            x, filters, bias = given
            if operator.kind.startswith("DEPTH"):
                weights = np.eye(len(x))[:, :, None, None] * filters[0].transpose(2, 0, 1)[:, None]
            else:
                weights = filters.transpose(0, 3, 1, 2)
            stride, size, side = operator.stride, weights.shape[2], x.shape[1]
            missing = max((-(-side // stride) - 1) * stride + size - side, 0) if operator.same else 0
            pads = (missing // 2, missing - missing // 2)
            values[operator.output] = convolve(x, weights, bias, stride, pads)
        elif operator.kind == "MUL":
            values[operator.output] = given[0].reshape(-1, 1, 1) * given[1]
        elif operator.kind == "RESHAPE":
            values[operator.output] = given[0].ravel()
        else:
            values[operator.output] = plain[operator.kind](*given)
    return values[network.output]


@pytest.mark.slow
def test_the_conversion_computes_what_the_file_says(tflite, engines):
    pixels = np.random.default_rng(0).uniform(-1, 1, (112, 112, 3)).astype(np.float32)
    found = engines["mobilefacenet"].run(pixels.transpose(2, 0, 1)[None])[0][0]
    assert np.abs(found - reference(read_tflite(tflite), pixels)).max() < 1e-4


@pytest.mark.parametrize("name", ["astronaut", "grace_hopper"])
@pytest.mark.parametrize("crop", ["crop112", "arcface112"])
def test_equals_the_interpreter(model_pack, engines, name, crop):
    expected = json.loads(shared("golden/mobilefacenet.json").read_text("utf-8"))["crops"][f"{name}_{crop}"]
    pixels = np.asarray(Image.open(shared(f"golden/{name}_{crop}.png")).convert("RGB"))
    spec = load_pack(model_pack).embedder.parts[0].input
    raw, mirrored = engines["mobilefacenet"].run(rows([pixels], spec, mirrored=True))[0]
    assert np.abs(raw - expected["raw"]).max() < 1e-4
    assert np.abs(mirrored - expected["mirrored_raw"]).max() < 1e-4
    assert np.abs(unit((raw + mirrored)[None] / 2)[0] - expected["averaged_unit"]).max() < 1e-6


def test_batches_do_not_matter(engines):
    pictures = np.random.default_rng(1).uniform(-1, 1, (5, 3, 112, 112)).astype(np.float32)
    together = engines["mobilefacenet"].run(pictures)[0]
    assert all((engines["mobilefacenet"].run(pictures[i : i + 1])[0][0] == together[i]).all() for i in range(5))


def test_two_conversions_give_the_same_bytes(tflite, model_pack):
    assert embedding_net(tflite) == embedding_net(tflite) == (model_pack / "mobilefacenet.onnx").read_bytes()


@pytest.mark.slow
def test_damaged_files_are_refused(tflite):
    """Cut off, or with any part overwritten: a ValueError, or a network, but nothing else."""
    rng = np.random.default_rng(2)
    for _ in range(60):
        broken = bytearray(tflite)
        at = int(rng.integers(len(broken) - 64))
        broken[at : at + 64] = rng.bytes(64)
        head = int(rng.integers(4, 4000))
        broken[head : head + 4] = rng.bytes(4)
        try:
            read_tflite(bytes(broken))
        except ValueError:
            continue
    for size in (0, 7, 8, 100, 50_000, len(tflite) - 1000):
        with pytest.raises(ValueError, match="TensorFlow Lite"):
            read_tflite(tflite[:size])


def test_another_network_is_refused(tflite, monkeypatch):
    network = read_tflite(tflite)
    monkeypatch.setattr(
        "facenapi.detector.packs.build.mobilefacenet.read_tflite",
        lambda _: type(network)(network.tensors, network.operators[:-1], network.input, network.output),
    )
    with pytest.raises(ValueError, match="another network"):
        embedding_net(tflite)


def test_engines_take_at_most_two_rows_at_a_time(model_pack):
    part = load_pack(model_pack).embedder.parts[0]
    assert part.cpu_batch == 2
    seen = []
    network = (model_pack / part.file).read_bytes()
    engine = Engine(network, Device("cpu", 1), max_batch=part.cpu_batch, lanes=1, observe=seen.append)
    engine.run(np.zeros((5, 3, 112, 112), np.float32))
    assert seen == [2, 2, 1]
