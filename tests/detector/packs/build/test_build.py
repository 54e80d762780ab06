import hashlib
import json
import sys
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from facenapi.config.options import Config
from facenapi.detector.base import Detection
from facenapi.detector.measure.verify import verify_pack
from facenapi.detector.packs.build import build_pack, choose, publish
from facenapi.detector.packs.build.embedders import EMBEDDERS
from facenapi.detector.packs.build.manifest import Choice
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.pipeline import FaceDetector
from facenapi.errors import StartupError
from facenapi.geometry import Box
from tests.detector.packs.build.synthetic import Resnet, tarball
from tests.detector.test_robustness import FACES, altered
from tests.support import photos
from tests.support.effort import daily


@pytest.fixture
def no_network(monkeypatch):
    """Any way to a registry fails at once."""

    def refuse(command, **_):
        raise AssertionError(f"{command} was run")

    monkeypatch.setattr("subprocess.run", refuse)


@pytest.fixture
def others(downloads, tmp_path, monkeypatch):
    """A folder with the default's packages, and a stand-in for dlib's own: a narrow network of random weights."""
    folder = tmp_path / "downloads"
    folder.mkdir()
    for package in Choice("joined", "centerface").packages:
        (folder / package.file).symlink_to((downloads / package.file).absolute())

    def stand_in(members, embedder="dlib-fp32"):
        """Put an archive in the place of an embedder's package."""
        variant = EMBEDDERS[embedder]
        archive = tarball({"../evil": b"x", **members})
        (folder / variant.packages[0].file).unlink(missing_ok=True)
        (folder / variant.packages[0].file).write_bytes(archive)
        pinned = replace(variant.packages[0], sha256=hashlib.sha256(archive).hexdigest(), integrity=None)
        monkeypatch.setitem(EMBEDDERS, embedder, replace(variant, packages=(pinned,)))
        return folder

    return stand_in


# Two faces as good as any: those of the astronaut by two detectors.
POINTS = np.float32([
    [[203.5, 100.1], [245.4, 102.2], [224.2, 126.4], [201.8, 138.6], [244.4, 140.4]],
    [[203.2, 101.7], [247.0, 104.5], [223.3, 125.1], [203.4, 142.3], [241.3, 144.4]],
])  # fmt: skip
DAT = "face_recognition_models-0.3.0/face_recognition_models/models/dlib_face_recognition_resnet_model_v1.dat"
TFLITE = "package/android/src/main/assets/MobileFaceNet.tflite"


def contents(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.slow
def test_second_build_needs_no_network_gives_the_same_bytes_and_replaces_a_pack(
    downloads, model_pack, tmp_path, no_network
):
    lines = []
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack.json").write_text("old")
    build_pack(tmp_path / "pack", downloads, lines.append)
    assert contents(tmp_path / "pack") == contents(model_pack)
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
    assert lines


def test_manifest_names_sources_and_checksums(model_pack):
    manifest = json.loads((model_pack / "pack.json").read_text("utf-8"))
    assert {(s["name"], s["version"], s["sha256"]) for s in manifest["sources"]} == {
        (p.name, p.version, p.sha256) for p in Choice("mobilefacenet", "centerface").packages
    }
    found = contents(model_pack)
    assert manifest["files"] == {name: found[name] for name in found if name != "pack.json"}


@pytest.mark.slow
def test_failure_leaves_the_old_pack(downloads, tmp_path, no_network, monkeypatch):
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack.json").write_text("old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StartupError, match="No space left"):
        build_pack(tmp_path / "pack", downloads, lambda _: None)
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
    assert (tmp_path / "pack" / "pack.json").read_text() == "old"


@pytest.mark.slow
async def test_joined_pack_has_both_networks(downloads, dlib_pack, model_pack, tmp_path, make_photo):
    build_pack(tmp_path / "pack", downloads, lambda _: None, embedder="joined")
    found, default, dlib = contents(tmp_path / "pack"), contents(model_pack), contents(dlib_pack)
    assert {name for name in found if found[name] != default.get(name, dlib.get(name))} == {"pack.json"}
    assert set(found) == set(default) | {"embedding.onnx", "embedding_int8.onnx"}
    embedder = load_pack(tmp_path / "pack").embedder
    assert [(part.file, part.weight) for part in embedder.parts] == [
        ("embedding.onnx", 2.0), ("mobilefacenet.onnx", 1.0)]  # fmt: skip
    assert not embedder.provisional
    photo, vectors = make_photo(photos.astronaut()), {}
    for pack in (model_pack, dlib_pack, tmp_path / "pack"):
        detector = FaceDetector(Config(model_pack=str(pack), device="cpu", threads=1))
        await detector.start()
        faces = [Detection(Box(0, 0, 99, 99), 1.0, points) for points in POINTS]
        vectors[pack] = await detector.embed(photo, faces)
        await detector.close()
    alone = [pair[0] @ pair[1] for pair in vectors.values()]
    assert vectors[tmp_path / "pack"].shape == (2, 320)
    assert alone[2] == pytest.approx((2 * alone[1] + alone[0]) / 3, abs=1e-5)


@pytest.mark.slow
def test_fp32_pack_has_the_network_of_dlibs_file(others, dlib_pack, tmp_path, no_network):
    folder = others({DAT: Resnet().file()})
    build_pack(tmp_path / "pack", folder, lambda _: None, embedder="dlib-fp32", detector="mtcnn")
    found, default = contents(tmp_path / "pack"), contents(dlib_pack)
    assert {name for name in default if found[name] != default[name]} == {
        "embedding.onnx",
        "embedding_int8.onnx",
        "pack.json",
    }
    pack = load_pack(tmp_path / "pack")
    assert (pack.embedding_name, pack.embedder.dimension) == ("dlib-resnet29-fp32-128", 128)
    assert pack.sources[2]["licence"] == "CC0-1.0"
    problems = verify_pack(tmp_path / "pack")  # a stand-in is not upstream's
    assert problems
    assert all("the output of embedding" in problem for problem in problems)


@pytest.mark.parametrize(
    ("embedder", "members", "message"),
    daily([
        ("mobilefacenet", {TFLITE: b"TFL3"}, "is not the network that was pinned"),
        ("dlib-fp32", {}, "the package lacks"),
        ("dlib-fp32", {DAT: Resnet().file()[:-100]}, "could not be converted: dlib's file is cut off"),
        ("mobilefacenet", {}, "the package lacks"),
    ]),
)  # fmt: skip
def test_other_archives_are_refused(others, tmp_path, no_network, embedder, members, message):  # noqa: PLR0917
    folder = others(members, embedder)
    with pytest.raises(StartupError, match=message):
        build_pack(tmp_path / "pack", folder, lambda _: None, embedder=embedder)
    assert not (tmp_path / "pack").exists()


class TestChoosing:
    """Which pack is built where there is one."""

    def test_the_default_where_there_is_none(self, tmp_path):
        assert choose(tmp_path, None, None) == ("mobilefacenet", "centerface")
        assert choose(tmp_path, "dlib", "mtcnn") == ("dlib", "mtcnn")

    def test_the_same_again(self, dlib_pack):
        assert choose(dlib_pack, None, None) == choose(dlib_pack, "dlib", None) == ("dlib", "mtcnn")

    @pytest.mark.parametrize(("embedder", "detector"), [("mobilefacenet", None), (None, "centerface")])
    def test_never_another(self, dlib_pack, embedder, detector):
        with pytest.raises(StartupError, match=r"holds a pack with the .* (dlib|mtcnn).*--force"):
            choose(dlib_pack, embedder, detector)

    @pytest.mark.parametrize(
        "change",
        [
            lambda manifest: manifest["embedder"]["calibration"].update(origin="mine"),
            lambda manifest: manifest.pop("built"),
            lambda manifest: manifest["embedder"].update(name="mine"),
            lambda manifest: manifest.pop("detector"),
        ],
    )
    def test_never_over_what_somebody_changed(self, dlib_pack, tmp_path, change):
        manifest = json.loads((dlib_pack / "pack.json").read_text("utf-8"))
        change(manifest)
        (tmp_path / "pack.json").write_text(json.dumps(manifest))
        with pytest.raises(StartupError, match="--force"):
            choose(tmp_path, None, None)

    def test_a_typing_mistake_is_no_reason_to_replace_it(self, tmp_path):
        (tmp_path / "pack.json").write_text("{")
        with pytest.raises(StartupError, match=r"cannot be read.*--force"):
            choose(tmp_path, None, None)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=280)
@pytest.mark.parametrize("embedder", ["joined", "dlib-fp32"])
async def test_real_networks_are_as_upstream_and_tell_people_apart(
    downloads, tmp_path, no_network, make_photo, embedder
):
    packages = Choice(embedder, "centerface").packages
    missing = [package.file for package in packages if not (downloads / package.file).exists()]
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


@pytest.mark.parametrize("what", ["embedder", "detector"])
def test_unknown_networks(tmp_path, no_network, what):
    with pytest.raises(StartupError, match=f"there is no {what} 'unheard-of'"):
        build_pack(tmp_path / "pack", tmp_path, lambda _: None, **{what: "unheard-of"})


def test_a_folder_that_is_no_pack_is_not_replaced_by_one(tmp_path):
    (tmp_path / "home" / "letters").mkdir(parents=True)
    for put in (
        lambda: build_pack(tmp_path / "home", tmp_path / "downloads", lambda _: None),
        lambda: publish({"pack.json": b"{}"}, tmp_path / "home"),
    ):
        with pytest.raises(StartupError, match="is not empty and no model pack"):
            put()
    assert (tmp_path / "home" / "letters").exists()
    assert not (tmp_path / "downloads").exists()
    (tmp_path / "home" / "letters").rmdir()
    publish({"pack.json": b"{}"}, tmp_path / "home")
    assert (tmp_path / "home" / "pack.json").read_bytes() == b"{}"


def test_a_link_to_a_pack_stays_one(tmp_path):
    (tmp_path / "packs").mkdir()
    (tmp_path / "link").symlink_to("packs/one")
    for content in (b"{}", b"[]"):  # at first the link leads nowhere
        publish({"pack.json": content}, tmp_path / "link")
        assert (tmp_path / "packs" / "one" / "pack.json").read_bytes() == content
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in (*tmp_path.iterdir(), *(tmp_path / "packs").iterdir())) == [
        "link", "one", "packs"]  # fmt: skip


def test_missing_extra_names_the_command(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "facenapi.detector.packs.build.networks", raising=False)
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    monkeypatch.delattr("facenapi.detector.packs.build.networks", raising=False)
    with pytest.raises(StartupError, match=r"pip install 'facenapi\[models\]'"):
        build_pack(tmp_path / "pack", tmp_path, lambda _: None)
