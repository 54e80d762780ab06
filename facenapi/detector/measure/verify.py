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

from facenapi.detector.describe.align import chip_matrix, crop_matrix, warp
from facenapi.detector.describe.crops import rows
from facenapi.detector.describe.embedding import unit
from facenapi.detector.find.faces import FaceNet
from facenapi.detector.find.mtcnn import Mtcnn, Settings
from facenapi.detector.find.singleshot import SingleShot
from facenapi.detector.packs.pack import EmbedderPart, Pack, load_pack
from facenapi.detector.run.device import Device, has_int8
from facenapi.detector.run.engine import Engine
from facenapi.errors import StartupError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UPSTREAM = Settings(proposal=0.6, refine=0.7, output=0.8, scale_factor=0.709)
_UPSTREAM_MIN_FACE = 20.0
# What golden.json calls the outputs of each embedder's networks.
_VECTORS = {
    "mobilefacenet-192": ["mobilefacenet"],
    "dlib-resnet29-128": ["embedding"],
    "dlib-resnet29-fp32-128": ["dlib"],
    "dlib-w2-mobilefacenet-320": ["embedding", "mobilefacenet"],
}


def verify_pack(folder: Path) -> list[str]:
    """Return what is wrong with the pack in ``folder``, one line each; empty if nothing is.

    Checks the checksums of all files, that the runtime loads every network and, for the networks of packs
    that are built here, their outputs: boxes and points within 1 % of the face, embeddings within 1e-4.
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
        proposal, refine, output = (engines[pack.detector[name]] for name in ("proposal", "refine", "output"))
        detector: FaceNet = Mtcnn(proposal, refine, output, _UPSTREAM)
        problems += _compare_detection(detector, golden, pixels, 0.01)
    elif pack.detector.get("kind") == "centerface":
        problems += _compare_detection(SingleShot(engines[pack.detector["file"]], pack.detector),
                                       golden["centerface"], pixels, 0.01)  # fmt: skip
        if "file_int8" in pack.detector and has_int8():
            quick = SingleShot(engines[pack.detector["file_int8"]], pack.detector)
            problems += [f"in 8 bits {problem}"
                         for problem in _compare_detection(quick, golden["centerface"], pixels, 0.07)]  # fmt: skip
    for part, key in zip(pack.embedder.parts, _VECTORS.get(pack.embedder.name, ()), strict=False):
        problems += _compare_part(part, engines, np.asarray(golden[key], np.float32), pixels, points)
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


def _compare_part(
    part: EmbedderPart,
    engines: dict[str, Engine],
    expected: NDArray[np.float32],
    pixels: NDArray[np.uint8],
    points: NDArray[np.float64],
) -> list[str]:
    """Compare a part's network, and its copy in 8 bits, with upstream's numbers."""
    spec = part.input
    fit = chip_matrix if spec.crop == "dlib" else crop_matrix
    matrix = fit(points, spec.template, spec.size)
    crop = warp(pixels, matrix, spec.size, replicate=spec.border == "replicate")
    network_input = rows([crop], spec, mirrored=False)
    output = engines[part.file].run(network_input)[0]
    problems = []
    error = np.abs(output[0] - expected).max()
    if error > 1e-4:
        problems.append(f"the output of {part.file} is off by {error:.1e}, more than 1e-4")
    if part.file_int8 and has_int8():  # elsewhere it saturates, and the server leaves it alone
        quick = engines[part.file_int8].run(network_input)[0]
        cosine = float((unit(quick) @ unit(expected[None]).T)[0, 0])
        if cosine < 0.999:
            problems.append(f"the output of {part.file_int8} has a cosine of {cosine:.4f} to upstream's, under 0.999")
    return problems


def _compare_detection(
    detector: FaceNet, golden: dict[str, Any], pixels: NDArray[np.uint8], share: float
) -> list[str]:
    """Compare box and points with upstream's, which may differ by this share of the face's height."""
    faces = detector.find(pixels, _UPSTREAM_MIN_FACE)
    if len(faces) != 1:
        return [f"{len(faces)} faces were found, upstream finds 1"]
    tolerance = (golden["box"][3] - golden["box"][1]) * share
    box_error = np.abs(faces.boxes[0] - golden["box"]).max()
    point_error = np.abs(faces.points[0] - golden["points"]).max()
    return [
        f"the {what} is off by {error:.1f} pixels, more than {share:.0%} of the face"
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
