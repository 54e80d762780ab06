import numpy as np
import onnxruntime
import pytest

from facenapi.detector.packs.build.graph import Graph


def run(model, values):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": values})[0]


@pytest.mark.parametrize("slope", [[0.0, 0.25, 1.0], [-0.5, 0.3, 2.7]])
@pytest.mark.parametrize("size", [(), (4, 4)])
def test_prelu_is_exact_without_the_slow_operator(slope, size):
    slope = np.array(slope, np.float32).reshape(3, *[1] * len(size))
    graph = Graph("prelu", ("N", 3, *size))
    graph.op("Identity", graph.prelu("input", slope), output="out")
    model = graph.finish({"out": ("N", 3, *size)})
    assert b"PRelu" not in model
    values = np.random.default_rng(0).normal(size=(2, 3, *size)).astype(np.float32)
    assert np.array_equal(run(model, values), np.where(values > 0, values, values * slope))


def test_same_calls_give_the_same_bytes():
    def build():
        graph = Graph("conv", ("N", 1, "H", "W"))
        x = graph.conv("input", np.ones((2, 1, 3, 3)), np.zeros(2), pads=(1, 1, 1, 1))
        graph.op("Identity", graph.relu(x), output="out")
        return graph.finish({"out": ("N", 2, "H", "W")})

    assert build() == build()
