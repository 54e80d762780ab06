"""The embedders that a pack can be built with, as ``pack.json`` describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facenapi.detector.packs.build import tables
from facenapi.detector.packs.build.sources import DLIB_MODELS, FACE_DETECTION, Package

Points = list[list[float]]

# dlib's mean face in its 150 px chip with 25 % padding: eye centres, nose tip, mouth corners.
DLIB_TEMPLATE = [[47.549, 46.599], [100.476, 46.599], [74.013, 76.562], [50.415, 103.023], [97.610, 103.023]]
ARCFACE_TEMPLATE = [
    [38.2946, 51.6963],
    [73.5318, 51.5014],
    [56.0252, 71.7366],
    [41.5493, 92.3655],
    [70.7299, 92.2041],
]
# How much more dlib's cosine counts than MobileFaceNet's: on half of LFW's people 1.5 to 3 did equally well.
_WEIGHT = 2.0
_LFW = "LFW, 7,701 images, 8,101 genuine and 29,640,749 impostor pairs"
_LFW_FOUND = "LFW, the 7,699 of 7,701 images with a face found, 8,100 genuine and 29,625,351 impostor pairs"
_TRAINED = (
    "MobileFaceNet's weights are MIT and Apache-2.0; they seem to be trained on MS1M-refine, which descends from "
    "MS-Celeb-1M: Microsoft has withdrawn that set, and it is offered for non-commercial research. A pack with the "
    "embedder dlib does without."
)


@dataclass(frozen=True, slots=True)
class Variant:
    """An embedder to build; ``packages`` are those beside every pack's."""

    packages: tuple[Package, ...]
    embedder: Mapping[str, Any]
    cautions: tuple[str, ...] = ()


def input_entry(size: int, crop: str, template: Points, *, mean: float = 0.0, std: float = 1.0) -> dict[str, Any]:
    """Return the ``input`` of a network that takes RGB."""
    return {"size": size, "color": "rgb", "mean": mean, "std": std, "crop": crop, "template": template}


def _dlib(weight: float = 1.0) -> dict[str, Any]:
    return {
        "file": "embedding.onnx",
        "file_int8": "embedding_int8.onnx",
        "weight": weight,
        "input": input_entry(150, "dlib", DLIB_TEMPLATE),
    }


# No copy in 8 bits: such a one was measured at a cosine of .91 to .95. Batches above 2 are slower on a CPU.
_MOBILEFACENET = {
    "file": "mobilefacenet.onnx",
    "weight": 1.0,
    "cpu_batch": 2,
    "input": input_entry(112, "similarity", ARCFACE_TEMPLATE, mean=127.5, std=128.0),
}


def _embedder(
    name: str,
    dimension: int,
    parts: list[dict[str, Any]],
    calibration: dict[str, Any],
    cosines: dict[str, list[float]],
) -> dict[str, Any]:
    """``cosines``: mean and standard deviation among strangers, and among photos of one person, on LFW."""
    return {
        "name": name,
        "dimension": dimension,
        "metric": "cosine",
        "parts": parts,
        "calibration": calibration,
        "cosines": cosines,
    }


_DLIB_COSINES = {"strangers": [0.84, 0.033], "same": [0.957, 0.02]}

EMBEDDERS = {
    "mobilefacenet": Variant(
        (FACE_DETECTION,),
        _embedder(
            "mobilefacenet-192",
            192,
            [_MOBILEFACENET],
            {
                "distance_confidence": tables.MOBILEFACENET,
                "distance_confidence_1view": tables.MOBILEFACENET_1VIEW,
                "rates": tables.rates_of(tables.MOBILEFACENET, tables.MOBILEFACENET_TARS),
                "origin": _LFW_FOUND,
            },
            {"strangers": [0.01, 0.148], "same": [0.77, 0.14]},
        ),
        (_TRAINED,),
    ),
    "dlib": Variant(
        (),
        _embedder(
            "dlib-resnet29-128",
            128,
            [_dlib()],
            {"distance_confidence": tables.DLIB, "rates": tables.DLIB_RATES, "origin": _LFW},
            _DLIB_COSINES,
        ),
    ),
    "dlib-fp32": Variant(
        (DLIB_MODELS,),
        _embedder(
            "dlib-resnet29-fp32-128",
            128,
            [_dlib()],
            {
                "distance_confidence": tables.DLIB,
                "rates": tables.DLIB_FP32_RATES,
                "origin": "distances of face-api's copy of this network, within 0.003 of its own at each rate; both "
                f"measured on {_LFW}",
            },
            _DLIB_COSINES,
        ),
    ),
    "joined": Variant(
        (FACE_DETECTION,),
        _embedder(
            "dlib-w2-mobilefacenet-320",
            320,
            [_dlib(_WEIGHT), _MOBILEFACENET],
            {
                "distance_confidence": tables.JOINED,
                "rates": tables.rates_of(tables.JOINED, tables.JOINED_TARS),
                "origin": _LFW_FOUND,
            },
            {"strangers": [0.563, 0.066], "same": [0.9, 0.06]},
        ),
        (_TRAINED,),
    ),
}
DEFAULT_EMBEDDER = "mobilefacenet"
