"""HEIC through pillow-heif, AVIF through Pillow."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, features

from facenapi.errors import BadImage
from facenapi.photos.formats import known
from facenapi.photos.photo import Photo
from tests.support.photos import encode

PIXELS = np.zeros((60, 100, 3), np.uint8)
PIXELS[:, 50:] = (200, 100, 50)


def heic(pixels=PIXELS, **options):
    pillow_heif = pytest.importorskip("pillow_heif")
    out = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(out, quality=95, **options)
    return out.getvalue()


def avif(pixels=PIXELS, **options):
    if not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    return encode(pixels, "AVIF", quality=95, **options)


@pytest.mark.parametrize("make", [heic, avif])
def test_it_is_read_and_reduced(make):
    large = PIXELS.repeat(4, 0).repeat(4, 1)
    photo = Photo(make(large), "photo", 6000, 100)
    assert (photo.width, photo.height, photo.orientation) == (400, 240, 1)
    assert photo.reduced.pixels.shape == (60, 100, 3)
    np.testing.assert_allclose(photo.part(300, 100, 301, 101)[0, 0], (200, 100, 50), atol=8)


@pytest.mark.parametrize("make", [heic, avif])
def test_it_is_upright(make):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Photo(make(exif=exif.tobytes()), "photo", 6000, 1280)
    assert (photo.width, photo.height) == (60, 100)
    np.testing.assert_allclose(photo.reduced.pixels[80, 30], (200, 100, 50), atol=8)


@pytest.mark.parametrize("make", [heic, avif])
def test_hidden_pixels_are_white(make):
    alpha = np.full((60, 100, 1), 255, np.uint8)
    alpha[:, 50:] = 0
    photo = Photo(make(np.dstack([PIXELS, alpha])), "photo", 6000, 1280)
    assert (photo.reduced.pixels[5:55, 60:95] > 245).all()
    assert (photo.reduced.pixels[5:55, 5:40] < 20).all()


@pytest.mark.parametrize("make", [heic, avif])
def test_it_may_be_too_large_or_damaged(make):
    data = make()
    with pytest.raises(BadImage, match="100x60 pixels; the longest side may be 64"):
        Photo(data, "photo", 64, 32)
    for damaged in (data[: len(data) // 2], data[:40], data[:80] + bytes(len(data) - 80)):
        with pytest.raises(BadImage, match="truncated or damaged"):
            Photo(damaged, "photo", 6000, 1280)


def test_without_the_extra_it_says_what_it_is_and_what_reads_it(monkeypatch):
    monkeypatch.setattr(known, "find_spec", lambda _: None)
    with pytest.raises(BadImage, match=r"This is HEIC.*the extra heif"):
        Photo(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40), "photo", 6000, 1280)
