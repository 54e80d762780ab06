"""Reader of the network in ``dlib_face_recognition_resnet_model_v1.dat``, as dlib itself writes networks.

Layers are nested, the output outermost: the version of a layer, then all that lies below it, then its own details.
So the file begins with the versions of all layers, and the details follow in order from the input to the output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.detector.packs.build.resnet import LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from facenapi.detector.packs.build.weights import Weights

# What the details of a layer consist of, by its kind: i integer, f float, t tensor, a view of a tensor, b boolean.
_DETAILS = {
    "con_4": "tiiiiiiiaaffff",  # weights and bias; filters, rows, columns, strides, padding; rates of learning
    "affine_": "taai",  # factors and summands
    "relu_": "",
    "max_pool_2": "iiiiii",
    "avg_pool_2": "iiiiii",
    "add_prev_": "",
    "fc_2": "iitaaiffff",  # outputs, inputs, weights
}
_LOSS = "ff"
_INPUT = "fffii"  # mean colour, rows, columns
_STATE = "bbbttt"  # what training leaves behind every layer: three flags, three gradients
# Versions: a mark that later layers refer to has nothing of its own; the layer above the input has one field more.
_MARK, _LAYER, _FIRST = 1, 2, 3


def read_resnet(data: bytes) -> Weights:
    """Return the tensors under the names that :func:`facenapi.detector.packs.build.resnet.recognition_net` expects.

    Raises:
        ValueError: the file is cut off, or holds another network.
    """
    weights: Weights = {}
    names, name = iter(LAYERS), None
    for kind, fields in _Reader(data).layers():
        if kind == "con_4":
            name, (packed, count, rows, columns) = next(names, None), fields[:4]
            filters = packed[:-count].reshape(count, -1, rows, columns)
            weights[f"{name}/conv/filters"] = filters.transpose(2, 3, 1, 0)
            weights[f"{name}/conv/bias"] = packed[-count:]
        elif kind == "affine_":
            weights[f"{name}/scale/weights"], weights[f"{name}/scale/biases"] = fields[0].reshape(2, -1)
        elif kind == "fc_2":
            weights["fc"] = fields[2].reshape(fields[1], fields[0])
    # The last of the names was taken, and no layer more: it has no name.
    if name != LAYERS[-1] or "fc" not in weights:
        raise ValueError("dlib's file holds another network than its ResNet for faces")
    return weights


class _Reader:
    """Reads from the start to the end of a file, each byte once."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._kinds = {"i": self._int, "f": self._float, "t": self._tensor, "a": self._view, "b": self._bool}

    def layers(self) -> Iterator[tuple[str, list[Any]]]:
        """Give the kind and the details of each layer, from the input to the output."""
        self._int()
        self._text()
        self._fields(_LOSS)
        versions = [self._int()]
        while versions[-1] in (_MARK, _LAYER):
            versions.append(self._int())
        if versions[-1] != _FIRST:
            raise ValueError(f"dlib's file has a layer of the unknown version {versions[-1]}")
        self._text()
        self._fields(_INPUT)
        for version in reversed(versions):
            if version == _MARK:
                continue
            kind = self._text()
            if kind not in _DETAILS:
                raise ValueError(f"dlib's file has a layer of the unknown kind {kind!r}")
            yield kind, self._fields(_DETAILS[kind])
            self._fields(_STATE + "i" * (version == _FIRST))
        if self._at != len(self._data):
            raise ValueError(f"{len(self._data) - self._at} bytes follow the network in dlib's file")

    def _fields(self, kinds: str) -> list[Any]:
        return [self._kinds[kind]() for kind in kinds]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) != count:
            raise ValueError("dlib's file is cut off")
        self._at += count
        return taken

    def _int(self) -> int:
        """One byte holds the sign and how many bytes of the absolute value follow, the lowest first."""
        head = self._take(1)[0]
        value = int.from_bytes(self._take(head & 0x0F), "little")
        return -value if head & 0x80 else value

    def _bool(self) -> bool:
        return self._take(1) == b"1"

    def _float(self) -> float:
        mantissa, exponent = self._int(), self._int()
        return float(mantissa * 2.0**exponent)

    def _text(self) -> str:
        return self._take(self._int()).decode("latin-1")

    def _tensor(self) -> NDArray[np.float32]:
        """A version, four dimensions, and the numbers; returned flat."""
        version, *shape = self._fields("iiiii")
        if version != 2:
            raise ValueError(f"dlib's file has a tensor of the unknown version {version}")
        return np.frombuffer(self._take(4 * int(np.prod(shape, dtype=object))), "<f4")

    def _view(self) -> None:
        """A version and four dimensions: a place within a tensor, which the details make plain."""
        self._fields("iiiii")
