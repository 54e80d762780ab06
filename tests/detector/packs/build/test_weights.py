import io
import json
import os
import pickle
import struct

import numpy as np
import pytest

from facenapi.detector.packs.build.weights import read_joblib, read_tfjs


def test_tfjs_quantised_and_plain():
    manifest = [
        {
            "paths": ["w.bin"],
            "weights": [
                {
                    "name": "a",
                    "shape": [2, 2],
                    "dtype": "float32",
                    "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0},
                },
                {"name": "b", "shape": [2], "dtype": "float32"},
            ],
        }
    ]
    data = bytes([0, 1, 2, 255]) + struct.pack("<2f", 1.5, -2.5)
    weights = read_tfjs(json.dumps(manifest).encode(), data)
    assert weights["a"].tolist() == [[-1.0, -0.5], [0.0, 126.5]]
    assert weights["b"].tolist() == [1.5, -2.5]
    with pytest.raises(ValueError, match="1 bytes"):
        read_tfjs(json.dumps(manifest).encode(), data + b"x")


def test_tfjs_half_precision_inside_a_model():
    weights = [
        {"name": "a", "shape": [3], "dtype": "float32", "quantization": {"dtype": "float16"}},
        {"name": "axes", "shape": [2], "dtype": "int32"},
    ]
    model = {"modelTopology": {}, "weightsManifest": [{"paths": ["w.bin"], "weights": weights}]}
    data = struct.pack("<3e2i", 0.5, -2.0, 65504.0, 1, 2)
    found = read_tfjs(json.dumps(model).encode(), data)
    assert found["a"].tolist() == [0.5, -2.0, 65504.0]
    assert found["axes"].tolist() == [1.0, 2.0]


class NumpyArrayWrapper:
    """Pickles under the name of joblib's class."""

    def __init__(self, array):
        self.__dict__ = {
            "subclass": np.ndarray,
            "shape": array.shape,
            "order": "C",
            "dtype": array.dtype,
            "allow_mmap": True,
            "numpy_array_alignment_bytes": 16,
        }


def joblib_file(array):
    """A list with one array, written the way joblib does: the wrapper's frame, padding, raw bytes."""
    pickled = pickle.dumps([NumpyArrayWrapper(array)], protocol=2)
    pickled = pickled.replace(__name__.encode() + b"\n", b"joblib.numpy_pickle\n")
    head, tail = pickled.rsplit(b"b", 1)
    return head + b"b" + bytes([3]) + b"\xff" * 3 + array.tobytes() + tail


def test_joblib_array():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    (found,) = read_joblib(joblib_file(array))
    assert np.array_equal(found, array)


def test_joblib_array_of_other_types_is_refused():
    with pytest.raises(pickle.UnpicklingError, match="32-bit floats"):
        read_joblib(joblib_file(np.arange(3)))


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def test_pickle_that_calls_something_is_refused():
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        read_joblib(pickle.dumps([Evil()]))


def test_other_contents_are_refused():
    with pytest.raises(ValueError, match="list of arrays"):
        read_joblib(pickle.dumps({"a": 1}))
    with pytest.raises(EOFError):
        read_joblib(io.BytesIO().getvalue())
