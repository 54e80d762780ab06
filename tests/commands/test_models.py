"""facenapi models: what a user sees. What it does to packs is tested with the detector."""

import hashlib
import io
import json
import shutil

import pytest
from PIL import Image, ImageEnhance

from facenapi.detector.packs import add
from facenapi.detector.packs.add import Known
from tests.support.live import jpeg


@pytest.fixture
def pack(tmp_path, model_pack):
    folder = tmp_path / "models" / "mine"
    shutil.copytree(model_pack, folder)
    return folder


def test_packs_are_listed_also_those_that_are_broken(facenapi, pack):
    broken = pack.parent / "broken"
    broken.mkdir()
    (broken / "pack.json").write_text("{")
    said = facenapi("models", "list", f"--model_pack={pack}")
    assert said.status == 0
    first, second = said.out.splitlines()
    assert first.startswith(f"  {broken}  cannot be used: ")
    assert second.startswith(f"* {pack}  ")


def test_a_missing_pack_says_how_to_make_it(facenapi, tmp_path):
    for action in ("verify", "list"):
        said = facenapi("models", action, f"--model_pack={tmp_path}/none")
        assert "facenapi models build" in said.out + said.err
    assert facenapi("models", "verify", f"--model_pack={tmp_path}/none").status == 1


@pytest.mark.slow
def test_a_damaged_file_is_found(facenapi, pack):
    assert facenapi("models", "verify", f"--model_pack={pack}").status == 0
    (pack / "onet.onnx").write_bytes(b"nothing")
    said = facenapi("models", "verify", f"--model_pack={pack}")
    assert said.status == 1
    assert "onet.onnx is damaged" in said.err


@pytest.fixture
def building(pack, monkeypatch):
    """Builds that only note what was asked for, and leave a pack whose confidences are provisional."""
    asked = []
    manifest = json.loads((pack / "pack.json").read_text("utf-8"))

    def build(folder, cache, progress, *, embedder, detector):
        asked.append((folder, cache, embedder, detector))
        manifest["embedder"].update(name="joined")
        manifest["embedder"]["calibration"].update(provisional=True)
        folder.mkdir(exist_ok=True)
        (folder / "pack.json").write_text(json.dumps(manifest))

    monkeypatch.setattr("facenapi.detector.packs.build.build_pack", build)
    return asked


def test_a_pack_is_replaced_with_force_only(facenapi, pack, building):
    before = (pack / "pack.json").read_bytes()
    said = facenapi("models", "build", "--embedder=dlib", f"--model_pack={pack}")
    assert (said.status, said.out, building) == (1, "", [])
    assert "--force" in said.err
    assert (pack / "pack.json").read_bytes() == before
    said = facenapi("models", "build", "--embedder=dlib", "--detector=mtcnn", "--force", f"--model_pack={pack}")
    assert building == [(pack, pack.parent / "downloads", "dlib", "mtcnn")]
    assert (said.status, said.out) == (0, f"{pack}\n")
    assert "models calibrate" in said.err
    assert "regenerate" in said.err
    assert "joined  (confidences are provisional)" in facenapi("models", "list", f"--model_pack={pack}").out


def test_another_pack_is_built_beside(facenapi, pack, building):
    beside = pack.parent / "beside"
    said = facenapi("models", "build", "--embedder=joined", f"--model_pack={beside}")
    assert (said.status, building) == (0, [(beside, pack.parent / "downloads", "joined", "centerface")])


def test_a_pack_that_cannot_be_read_is_not_replaced_in_silence(facenapi, pack, building):
    (pack / "pack.json").write_text("{")
    said = facenapi("models", "build", f"--model_pack={pack}")
    assert (said.status, building) == (1, [])
    assert "cannot be read" in said.err
    assert facenapi("models", "build", "--force", f"--model_pack={pack}").status == 0


def test_an_unknown_embedder_is_wrong_usage(facenapi, pack):
    said = facenapi("models", "build", "--embedder=magic", f"--model_pack={pack}")
    assert said.status == 2
    assert "dlib-fp32" in said.err


@pytest.fixture
def known(pack, monkeypatch):
    """A network that everybody knows: the pack's own emotions."""
    data = (pack / "emotions.onnx").read_bytes()
    entry = {"kind": "emotions"}
    network = Known("emotions2.onnx", hashlib.sha256(data).hexdigest(), "MIT (nobody)", "emotions", entry)
    monkeypatch.setitem(add.KNOWN, "grin", network)
    return pack / "emotions.onnx"


@pytest.mark.parametrize("answer", ["y", "n", None])
def test_a_licence_is_asked_for(facenapi, pack, known, monkeypatch, answer):
    def reply(question):
        assert "licence" in question
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", reply)
    target = pack.parent / "new"
    said = facenapi("models", "add", "grin", f"--from={known}", f"--to={target}", f"--model_pack={pack}")
    assert (said.status, "MIT (nobody)" in said.err) == (0 if answer == "y" else 1, True)
    assert target.exists() is (answer == "y")


def test_an_accepted_licence_is_not_asked_for_and_nothing_is_overwritten(facenapi, pack, known):
    words = ["models", "add", "grin", f"--from={known}", f"--model_pack={pack}", "--accept-licence"]
    assert facenapi(*words, f"--to={pack.parent / 'new'}").status == 0
    said = facenapi(*words, f"--to={pack.parent / 'new'}")
    assert (said.status, said.err) == (1, f"facenapi: {pack.parent / 'new'} exists already\n")
    said = facenapi("models", "add", "frown", "--from=x", f"--to={pack.parent / 'other'}", f"--model_pack={pack}")
    assert "there is no known network 'frown'" in said.err


@pytest.mark.slow
def test_a_set_that_is_too_small_is_refused(facenapi, pack, tmp_path, astronaut):
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_bytes(astronaut)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("a.png,a.png,1\n")
    said = facenapi("models", "calibrate", f"--images={images}", f"--pairs={pairs}", f"--model_pack={pack}")
    assert said.status == 1
    assert "too few" in said.err
    said = facenapi("models", "calibrate", f"--images={images}", f"--pairs={tmp_path}/none", f"--model_pack={pack}")
    assert "the pairs cannot be read" in said.err


@pytest.mark.slow
def test_a_table_is_made_and_written(facenapi, pack, tmp_path, astronaut, grace_hopper):
    images = tmp_path / "images"
    for name, data in (("a", astronaut), ("g", grace_hopper)):
        image = Image.open(io.BytesIO(data)).convert("RGB").resize((256, 256))
        (images / name).mkdir(parents=True)
        for number in range(12):
            brighter = ImageEnhance.Brightness(image).enhance(0.7 + number / 20)
            (images / name / f"{number}.jpg").write_bytes(jpeg(brighter))
    pairs, drawing = tmp_path / "pairs.csv", tmp_path / "rates.png"
    pairs.write_text("a/0.jpg,a/1.jpg,1\ng/0.jpg,g/1.jpg,1\na/0.jpg,g/0.jpg,0\n")
    options = [f"--images={images}", f"--pairs={pairs}", "--folders", f"--model_pack={pack}"]
    before = (pack / "pack.json").read_text()
    said = facenapi("models", "calibrate", *options, f"--plot={drawing}")
    assert said.status == 0, said.err
    assert said.out.startswith("2 genuine and 144 impostor pairs; 0 photos without a face")
    with Image.open(drawing) as image:
        assert image.width > 1000
    assert (pack / "pack.json").read_text() == before
    assert facenapi("models", "calibrate", *options, "--write=two portraits").status == 0
    assert '"origin": "two portraits"' in (pack / "pack.json").read_text()
    assert facenapi("models", "list", f"--model_pack={pack}").status == 0


def test_no_action_is_wrong_usage(facenapi):
    assert facenapi("models").status == 2
    assert facenapi("models", "add", "sface").status == 2
