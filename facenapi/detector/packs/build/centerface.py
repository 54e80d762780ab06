"""CenterFace (Xu et al. 2019, arXiv 1911.03599) from the ONNX file of its authors, mended, and a copy in 8 bits.

As published it takes ten pictures of 32x32 pixels and no others, and offers its weights as inputs, so that a runtime
may not treat them as constants: that costs it more than half of its speed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

_OUTPUTS = (1, 2, 2, 10)  # channels: heat, size, offset, points
_UNUSED = "num_batches_tracked"  # what training leaves behind
_OPSET = 13  # the first in which a scale per channel has its axis
_IR_VERSION = 8


def detection_net(data: bytes) -> bytes:
    """(N, 3, H, W) RGB as 0…255, sides multiples of 32 → maps of a quarter of the size, in the order of _OUTPUTS.

    Raises:
        ValueError: the file holds another network.
    """
    try:
        model = onnx.load_from_string(data)
    except Exception as error:  # protobuf's DecodeError, whose module depends on the implementation
        raise ValueError(f"CenterFace's file is damaged: {error}") from error
    graph = model.graph
    if [output.type.tensor_type.shape.dim[1].dim_value for output in graph.output] != list(_OUTPUTS):
        raise ValueError("the file holds another network than CenterFace")
    kept = [weight for weight in graph.initializer if not weight.name.endswith(_UNUSED)]
    named = {weight.name for weight in graph.initializer}
    inputs = [entry for entry in graph.input if entry.name not in named]
    _rename(inputs, ("batch", None, "height", "width"))
    _rename(graph.output, ("batch", None, "rows", "columns"))
    for field, entries in ((graph.initializer, kept), (graph.input, inputs)):
        fresh = [type(entry).FromString(entry.SerializeToString()) for entry in entries]
        del field[:]
        field.extend(fresh)
    mended: bytes = model.SerializeToString(deterministic=True)
    return mended


def detection_net_int8(mended: bytes) -> bytes:
    """Return the mended network with its convolutions in 8 bits, but for the last ones.

    Each value is rounded to 8 bits where it is made (QuantizeLinear, DequantizeLinear), which the runtime turns into
    convolutions of whole numbers. Ranges were recorded on public pictures, so no data is needed, and the bytes are
    the same on every processor.
    """
    ranges = json.loads((Path(__file__).parent / "centerface_ranges.json").read_text("utf-8"))
    return _EightBits(onnx.load_from_string(mended), ranges).run()


def _rename(values: Any, names: tuple[str | None, ...]) -> None:
    for value in values:
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=True):
            if name is not None:
                dimension.dim_param = name


class _EightBits:
    """Writes the graph anew, node by node."""

    def __init__(self, model: Any, ranges: dict[str, list[float]]) -> None:
        self._model, self._ranges = model, ranges
        self._constants = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
        self._nodes: list[Any] = []
        self._weights: list[Any] = []
        self._rounded: dict[str, tuple[str, float]] = {}

    def run(self) -> bytes:
        graph = self._model.graph
        ends = {output.name for output in graph.output}
        relus = {node.input[0] for node in graph.node if node.op_type == "Relu"}
        self._round(graph.input[0].name)
        for node in graph.node:
            last = node.op_type != "Relu" and bool(ends & {*node.output, *_readers(graph, node.output[0])})
            inputs = [self._rounded.get(name, (name,))[0] for name in node.input]
            if node.op_type == "Conv" and not last:
                inputs[1:] = self._eight_bit_weights(node)
            else:
                for name in node.input:
                    if name in self._constants:
                        self._weights.append(numpy_helper.from_array(self._constants[name], name))
            attributes = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
            self._nodes.append(helper.make_node(node.op_type, inputs, list(node.output), **attributes))
            # A ReLU costs nothing: it is the lower end of its range. Upsampling stays as it is, up to its ReLU.
            if not last and node.output[0] in self._ranges and node.output[0] not in relus:
                self._round(node.output[0])
        return self._finish()

    def _round(self, name: str) -> None:
        low, high = min(self._ranges[name][0], 0.0), max(self._ranges[name][1], 0.0)
        scale = max(high - low, 1e-12) / 255
        parameters = [
            self._store(np.array(scale, np.float32)),
            self._store(np.array(round(-low / scale), np.uint8)),
        ]
        self._nodes.append(helper.make_node("QuantizeLinear", [name, *parameters], [f"{name}_8"]))
        self._nodes.append(helper.make_node("DequantizeLinear", [f"{name}_8", *parameters], [f"{name}_r"]))
        self._rounded[name] = (f"{name}_r", scale)

    def _eight_bit_weights(self, node: Any) -> list[str]:
        weights = self._constants[node.input[1]].astype(np.float64)
        scale = np.maximum(np.abs(weights).max(axis=(1, 2, 3)), 1e-12) / 127
        names = [self._parameter(np.round(weights / scale.reshape(-1, 1, 1, 1)).astype(np.int8), scale)]
        if len(node.input) > 2:
            bias_scale = scale * self._rounded[node.input[0]][1]
            bias = np.round(self._constants[node.input[2]] / bias_scale).clip(-(2**31), 2**31 - 1)
            names.append(self._parameter(bias.astype(np.int32), bias_scale))
        return names

    def _parameter(self, values: NDArray[Any], scale: NDArray[np.float64]) -> str:
        """Store whole numbers with a scale for each of the first axis, and return the name of the real numbers."""
        name = self._store(values)
        inputs = [name, self._store(scale.astype(np.float32)), self._store(np.zeros(len(scale), values.dtype))]
        self._nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{name}_r"], axis=0))
        return f"{name}_r"

    def _store(self, values: NDArray[Any]) -> str:
        name = f"q{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def _finish(self) -> bytes:
        old = self._model.graph
        graph = helper.make_graph(self._nodes, "centerface_int8", list(old.input), list(old.output), self._weights)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="facenapi",
        )
        data: bytes = model.SerializeToString(deterministic=True)
        return data


def _readers(graph: Any, name: str) -> list[str]:
    return [output for node in graph.node if name in node.input for output in node.output]
