"""What ``pack.json`` of a built pack says of its networks, with where each figure comes from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from facenapi.detector.packs.build.detectors import DETECTORS, Finding
from facenapi.detector.packs.build.embedders import EMBEDDERS, Variant, input_entry
from facenapi.detector.packs.build.sources import FACE_API, MTCNN, Package

# The version of the conversion: a change of it makes `facenapi models build` build anew.
CONVERTER = 5

ATTRIBUTE_TEMPLATE = [[36.2, 27.9], [75.8, 27.9], [56.0, 53.0], [39.5, 71.7], [72.5, 71.7]]

EMOTIONS = ["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of the networks a pack is built with: keys of EMBEDDERS and DETECTORS."""

    embedder: str
    detector: str

    @property
    def embedding(self) -> Variant:
        """Return what makes the vectors."""
        return EMBEDDERS[self.embedder]

    @property
    def finding(self) -> Finding:
        """Return what finds the faces."""
        return DETECTORS[self.detector]

    @property
    def packages(self) -> tuple[Package, ...]:
        """Return the packages that the pack is made from."""
        return (MTCNN, FACE_API, *self.finding.packages, *self.embedding.packages)


def make_manifest(choice: Choice, files: dict[str, str]) -> dict[str, Any]:
    """Return the manifest of a pack; ``files`` maps its file names to their sha256."""
    manifest = {
        "format": 1,
        "name": f"{choice.embedder}-{choice.detector}",
        "version": "+".join([*(package.version for package in choice.packages), str(CONVERTER)]),
        "sources": [_source(package) for package in choice.packages],
        "files": files,
        "detector": dict(choice.finding.entry),
        "embedder": choice.embedding.embedder,
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
            *choice.finding.cautions,
            *choice.embedding.cautions,
        ],
    }
    return {**manifest, "built": digest(manifest)}


def digest(manifest: dict[str, Any]) -> str:
    """Return the checksum of a manifest as it was built: what differs from it was changed since."""
    own = {key: value for key, value in manifest.items() if key != "built"}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


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
