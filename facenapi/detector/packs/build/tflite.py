"""Reader of TensorFlow Lite files: flatbuffers of one graph, read with :mod:`struct` alone; nothing is executed.

A flatbuffer's table begins with the distance back to its list of fields, whose entries say where in the table each
field lies; a field that has its default (0, mostly) is absent. The numbers of the fields are those of TensorFlow's
``schema.fbs``, version 3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLOAT, _INT = 0, 2  # types of tensors
_KINDS = {
    0: "ADD",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    18: "MUL",
    19: "RELU",
    22: "RESHAPE",
    41: "SUB",
    101: "ABS",
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A constant, or the shape of what an operator gives (``values`` None)."""

    name: str
    shape: tuple[int, ...]
    values: NDArray[Any] | None


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator on tensors, by their numbers; padding and stride are those of convolutions."""

    kind: str
    inputs: tuple[int, ...]
    output: int
    same: bool = False
    stride: int = 1


@dataclass(frozen=True, slots=True)
class Network:
    """A graph in the order of computation."""

    tensors: list[Tensor]
    operators: list[Operator]
    input: int
    output: int


def read_tflite(data: bytes) -> Network:
    """Return the one graph of a file.

    Raises:
        ValueError: it is damaged, or has what the networks that are converted here do not have.
    """
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError, MemoryError) as error:
        raise ValueError(f"the TensorFlow Lite file is damaged: {error}") from error


def _read(data: bytes) -> Network:
    if data[4:8] != b"TFL3":
        raise ValueError("this is no TensorFlow Lite file")
    model = _Table(data, _u32(data, 0))
    codes = [max(code.number(0, "b"), code.number(3, "i")) for code in model.tables(1)]
    (graph,) = model.tables(2)
    buffers = model.tables(4)
    tensors = [_tensor(table, buffers) for table in graph.tables(0)]
    (start,), (end,) = graph.numbers(1), graph.numbers(2)
    return Network(tensors, [_operator(table, codes) for table in graph.tables(3)], start, end)


def _tensor(table: _Table, buffers: list[_Table]) -> Tensor:
    kind, shape = table.number(1, "b"), table.numbers(0)
    if kind not in (_FLOAT, _INT):
        raise ValueError(f"a tensor of type {kind} is not read here")
    content = buffers[table.number(2, "I")].vector(0, "B")
    values = np.frombuffer(content, "<f4" if kind == _FLOAT else "<i4").reshape(shape) if content else None
    return Tensor(table.text(3), shape, values)


def _operator(table: _Table, codes: list[int]) -> Operator:
    code = codes[table.number(0, "I")]
    kind = _KINDS.get(code)
    if kind is None:
        raise ValueError(f"operator {code} of TensorFlow Lite is not read here")
    inputs, (output,) = table.numbers(1), table.numbers(2)
    options = table.table(4)
    if options is None or not kind.endswith("CONV_2D"):
        return Operator(kind, inputs, output)
    stride, other = options.number(1, "i"), options.number(2, "i")
    depthwise = kind == "DEPTHWISE_CONV_2D"
    multiplier, activation = (options.number(3, "i"), options.number(4, "b")) if depthwise else (
        1, options.number(3, "b"))  # fmt: skip
    if stride != other or multiplier != 1 or activation:
        raise ValueError("a convolution has strides, multipliers or activations that are not read here")
    return Operator(kind, inputs, output, same=options.number(0, "b") == 0, stride=stride)


class _Table:
    """A table of fields by number."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - _unpack("i", data, at)
        self._size = _unpack("H", data, self._fields)

    def number(self, field: int, kind: str) -> int:
        at = self._place(field)
        return 0 if at is None else _unpack(kind, self._data, at)

    def table(self, field: int) -> _Table | None:
        at = self._place(field)
        return None if at is None else _Table(self._data, at + _u32(self._data, at))

    def vector(self, field: int, kind: str) -> bytes:
        """Return the bytes of a vector, none if it is absent."""
        at = self._place(field)
        if at is None:
            return b""
        at += _u32(self._data, at)
        start = at + 4
        end = start + _u32(self._data, at) * struct.calcsize(kind)
        if end > len(self._data):
            raise ValueError("the TensorFlow Lite file is cut off")
        return self._data[start:end]

    def numbers(self, field: int) -> tuple[int, ...]:
        return tuple(np.frombuffer(self.vector(field, "i"), "<i4").tolist())

    def text(self, field: int) -> str:
        return self.vector(field, "B").decode("utf-8")

    def tables(self, field: int) -> list[_Table]:
        offsets = np.frombuffer(self.vector(field, "I"), "<u4").tolist()
        place = self._place(field)
        start = 0 if place is None else place + _u32(self._data, place) + 4
        return [_Table(self._data, start + 4 * i + offset) for i, offset in enumerate(offsets)]

    def _place(self, field: int) -> int | None:
        """Return where a field lies, None if it is absent."""
        entry = 4 + 2 * field
        offset = _unpack("H", self._data, self._fields + entry) if entry < self._size else 0
        return self._at + offset if offset else None


def _u32(data: bytes, at: int) -> int:
    return _unpack("I", data, at)


def _unpack(kind: str, data: bytes, at: int) -> int:
    if at < 0:
        raise ValueError("the TensorFlow Lite file is damaged")
    value: int = struct.unpack_from("<" + kind, data, at)[0]
    return value
