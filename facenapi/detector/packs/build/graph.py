"""A small writer of ONNX graphs: the few operators that the default networks need.

Everything is written in the order of the calls and serialised deterministically, so the same weights
give the same bytes. Tensors are NCHW, weights OIHW, padding is (top, left, bottom, right).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

OPSET = 17
# Frozen, not the installed onnx's newest: an older runtime must read the file.
IR_VERSION = 8
Pads = tuple[int, int, int, int]
NO_PADS: Pads = (0, 0, 0, 0)
AROUND: Pads = (1, 1, 1, 1)  # "same" for a 3x3 kernel at stride 1
END: Pads = (0, 0, 1, 1)  # "same" for it at stride 2 on an even size


class Graph:
    """A network under construction; operators take and return names of tensors."""

    def __init__(self, name: str, shape: Sequence[int | str]) -> None:
        """Start with one float input called ``input``; names in ``shape`` are free dimensions."""
        self._name = name
        self._input = helper.make_tensor_value_info("input", TensorProto.FLOAT, list(shape))
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def weight(self, values: NDArray[Any]) -> str:
        """Store a constant (float arrays as float32) and return its name."""
        array = np.asarray(values)
        if array.dtype.kind == "f":
            array = array.astype(np.float32)
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def op(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Append one operator with one output and return the output's name."""
        name = output or f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(
        self,
        x: str,
        weights: NDArray[np.floating],
        bias: NDArray[np.floating] | None = None,
        *,
        stride: int = 1,
        pads: Pads = NO_PADS,
        group: int = 1,
    ) -> str:
        """Convolve with OIHW ``weights``."""
        inputs = [x, self.weight(weights)] + ([] if bias is None else [self.weight(bias)])
        return self.op(
            "Conv",
            *inputs,
            kernel_shape=list(weights.shape[2:]),
            strides=[stride, stride],
            pads=list(pads),
            group=group,
        )

    def pool(self, kind: str, x: str, size: int, stride: int, pads: Pads = NO_PADS) -> str:
        """Pool with ``MaxPool`` or ``AveragePool``."""
        return self.op(kind, x, kernel_shape=[size, size], strides=[stride, stride], pads=list(pads))

    def relu(self, x: str) -> str:
        """Return max(x, 0)."""
        return self.op("Relu", x)

    def prelu(self, x: str, slope: NDArray[np.floating]) -> str:
        """Return x where positive, else slope * x, exactly, without the runtime's slow PRelu.

        ``slope`` is (C, 1, 1) for images, (C,) for vectors. On images it is written as convolutions of one weight
        per channel, relu(x) - slope * relu(-x): those keep the blocked layout of the runtime's CPU kernels, where
        an ordinary operator costs two changes of layout.
        """
        if slope.ndim == 3:
            channels = len(slope)
            one = np.ones((channels, 1, 1, 1))
            positive = self.relu(self.conv(x, one, group=channels))
            negative = self.relu(self.conv(x, -one, group=channels))
            return self.op("Add", self.conv(negative, -slope[..., None], group=channels), positive)
        negative = self.op("Mul", self.relu(self.op("Neg", x)), self.weight(slope))
        return self.op("Sub", self.relu(x), negative)

    def dense(
        self,
        x: str,
        weights: NDArray[np.floating],
        bias: NDArray[np.floating] | None = None,
        output: str | None = None,
    ) -> str:
        """Multiply (N, I) by (I, O) ``weights``."""
        inputs = [x, self.weight(weights)] + ([] if bias is None else [self.weight(bias)])
        return self.op("Gemm", *inputs, output=output)

    def finish(self, outputs: dict[str, Sequence[int | str]]) -> bytes:
        """Return the checked model as bytes; ``outputs`` names tensors and their shapes."""
        values = [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in outputs.items()]
        graph = helper.make_graph(self._nodes, self._name, [self._input], values, self._weights)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="facenapi"
        )
        checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data
