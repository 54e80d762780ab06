import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from facenapi.detector.build import build_pack
from facenapi.detector.build.sources import FACE_API, MTCNN
from facenapi.errors import StartupError


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


def test_unknown_embedder(tmp_path, no_network):
    with pytest.raises(StartupError, match="unheard-of"):
        build_pack(tmp_path / "pack", tmp_path, lambda _: None, embedder="unheard-of")


def test_missing_extra_names_the_command(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "facenapi.detector.build.networks", raising=False)
    monkeypatch.setitem(sys.modules, "lz4.frame", None)
    monkeypatch.delattr("facenapi.detector.build.networks", raising=False)
    with pytest.raises(StartupError, match=r"pip install 'facenapi\[models\]'"):
        build_pack(tmp_path / "pack", tmp_path, lambda _: None)
