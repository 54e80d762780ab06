"""What ``pack.json`` of a built pack says of its networks, with where each figure comes from."""

from __future__ import annotations

from typing import Any

from facenapi.detector.packs.build.embedders import Variant, input_entry
from facenapi.detector.packs.build.sources import Package

# The version of the conversion: a change of it makes `facenapi models build` build anew.
CONVERTER = 4

ATTRIBUTE_TEMPLATE = [[36.2, 27.9], [75.8, 27.9], [56.0, 53.0], [39.5, 71.7], [72.5, 71.7]]

EMOTIONS = ["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"]


def make_manifest(variant: Variant, files: dict[str, str]) -> dict[str, Any]:
    """Return the manifest of a pack; ``files`` maps its file names to their sha256."""
    return {
        "format": 1,
        "name": variant.name,
        "version": "+".join([*(package.version for package in variant.packages), str(CONVERTER)]),
        "sources": [_source(package) for package in variant.packages],
        "files": files,
        "detector": {"kind": "mtcnn", "proposal": "pnet.onnx", "refine": "rnet.onnx", "output": "onet.onnx"},
        "embedder": variant.embedder,
        "attributes": [
            # Platt scaling and the threshold were fitted on FairFace: logit(P') = slope logit(P) + shift.
            {
                "kind": "age_gender",
                "file": "age_gender.onnx",
                "input": input_entry(112, "similarity", ATTRIBUTE_TEMPLATE),
                "zooms": [1.0, 1.15],
                "genders": ["male", "female"],
                "male_threshold": 0.614,
                "platt": {"slope": 1.16, "shift": -0.54},
            },
            {
                "kind": "emotions",
                "file": "emotions.onnx",
                "input": input_entry(112, "similarity", ATTRIBUTE_TEMPLATE),
                "zooms": [1.0, 1.15],
                "labels": EMOTIONS,
                "temperature": 4.2,
            },
        ],
        "cautions": [
            "The age and gender network was trained by its authors on UTK, FGNET, ChaLearn, Wiki, IMDB, "
            "CACD and MegaAge, most of which are for research only; the weights are MIT.",
            *variant.cautions,
        ],
    }


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
