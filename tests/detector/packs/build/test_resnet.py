import numpy as np
import onnxruntime

from facenapi.detector.packs.build.dlib_file import read_resnet
from facenapi.detector.packs.build.resnet import recognition_net
from tests.detector.packs.build.synthetic import Resnet


def test_network_of_dlibs_file_computes_what_dlib_would():
    network = Resnet(seed=1)
    model = recognition_net(read_resnet(network.file()), divisor=256)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    pixels = np.random.default_rng(2).integers(0, 256, (2, 3, 150, 150)).astype(np.float32)
    (found,) = session.run(None, {"input": pixels})
    expected = np.stack([network.run(image) for image in pixels])
    assert found.shape == (2, 128)
    assert np.abs(expected[0] - expected[1]).max() > 1e-2
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()
