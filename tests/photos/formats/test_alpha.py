"""Transparent pixels are white, however a file says so, before anything looks at them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from facenapi.photos.photo import Photo
from tests.support import hostile
from tests.support.photos import encode

SIDE = 64
LEFT = np.arange(SIDE) < SIDE // 2  # the part that nobody sees


def grid(hidden, shown, dtype=np.uint16):
    """Return samples (64, 64) or (64, 64, channels): one value on the left, the other on the right."""
    return np.where(LEFT.reshape(1, -1, 1), np.atleast_1d(hidden), np.atleast_1d(shown)).astype(dtype).repeat(SIDE, 0)


def rgba(kind, **options):
    return encode(Image.fromarray(grid([10, 20, 30, 0], [40, 50, 60, 255], np.uint8)), kind, **options)


def palette():
    image = Image.new("P", (SIDE, SIDE))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([int(not hidden) for hidden in LEFT] * SIDE)
    return image


def trns(*samples):
    return hostile.chunk(b"tRNS", np.array(samples, ">u2").tobytes())


FILES = {
    "RGBA": rgba("PNG"),
    "RGBA WebP": rgba("WEBP", lossless=True, exact=True),
    "LA": encode(Image.fromarray(grid([10, 0], [50, 255], np.uint8), "LA")),
    "P with one transparent colour": encode(palette(), transparency=0),
    "P with an alpha for each colour": encode(palette(), transparency=b"\x00\xff"),
    "RGB with a key": hostile.png(grid([10, 20, 30], [40, 50, 60]), hostile.RGB, 8, trns(10, 20, 30)),
    "grey with a key": hostile.png(grid(10, 50), hostile.GREY, 8, trns(10)),
    "grey of 4 bits with a key": hostile.png(grid(1, 3), hostile.GREY, 4, trns(1)),
    "grey of 2 bits with a key": hostile.png(grid(2, 1), hostile.GREY, 2, trns(2)),
    "black and white with a key": hostile.png(grid(1, 0), hostile.GREY, 1, trns(1)),
    "RGBA of 16 bits": hostile.png(grid([9999, 2, 3, 0], [10_000, 12_000, 14_000, 65535]), hostile.RGBA, 16),
    "LA of 16 bits": hostile.png(grid([9999, 0], [12_000, 65535]), hostile.GREY_ALPHA, 16),
    "RGB of 16 bits with a key": hostile.png(
        grid([9999, 2, 3], [10_000, 12_000, 14_000]), hostile.RGB, 16, trns(9999, 2, 3)
    ),
    "grey of 16 bits with a key": hostile.png(grid(9999, 12_000), hostile.GREY, 16, trns(9999)),
}


@pytest.mark.parametrize("detect_side", [16, 1280])
@pytest.mark.parametrize("name", FILES)
def test_hidden_pixels_are_white_and_the_others_as_they_were(name, detect_side):
    photo = Photo(FILES[name], "photo", 6000, detect_side)
    whole = photo.part(0, 0, SIDE, SIDE)
    assert (whole[:, LEFT] == 255).all()
    assert (whole[:, ~LEFT] < 100).all()
    assert photo.reduced.pixels.shape == (min(detect_side, SIDE), min(detect_side, SIDE), 3)
    half = photo.reduced.pixels.shape[1] // 2
    assert (photo.reduced.pixels[:, :half] == 255).all()
    assert (photo.reduced.pixels[:, half:] < 100).all()


@pytest.mark.parametrize("damaged", [hostile.chunk(b"tRNS", bytes(6), crc=1), trns(10), trns(), trns(*[1] * 400)])
def test_damaged_transparency_does_not_decide(damaged):
    data = hostile.png(grid([10, 20, 30], [40, 50, 60]), hostile.RGB, 8, damaged)
    pixels = Photo(data, "photo", 6000, 1280).reduced.pixels
    assert (pixels[0, 0].tolist(), pixels[0, -1].tolist()) == ([10, 20, 30], [40, 50, 60])


def test_half_transparent_pixels_are_half_white():
    data = encode(Image.new("RGBA", (SIDE, SIDE), (0, 100, 200, 128)))
    np.testing.assert_allclose(Photo(data, "photo", 6000, 16).reduced.pixels[3, 3], [127, 177, 227], atol=1)


def test_an_opaque_alpha_changes_nothing():
    pixels = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    data = encode(Image.fromarray(np.dstack([pixels, np.full((SIDE, SIDE), 255, np.uint8)])))
    np.testing.assert_array_equal(Photo(data, "photo", 6000, 1280).reduced.pixels, pixels)
