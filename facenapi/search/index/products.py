"""Exact products of codes in eight bits, by ONNX Runtime: its product of integer matrices as a network of one node.

It has kernels for what processors offer (AVX2, AVX-512, VNNI, AMX, NEON) and takes the best at run time. Those
without VNNI add two products in sixteen bits, where a sum above 32,767 saturates. None is here: numbers of rows are
at most 127, those of probes have seven bits, 1 to 127 for -63 to 63, and 2 * 127 * 127 is 32,258.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.process import onnx_runtime

if TYPE_CHECKING:
    from numpy.typing import NDArray

GREATEST = 63  # in a probe
_ZERO = 64  # what stands for zero there
_TURNED = 256  # rows whose bytes stay in the cache while they are turned
_UINT8, _INT8, _INT32 = 2, 3, 6  # of the enumeration in onnx.proto


class Packed:
    """Rows (count, dim) as the kernels want them."""

    def __init__(self, codes: NDArray[np.int16]) -> None:
        """Pack the upper bytes of codes (count, dim), which are at least -127. Raises RuntimeError without memory."""
        count, dim = codes.shape
        columns = np.empty((dim, count), np.int8)
        for start in range(0, count, _TURNED):
            some = codes[start : start + _TURNED]
            np.right_shift(some.T, 8, out=columns[:, start : start + _TURNED], casting="unsafe")
        runtime = onnx_runtime.load()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # searches have threads of their own
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.add_external_initializers(["rows"], [runtime.OrtValue.ortvalue_from_numpy(columns)])
        network, providers = _network(dim, count), ["CPUExecutionProvider"]
        try:
            self._session = runtime.InferenceSession(network, options, providers=providers)
        except Exception as error:  # the runtime's own have no better base
            raise RuntimeError(f"ONNX Runtime takes no {count} rows: {error}") from error

    def products(self, probes: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the product of each probe (probes, dim), as :func:`shifted`, with each row, (probes, count)."""
        products: NDArray[np.int32] = self._session.run(None, {"probes": probes})[0]
        return products


def shifted(probes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return whole numbers from -63 to 63 as :meth:`Packed.products` takes them."""
    return np.add(probes, _ZERO, out=np.empty(probes.shape, np.uint8), casting="unsafe")


def _network(dim: int, count: int) -> bytes:
    """Return ``products = (probes - 64) @ rows`` as a model of ONNX, in the fields of its messages (onnx.proto);
    the numbers of ``rows`` are given to the session beside it."""
    rows = _field(1, dim) + _field(1, count) + _field(2, _INT8) + _field(8, b"rows") + _field(14, 1)
    rows += _field(13, _field(1, b"location") + _field(2, b"memory"))
    zero = _field(2, _UINT8) + _field(8, b"zero") + _field(9, bytes([_ZERO]))
    names = [_field(1, name) for name in (b"probes", b"rows", b"zero")]
    node = b"".join(names) + _field(2, b"products") + _field(4, b"MatMulInteger")
    graph = _field(1, node) + _field(2, b"graph") + _field(5, rows) + _field(5, zero)
    graph += _field(11, _described(b"probes", _UINT8, dim)) + _field(12, _described(b"products", _INT32, count))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 13))  # the format of ONNX, its operators' version


def _described(name: bytes, kind: int, width: int) -> bytes:
    """Return the description of a matrix with any number of rows."""
    shape = _field(1, _field(2, b"any")) + _field(1, _field(1, width))
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, shape)))


def _field(number: int, value: int | bytes) -> bytes:
    """Return a field of a message of Protocol Buffers."""
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
