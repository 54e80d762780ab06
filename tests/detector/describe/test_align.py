import hashlib

import numpy as np
import pytest
from PIL import Image

from facenapi.detector.describe.align import chip_matrix, crop_matrix, halve, warp
from facenapi.detector.describe.crops import cut_full
from facenapi.detector.packs.build.embedders import DLIB_TEMPLATE
from facenapi.detector.packs.build.manifest import ATTRIBUTE_TEMPLATE
from facenapi.photos.photo import Photo
from tests.conftest import ROOT
from tests.support.effort import daily
from tests.support.photos import encode

DLIB, ATTRIBUTE = np.array(DLIB_TEMPLATE), np.array(ATTRIBUTE_TEMPLATE)
# sha256 of the pixels of the chips that dlib itself cuts at the upstream points.
CHIPS = {
    "astronaut": "518b6abebe04053047c427f614534275ef8ba596031bb2e9b40d4871943a01b5",
    "grace_hopper": "09601e164e399a5dc0acf79fda99097c52c06b8e7bced997e84d343ef374bde4",
}


@pytest.mark.parametrize("name", CHIPS)
def test_chips_equal_dlibs_to_the_bit(name, golden, pixels):
    chip = warp(pixels[name], chip_matrix(np.array(golden[name]["points"]), DLIB, 150), 150)
    assert hashlib.sha256(chip.tobytes()).hexdigest() == CHIPS[name]
    beside = ROOT.parent / "shared" / "golden" / f"{name}_chip150.png"
    if beside.exists():
        assert np.array_equal(chip, np.asarray(Image.open(beside).convert("RGB")))


@pytest.mark.parametrize("zoom", [1.0, 1.15])
def test_crop_takes_the_points_to_the_template(golden, zoom):
    points = np.array(golden["astronaut"]["points"])
    matrix = crop_matrix(points, ATTRIBUTE, 112, zoom)
    on_photo = ((ATTRIBUTE - 56) * zoom + 56) @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(on_photo - points).max() < 5


def test_crop_of_the_template_itself_is_the_identity():
    matrix = crop_matrix(ATTRIBUTE, ATTRIBUTE, 112)
    assert np.allclose(matrix, [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("shape", [(40, 60), (41, 61), (7, 9), (5, 5)])
def test_halve_is_the_binomial_filter(shape):
    values = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])
    small = halve(values)
    assert small.shape == ((shape[0] - 3) // 2, (shape[1] - 3) // 2, 3)
    for row in range(small.shape[0]):
        for column in range(small.shape[1]):
            window = values[2 * row : 2 * row + 5, 2 * column : 2 * column + 5].astype(int)
            expected = (window * kernel[:, :, None]).sum(axis=(0, 1)) // 256
            assert np.array_equal(small[row, column], expected)


def test_halve_of_too_few_pixels_is_empty():
    assert halve(np.zeros((3, 3, 3), np.uint8)).size == 0


def test_outside_of_the_photo_is_black(pixels):
    points = DLIB + np.array([400, 100])  # the right part of the chip lies beyond the 512 pixels
    chip = warp(pixels["astronaut"], chip_matrix(points, DLIB, 150), 150)
    assert not chip[:, 120:].any()
    assert chip[:, :100].any()


@pytest.mark.parametrize("shift", [-1000, 2000])
def test_face_wholly_outside_is_black(pixels, shift):
    assert not warp(pixels["astronaut"], chip_matrix(DLIB + shift, DLIB, 150), 150).any()


@pytest.mark.parametrize("scale", [0.5, 1, 4])
def test_outside_of_the_photo_can_be_as_its_border(pixels, scale):
    photo = pixels["astronaut"][:400, :300]
    matrix = np.array([[scale, 0, 300 - 60 * scale], [0, scale, -20 * scale]])
    black, border = warp(photo, matrix, 100), warp(photo, matrix, 100, replicate=True)
    # Inside, away from where the filters reach across the border, nothing changes.
    assert np.array_equal(black[24:, :56], border[24:, :56])
    assert not black[:, 64:].any()
    assert (border[24:, 64:] == border[24:, 64:65]).all()
    assert (border[:16] == border[:1]).all()
    edge = photo[:, -1].astype(int)
    assert edge.min() <= border[24:, 64:].min() <= border[24:, 64:].max() <= edge.max()


def test_border_does_not_matter_inside(golden, pixels):
    matrix = crop_matrix(np.array(golden["grace_hopper"]["points"]), ATTRIBUTE, 112)
    photo = pixels["grace_hopper"]
    assert np.array_equal(warp(photo, matrix, 112), warp(photo, matrix, 112, replicate=True))


@pytest.mark.slow
def test_border_is_repeated_so_far_and_no_farther():
    photo = np.full((50, 40, 3), 200, np.uint8)
    far = warp(photo, np.array([[16.0, 0, -1792], [0, 16.0, -1792]]), 224, replicate=True)
    # Columns 48 to 178 stand at -1024 to 40 + 1024, and rows 48 to 179.
    assert (far[52:174, 52:174] == 200).all()
    assert not far[:44].any()
    assert not far[:, :44].any()
    assert not far[184:].any()
    assert not far[:, 184:].any()


@pytest.mark.parametrize("factor", [2, 3, 6])
def test_large_faces_give_the_same_chip(golden, pixels, factor):
    small = pixels["astronaut"]
    large = np.asarray(Image.fromarray(small).resize((512 * factor, 512 * factor), Image.Resampling.BICUBIC))
    points = np.array(golden["astronaut"]["points"])
    one = warp(small, chip_matrix(points, DLIB, 150), 150)
    other = warp(large, chip_matrix((points + 0.5) * factor - 0.5, DLIB, 150), 150)
    assert np.abs(one.astype(int) - other).mean() < 4


def test_tiny_photo_does_not_break():
    assert warp(np.zeros((1, 1, 3), np.uint8), chip_matrix(DLIB, DLIB, 150), 150).shape == (150, 150, 3)
    assert warp(np.zeros((3, 3, 3), np.uint8), chip_matrix(DLIB * 8, DLIB, 150), 150).shape == (150, 150, 3)


@pytest.mark.parametrize("scale", daily([0.2, 3.3, 1.0, 9.0], 2))
@pytest.mark.parametrize("centre", [(400, 300), (3, 590), (799, 0), (-300, 5000)])
def test_a_crop_needs_no_more_than_its_part_of_the_photo(scale, centre):
    noise = np.random.default_rng(1).integers(0, 256, (600, 800, 3), np.uint8)
    photo = Photo(encode(noise, "JPEG", quality=95), "photo", 6000, 200)
    assert photo.reduced.scale_x < 1
    matrix = np.array([[scale, scale / 3, centre[0] - 75 * scale], [-scale / 3, scale, centre[1] - 75 * scale]])
    expected = warp(photo.part(0, 0, 800, 600), matrix, 150)
    assert np.array_equal(cut_full(photo, matrix, 150), expected)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.3])
@pytest.mark.parametrize("centre", [(3, 590), (799, 0), (400, 300)])
def test_the_border_of_a_part_is_that_of_the_photo(scale, centre):
    noise = np.random.default_rng(1).integers(0, 256, (600, 800, 3), np.uint8)
    photo = Photo(encode(noise, "JPEG", quality=95), "photo", 6000, 200)
    matrix = np.array([[scale, scale / 3, centre[0] - 75 * scale], [-scale / 3, scale, centre[1] - 75 * scale]])
    expected = warp(photo.part(0, 0, 800, 600), matrix, 150, replicate=True)
    assert np.array_equal(cut_full(photo, matrix, 150, replicate=True), expected)


def test_a_photo_without_the_face_has_no_border(pixels):
    assert not warp(pixels["astronaut"][:0, :0], chip_matrix(DLIB, DLIB, 150), 150, replicate=True).any()
