import hashlib
import json
from dataclasses import replace

import pytest

from facenapi.config.options import Config
from facenapi.detector.packs import add
from facenapi.detector.packs.add import KNOWN, add_network
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.pipeline import FaceDetector
from facenapi.errors import StartupError
from tests.detector.test_load import constant, projection
from tests.support import photos


@pytest.fixture
def offered(monkeypatch, tmp_path):
    """Stand-ins of the same signatures for the published files, whose weights are not at hand."""
    stubs = {"sface": projection(112, 128), "expressions": constant(112, [0, 0, 5, 0, 3, 0, 0])}
    paths = {}
    for name, data in stubs.items():
        pinned = replace(KNOWN[name], sha256=hashlib.sha256(data).hexdigest())
        monkeypatch.setitem(add.KNOWN, name, pinned)
        paths[name] = tmp_path / f"{name}.onnx"
        paths[name].write_bytes(data)
    return paths


@pytest.mark.slow
async def test_networks_take_their_places(offered, model_pack, tmp_path, make_photo):
    asked = []
    with_sface, both = tmp_path / "with-sface", tmp_path / "both"
    add_network(model_pack, with_sface, "sface", str(offered["sface"]), lambda text: not asked.append(text))
    add_network(with_sface, both, "expressions", str(offered["expressions"]), lambda text: not asked.append(text))
    assert ["Apache-2.0" in text for text in asked] == [True, True]
    assert load_pack(both).embedding_name == "sface-2021dec-128"
    detector = FaceDetector(Config(model_pack=str(both), device="cpu"))
    await detector.start()
    photo = make_photo(photos.astronaut())
    faces = await detector.detect(photo)
    (told,) = await detector.attributes(photo, faces, frozenset({"age", "emotions"}))
    assert told.emotions == ("fear", "neutral")
    assert told.age > 20
    assert (await detector.embed(photo, faces)).shape == (1, 128)
    await detector.close()


def test_detector_entry_is_complete(model_pack):
    manifest = json.loads((model_pack / "pack.json").read_text("utf-8"))
    add._place(manifest, KNOWN["yunet"])
    assert manifest["detector"].pop("points") == "onet.onnx"
    assert {"kind", "file", "size", "color", "mean", "std", "threshold", "overlap"} == set(manifest["detector"])


@pytest.mark.parametrize(
    ("name", "origin", "accept", "message"),
    [
        ("unheard-of", "x", True, "known: yunet, sface, expressions"),
        ("sface", "x", False, "not accepted"),
        ("sface", "/nowhere/at/all", True, "cannot be read"),
        ("sface", __file__, True, "is not face_recognition_sface_2021dec.onnx"),
    ],
)
def test_refusals_leave_nothing(model_pack, tmp_path, name, origin, accept, message):  # noqa: PLR0917 - a table
    with pytest.raises(StartupError, match=message):
        add_network(model_pack, tmp_path / "new", name, origin, lambda _: accept)
    assert list(tmp_path.iterdir()) == []
