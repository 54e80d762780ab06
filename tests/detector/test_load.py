"""Packs plugged in by their manifest alone, with stub networks of the published signatures."""

import hashlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from facenapi.config.options import Config
from facenapi.detector.base import Detection
from facenapi.detector.packs.build.graph import Graph
from facenapi.detector.pipeline import FaceDetector
from facenapi.errors import StartupError
from facenapi.geometry import Box
from tests.support import photos
from tests.support.effort import daily

ARCFACE = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
WANTED = frozenset({"age", "gender", "emotions"})


def projection(size, numbers, channels=3, seed=0):
    """A network that pools its input to 8x8 and projects it at random."""
    graph = Graph("stub", ("N", channels, size, size))
    pooled = graph.pool("AveragePool", "input", size // 8, size // 8)
    weights = np.random.default_rng(seed).normal(size=(channels * 64, numbers)) / 1000
    graph.dense(graph.op("Flatten", pooled, axis=1), weights, output="output")
    return graph.finish({"output": ("N", numbers)})


def constant(size, values, channels=3):
    """A network that always says the same."""
    graph = Graph("stub", ("N", channels, size, size))
    flat = graph.op("Flatten", graph.op("GlobalAveragePool", "input"), axis=1)
    values = np.array(values, np.float64)
    graph.dense(flat, np.zeros((channels, len(values))), values, output="output")
    return graph.finish({"output": ("N", len(values))})


def input_spec(size, crop="similarity", template=ARCFACE, **more):
    return {"size": size, "crop": crop, "template": template, "color": "rgb", "mean": 0, "std": 1, **more}


@pytest.fixture
def plug(model_pack, tmp_path):
    """Make a detector from the default pack with networks added and the manifest changed."""

    def make(networks, change, **options):
        folder = shutil.copytree(model_pack, tmp_path / "pack", dirs_exist_ok=True)
        manifest = json.loads((folder / "pack.json").read_text("utf-8"))
        for name, data in networks.items():
            (folder / name).write_bytes(data)
            manifest["files"][name] = hashlib.sha256(data).hexdigest()
        change(manifest)
        (folder / "pack.json").write_text(json.dumps(manifest), "utf-8")
        return FaceDetector(Config(model_pack=str(folder), device="cpu", threads=1, **options))

    return make


def embedder(*parts, dimension=512):
    def change(manifest):
        entries = [{"file": file, "weight": weight, "input": spec} for file, weight, spec in parts]
        manifest["embedder"].update(name="stub", dimension=dimension, parts=entries)

    return change


async def test_arcface_type_embedder(plug, make_photo):
    spec = input_spec(112, mean=127.5, std=127.5)
    detector = plug({"arc.onnx": projection(112, 512)}, embedder(("arc.onnx", 1.0, spec)))
    await detector.start()
    photo = make_photo(photos.astronaut())
    vectors = await detector.embed(photo, await detector.detect(photo))
    assert (detector.embedding_name, vectors.shape) == ("stub", (1, 512))
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-6)
    await detector.close()


@pytest.mark.slow
async def test_joined_embedders_weigh_their_cosines(plug, make_photo):
    small, large = ("small.onnx", 1.0, input_spec(112)), ("large.onnx", 6.0, input_spec(112))
    networks = {"small.onnx": projection(112, 8, seed=1), "large.onnx": projection(112, 24, seed=2)}
    photo = make_photo(photos.two_faces())
    cosines = []
    for parts, dimension in (((small,), 8), ((large,), 24), ((small, large), 32)):
        detector = plug(networks, embedder(*parts, dimension=dimension))
        await detector.start()
        vectors = await detector.embed(photo, await detector.detect(photo))
        cosines.append(float(vectors[0] @ vectors[1]))
        await detector.close()
    assert cosines[2] == pytest.approx((cosines[0] + 6 * cosines[1]) / 7, abs=1e-5)


@pytest.mark.parametrize("border", daily(["black", "replicate"]))
async def test_crop_beyond_the_photo_is_as_the_manifest_says(plug, make_photo, border):
    """The network tells how dark its crop is: of a white photo, black where the photo ends."""
    buffer = io.BytesIO()
    Image.new("RGB", (200, 200), "white").save(buffer, "PNG")
    photo = make_photo(buffer.getvalue())
    face = Detection(Box(0, 0, 112, 112), 1.0, np.array(ARCFACE, np.float32) - 30)
    graph = Graph("stub", ("N", 3, 112, 112))
    graph.op("Flatten", graph.op("GlobalAveragePool", "input"), output="output", axis=1)
    data = graph.finish({"output": ("N", 3)})
    spec = input_spec(112, mean=255, border=border)
    detector = plug({"mean.onnx": data}, embedder(("mean.onnx", 1.0, spec), dimension=3))
    await detector.start()
    (vector,) = await detector.embed(photo, [face])
    assert np.linalg.norm(vector) == pytest.approx(0 if border == "replicate" else 1, abs=1e-6)
    await detector.close()


@pytest.mark.parametrize("provisional", daily([True, False]))
async def test_provisional_confidences_are_said_in_one_line(plug, caplog, provisional):
    detector = plug({}, lambda m: m["embedder"]["calibration"].update(provisional=provisional))
    await detector.start()
    await detector.close()
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert ["facenapi models calibrate" in line for line in said] == [True] * provisional


@pytest.mark.slow
async def test_insightface_genderage(plug, make_photo):
    def change(manifest):
        entry = {"kind": "insightface_genderage", "file": "ga.onnx", "zooms": [1.5], "input": input_spec(96, "box")}
        manifest["attributes"][0] = entry

    detector = plug({"ga.onnx": constant(96, [0.2, 0.7, 0.41])}, change)
    await detector.start()
    photo = make_photo(photos.astronaut())
    (told,) = await detector.attributes(photo, await detector.detect(photo), WANTED)
    assert (told.gender, round(told.age, 3)) == ("male", 41.0)
    await detector.close()


FERPLUS = ["neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", None]
MOBILEFACENET = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]


@pytest.mark.parametrize(
    ("spec", "labels", "logits", "expected"),
    daily([
        (input_spec(64, "box", color="grey"), FERPLUS, [0, 1, 4, 0, 0, 0, 3, 9], ("surprise", "fear")),
        (input_spec(112, mean=127.5, std=127.5), MOBILEFACENET, [5, 0, 0, 0, 2, 0, 1], ("angry", "neutral")),
    ]),
)  # fmt: skip
async def test_expression_networks(plug, make_photo, spec, labels, logits, expected):  # noqa: PLR0917 - a table
    def change(manifest):
        entry = {"kind": "emotions", "file": "e.onnx", "zooms": [1.0], "labels": labels, "input": spec}
        manifest["attributes"][1] = entry

    network = constant(spec["size"], logits, 1 if spec["color"] == "grey" else 3)
    detector = plug({"e.onnx": network}, change)
    await detector.start()
    photo = make_photo(photos.astronaut())
    (told,) = await detector.attributes(photo, await detector.detect(photo), WANTED)
    assert told.emotions == expected
    await detector.close()


@pytest.mark.parametrize(
    ("networks", "change", "message"),
    daily([
        ({"a.onnx": projection(112, 64)}, embedder(("a.onnx", 1.0, input_spec(112))), "give 64 numbers, not 512"),
        ({"a.onnx": projection(112, 512)}, embedder(("a.onnx", 1.0, input_spec(128))), r"takes \[3, 112, 112\]"),
        ({}, lambda m: m["attributes"][1].update(labels=["happy"]), "gives 7 numbers for a face.*needs 1"),
        ({}, lambda m: m["attributes"][0].update(kind="horoscope"), "unknown kind of attribute network 'horoscope'"),
        ({}, lambda m: m.update(detector={"kind": "crystal ball"}), "unknown kind of detector 'crystal ball'"),
        ({}, lambda m: m.update(detector={"kind": "yunet", "file": "onet.onnx", "size": 64}), "yunet network has"),
        ({}, lambda m: m.update(detector={"kind": "yunet"}), "'file' is missing"),
        (
            {},
            lambda m: m.update(
                detector=dict.fromkeys(("proposal", "refine", "output"), "onet.onnx") | {"kind": "mtcnn"}
            ),
            "another version; run: facenapi models build",
        ),
    ], 4),
)  # fmt: skip
async def test_networks_that_do_not_fit_stop_the_start(plug, networks, change, message):
    detector = plug(networks, change)
    with pytest.raises(StartupError, match=message):
        await detector.start()
    await detector.close()


@pytest.mark.parametrize(
    "given", [{"nnd_o_net_thresh"}, {"nnd_o_net_thresh", "nnd_scale_factor", "nnd_min_face_size"}]
)
async def test_scores_meant_for_mtcnn_are_left_alone_with_a_word(model_pack, dlib_pack, caplog, make_photo, given):
    found = []
    for pack in (model_pack, dlib_pack):
        config = Config(
            model_pack=str(pack), device="cpu", threads=1, nnd_o_net_thresh=0.999999, given=frozenset(given)
        )
        detector = FaceDetector(config)
        await detector.start()
        found.append(len(await detector.detect(make_photo(photos.astronaut()))))
        await detector.close()
    assert found == [1, 0]
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "nnd_o_net_thresh" in warning
    assert ("nnd_scale_factor" in warning) is ("nnd_scale_factor" in given)
    assert "--detector=mtcnn" in warning
    assert "nnd_max_face_size" not in warning


@pytest.mark.slow
async def test_eight_bits_without_vnni_are_warned_of(model_pack, caplog, monkeypatch):
    for there in (True, False):
        monkeypatch.setattr("facenapi.detector.load.has_int8", lambda there=there: there)
        detector = FaceDetector(
            Config(model_pack=str(model_pack), device="cpu", threads=1, embedding_precision="int8")
        )
        await detector.start()
        await detector.close()
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "VNNI" in warning
