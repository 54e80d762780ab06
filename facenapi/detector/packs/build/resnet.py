"""dlib's ResNet-29 for faces, of which there are two copies: dlib's own file, and face-api's in 8 bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.detector.packs.build.graph import AROUND, Graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.packs.build.weights import Weights

MEAN_RGB = np.array([122.782, 117.001, 104.298])
_FIRST = "conv32_down"
_BLOCKS = (
    "conv32_1",
    "conv32_2",
    "conv32_3",
    "conv64_down",
    "conv64_1",
    "conv64_2",
    "conv64_3",
    "conv128_down",
    "conv128_1",
    "conv128_2",
    "conv256_down",
    "conv256_1",
    "conv256_2",
    "conv256_down_out",
)
# The convolutions from the input to the output, under face-api's names.
LAYERS = (_FIRST, *(f"{block}/conv{number}" for block in _BLOCKS for number in (1, 2)))


def recognition_net(weights: Weights, divisor: int) -> bytes:
    """(N, 3, 150, 150) RGB as 0…255 → ``embedding`` (N, 128), not normalised.

    Args:
        weights: for each of LAYERS ``conv/filters`` (HWIO), ``conv/bias``, ``scale/weights`` and ``scale/biases``;
            ``fc``.
        divisor: what the pixels are divided by after the mean colour is subtracted.
    """
    graph = Graph("face_recognition", ("N", 3, 150, 150))
    first, bias = _scaled(weights, _FIRST)
    # No padding in this layer, so the normalisation folds into it: w (x - mean) / divisor + b.
    bias = bias - (first * MEAN_RGB.reshape(1, 3, 1, 1)).sum(axis=(1, 2, 3)) / divisor
    x = graph.pool("MaxPool", graph.relu(graph.conv("input", first / divisor, bias, stride=2)), 3, 2)
    size = 35
    for block in _BLOCKS:
        if "down" in block:
            x, size = _residual_down(graph, weights, block, x, size)
        else:
            x = _residual(graph, weights, block, x)
    flat = graph.op("Flatten", graph.op("GlobalAveragePool", x), axis=1)
    graph.dense(flat, weights["fc"], output="embedding")
    return graph.finish({"embedding": ("N", 128)})


def _residual(graph: Graph, weights: Weights, name: str, x: str) -> str:
    out = graph.relu(graph.conv(x, *_scaled(weights, f"{name}/conv1"), pads=AROUND))
    out = graph.conv(out, *_scaled(weights, f"{name}/conv2"), pads=AROUND)
    return graph.relu(graph.op("Add", out, x))


def _residual_down(graph: Graph, weights: Weights, name: str, x: str, size: int) -> tuple[str, int]:
    """Halve the size; dlib adds zeros where one of the two branches lacks channels, rows or columns."""
    first, bias = _scaled(weights, f"{name}/conv1")
    out = graph.relu(graph.conv(x, first, bias, stride=2))
    out = graph.conv(out, *_scaled(weights, f"{name}/conv2"), pads=AROUND)
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
