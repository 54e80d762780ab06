"""Two networks of the ``@vladmandic/face-api`` package: age and gender, expressions.

Both take (N, 3, S, S) RGB as 0…255; subtracting the mean colour and dividing by 255 is part of the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.detector.packs.build.graph import AROUND, END, NO_PADS, Graph
from facenapi.detector.packs.build.resnet import MEAN_RGB

if TYPE_CHECKING:
    from facenapi.detector.packs.build.weights import Weights


def age_gender_net(weights: Weights) -> bytes:
    """TinyXception: (N, 3, 112, 112) → ``age`` (N, 1) in years, ``gender`` (N, 2) male, female."""
    graph = Graph("age_gender", ("N", 3, 112, 112))
    x = _normalised(graph)
    x = graph.relu(_conv(graph, weights, "entry_flow/conv_in", x))
    x = _reduction(graph, weights, "entry_flow/reduction_block_0", x, x)
    x = _reduction(graph, weights, "entry_flow/reduction_block_1", x, graph.relu(x))
    for block in range(2):
        out = x
        for layer in range(3):
            out = _separable(graph, weights, f"middle_flow/main_block_{block}/separable_conv{layer}", graph.relu(out))
        x = graph.op("Add", out, x)
    x = _reduction(graph, weights, "exit_flow/reduction_block", x, graph.relu(x))
    x = graph.relu(_separable(graph, weights, "exit_flow/separable_conv", x))
    flat = graph.op("Flatten", graph.op("GlobalAveragePool", x), axis=1)
    graph.dense(flat, weights["fc/age/weights"], weights["fc/age/bias"], output="age")
    gender = graph.dense(flat, weights["fc/gender/weights"], weights["fc/gender/bias"])
    graph.op("Softmax", gender, output="gender", axis=1)
    return graph.finish({"age": ("N", 1), "gender": ("N", 2)})


def expression_net(weights: Weights) -> bytes:
    """Four dense blocks: (N, 3, 112, 112) → ``probabilities`` (N, 7) in the order of the manifest."""
    graph = Graph("face_expression", ("N", 3, 112, 112))
    x = _normalised(graph)
    for block in range(4):
        name = f"dense{block}"
        x = _separable(graph, weights, f"{name}/conv0", x, 2) if block else _conv(graph, weights, f"{name}/conv0", x)
        x = total = graph.relu(x)
        for layer in range(1, 4):
            total = graph.op("Add", total, _separable(graph, weights, f"{name}/conv{layer}", x))
            x = graph.relu(total)
    flat = graph.op("Flatten", graph.op("GlobalAveragePool", x), axis=1)
    logits = graph.dense(flat, weights["fc/weights"], weights["fc/bias"])
    graph.op("Softmax", logits, output="probabilities", axis=1)
    return graph.finish({"probabilities": ("N", 7)})


def _normalised(graph: Graph) -> str:
    centred = graph.op("Sub", "input", graph.weight(MEAN_RGB.reshape(3, 1, 1)))
    return graph.op("Mul", centred, graph.weight(np.array(1 / 255)))


def _conv(graph: Graph, weights: Weights, name: str, x: str) -> str:
    filters = weights[f"{name}/filters"].transpose(3, 2, 0, 1)
    pads = END if filters.shape[-1] == 3 else NO_PADS
    return graph.conv(x, filters, weights[f"{name}/bias"], stride=2, pads=pads)


def _separable(graph: Graph, weights: Weights, name: str, x: str, stride: int = 1) -> str:
    depthwise = weights[f"{name}/depthwise_filter"].transpose(2, 3, 0, 1)
    pointwise = weights[f"{name}/pointwise_filter"].transpose(3, 2, 0, 1)
    x = graph.conv(x, depthwise, stride=stride, pads=AROUND if stride == 1 else END, group=len(depthwise))
    return graph.conv(x, pointwise, weights[f"{name}/bias"])


def _reduction(graph: Graph, weights: Weights, name: str, x: str, activated: str) -> str:
    out = graph.relu(_separable(graph, weights, f"{name}/separable_conv0", activated))
    out = graph.pool("MaxPool", _separable(graph, weights, f"{name}/separable_conv1", out), 3, 2, END)
    return graph.op("Add", out, _conv(graph, weights, f"{name}/expansion_conv", x))
