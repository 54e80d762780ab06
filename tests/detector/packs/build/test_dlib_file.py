import numpy as np
import pytest

from facenapi.detector.packs.build.dlib_file import read_resnet
from facenapi.detector.packs.build.resnet import LAYERS
from tests.detector.packs.build.synthetic import DlibFile, Resnet


@pytest.fixture(scope="module")
def network():
    return Resnet()


@pytest.fixture(scope="module")
def data(network):
    return network.file()


def test_every_tensor_is_found_under_its_name(network, data):
    weights = read_resnet(data)
    assert len(weights) == 4 * len(LAYERS) + 1
    for name, (filters, bias, factors, summands) in zip(LAYERS, network.convolutions, strict=True):
        assert np.array_equal(weights[f"{name}/conv/filters"], filters.transpose(2, 3, 1, 0))
        assert np.array_equal(weights[f"{name}/conv/bias"], bias)
        assert np.array_equal(weights[f"{name}/scale/weights"], factors)
        assert np.array_equal(weights[f"{name}/scale/biases"], summands)
    assert np.array_equal(weights["fc"], network.dense)


@pytest.mark.slow
def test_a_file_that_is_cut_off_or_too_long_is_refused(data):
    for end in [*range(0, 400, 7), *range(400, len(data), 997), len(data) - 1]:
        with pytest.raises(ValueError, match="dlib's file"):
            read_resnet(data[:end])
    with pytest.raises(ValueError, match="3 bytes follow"):
        read_resnet(data + b"abc")


def small(*layers):
    """A file with these layers only."""
    out = DlibFile()
    for kind in layers:
        out.layer(kind)
    return out.content()


def test_other_contents_are_refused(data):
    with pytest.raises(ValueError, match="another network"):
        read_resnet(small("relu_", "relu_"))
    with pytest.raises(ValueError, match="unknown kind 'bn_con2'"):
        read_resnet(small("relu_", "bn_con2"))
    tensor = DlibFile().tensor(())
    with pytest.raises(ValueError, match="tensor of the unknown version 1"):
        read_resnet(data.replace(tensor, DlibFile().integer(1) + tensor[2:], 1))
    with pytest.raises(ValueError, match="layer of the unknown version 9"):
        read_resnet(data.replace(b"\x01\x02\x01\x03", b"\x01\x02\x01\x09", 1))
    with pytest.raises(ValueError, match="dlib's file"):
        read_resnet(b"PK\x03\x04" + bytes(100))


def test_a_network_with_one_layer_more_is_another(network):
    out = DlibFile()
    for weights, bias, factors, summands in [*network.convolutions, network.convolutions[-1]]:
        out.convolution(weights, bias, 1, 1)
        out.affine(factors, summands)
    out.dense(network.dense)
    with pytest.raises(ValueError, match="another network"):
        read_resnet(out.content())
