import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from facenapi.detector.measure.verify import verify_pack


def test_packs_are_as_upstream(model_pack, dlib_pack):
    assert verify_pack(model_pack) == []
    assert verify_pack(dlib_pack) == []


def test_missing_pack_is_one_problem(tmp_path):
    assert len(verify_pack(tmp_path)) == 1


def test_damaged_file_is_named(model_pack, tmp_path):
    copy = shutil.copytree(model_pack, tmp_path / "pack")
    (copy / "emotions.onnx").write_bytes(b"no network")
    problems = verify_pack(copy)
    assert len(problems) == 1
    assert "emotions.onnx" in problems[0]


@pytest.mark.slow
def test_other_weights_are_noticed(model_pack, tmp_path):
    copy = shutil.copytree(model_pack, tmp_path / "pack")
    for name in ("mobilefacenet", "centerface", "age_gender"):
        model = onnx.load(copy / f"{name}.onnx")
        for tensor in model.graph.initializer:
            array = numpy_helper.to_array(tensor)
            if array.dtype == np.float32 and array.ndim > 1:
                tensor.CopyFrom(numpy_helper.from_array(array * np.float32(1.05), tensor.name))
        onnx.save(model, copy / f"{name}.onnx")
    manifest = json.loads((copy / "pack.json").read_text("utf-8"))
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((copy / name).read_bytes()).hexdigest()
    (copy / "pack.json").write_text(json.dumps(manifest), "utf-8")
    text = " ".join(verify_pack(copy))
    assert "mobilefacenet.onnx is off" in text
    assert "pixels" in text or "faces were found" in text
    assert "age is" in text
