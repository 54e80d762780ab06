import numpy as np
import onnxruntime

from facenapi.detector.packs.build.faceres import faceres_net
from facenapi.detector.packs.build.weights import read_tfjs
from tests.detector.packs.build.synthetic import Mobilenet


def test_network_computes_what_its_layers_say():
    network = Mobilenet(seed=3)  # whose features depend on the picture, as is asserted below
    session = onnxruntime.InferenceSession(
        faceres_net(read_tfjs(*network.files())), providers=["CPUExecutionProvider"]
    )
    coarse = np.random.default_rng(2).integers(0, 256, (2, 3, 7, 7)).astype(np.float32)
    pixels = coarse.repeat(32, axis=2).repeat(32, axis=3)
    (found,) = session.run(None, {"input": pixels})
    expected = np.stack([network.run(image) for image in pixels])
    assert found.shape == (2, 1024)
    assert (expected > 0).mean() > 0.2
    assert np.abs(expected[0] - expected[1]).max() > 1e-2
    assert np.abs(found - expected).max() < 1e-4
