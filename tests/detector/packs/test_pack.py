import json
import shutil

import pytest

from facenapi.detector.packs.pack import load_pack
from facenapi.errors import StartupError


@pytest.fixture
def copy(model_pack, tmp_path):
    """A pack that a test may damage."""
    return shutil.copytree(model_pack, tmp_path / "pack")


def edit(folder, change):
    manifest = json.loads((folder / "pack.json").read_text("utf-8"))
    change(manifest)
    (folder / "pack.json").write_text(json.dumps(manifest), "utf-8")


def test_reads_the_default_pack(model_pack):
    pack = load_pack(model_pack)
    assert (pack.embedding_name, pack.embedder.dimension) == ("mobilefacenet-192", 192)
    assert all("MIT" in source["licence"] for source in pack.sources)
    assert pack.embedder.cosines["strangers"][0] + 0.5 < pack.embedder.cosines["same"][0]
    # The tables of one and two views differ a little, as their names do.
    assert (
        0
        < abs(pack.embedder.calibrations[1].similarity(0.75) - pack.embedder.calibrations[2].similarity(0.75))
        < 0.01
    )
    assert all(len(source["sha256"]) == 64 for source in pack.sources)


def test_missing_pack_names_the_command(tmp_path):
    with pytest.raises(StartupError, match="facenapi models build"):
        load_pack(tmp_path / "nothing")


def test_broken_manifest(copy):
    (copy / "pack.json").write_text('{"format": 1,', "utf-8")
    with pytest.raises(StartupError, match=r"pack\.json is damaged.*facenapi models build"):
        load_pack(copy)


def test_changed_byte_is_found(copy):
    data = bytearray((copy / "onet.onnx").read_bytes())
    data[1000] ^= 1
    (copy / "onet.onnx").write_bytes(data)
    with pytest.raises(StartupError, match=r"onet\.onnx is damaged.*facenapi models build"):
        load_pack(copy).read("onet.onnx")


def test_missing_file_is_found(copy):
    (copy / "onet.onnx").unlink()
    with pytest.raises(StartupError, match=r"lacks onet\.onnx.*facenapi models build"):
        load_pack(copy).read("onet.onnx")


def test_file_outside_the_manifest_is_not_trusted(copy):
    (copy / "extra.onnx").write_bytes(b"x")
    with pytest.raises(StartupError, match="checksum"):
        load_pack(copy).read("extra.onnx")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("embedder"), "'embedder' is missing"),
        (lambda m: m.update(format=2), "format 2"),
        (lambda m: m["embedder"].update(parts=[]), "positive weights"),
        (lambda m: m["embedder"]["parts"][0].update(weight=0), "positive weights"),
        (lambda m: m["embedder"]["parts"][0]["input"].update(template=[[1, 2]]), "five points"),
        (lambda m: m["embedder"]["parts"][0]["input"].update(color="cmyk"), "cmyk"),
        (lambda m: m["embedder"]["parts"][0]["input"].update(border="mirror"), "mirror"),
        (lambda m: m["embedder"]["calibration"].update(distance_confidence=[[0, 1]]), "calibration table"),
        (lambda m: m.update(attributes=[1]), "pack.json"),
    ],
)
def test_bad_manifests_are_refused(copy, change, message):
    edit(copy, change)
    with pytest.raises(StartupError, match=message):
        load_pack(copy)
