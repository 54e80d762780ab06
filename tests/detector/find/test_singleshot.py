import numpy as np
import pytest

from facenapi.detector.find.boxes import greedy
from facenapi.detector.find.decoders import decode_scrfd, decode_yunet
from facenapi.detector.find.singleshot import SingleShot

SETTINGS = {"size": 640, "color": "bgr", "mean": 0, "std": 1, "threshold": 0.6, "overlap": 0.4}
POINTS = np.array([[10, 12], [30, 12], [20, 22], [12, 34], [28, 34]], np.float32)


def scrfd_outputs(height, width, *, batched=False, strides=(8, 16, 32), anchors=2):
    """Silence everywhere but in one anchor: stride 16, row 2, column 3, second anchor if there are two."""
    cells = [-(-height // s) * -(-width // s) * anchors for s in strides]
    lead = (1,) if batched else ()
    scores, boxes, points = ([np.zeros((*lead, n, k), np.float32) for n in cells] for k in (1, 4, 10))
    index = (2 * -(-width // 16) + 3) * anchors + anchors - 1
    centre = np.array([48, 32])
    scores[1][..., index, 0] = 0.9
    boxes[1][..., index, :] = np.array([1, 2, 3, 4])
    points[1][..., index, :] = ((POINTS - centre) / 16).reshape(-1)
    return {f"o{i}": array for i, array in enumerate([*scores, *boxes, *points])}


def yunet_outputs(height, width):
    """Silence everywhere but at stride 8, row 5, column 7."""
    outputs = {}
    for stride in (8, 16, 32):
        count = (height // stride) * (width // stride)
        for name, numbers in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            outputs[f"{name}_{stride}"] = np.zeros((1, count, numbers), np.float32)
    index = 5 * (width // 8) + 7
    outputs["cls_8"][0, index] = 0.81
    outputs["obj_8"][0, index] = 1.3  # clipped to 1
    outputs["bbox_8"][0, index] = [0.5, -0.5, np.log(4), np.log(6)]
    outputs["kps_8"][0, index] = (POINTS / 8 - (7, 5)).reshape(-1)
    return outputs


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(("strides", "anchors"), [((8, 16, 32), 2), ((8, 16, 32, 64, 128), 1)])
def test_scrfd_cell_becomes_the_face(batched, strides, anchors):
    outputs = scrfd_outputs(96, 160, batched=batched, strides=strides, anchors=anchors)
    boxes, scores, points = decode_scrfd(outputs, 96, 160)
    best = scores.argmax()
    assert scores[best] == pytest.approx(0.9)
    assert boxes[best].tolist() == [48 - 16, 32 - 32, 48 + 48, 32 + 64]
    assert np.allclose(points[best], POINTS, atol=1e-4)


def test_yunet_cell_becomes_the_face():
    boxes, scores, points = decode_yunet(yunet_outputs(64, 96), 64, 96)
    best = scores.argmax()
    assert scores[best] == pytest.approx(0.9)
    assert np.allclose(boxes[best], [60 - 16, 36 - 24, 60 + 16, 36 + 24], atol=1e-4)
    assert np.allclose(points[best], POINTS, atol=1e-4)


class Stub:
    """An engine that sees one face wherever it looks, and remembers what it was given."""

    def __init__(self, fixed=None, sides=()):
        self.sides = sides
        self.input_shape = [1, 3, *(fixed or ("H", "W"))]
        self.outputs = dict.fromkeys(yunet_outputs(64, 96))
        self.given = []

    def run(self, rows):
        self.given.append(rows)
        outputs = yunet_outputs(*rows.shape[2:])
        return tuple(outputs[name] for name in self.outputs)


def test_picture_is_shrunk_padded_and_mapped_back():
    stub = Stub()
    pixels = np.full((500, 1280, 3), (10, 20, 30), np.uint8)
    faces = SingleShot(stub, {**SETTINGS, "kind": "yunet"}).find(pixels, 1)
    (rows,) = stub.given
    assert rows.shape == (1, 3, 256, 640)
    assert rows[0, :, 0, 0].tolist() == [30, 20, 10]  # BGR
    assert not rows[0, :, 250:].any()  # padding below
    assert np.allclose(faces.boxes[0], np.array([44, 12, 76, 60]) * 2, atol=1e-3)
    assert np.allclose(faces.points[0], POINTS * 2, atol=1e-3)


def test_fixed_input_and_sizes():
    stub = Stub(fixed=(640, 640))
    net = SingleShot(stub, {**SETTINGS, "kind": "yunet"})
    pixels = np.zeros((100, 100, 3), np.uint8)
    assert len(net.find(pixels, 40, 60)) == 1
    assert stub.given[0].shape == (1, 3, 640, 640)
    assert len(net.find(pixels, 50)) == 0
    assert len(net.find(pixels, 1, 40)) == 0


def test_a_device_that_likes_one_size_gets_it():
    stub = Stub(sides=(640,))
    assert len(SingleShot(stub, {**SETTINGS, "kind": "yunet"}).find(np.zeros((100, 300, 3), np.uint8), 40, 60)) == 1
    assert stub.given[0].shape == (1, 3, 640, 640)


def test_wrong_networks_are_refused():
    with pytest.raises(ValueError, match="outputs"):
        SingleShot(Stub(), {**SETTINGS, "kind": "scrfd"})
    with pytest.raises(KeyError, match="color"):
        SingleShot(Stub(), {"kind": "yunet"})


def test_greedy_keeps_what_only_a_fallen_box_overlaps():
    boxes = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10]])
    assert greedy(boxes, np.array([0.9, 0.8, 0.7]), 0.3).tolist() == [0, 2]
    assert greedy(boxes, np.array([0.8, 0.9, 0.7]), 0.3).tolist() == [1]
