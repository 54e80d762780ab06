"""Known networks that can take a place in a pack: pinned by checksum, their licence shown and asked for.

``facenapi models add NAME --from FILE|URL`` calls :func:`add_network`; the result is a new pack beside the old.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facenapi.detector.packs.build import publish
from facenapi.detector.packs.build.embedders import ARCFACE_TEMPLATE
from facenapi.detector.packs.pack import load_pack
from facenapi.errors import StartupError
from facenapi.process.calls import CALL_ERRORS

_CROP = {"size": 112, "crop": "similarity", "template": ARCFACE_TEMPLATE, "color": "rgb"}
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Known:
    """A published file, what it is for, and its manifest entry."""

    file: str
    sha256: str
    licence: str
    role: str
    entry: dict[str, Any]


KNOWN = {
    "yunet": Known(
        "face_detection_yunet_2023mar.onnx",
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        "MIT (OpenCV Zoo, Shiqi Yu)",
        "detector",
        {"kind": "yunet", "size": 640, "color": "bgr", "mean": 0.0, "std": 1.0, "threshold": 0.6, "overlap": 0.3},
    ),
    "sface": Known(
        "face_recognition_sface_2021dec.onnx",
        "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        "Apache-2.0 (OpenCV Zoo, Yaoyao Zhong)",
        "embedder",
        {
            "name": "sface-2021dec-128",
            "dimension": 128,
            "metric": "cosine",
            "input": {**_CROP, "mean": 0.0, "std": 1.0},
            # Its authors' one figure, same person at a distance of 1.128, put at "medium"; calibrate before use.
            "calibration": {
                "distance_confidence": [[0.0, 1.0], [1.128, 0.6616], [1.6, 0.0]],
                "rates": [],
                "provisional": True,
                "origin": "not calibrated: run facenapi models calibrate",
            },
        },
    ),
    "expressions": Known(
        "facial_expression_recognition_mobilefacenet_2022july.onnx",
        "4f61307602fc089ce20488a31d4e4614e3c9753a7d6c41578c854858b183e1a9",
        "Apache-2.0 (OpenCV Zoo)",
        "emotions",
        {
            "kind": "emotions",
            "zooms": [1.0],
            "labels": ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"],
            "input": {**_CROP, "mean": 127.5, "std": 127.5},
        },
    ),
}


def add_network(base: Path, target: Path, name: str, origin: str, accept: Callable[[str], bool]) -> None:
    """Make the pack ``target`` from the pack ``base`` with a known network in its place.

    Args:
        base: an intact pack.
        target: the new pack's folder; appears complete or not at all.
        name: a key of KNOWN.
        origin: path or http(s) address of the ONNX file.
        accept: asked with the licence; False stops.

    Raises:
        StartupError: unknown name, licence refused, file not to be had or not the pinned one, damaged base.
    """
    known = KNOWN.get(name)
    if known is None:
        raise StartupError(f"there is no known network {name!r}; known: {', '.join(KNOWN)}")
    if not accept(f"{name} ({known.file}): {known.licence}"):
        raise StartupError(f"the licence of {name} was not accepted")
    data = _read(origin)
    if hashlib.sha256(data).hexdigest() != known.sha256:
        raise StartupError(f"{origin} is not {known.file}: its checksum is not {known.sha256}")
    pack = load_pack(base)
    files = {file: pack.read(file) for file in pack.files}
    manifest = json.loads((base / "pack.json").read_text("utf-8"))
    _place(manifest, known)
    manifest["name"] = target.name
    files[known.file] = data
    manifest["files"] = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    files["pack.json"] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode()
    publish(files, target)


def _place(manifest: dict[str, Any], known: Known) -> None:
    entry = json.loads(json.dumps(known.entry))
    if known.role == "detector":
        # What gives the points of large and turned faces, and in boxes, stays.
        before = manifest["detector"]
        points = before.get("points") or before.get("output")
        manifest["detector"] = {**entry, "file": known.file, **({"points": points} if points else {})}
    elif known.role == "embedder":
        entry["parts"] = [{"file": known.file, "weight": 1.0, "input": entry.pop("input")}]
        manifest["embedder"] = entry
    else:
        others = [net for net in manifest["attributes"] if net["kind"] != known.entry["kind"]]
        manifest["attributes"] = [*others, {**entry, "file": known.file}]
    source = {"name": known.file, "sha256": known.sha256, "licence": known.licence}
    manifest["sources"] = [*manifest["sources"], source]


def _read(origin: str) -> bytes:
    try:
        if not origin.startswith(("https://", "http://")):
            return Path(origin).read_bytes()
        with urllib.request.urlopen(origin, timeout=60) as answer:  # noqa: S310 - the scheme was checked
            data: bytes = answer.read(_MOST_BYTES)
            return data
    except CALL_ERRORS as error:
        raise StartupError(f"{origin} cannot be read: {error}") from error
