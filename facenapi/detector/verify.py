"""Proof that a pack is intact and computes what the networks it came from compute.

``golden.json`` holds what the upstream libraries themselves gave for public-domain portraits that
installed packages carry: scikit-image's astronaut, and Grace Hopper where matplotlib is installed.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from facenapi.detector.align import chip_matrix, crop_matrix, warp
from facenapi.detector.device import Device
from facenapi.detector.embedding import unit
from facenapi.detector.engine import Engine
from facenapi.detector.mtcnn import Mtcnn, Settings
from facenapi.detector.pack import Pack, load_pack
from facenapi.errors import StartupError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UPSTREAM = Settings(proposal=0.6, refine=0.7, output=0.8, scale_factor=0.709)
_UPSTREAM_MIN_FACE = 20.0


def verify_pack(folder: Path) -> list[str]:
    """Return what is wrong with the pack in ``folder``, one line each; empty if nothing is.

    Checks the checksums of all files, that the runtime loads every network and, for the networks of the
    default pack, their outputs: boxes and points within 1 % of the face, embeddings within 1e-4.
    """
    try:
        pack = load_pack(folder)
    except StartupError as error:
        return [str(error)]
    engines: dict[str, Engine] = {}
    problems = []
    for file in pack.files:
        try:
            data = pack.read(file)
            if file.endswith(".onnx"):
                engines[file] = Engine(data, Device("cpu", 1), max_batch=64, lanes=1)
        except StartupError as error:
            problems.append(str(error))
    if problems:
        return problems
    golden = json.loads((Path(__file__).parent / "golden.json").read_text("utf-8"))["faces"]
    for name, pixels in _portraits().items():
        problems += [f"{name}: {problem}" for problem in _compare(pack, engines, golden[name], pixels)]
    return problems


def _compare(pack: Pack, engines: dict[str, Engine], golden: dict[str, Any], pixels: NDArray[np.uint8]) -> list[str]:
    problems = []
    points = np.asarray(golden["points"])
    if pack.detector.get("kind") == "mtcnn":
        problems += _compare_detection(pack, engines, golden, pixels)
    if pack.embedder.name == "dlib-resnet29-128":
        part = pack.embedder.parts[0]
        chip = warp(pixels, chip_matrix(points, part.input.template, part.input.size), part.input.size)
        error = np.abs(_run(engines[part.file], chip)[0][0] - golden["embedding"]).max()
        if error > 1e-4:
            problems.append(f"the embedding is off by {error:.1e}, more than 1e-4")
        if part.file_int8:
            cosine = float(
                (unit(_run(engines[part.file_int8], chip)[0]) @ unit(np.array([golden["embedding"]])).T)[0, 0]
            )
            if cosine < 0.999:
                problems.append(f"the 8-bit embedding has a cosine of {cosine:.4f} to upstream's, less than 0.999")
    for net in pack.attributes if "age" in golden else ():
        crop = warp(pixels, crop_matrix(points, net.input.template, net.input.size), net.input.size)
        engine = engines[net.file]
        outputs = dict(zip(engine.outputs, _run(engine, crop), strict=True))
        if net.kind == "age_gender":
            # The upstream crop rounds to the nearest grey level, ours down: half a level, 0.2 years.
            found = {"age": outputs["age"][0, 0] / 100, "male": outputs["gender"][0, 0]}
            expected = {"age": golden["age"] / 100, "male": golden["male"]}
        elif net.kind == "emotions":
            found, expected = {"happy": outputs["probabilities"][0, 1]}, {"happy": golden["happy"]}
        else:
            continue
        problems += [
            f"{name} is {found[name]:.4f}, upstream {expected[name]:.4f}"
            for name in found
            if abs(found[name] - expected[name]) > 0.01
        ]
    return problems


def _compare_detection(
    pack: Pack, engines: dict[str, Engine], golden: dict[str, Any], pixels: NDArray[np.uint8]
) -> list[str]:
    proposal, refine, output = (engines[pack.detector[name]] for name in ("proposal", "refine", "output"))
    faces = Mtcnn(proposal, refine, output, _UPSTREAM).find(pixels, _UPSTREAM_MIN_FACE)
    if len(faces) != 1:
        return [f"{len(faces)} faces were found, upstream finds 1"]
    tolerance = (golden["box"][3] - golden["box"][1]) * 0.01
    box_error = np.abs(faces.boxes[0] - golden["box"]).max()
    point_error = np.abs(faces.points[0] - golden["points"]).max()
    return [
        f"the {what} is off by {error:.1f} pixels, more than 1 % of the face"
        for what, error in (("box", box_error), ("nearest point", point_error))
        if error > tolerance
    ]


def _run(engine: Engine, crop: NDArray[np.uint8]) -> tuple[NDArray[np.float32], ...]:
    return engine.run(crop.transpose(2, 0, 1)[None].astype(np.float32))


def _portraits() -> dict[str, NDArray[np.uint8]]:
    from skimage import data  # noqa: PLC0415 - pulls much of scipy; only verification needs it

    astronaut: Callable[[], Any] = data.astronaut
    portraits = {"astronaut": np.asarray(astronaut())}
    matplotlib = importlib.util.find_spec("matplotlib")
    for place in (matplotlib.submodule_search_locations or []) if matplotlib else []:
        path = Path(place) / "mpl-data" / "sample_data" / "grace_hopper.jpg"
        if path.is_file():
            portraits["grace_hopper"] = np.asarray(Image.open(path).convert("RGB"))
    return portraits
