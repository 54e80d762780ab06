"""Three networks of the ``@vladmandic/face-api`` package: recognition, age and gender, expressions.

All take (N, 3, S, S) RGB as 0…255; subtracting the mean colour and dividing by 255 is part of the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.detector.build.graph import NO_PADS, Graph, Pads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.build.weights import Weights

MEAN_RGB = np.array([122.782, 117.001, 104.298])
_AROUND: Pads = (1, 1, 1, 1)  # "same" for a 3x3 kernel at stride 1
_END: Pads = (0, 0, 1, 1)  # "same" at stride 2 on an even size


def recognition_net(weights: Weights) -> bytes:
    """dlib's ResNet-29: (N, 3, 150, 150) → ``embedding`` (N, 128), not normalised."""
    graph = Graph("face_recognition", ("N", 3, 150, 150))
    first, bias = _scaled(weights, "conv32_down")
    # No padding in this layer, so the normalisation folds into it: w (x - mean) / 255 + b.
    bias = bias - (first * MEAN_RGB.reshape(1, 3, 1, 1)).sum(axis=(1, 2, 3)) / 255
    x = graph.pool("MaxPool", graph.relu(graph.conv("input", first / 255, bias, stride=2)), 3, 2)
    size = 35
    for name in (
        "32_1",
        "32_2",
        "32_3",
        "64_down",
        "64_1",
        "64_2",
        "64_3",
        "128_down",
        "128_1",
        "128_2",
        "256_down",
        "256_1",
        "256_2",
        "256_down_out",
    ):
        if "down" in name:
            x, size = _residual_down(graph, weights, f"conv{name}", x, size)
        else:
            x = _residual(graph, weights, f"conv{name}", x)
    flat = graph.op("Flatten", graph.op("GlobalAveragePool", x), axis=1)
    graph.dense(flat, weights["fc"], output="embedding")
    return graph.finish({"embedding": ("N", 128)})


def _residual(graph: Graph, weights: Weights, name: str, x: str) -> str:
    out = graph.relu(graph.conv(x, *_scaled(weights, f"{name}/conv1"), pads=_AROUND))
    out = graph.conv(out, *_scaled(weights, f"{name}/conv2"), pads=_AROUND)
    return graph.relu(graph.op("Add", out, x))


def _residual_down(graph: Graph, weights: Weights, name: str, x: str, size: int) -> tuple[str, int]:
    """Halve the size; dlib adds zeros where one of the two branches lacks channels, rows or columns."""
    first, bias = _scaled(weights, f"{name}/conv1")
    out = graph.relu(graph.conv(x, first, bias, stride=2))
    out = graph.conv(out, *_scaled(weights, f"{name}/conv2"), pads=_AROUND)
    pooled = graph.pool("AveragePool", x, 2, 2)
    conv_size, pool_size = (size - 3) // 2 + 1, size // 2
    missing = first.shape[0] - first.shape[1]
    if missing:
        pooled = graph.op("Pad", pooled, graph.weight(np.array([0, 0, 0, 0, 0, missing, 0, 0], np.int64)))
    if conv_size < pool_size:
        out = graph.op("Pad", out, graph.weight(np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int64)))
    return graph.relu(graph.op("Add", pooled, out)), max(conv_size, pool_size)


def _scaled(weights: Weights, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return OIHW weights and bias of a convolution with its scale layer folded in."""
    scale = weights[f"{name}/scale/weights"].astype(np.float64)
    conv = weights[f"{name}/conv/filters"].astype(np.float64).transpose(3, 2, 0, 1)
    bias = weights[f"{name}/conv/bias"] * scale + weights[f"{name}/scale/biases"]
    return conv * scale.reshape(-1, 1, 1, 1), bias


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
    pads = _END if filters.shape[-1] == 3 else NO_PADS
    return graph.conv(x, filters, weights[f"{name}/bias"], stride=2, pads=pads)


def _separable(graph: Graph, weights: Weights, name: str, x: str, stride: int = 1) -> str:
    depthwise = weights[f"{name}/depthwise_filter"].transpose(2, 3, 0, 1)
    pointwise = weights[f"{name}/pointwise_filter"].transpose(3, 2, 0, 1)
    x = graph.conv(x, depthwise, stride=stride, pads=_AROUND if stride == 1 else _END, group=len(depthwise))
    return graph.conv(x, pointwise, weights[f"{name}/bias"])


def _reduction(graph: Graph, weights: Weights, name: str, x: str, activated: str) -> str:
    out = graph.relu(_separable(graph, weights, f"{name}/separable_conv0", activated))
    out = graph.pool("MaxPool", _separable(graph, weights, f"{name}/separable_conv1", out), 3, 2, _END)
    return graph.op("Add", out, _conv(graph, weights, f"{name}/expansion_conv", x))
