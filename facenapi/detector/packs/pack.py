"""A model pack: a folder of ONNX files and ``pack.json``, which says what they are and how to feed them.

Any pack with the same kinds of networks plugs in by its folder alone; docs/explanation/networks.rst has the fields.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from facenapi.detector.packs.calibration import Calibration
from facenapi.errors import StartupError

FORMAT = 1
# How a face is cut out: dlib's chip, the points fitted to the template, or the box without turning it.
CROPS = ("dlib", "similarity", "box")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a face becomes a network's input: ``size`` x ``size`` pixels of a crop in which the five points
    of the face lie on ``template``, each value as (x - mean) / std, in the order of ``color``. What lies outside
    the photo is black, or with ``border`` "replicate" as the nearest pixel of the photo."""

    size: int
    crop: str
    template: np.ndarray[Any, np.dtype[np.float64]]
    color: str = "rgb"
    mean: float = 0.0
    std: float = 1.0
    border: str = "black"


@dataclass(frozen=True, slots=True)
class EmbedderPart:
    """One network of an embedder; its unit vector enters the joined one with sqrt(weight).

    ``file_int8`` is a copy in 8 bits that computes the same to within a cosine of 0.999, if there is one;
    ``cpu_batch`` is the most rows that one run on a CPU should have, 0 for no wish.
    """

    file: str
    weight: float
    input: InputSpec
    file_int8: str | None = None
    cpu_batch: int = 0


@dataclass(frozen=True, slots=True)
class Embedder:
    """The network, or the weighted networks, that make the vectors.

    ``calibrations`` has the table for each number of views; ``provisional``: it was not measured with these networks.
    ``cosines``: mean and standard deviation of the cosine of two vectors, of ``strangers`` and of the ``same``
    person, if they were measured.
    """

    name: str
    dimension: int
    parts: tuple[EmbedderPart, ...]
    calibrations: Mapping[int, Calibration]
    provisional: bool
    cosines: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def calibration(self) -> Calibration:
        """Return the table for two views."""
        return self.calibrations[2]


@dataclass(frozen=True, slots=True)
class AttributeNet:
    """A network that describes faces; ``settings`` are the fields that only its kind has."""

    kind: str
    file: str
    input: InputSpec
    zooms: tuple[float, ...]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack's manifest, read and checked."""

    folder: Path
    name: str
    version: str
    files: Mapping[str, str]
    detector: Mapping[str, Any]
    embedder: Embedder
    attributes: tuple[AttributeNet, ...]
    sources: tuple[Mapping[str, str], ...] = field(default=())

    @property
    def embedding_name(self) -> str:
        """Return the name of the vectors of two views."""
        return self.embedder.name

    def name_of(self, views: int) -> str:
        """Return the name that is stored with each vector of so many views (option embedding_views)."""
        return self.embedder.name + ("" if views == 2 else "-1view")

    def read(self, file: str) -> bytes:
        """Return a network's bytes after checking them.

        Raises:
            StartupError: missing, or not the bytes of the manifest.
        """
        try:
            data = (self.folder / file).read_bytes()
        except OSError as error:
            message = f"the model pack {self.folder} lacks {file} ({error.strerror}); {_hint(self.folder)}"
            raise StartupError(message) from error
        if hashlib.sha256(data).hexdigest() != self.files.get(file):
            message = f"{self.folder / file} is damaged: its checksum is not the manifest's; {_hint(self.folder)}"
            raise StartupError(message)
        return data


def _hint(folder: Path) -> str:
    return f"run: facenapi models build --model_pack={folder}"


def load_pack(folder: Path) -> Pack:
    """Read ``pack.json`` of a folder.

    Raises:
        StartupError: there is no pack, or its manifest is not usable; says which command to run.
    """
    path = folder / "pack.json"
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise StartupError(f"there is no model pack in {folder}; {_hint(folder)}") from error
    except OSError as error:
        raise StartupError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise StartupError(f"{path} is damaged: {error}; {_hint(folder)}") from error
    try:
        return _parse(folder, manifest)
    except KeyError as error:
        raise StartupError(f"{path}: {error} is missing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise StartupError(f"{path}: {error}") from error


def _parse(folder: Path, manifest: dict[str, Any]) -> Pack:
    if manifest["format"] != FORMAT:
        raise ValueError(f"format {manifest['format']} is not {FORMAT}")
    embedder = manifest["embedder"]
    parts = tuple(
        EmbedderPart(
            part["file"],
            float(part["weight"]),
            _input(part["input"]),
            part.get("file_int8"),
            int(part.get("cpu_batch", 0)),
        )
        for part in embedder["parts"]
    )
    if not parts or any(part.weight <= 0 for part in parts):
        raise ValueError("the embedder needs networks with positive weights")
    return Pack(
        folder,
        str(manifest["name"]),
        str(manifest["version"]),
        dict(manifest["files"]),
        dict(manifest["detector"]),
        Embedder(
            str(embedder["name"]),
            int(embedder["dimension"]),
            parts,
            _calibrations(embedder["calibration"]),
            bool(embedder["calibration"].get("provisional", False)),
            {name: (float(mean), float(spread)) for name, (mean, spread) in embedder.get("cosines", {}).items()},
        ),
        tuple(_attribute(entry) for entry in manifest["attributes"]),
        tuple(manifest.get("sources", ())),
    )


def _calibrations(entry: dict[str, Any]) -> dict[int, Calibration]:
    two = entry["distance_confidence"]
    return {1: Calibration(entry.get("distance_confidence_1view", two)), 2: Calibration(two)}


def _attribute(entry: dict[str, Any]) -> AttributeNet:
    settings = {key: value for key, value in entry.items() if key not in ("kind", "file", "input", "zooms")}
    return AttributeNet(
        str(entry["kind"]),
        str(entry["file"]),
        _input(entry["input"]),
        tuple(float(zoom) for zoom in entry["zooms"]),
        settings,
    )


def _input(entry: dict[str, Any]) -> InputSpec:
    if entry["crop"] not in CROPS:
        raise ValueError(f"crop {entry['crop']!r} is not one of {', '.join(CROPS)}")
    template = np.zeros((5, 2)) if entry["crop"] == "box" else np.asarray(entry["template"], dtype=np.float64)
    if template.shape != (5, 2):
        raise ValueError("a template must be five points")
    if entry["color"] not in ("rgb", "bgr", "grey"):
        raise ValueError(f"color {entry['color']!r} is not rgb, bgr or grey")
    border = entry.get("border", "black")
    if border not in ("black", "replicate"):
        raise ValueError(f"border {border!r} is not black or replicate")
    return InputSpec(
        int(entry["size"]),
        str(entry["crop"]),
        template,
        str(entry["color"]),
        float(entry["mean"]),
        float(entry["std"]),
        border,
    )
