"""A person stays the same person in altered photos, and never becomes the other one."""

import io

import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from facenapi.geometry import Box
from tests.support import photos
from tests.support.effort import daily

FACES = {"astronaut": (165, 40, 285, 195), "grace_hopper": (150, 60, 385, 365)}
# The two are more alike than nine of ten pairs of strangers: altered, one may be the other at "low" (1 in 10).
MEDIUM = 0.6616


def upright(image):
    """A photo taken with the camera on its side."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return photos.encode(image.rotate(90, expand=True), "JPEG", quality=95, exif=exif)


def altered(name):
    """Ten alterations of a portrait, as files."""
    image = Image.open(io.BytesIO(getattr(photos, name)())).convert("RGB")
    return {
        "mirrored": photos.encode(ImageOps.mirror(image)),
        "half size": photos.encode(image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)),
        "JPEG quality 30": photos.encode(image, "JPEG", quality=30),
        "darker": photos.encode(ImageEnhance.Brightness(image).enhance(0.5)),
        "brighter": photos.encode(ImageEnhance.Brightness(image).enhance(1.5)),
        "rotated 15 degrees": photos.encode(image.rotate(15, Image.Resampling.BICUBIC)),
        "EXIF-rotated": upright(image),
        "grey": photos.encode(ImageOps.grayscale(image)),
        "blurred": photos.encode(image.filter(ImageFilter.GaussianBlur(2))),
        "cropped close": photos.encode(image.crop(FACES[name])),
    }


@pytest.mark.slow
async def test_twenty_altered_portraits(detector, make_photo):
    originals = {}
    for name in FACES:
        photo = make_photo(getattr(photos, name)())
        originals[name] = (await detector.embed(photo, await detector.detect(photo)))[0]
    recognised, mistaken = [], []
    for name, other in (("astronaut", "grace_hopper"), ("grace_hopper", "astronaut")):
        for change, data in altered(name).items():
            photo = make_photo(data)
            faces = await detector.detect(photo)
            for vector in await detector.embed(photo, faces[:1]):
                if detector.confidence(float(vector @ originals[name])) >= 0.75:
                    recognised.append((name, change))
                if detector.confidence(float(vector @ originals[other])) >= MEDIUM:
                    mistaken.append((name, change))
    assert len(recognised) == 20, recognised
    assert not mistaken


# How far each side of a drawn box lies from the face's, in parts of the face's size.
DRAWN = {
    "tight": (0.1, 0.1, -0.1, -0.1),
    "loose": (-0.3, -0.3, 0.3, 0.2),
    "shifted": (0.2, -0.15, 0.2, -0.15),
    "head": (-0.5, -0.6, 0.5, 0.5),
}


@pytest.mark.parametrize("how", daily(DRAWN))
@pytest.mark.parametrize("name", daily(FACES))
async def test_a_face_is_found_in_a_box_drawn_by_hand(detector, make_photo, name, how):
    """Where the detector was not allowed to see it, the vector is as good as that of the face it does see."""
    photo = make_photo(getattr(photos, name)())
    (face,) = await detector.detect(photo)
    sides = zip((face.box.x1, face.box.y1, face.box.x2, face.box.y2), DRAWN[how], strict=True)
    sizes = [face.box.width, face.box.height] * 2
    drawn = Box(*(side + share * size for (side, share), size in zip(sides, sizes, strict=True)))
    located = await detector.locate(photo, drawn)
    assert not located.guessed
    vectors = await detector.embed(photo, [face, located])
    assert detector.confidence(float(vectors[0] @ vectors[1])) > 0.85


@pytest.mark.slow
async def test_altered_portraits_are_those_in_a_box_drawn_by_hand(default, make_photo):
    for name, (x1, y1, x2, y2) in FACES.items():
        photo = make_photo(getattr(photos, name)())
        located = await default.locate(photo, Box(x1, y1, x2, y2))
        (enrolled,) = await default.embed(photo, [located])
        for change, data in altered(name).items():
            other = make_photo(data)
            (vector,) = await default.embed(other, (await default.detect(other))[:1])
            assert default.confidence(float(vector @ enrolled)) >= 0.75, (name, change)
