"""Decoding: what is taken, what is refused, and that pixels come out upright."""

from __future__ import annotations

import hashlib
import io
import random

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from facenapi.errors import BadImage
from facenapi.photos.photo import Photo
from tests.support.effort import daily
from tests.support.photos import encode


def open_photo(data, max_size=6000, detect_side=1280):
    return Photo(data, "photo", max_size, detect_side)


def whole(photo):
    """Return all pixels at full size."""
    return photo.part(0, 0, photo.width, photo.height)


def quarters(width=80, height=40):
    """Four quarters of different grey: top left 0, top right 80, bottom left 160, bottom right 240."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, width // 2 :] = 80
    pixels[height // 2 :, : width // 2] = 160
    pixels[height // 2 :, width // 2 :] = 240
    return pixels


def with_orientation(pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(pixels, "PNG", exif=exif)


# EXIF 2.32: where the 0th row and the 0th column of the stored picture belong in the upright one.
UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation_is_applied(orientation):
    photo = open_photo(with_orientation(quarters(), orientation))
    expected = UPRIGHT[orientation](quarters())
    assert photo.orientation == orientation
    assert (photo.height, photo.width) == expected.shape[:2]
    np.testing.assert_array_equal(whole(photo), expected)


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_an_orientation_that_does_not_exist_is_upright(orientation):
    assert open_photo(with_orientation(quarters(), orientation)).orientation == 1


def test_a_large_jpeg_is_reduced_and_knows_its_scale():
    data = encode(quarters(3000, 2000), "JPEG", quality=95)
    photo = open_photo(data, detect_side=700)
    assert photo.reduced.pixels.shape == (500, 750, 3)
    assert (photo.reduced.scale_x, photo.reduced.scale_y) == (0.25, 0.25)
    assert whole(photo).shape == (2000, 3000, 3)
    assert photo.md5 == hashlib.md5(data).hexdigest()


@pytest.mark.parametrize("orientation", daily([6, 1, 8, 2, 3, 4, 5, 7], 3))
@pytest.mark.parametrize("detect_side", daily([100, 1280]))
def test_parts_of_a_photo_are_those_of_the_whole(orientation, detect_side):
    stored = np.random.default_rng(2).integers(0, 256, (150, 230, 3)).repeat(4, axis=0).repeat(4, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(stored.astype(np.uint8), "JPEG", quality=90, exif=exif)
    photo = open_photo(data, detect_side=detect_side)
    assert (photo.reduced.scale_x < 1) == (detect_side == 100)
    expected = UPRIGHT[orientation](np.asarray(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(whole(photo), expected)
    for left, top, right, bottom in ((3, 5, 60, 41), (0, 0, 1, 1), (300, 200, 555, 444)):
        np.testing.assert_array_equal(photo.part(left, top, right, bottom), expected[top:bottom, left:right])
    np.testing.assert_array_equal(photo.part(-9, -7, 20, 10), expected[:10, :20])
    np.testing.assert_array_equal(photo.part(500, 10, 9999, 20), expected[10:20, 500:])
    for box in ((5, 5, 5, 9), (-20, 0, -10, 10), (5000, 5000, 6000, 6000), (9, 9, 4, 20)):
        assert photo.part(*box).size == 0


@pytest.mark.parametrize(("mode", "kind"), [
    ("L", "PNG"), ("LA", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("1", "PNG"), ("I;16", "PNG"), ("CMYK", "JPEG"),
    ("L", "JPEG"), ("RGB", "WEBP"), ("RGBA", "WEBP"),
])  # fmt: skip
def test_every_mode_becomes_rgb(mode, kind):
    grey = np.linspace(0, 255, 64 * 64).reshape(64, 64)
    if mode == "I;16":
        image = Image.fromarray((grey * 257).astype(np.uint16))
    else:
        image = Image.fromarray(grey.astype(np.uint8)).convert("RGB").convert(mode)
    pixels = whole(open_photo(encode(image, kind)))
    assert pixels.shape == (64, 64, 3)
    assert pixels.dtype == np.uint8
    if mode != "1":
        assert np.abs(pixels[:, :, 1].astype(int) - grey).mean() < 16


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_truncated_file_is_refused(kind):
    noise = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    data = encode(noise, kind)
    for length in (len(data) // 2, len(data) - 40 if kind != "WEBP" else len(data) // 3):
        with pytest.raises(BadImage, match=r"damaged|not a JPEG"):
            open_photo(data[:length])


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused(kind):
    with pytest.raises(BadImage, match="not a JPEG, PNG, WebP"):
        open_photo(encode(np.zeros((32, 32, 3), np.uint8), kind))


def test_a_picture_too_long_is_refused_before_it_is_decoded():
    data = encode(np.zeros((8, 6001, 3), np.uint8))
    with pytest.raises(BadImage, match="6001x8 pixels; the longest side may be 6000"):
        open_photo(data)
    assert open_photo(data, max_size=6001).width == 6001


def test_mutated_files_are_decoded_or_refused_and_nothing_else():
    dice = random.Random(7)
    seeds = [encode(quarters(), kind) for kind in ("JPEG", "PNG", "WEBP")]
    outcomes = set()
    for _ in range(600):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randrange(1, 8)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            outcomes.add(whole(open_photo(bytes(data))).dtype == np.uint8)
        except BadImage:
            outcomes.add("refused")
    assert outcomes == {True, "refused"}


def test_an_animation_is_its_first_picture():
    out = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), color) for color in ("red", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert whole(open_photo(out.getvalue()))[10, 10, 0] > 200


def outcome(data):
    """Return the photo's width, or why it was refused."""
    try:
        return open_photo(data).width
    except BadImage as error:
        return error.reason


DAMAGED = "The photo is damaged", "The photo is truncated or damaged"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize(
    "exif", [b"", b"II*\0", b"II+\0", b"MM\0*", b"II*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"x" * 99]
)
def test_damaged_metadata_is_ignored_or_refused(kind, exif):
    assert outcome(encode(quarters(), kind, exif=b"Exif\0\0" + exif)) in (80, *DAMAGED)


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("name", ["transparency", "xmp", "exif", "gamma", "dpi", "icc_profile"])
def test_text_chunks_with_odd_names_do_no_harm(mode, name):
    info = PngImagePlugin.PngInfo()
    info.add_text(name, "x")
    assert outcome(encode(Image.fromarray(quarters()).convert(mode), "PNG", pnginfo=info)) in (80, *DAMAGED)
