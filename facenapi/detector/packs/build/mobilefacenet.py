"""MobileFaceNet (Chen et al. 2018) from its TensorFlow Lite file: a batch of any size, PReLU in two passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.detector.packs.build.graph import Graph, Pads
from facenapi.detector.packs.build.tflite import Network, Operator, read_tflite

if TYPE_CHECKING:
    from numpy.typing import NDArray


def embedding_net(data: bytes) -> bytes:
    """(N, 3, 112, 112) RGB as (x - 127.5) / 128 → ``embedding`` (N, 192), not normalised.

    Raises:
        ValueError: the file holds another network.
    """
    network = read_tflite(data)
    if network.tensors[network.input].shape[1:] != (112, 112, 3):
        raise ValueError("the TensorFlow Lite file holds another network than MobileFaceNet")
    return _Converter(network).run()


class _Converter:
    """Goes through the operators in order; what belongs to a PReLU is written when its last one comes."""

    def __init__(self, network: Network) -> None:
        self._tensors, self._operators = network.tensors, network.operators
        self._ends = network.input, network.output
        self._makers = {operator.output: operator for operator in network.operators}
        self._graph = Graph("mobilefacenet", ("N", 3, 112, 112))
        self._names = {network.input: "input"}
        # Channels that are stored with the other sign, until the one convolution that reads them.
        self._signs: dict[int, NDArray[np.float32]] = {}

    def run(self) -> bytes:
        for operator in self._operators:
            if operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
                self._convolution(operator)
            elif operator.kind == "ADD":
                self._sum(operator)
            elif operator.kind == "RESHAPE":
                self._flatten(operator)
        if self._names.get(self._ends[1]) != "embedding" or self._signs:
            raise ValueError("the TensorFlow Lite file holds another network than MobileFaceNet")
        return self._graph.finish({"embedding": ("N", self._tensors[self._ends[1]].shape[-1])})

    def _convolution(self, operator: Operator) -> None:
        source, weights, bias = operator.inputs
        filters = self._constant(weights)
        depthwise = operator.kind == "DEPTHWISE_CONV_2D"
        # (1, h, w, C) → (C, 1, h, w), or (O, h, w, I) → (O, I, h, w)
        filters = filters.transpose(3, 0, 1, 2) if depthwise else filters.transpose(0, 3, 1, 2)
        signs = self._signs.pop(source, None)
        if signs is not None:
            filters = filters * signs.reshape((-1, 1, 1, 1) if depthwise else (1, -1, 1, 1))
        self._names[operator.output] = self._graph.conv(
            self._name(source),
            filters,
            self._constant(bias),
            stride=operator.stride,
            pads=self._pads(operator, filters.shape[2:]) if operator.same else (0, 0, 0, 0),
            group=len(filters) if depthwise else 1,
        )

    def _pads(self, operator: Operator, kernel: tuple[int, ...]) -> Pads:
        """Return what "same" adds: of an odd number of rows the larger half below, as of columns to the right."""
        missing = [
            max((-(-side // operator.stride) - 1) * operator.stride + size - side, 0)
            for side, size in zip(self._tensors[operator.inputs[0]].shape[1:3], kernel, strict=True)
        ]
        top, left = (number // 2 for number in missing)
        return top, left, missing[0] - top, missing[1] - left

    def _sum(self, operator: Operator) -> None:
        first, second = (self._makers.get(number) for number in operator.inputs)
        if first is not None and first.kind == "RELU":
            self._prelu(operator, first, second)
        else:
            self._names[operator.output] = self._graph.op("Add", *(self._name(number) for number in operator.inputs))

    def _prelu(self, operator: Operator, positive: Operator, scaled: Operator | None) -> None:
        """relu(x) + c (x - |x|), which has the slope 2c below zero, as slope x + (1 - slope) relu(x).

        Both passes are convolutions of one weight per channel, for the sake of the runtime's layout. Where the slope
        exceeds 1 the channel is computed with the other sign, for a factor of a ReLU must be positive.
        """
        (x,) = positive.inputs
        difference = self._makers.get(scaled.inputs[1]) if scaled is not None and scaled.kind == "MUL" else None
        if scaled is None or difference is None or difference.kind != "SUB" or difference.inputs[0] != x:
            raise ValueError("the TensorFlow Lite file has a sum that is not read here")
        slope = 2 * self._constant(scaled.inputs[0]).astype(np.float64).reshape(-1, 1, 1, 1)
        signs = np.where(slope > 1, -1.0, 1.0)
        graph, source, channels = self._graph, self._name(x), len(slope)
        bent = graph.relu(graph.conv(source, np.abs(1 - slope), group=channels))
        self._names[operator.output] = graph.op("Add", graph.conv(source, signs * slope, group=channels), bent)
        if (signs < 0).any():
            self._signs[operator.output] = signs.astype(np.float32).ravel()

    def _flatten(self, operator: Operator) -> None:
        name = self._name(operator.inputs[0])
        self._names[operator.output] = self._graph.op("Flatten", name, output="embedding", axis=1)

    def _name(self, number: int) -> str:
        """Return a tensor's name for a reader that takes it as it is: not with channels of the other sign."""
        if number in self._signs or number not in self._names:
            raise ValueError(f"the TensorFlow Lite file reads {self._tensors[number].name!r} in an unknown way")
        return self._names[number]

    def _constant(self, number: int) -> NDArray[np.float32]:
        values = self._tensors[number].values
        if values is None:
            raise ValueError(f"the TensorFlow Lite file lacks the numbers of {self._tensors[number].name!r}")
        return values
