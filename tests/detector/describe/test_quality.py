import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from tests.support import photos


@pytest.fixture(scope="module")
def portrait():
    return Image.open(io.BytesIO(photos.grace_hopper())).convert("RGB")


async def quality_of(detector, make_photo, image, scale=1.0):
    """The quality with the points of the unaltered portrait."""
    (face,) = await detector.detect(make_photo(photos.grace_hopper()))
    face = replace(face, landmarks=face.landmarks * np.float32(scale))
    return (await detector.quality(make_photo(photos.encode(image)), [face]))[0]


async def test_a_good_portrait_is_good(detector, make_photo, portrait):
    assert (await quality_of(detector, make_photo, portrait)).score > 0.6


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("sharpness", lambda image: image.filter(ImageFilter.GaussianBlur(8))),
        ("exposure", lambda image: ImageEnhance.Brightness(image).enhance(0.08)),
        ("exposure", lambda image: ImageEnhance.Brightness(image).enhance(6)),
        ("exposure", lambda image: ImageEnhance.Contrast(image).enhance(0.05)),
    ],
)
async def test_each_fault_shows_in_its_part(detector, make_photo, portrait, part, change):
    quality = await quality_of(detector, make_photo, change(portrait))
    assert getattr(quality, part) < 0.4
    assert quality.score <= getattr(quality, part)


@pytest.mark.slow
async def test_more_blur_is_less_sharp(detector, make_photo, portrait):
    blurred = [portrait.filter(ImageFilter.GaussianBlur(radius)) for radius in (1, 3, 5, 9)]
    sharpness = [(await quality_of(detector, make_photo, image)).sharpness for image in blurred]
    assert sharpness == sorted(sharpness, reverse=True)


async def test_small_faces(detector, make_photo, portrait):
    tiny = portrait.resize((portrait.width // 8, portrait.height // 8))
    assert (await quality_of(detector, make_photo, tiny, 1 / 8)).size < 0.3


async def test_profile_and_coinciding_points(detector, make_photo):
    photo = make_photo(photos.grace_hopper())
    (face,) = await detector.detect(photo)
    profile = face.landmarks.copy()
    profile[2, 0] = profile[1, 0] + 20  # the nose beyond an eye
    turned, flat = (replace(face, landmarks=points) for points in (profile, profile * 0 + 100 + np.eye(5, 2)))
    first, second = await detector.quality(photo, [turned, flat])
    assert first.pose < 0.2
    assert 0 <= second.score <= 1
