"""Fixtures for the detector's tests: networks, portraits with upstream figures, a running detector."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import facenapi.detector
from facenapi.config.options import Config
from facenapi.detector.packs.add import add_network
from facenapi.detector.packs.build import build_pack
from facenapi.detector.packs.build.graph import Graph
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.pipeline import FaceDetector
from facenapi.detector.run.device import Device
from facenapi.detector.run.engine import Engine
from facenapi.photos.photo import Photo
from tests.conftest import ROOT
from tests.support import photos

PORTRAITS = ("astronaut", "grace_hopper")


@pytest.fixture(scope="session")
def golden():
    """What the upstream libraries gave for the portraits, by name."""
    text = (Path(facenapi.detector.__file__).parent / "measure" / "golden.json").read_text("utf-8")
    return json.loads(text)["faces"]


@pytest.fixture(scope="session")
def pixels():
    """The portraits as RGB arrays, by name."""
    files = {name: getattr(photos, name)() for name in PORTRAITS}
    return {name: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for name, data in files.items()}


class Engines(dict):
    """The networks of the default pack and of dlib's on one thread, by the stem of their file; made when used."""

    def __init__(self, request):
        super().__init__()
        self._request = request

    def __missing__(self, stem):
        for fixture in ("model_pack", "dlib_pack"):
            pack = load_pack(self._request.getfixturevalue(fixture))
            for file in pack.files:
                if Path(file).stem == stem:
                    self[stem] = Engine(pack.read(file), Device("cpu", 1), max_batch=64, lanes=2)
                    return self[stem]
        raise KeyError(stem)


@pytest.fixture(scope="session")
def engines(request):
    """Networks by the stem of their file."""
    return Engines(request)


@pytest.fixture(scope="session")
def doubler():
    """A network that doubles rows of three numbers."""
    graph = Graph("doubler", ("N", 3))
    graph.op("Mul", "input", graph.weight(np.array(2.0)), output="doubled")
    return graph.finish({"doubled": ("N", 3)})


DETECTORS = ("centerface", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mtcnn", "yunet")))


@pytest.fixture(scope="session")
def packs(model_pack, downloads, tmp_path_factory):
    """Make the pack with the default embedder and a detector; skip where its network is not to be had."""
    folder = tmp_path_factory.mktemp("detectors")

    def make(name):
        if name == "centerface":
            return model_pack
        if not (folder / name).exists() and name == "mtcnn":
            build_pack(folder / name, downloads, lambda _: None, detector="mtcnn")
        elif not (folder / name).exists():
            add_network(model_pack, folder / name, "yunet", str(shared(YUNET)), lambda _: True)
        return folder / name

    return make


YUNET = "models/face_detection_yunet_2023mar.onnx"


def shared(file):
    """A file that may lie beside the checkout, and never in it: skip where it does not."""
    found = next((path for parent in ROOT.parents if (path := parent / "shared" / file).exists()), None)
    if found is None:
        pytest.skip(f"there is no shared/{file} beside the checkout")
    return found


@pytest.fixture(scope="session", params=DETECTORS)
def detector(request, packs):
    """A started detector with default options, with each of the networks that find faces."""
    running = FaceDetector(Config(model_pack=str(packs(request.param)), device="cpu", threads=2))
    asyncio.run(running.start())
    yield running
    asyncio.run(running.close())


@pytest.fixture(scope="session")
def default(model_pack):
    """A started detector with the default pack and default options."""
    running = FaceDetector(Config(model_pack=str(model_pack), device="cpu", threads=2))
    asyncio.run(running.start())
    yield running
    asyncio.run(running.close())


@pytest.fixture(scope="session")
def make_photo():
    """Turn a file's bytes into a Photo as the server does."""

    def make(data: bytes) -> Photo:
        return Photo(data, "photo", 6000, 1280)

    return make
