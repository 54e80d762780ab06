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
from facenapi.detector.packs.build.graph import Graph
from facenapi.detector.packs.pack import load_pack
from facenapi.detector.pipeline import FaceDetector
from facenapi.detector.run.device import Device
from facenapi.detector.run.engine import Engine
from facenapi.photos.photo import Photo
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


@pytest.fixture(scope="session")
def engines(model_pack):
    """The default pack's networks on one thread, by the stem of their file."""
    pack = load_pack(model_pack)
    return {
        Path(file).stem: Engine(pack.read(file), Device("cpu", 1), max_batch=64, lanes=2)
        for file in pack.files
        if file.endswith(".onnx")
    }


@pytest.fixture(scope="session")
def doubler():
    """A network that doubles rows of three numbers."""
    graph = Graph("doubler", ("N", 3))
    graph.op("Mul", "input", graph.weight(np.array(2.0)), output="doubled")
    return graph.finish({"doubled": ("N", 3)})


@pytest.fixture(scope="session")
def detector(model_pack):
    """A started detector with default options."""
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
