"""Readers of the weight files inside the source packages; nothing in them is executed."""

from __future__ import annotations

import io
import json
import pickle
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Weights = dict[str, "NDArray[np.float32]"]


def read_tfjs(manifest: bytes, data: bytes) -> Weights:
    """Return the tensors of a TensorFlow.js weights manifest, alone or inside a model, and its one binary shard.

    Quantised tensors hold unsigned integers q and mean q * scale + min, or float16; others are float32.
    """
    weights: Weights = {}
    position = 0
    content = json.loads(manifest)
    groups = content["weightsManifest"] if isinstance(content, dict) else content
    for entry in groups[0]["weights"]:
        quantised = entry.get("quantization")
        kind = np.dtype(quantised["dtype"] if quantised else entry["dtype"]).newbyteorder("<")
        count = int(np.prod(entry["shape"], dtype=np.int64))
        values = np.frombuffer(data, kind, count, position)
        position += count * kind.itemsize
        if quantised and "scale" in quantised:
            values = values.astype(np.float64) * quantised["scale"] + quantised["min"]
        weights[entry["name"]] = values.astype(np.float32).reshape(entry["shape"])
    if position != len(data):
        raise ValueError(f"{len(data) - position} bytes of the weights are not in the manifest")
    return weights


def read_joblib(data: bytes) -> list[NDArray[np.float32]]:
    """Return the list of arrays in a joblib file, already decompressed.

    joblib writes a pickle in which each array is a small wrapper object whose raw bytes follow it in
    the file. Only that wrapper, ``numpy.ndarray`` and ``numpy.dtype`` are let through.
    """
    stored = _JoblibReader(io.BytesIO(data)).load()
    if not isinstance(stored, list) or not all(isinstance(item, _StoredArray) for item in stored):
        raise ValueError("the file does not hold a list of arrays")
    return [item.array for item in stored]


class _StoredArray:
    """Stands in for joblib's NumpyArrayWrapper: takes the array's bytes when its state is set."""

    file: ClassVar[io.BytesIO]
    array: NDArray[np.float32]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # The pickle's frame ends with this state; a padding byte says how many bytes come before the data.
        if "numpy_array_alignment_bytes" in state:
            self.file.read(self.file.read(1)[0])
        kind = np.dtype(state["dtype"])
        if kind != np.dtype("<f4") or state["order"] not in ("C", "F"):
            raise pickle.UnpicklingError("an array is not of 32-bit floats")
        count = int(np.prod(state["shape"], dtype=np.int64))
        raw = self.file.read(count * kind.itemsize)
        self.array = np.frombuffer(raw, kind, count).reshape(state["shape"], order=state["order"])


class _JoblibReader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._file = file

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("joblib.numpy_pickle", "NumpyArrayWrapper"):
            return type(name, (_StoredArray,), {"file": self._file})
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a weights file")
