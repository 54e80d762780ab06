"""The embedders that a pack can be built with, as ``pack.json`` describes them, with where each figure comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from facenapi.detector.packs.build.sources import DLIB_MODELS, FACE_API, HUMAN_MODELS, MTCNN, Package

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
# ArcFace's, from 112 to 224 pixels, 8 % smaller and 9 pixels higher.
FACERES_TEMPLATE = [[round((x - 56) * 1.84 + 112, 3), round((y - 56) * 1.84 + 103, 3)] for x, y in ARCFACE_TEMPLATE]

# Distance of unit vectors → confidence. Measured with face-api's copy of dlib's network, mirrored pair averaged, on
# all 29,640,749 impostor pairs of 7,701 images of LFW: low, medium and strict stand at FAR 1e-1, 1e-3, 1e-5.
CALIBRATION = [
    [0.0, 1.0],
    [0.2722, 0.8443],
    [0.3035, 0.7834],
    [0.3207, 0.75],
    [0.3369, 0.7225],
    [0.3760, 0.6616],
    [0.4212, 0.6153],
    [0.4836, 0.5690],
    [0.566, 0.40],
    [0.741, 0.05],
    [1.0, 0.0],
]
RATES = [
    {"confidence": 0.5690, "distance": 0.4836, "far": 1e-1, "tar": 0.999},
    {"confidence": 0.6153, "distance": 0.4212, "far": 1e-2, "tar": 0.992},
    {"confidence": 0.6616, "distance": 0.3760, "far": 1e-3, "tar": 0.939},
    {"confidence": 0.7225, "distance": 0.3369, "far": 1e-4, "tar": 0.810},
    {"confidence": 0.7500, "distance": 0.3207, "far": 3.5e-5, "tar": 0.710},
    {"confidence": 0.7834, "distance": 0.3035, "far": 1e-5, "tar": 0.596},
    {"confidence": 0.8443, "distance": 0.2722, "far": 1e-6, "tar": 0.351},
]
_FP32_RATES = [
    {"confidence": 0.6153, "distance": 0.4212, "far": 1e-2, "tar": 0.991},
    {"confidence": 0.6616, "distance": 0.3760, "far": 1e-3, "tar": 0.938},
    {"confidence": 0.7225, "distance": 0.3369, "far": 1e-4, "tar": 0.801},
    {"confidence": 0.7834, "distance": 0.3035, "far": 1e-5, "tar": 0.579},
]
# How much more dlib's cosine counts than that of faceres; on LFW, with a mean subtracted from faceres, 5 to 12 did
# equally well.
_WEIGHT = 6.0


@dataclass(frozen=True, slots=True)
class Variant:
    """A pack that can be built; ``more`` are its packages beside those of every pack."""

    name: str
    more: tuple[Package, ...]
    embedder: Mapping[str, Any]
    cautions: tuple[str, ...] = ()

    @property
    def packages(self) -> tuple[Package, ...]:
        """Return the packages that it is made from."""
        return (MTCNN, FACE_API, *self.more)


def input_entry(size: int, crop: str, template: Points, **more: str) -> dict[str, Any]:
    """Return the ``input`` of a network that takes RGB as 0…255."""
    return {"size": size, "color": "rgb", "mean": 0.0, "std": 1.0, "crop": crop, "template": template, **more}


def bounded(table: Points, weight: float) -> Points:
    """Return a table that is safe for a joined embedder, from that of its part with this weight beside one with 1.

    The joined cosine is (weight * cos + other) / (weight + 1), and no other cosine exceeds 1. So two faces at the
    joined distance d are, for the part alone, at most d * sqrt((weight + 1) / weight) apart: whoever is accepted at
    a shortened distance is accepted by the part alone at the full one, and false accepts are at most as many.
    """
    shorter = math.sqrt(weight / (weight + 1))
    return [[math.floor(distance * shorter * 1e4) / 1e4, confidence] for distance, confidence in table]


def _dlib_part(weight: float) -> dict[str, Any]:
    return {
        "file": "embedding.onnx",
        "file_int8": "embedding_int8.onnx",
        "weight": weight,
        "input": input_entry(150, "dlib", DLIB_TEMPLATE),
    }


def _embedder(name: str, dimension: int, parts: list[dict[str, Any]], calibration: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "dimension": dimension, "metric": "cosine", "parts": parts, "calibration": calibration}


EMBEDDERS = {
    "dlib": Variant(
        "default",
        (),
        _embedder(
            "dlib-resnet29-128",
            128,
            [_dlib_part(1.0)],
            {
                "distance_confidence": CALIBRATION,
                "rates": RATES,
                "origin": "LFW, 7,701 images, 8,101 genuine and 29,640,749 impostor pairs",
            },
        ),
    ),
    "dlib-fp32": Variant(
        "dlib-fp32",
        (DLIB_MODELS,),
        _embedder(
            "dlib-resnet29-fp32-128",
            128,
            [_dlib_part(1.0)],
            {
                "distance_confidence": CALIBRATION,
                "rates": _FP32_RATES,
                "origin": "distances of face-api's copy of this network, within 0.003 of its own at each rate; both "
                "measured on LFW, 7,701 images, 8,101 genuine and 29,640,749 impostor pairs",
            },
        ),
    ),
    "fused": Variant(
        "fused",
        (HUMAN_MODELS,),
        _embedder(
            "dlib-faceres-w6-1152",
            1152,
            [
                _dlib_part(_WEIGHT),
                {
                    "file": "faceres.onnx",
                    "weight": 1.0,
                    "input": input_entry(224, "similarity", FACERES_TEMPLATE, border="replicate"),
                },
            ],
            {
                "distance_confidence": bounded(CALIBRATION, _WEIGHT),
                "rates": [],
                "provisional": True,
                "origin": "not measured: the default pack's distances times sqrt(6/7), which bounds false accepts by "
                "that pack's but refuses more genuine pairs than need be; run facenapi models calibrate",
            },
        ),
        (
            "The licence of faceres is that of the package that carries it, MIT; of the project that it comes from, "
            "HSE_FaceRec_tf, none was found. Its base was trained by its authors on VGGFace2.",
        ),
    ),
}
