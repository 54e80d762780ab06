"""An 8-bit copy of a network from recorded ranges of its activations: no data is needed to make it.

Weights become signed, with a scale for each output channel; activations unsigned, with one scale and zero
point for each tensor. A ReLU costs nothing: it is the lower end of its range. The classifying end of the
network stays in floating point.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Ranges = dict[str, list[float]]
_MICROSOFT = "com.microsoft"  # the runtime's own domain: adding and averaging in 8 bits


class Quantiser:
    """Rewrites a graph made by :class:`facenapi.detector.packs.build.graph.Graph`, node by node."""

    def __init__(self, model: bytes, ranges: Ranges) -> None:
        """``ranges`` has the least and the greatest value of every activation by name."""
        self._model = onnx.load_from_string(model)
        self._ranges = ranges
        graph = self._model.graph
        self._constants = {w.name: numpy_helper.to_array(w) for w in graph.initializer}
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._scales: dict[str, tuple[float, int]] = {}

    def run(self) -> bytes:
        """Return the 8-bit model; input and outputs are those of the original."""
        nodes = list(self._model.graph.node)
        relus = {node.input[0]: node.output[0] for node in nodes if node.op_type == "Relu"}
        # The input holds whole numbers of 0…255: a scale of 1 keeps them exactly.
        self._scales["input"] = (1.0, 0)
        self._append("QuantizeLinear", ["input", *self._parameters("input")], "input_8")
        for node in nodes:
            if node.op_type == "Relu":
                continue
            output = relus.get(node.output[0], node.output[0])
            if node.op_type in ("Flatten", "Gemm"):
                self._floating(node)
            else:
                getattr(self, f"_{node.op_type.lower()}")(node, output)
        return self._finish()

    def _conv(self, node: Any, output: str) -> None:
        weights, bias = (self._constants[name].astype(np.float64) for name in node.input[1:])
        scale = np.maximum(np.abs(weights).max(axis=(1, 2, 3)), 1e-12) / 127
        quantised = np.round(weights / scale.reshape(-1, 1, 1, 1)).astype(np.int8)
        bias_scale = scale * self._scales[node.input[0]][0]
        inputs = [
            *self._tensor(node.input[0]),
            self._store(quantised),
            self._store(scale.astype(np.float32)),
            self._store(np.zeros(len(scale), np.int8)),
            *self._range(output),
            self._store(np.round(bias / bias_scale).astype(np.int32)),
        ]
        self._append("QLinearConv", inputs, f"{output}_8", **_attributes(node))

    def _add(self, node: Any, output: str) -> None:
        inputs = [*self._tensor(node.input[0]), *self._tensor(node.input[1]), *self._range(output)]
        self._append("QLinearAdd", inputs, f"{output}_8", domain=_MICROSOFT)

    def _averagepool(self, node: Any, output: str) -> None:
        inputs = [*self._tensor(node.input[0]), *self._range(output)]
        self._append("QLinearAveragePool", inputs, f"{output}_8", domain=_MICROSOFT, **_attributes(node))

    def _globalaveragepool(self, node: Any, output: str) -> None:
        inputs = [*self._tensor(node.input[0]), *self._range(output)]
        self._append("QLinearGlobalAveragePool", inputs, f"{output}_8", domain=_MICROSOFT, channels_last=0)
        self._append("DequantizeLinear", list(self._tensor(output)), output)

    def _maxpool(self, node: Any, output: str) -> None:
        self._scales[output] = self._scales[node.input[0]]
        self._append("MaxPool", [f"{node.input[0]}_8"], f"{output}_8", **_attributes(node))

    def _pad(self, node: Any, output: str) -> None:
        self._scales[output] = self._scales[node.input[0]]
        pads = self._store(self._constants[node.input[1]])
        self._append("Pad", [f"{node.input[0]}_8", pads, self._parameters(output)[1]], f"{output}_8")

    def _floating(self, node: Any) -> None:
        for name in node.input[1:]:
            self._weights.append(numpy_helper.from_array(self._constants[name], name))
        self._nodes.append(node)

    def _range(self, name: str) -> tuple[str, str]:
        """Set the scale of a tensor from its recorded range; zero is always one of its values."""
        low, high = min(self._ranges[name][0], 0.0), max(self._ranges[name][1], 0.0)
        scale = max(high - low, 1e-12) / 255
        self._scales[name] = (scale, round(-low / scale))
        return self._parameters(name)

    def _tensor(self, name: str) -> tuple[str, str, str]:
        return (f"{name}_8", *self._parameters(name))

    def _parameters(self, name: str) -> tuple[str, str]:
        scale, zero = self._scales[name]
        return self._store(np.array(scale, np.float32)), self._store(np.array(zero, np.uint8))

    def _store(self, values: NDArray[Any]) -> str:
        name = f"q{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def _append(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def _finish(self) -> bytes:
        old = self._model.graph
        graph = helper.make_graph(self._nodes, f"{old.name}_int8", list(old.input), list(old.output), self._weights)
        opsets = [*self._model.opset_import, helper.make_opsetid(_MICROSOFT, 1)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=self._model.ir_version, producer_name="facenapi"
        )
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def _attributes(node: Any) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
