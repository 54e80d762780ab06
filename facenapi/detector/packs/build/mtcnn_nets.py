"""The three networks of MTCNN (Zhang et al. 2016) from the weights of the ``mtcnn`` package.

Each takes (N, 3, H, W) RGB as (x - 127.5) / 128. The second and third give ``boxes`` (regression),
``scores`` (probability of a face) and, the third, ``points`` (five x, then five y).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.detector.packs.build.graph import END, Graph

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Weights = NDArray[np.float32]
    Arrays = Iterator[Weights]


def proposal_net(arrays: list[NDArray[np.float32]]) -> bytes:
    """PNet: any size in, ``cells`` out: for each window, 12 pixels wide every 2 pixels, the box and the logit."""
    graph, rest = Graph("pnet", ("N", 3, "H", "W")), iter(arrays)
    x = _conv_prelu(graph, "input", rest)
    x = graph.pool("MaxPool", x, 2, 2, END)
    x = _conv_prelu(graph, x, rest)
    x = _conv_prelu(graph, x, rest)
    weights, bias = _oihw(next(rest)), next(rest)
    face, face_bias = _face_logit(_oihw(next(rest)), next(rest))
    # One layer for both answers, and no softmax over a million cells of which a few hundred pass.
    joined = np.concatenate([weights, face]), np.concatenate([bias, face_bias])
    graph.op("Identity", graph.conv(x, *joined), output="cells")
    return graph.finish({"cells": ("N", 5, "h", "w")})


def refine_net(arrays: list[NDArray[np.float32]]) -> bytes:
    """RNet: candidates of 24x24 in, score and box out."""
    graph, rest = Graph("rnet", ("N", 3, 24, 24)), iter(arrays)
    x = graph.pool("MaxPool", _conv_prelu(graph, "input", rest), 3, 2, END)
    x = graph.pool("MaxPool", _conv_prelu(graph, x, rest), 3, 2)
    x = _dense_prelu(graph, _conv_prelu(graph, x, rest), rest)
    graph.dense(x, next(rest), next(rest), output="boxes")
    graph.op("Sigmoid", graph.dense(x, *_face_logit(next(rest).T, next(rest), transposed=True)), output="scores")
    return graph.finish({"boxes": ("N", 4), "scores": ("N", 1)})


def output_net(arrays: list[NDArray[np.float32]]) -> bytes:
    """ONet: candidates of 48x48 in, score, box and five points out."""
    graph, rest = Graph("onet", ("N", 3, 48, 48)), iter(arrays)
    x = graph.pool("MaxPool", _conv_prelu(graph, "input", rest), 3, 2, END)
    x = graph.pool("MaxPool", _conv_prelu(graph, x, rest), 3, 2)
    x = graph.pool("MaxPool", _conv_prelu(graph, x, rest), 2, 2)
    x = _dense_prelu(graph, _conv_prelu(graph, x, rest), rest)
    graph.dense(x, next(rest), next(rest), output="boxes")
    graph.dense(x, next(rest), next(rest), output="points")
    graph.op("Sigmoid", graph.dense(x, *_face_logit(next(rest).T, next(rest), transposed=True)), output="scores")
    return graph.finish({"boxes": ("N", 4), "points": ("N", 10), "scores": ("N", 1)})


def _oihw(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    return weights.transpose(3, 2, 0, 1)


def _conv_prelu(graph: Graph, x: str, rest: Arrays) -> str:
    x = graph.conv(x, _oihw(next(rest)), next(rest))
    return graph.prelu(x, next(rest).reshape(-1, 1, 1))


def _dense_prelu(graph: Graph, x: str, rest: Arrays) -> str:
    # The weights were trained on columns first: width, height, channels.
    flat = graph.op("Flatten", graph.op("Transpose", x, perm=[0, 3, 2, 1]), axis=1)
    return graph.prelu(graph.dense(flat, next(rest), next(rest)), next(rest))


def _face_logit(weights: Weights, bias: Weights, *, transposed: bool = False) -> tuple[Weights, Weights]:
    """Turn a softmax over (no face, face), outputs first, into one logit: the softmax is its sigmoid."""
    face = weights[1:] - weights[:1]
    return (face.T if transposed else face), bias[1:] - bias[:1]
