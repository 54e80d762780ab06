"""What ``pack.json`` of the default pack says of its networks, with where each figure comes from."""

from __future__ import annotations

from typing import Any

from facenapi.detector.build.sources import FACE_API, MTCNN, Package

# The version of the conversion: a change of it makes `facenapi models build` build anew.
CONVERTER = 4

# dlib's mean face in its 150 px chip with 25 % padding: eye centres, nose tip, mouth corners.
DLIB_TEMPLATE = [[47.549, 46.599], [100.476, 46.599], [74.013, 76.562], [50.415, 103.023], [97.610, 103.023]]
ATTRIBUTE_TEMPLATE = [[36.2, 27.9], [75.8, 27.9], [56.0, 53.0], [39.5, 71.7], [72.5, 71.7]]

# Distance of unit vectors → confidence. Measured with this network, mirrored pair averaged, on all
# 29,640,749 impostor pairs of 7,701 images of LFW: low, medium and strict stand at FAR 1e-1, 1e-3, 1e-5.
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

EMOTIONS = ["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"]


def default_manifest(files: dict[str, str]) -> dict[str, Any]:
    """Return the manifest; ``files`` maps the pack's file names to their sha256."""
    return {
        "format": 1,
        "name": "default",
        "version": f"{MTCNN.version}+{FACE_API.version}+{CONVERTER}",
        "sources": [_source(MTCNN), _source(FACE_API)],
        "files": files,
        "detector": {"kind": "mtcnn", "proposal": "pnet.onnx", "refine": "rnet.onnx", "output": "onet.onnx"},
        "embedder": {
            "name": "dlib-resnet29-128",
            "dimension": 128,
            "metric": "cosine",
            "parts": [
                {
                    "file": "embedding.onnx",
                    "file_int8": "embedding_int8.onnx",
                    "weight": 1.0,
                    "input": _input(150, "dlib", DLIB_TEMPLATE),
                }
            ],
            "calibration": {
                "distance_confidence": CALIBRATION,
                "rates": RATES,
                "origin": "LFW, 7,701 images, 8,101 genuine and 29,640,749 impostor pairs",
            },
        },
        "attributes": [
            # Platt scaling and the threshold were fitted on FairFace: logit(P') = slope logit(P) + shift.
            {
                "kind": "age_gender",
                "file": "age_gender.onnx",
                "input": _input(112, "similarity", ATTRIBUTE_TEMPLATE),
                "zooms": [1.0, 1.15],
                "genders": ["male", "female"],
                "male_threshold": 0.614,
                "platt": {"slope": 1.16, "shift": -0.54},
            },
            {
                "kind": "emotions",
                "file": "emotions.onnx",
                "input": _input(112, "similarity", ATTRIBUTE_TEMPLATE),
                "zooms": [1.0, 1.15],
                "labels": EMOTIONS,
                "temperature": 4.2,
            },
        ],
        "cautions": [
            "The age and gender network was trained by its authors on UTK, FGNET, ChaLearn, Wiki, IMDB, "
            "CACD and MegaAge, most of which are for research only; the weights are MIT."
        ],
    }


def _input(size: int, crop: str, template: list[list[float]]) -> dict[str, Any]:
    return {"size": size, "color": "rgb", "mean": 0.0, "std": 1.0, "crop": crop, "template": template}


def _source(package: Package) -> dict[str, str]:
    return {
        "registry": package.registry,
        "name": package.name,
        "version": package.version,
        "file": package.file,
        "sha256": package.sha256,
        "licence": package.licence,
        "authors": package.authors,
    }
