import hashlib
import json
import os
import sys
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from facenapi.config.options import Config
from facenapi.detector.measure.verify import verify_pack
from facenapi.detector.packs.build import build_pack
from facenapi.detector.packs.build.embedders import EMBEDDERS
from facenapi.detector.packs.build.sources import DLIB_MODELS, FACE_API, HUMAN_MODELS, MTCNN
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.pipeline import FaceDetector
from facenapi.errors import StartupError
from tests.detector.packs.build.synthetic import Mobilenet, Resnet, tarball
from tests.detector.test_robustness import FACES, altered
from tests.support import photos


@pytest.fixture
def downloads(model_pack):
    """The packages that the default pack was built from, which its build keeps beside it."""
    folder = Path(os.environ.get("FACENAPI_TEST_DOWNLOADS", model_pack.parent / "downloads"))
    if not all((folder / package.file).exists() for package in (MTCNN, FACE_API)):
        pytest.fail(f"The source packages are not in {folder}: run facenapi models build", pytrace=False)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """Any way to a registry fails at once."""

    def refuse(command, **_):
        raise AssertionError(f"{command} was run")

    monkeypatch.setattr("subprocess.run", refuse)


@pytest.fixture
def others(downloads, tmp_path, monkeypatch):
    """A folder with the default's packages and stand-ins for the others, narrow networks of random weights."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    for package in (MTCNN, FACE_API):
        (folder / package.file).symlink_to((downloads / package.file).absolute())
    graph, data = Mobilenet().files()
    dat = "face_recognition_models-0.3.0/face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"
    archives = {
        HUMAN_MODELS: {"package/models/faceres.json": graph, "package/models/faceres.bin": data},
        DLIB_MODELS: {dat: Resnet().file()},
    }
    for name, package in (("fused", HUMAN_MODELS), ("dlib-fp32", DLIB_MODELS)):
        archive = tarball({"../evil": b"x", **archives[package]})
        (folder / package.file).write_bytes(archive)
        stand_in = replace(package, sha256=hashlib.sha256(archive).hexdigest(), integrity=None)
        monkeypatch.setitem(EMBEDDERS, name, replace(EMBEDDERS[name], more=(stand_in,)))
    return folder


def contents(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_second_build_needs_no_network_and_gives_the_same_bytes(downloads, model_pack, tmp_path, no_network):
    lines = []
    build_pack(tmp_path / "pack", downloads, lines.append)
    build_pack(tmp_path / "again", downloads, lines.append)
    assert contents(tmp_path / "pack") == contents(tmp_path / "again") == contents(model_pack)
    assert lines


def test_manifest_names_sources_and_checksums(downloads, tmp_path, no_network):
    build_pack(tmp_path / "pack", downloads, lambda _: None)
    manifest = json.loads((tmp_path / "pack" / "pack.json").read_text("utf-8"))
    assert {(s["name"], s["version"], s["sha256"]) for s in manifest["sources"]} == {
        (p.name, p.version, p.sha256) for p in (MTCNN, FACE_API)
    }
    found = contents(tmp_path / "pack")
    assert manifest["files"] == {name: found[name] for name in found if name != "pack.json"}


def test_replaces_a_pack_and_leaves_nothing_beside_it(downloads, tmp_path, no_network):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "old").write_text("old")
    build_pack(tmp_path / "pack", downloads, lambda _: None)
    assert not (tmp_path / "pack" / "old").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]


def test_failure_leaves_the_old_pack(downloads, tmp_path, no_network, monkeypatch):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "old").write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StartupError, match="No space left"):
        build_pack(tmp_path / "pack", downloads, lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
    assert (tmp_path / "pack" / "old").exists()


async def test_fused_pack_joins_the_default_network_with_faceres(
    others, model_pack, tmp_path, no_network, make_photo
):
    build_pack(tmp_path / "pack", others, lambda _: None, embedder="fused")
    found, default = contents(tmp_path / "pack"), contents(model_pack)
    assert set(found) - set(default) == {"faceres.onnx"}
    assert {name for name in default if found[name] != default[name]} == {"pack.json"}
    manifest = json.loads((tmp_path / "pack" / "pack.json").read_text("utf-8"))
    assert [source["name"] for source in manifest["sources"]] == [MTCNN.name, FACE_API.name, HUMAN_MODELS.name]
    assert "no licence was found" in manifest["sources"][2]["licence"]
    assert any("faceres" in caution for caution in manifest["cautions"])
    embedder = load_pack(tmp_path / "pack").embedder
    assert [(part.file, part.weight) for part in embedder.parts] == [("embedding.onnx", 6.0), ("faceres.onnx", 1.0)]
    assert embedder.provisional
    detector = FaceDetector(Config(model_pack=str(tmp_path / "pack"), device="cpu", threads=1))
    await detector.start()
    photo = make_photo(photos.astronaut())
    vectors = await detector.embed(photo, await detector.detect(photo))
    assert (detector.embedding_name, vectors.shape) == ("dlib-faceres-w6-1152", (1, 1152))
    await detector.close()


def test_fp32_pack_has_the_network_of_dlibs_file(others, model_pack, tmp_path, no_network):
    build_pack(tmp_path / "pack", others, lambda _: None, embedder="dlib-fp32")
    found, default = contents(tmp_path / "pack"), contents(model_pack)
    assert {name for name in default if found[name] != default[name]} == {
        "embedding.onnx",
        "embedding_int8.onnx",
        "pack.json",
    }
    pack = load_pack(tmp_path / "pack")
    assert (pack.embedding_name, pack.embedder.dimension) == ("dlib-resnet29-fp32-128", 128)
    assert not pack.embedder.provisional
    assert pack.sources[2]["licence"] == "CC0-1.0"


@pytest.mark.parametrize(("embedder", "file"), [("fused", "faceres.onnx"), ("dlib-fp32", "embedding.onnx")])
def test_networks_that_are_not_upstreams_are_noticed(others, tmp_path, no_network, embedder, file):
    build_pack(tmp_path / "pack", others, lambda _: None, embedder=embedder)
    problems = verify_pack(tmp_path / "pack")
    assert any(f"the output of {file} is off" in problem for problem in problems)
    assert all("output of" in problem for problem in problems)


@pytest.mark.parametrize("embedder", ["fused", "dlib-fp32"])
def test_an_archive_without_the_network_is_refused(others, tmp_path, no_network, monkeypatch, embedder):
    package = EMBEDDERS[embedder].more[0]
    archive = tarball({"package/other": b"x"})
    (others / package.file).write_bytes(archive)
    other = replace(package, sha256=hashlib.sha256(archive).hexdigest())
    monkeypatch.setitem(EMBEDDERS, embedder, replace(EMBEDDERS[embedder], more=(other,)))
    with pytest.raises(StartupError, match="the package lacks"):
        build_pack(tmp_path / "pack", others, lambda _: None, embedder=embedder)
    assert not (tmp_path / "pack").exists()


def test_weights_of_another_network_are_refused(others, tmp_path, no_network, monkeypatch):
    graph, data = Mobilenet().files()
    graph = graph.replace(b"conv_dw_7/", b"conv_dw_9/")
    members = {"package/models/faceres.json": graph, "package/models/faceres.bin": data}
    archive = tarball(members)
    (others / HUMAN_MODELS.file).write_bytes(archive)
    other = replace(HUMAN_MODELS, sha256=hashlib.sha256(archive).hexdigest(), integrity=None)
    monkeypatch.setitem(EMBEDDERS, "fused", replace(EMBEDDERS["fused"], more=(other,)))
    with pytest.raises(StartupError, match="could not be converted"):
        build_pack(tmp_path / "pack", others, lambda _: None, embedder="fused")


@pytest.mark.slow
@pytest.mark.parametrize("embedder", ["fused", "dlib-fp32"])
async def test_real_networks_are_as_upstream_and_tell_people_apart(
    downloads, tmp_path, no_network, make_photo, embedder
):
    missing = [package.file for package in EMBEDDERS[embedder].packages if not (downloads / package.file).exists()]
    if missing:
        pytest.skip(f"not compared with upstream, because {missing[0]} is not there: facenapi models build "
                    f"--embedder={embedder} fetches it")  # fmt: skip
    build_pack(tmp_path / "pack", downloads, lambda _: None, embedder=embedder)
    assert verify_pack(tmp_path / "pack") == []
    detector = FaceDetector(Config(model_pack=str(tmp_path / "pack"), device="cpu", threads=1))
    await detector.start()
    vectors = {}
    for name in FACES:
        files = [getattr(photos, name)(), *altered(name).values()]
        faces = [(photo, (await detector.detect(photo))[:1]) for photo in map(make_photo, files)]
        vectors[name] = np.concatenate([await detector.embed(photo, face) for photo, face in faces])
    await detector.close()
    same = [(found[1:] @ found[0]).min() for found in vectors.values()]
    other = [(vectors[a][1:] @ vectors[b][0]).max() for a, b in permutations(FACES, 2)]
    assert min(same) > max(other) + 0.05


def test_unknown_embedder(tmp_path, no_network):
    with pytest.raises(StartupError, match="unheard-of"):
        build_pack(tmp_path / "pack", tmp_path, lambda _: None, embedder="unheard-of")


def test_missing_extra_names_the_command(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "facenapi.detector.packs.build.networks", raising=False)
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    monkeypatch.delattr("facenapi.detector.packs.build.networks", raising=False)
    with pytest.raises(StartupError, match=r"pip install 'facenapi\[models\]'"):
        build_pack(tmp_path / "pack", tmp_path, lambda _: None)
