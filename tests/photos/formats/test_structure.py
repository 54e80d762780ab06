"""What is checked before a decoder sees a file, and what no decoder sees at all."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from facenapi.errors import BadImage
from facenapi.photos.formats import known
from facenapi.photos.formats.plain import MOST_PIXELS, Refused
from facenapi.photos.photo import Photo
from tests.support import hostile
from tests.support.photos import encode

PIXELS = np.random.default_rng(3).integers(0, 255, (64, 96, 3), np.uint8).repeat(4, 0).repeat(4, 1)
JPEG, PNG, WEBP = (encode(PIXELS, kind) for kind in ("JPEG", "PNG", "WEBP"))
EXIF = Image.Exif()
EXIF[0x0112] = 6


def open_photo(data):
    return Photo(data, "photo", 6000, 1280)


def refusal(data, max_size=6000):
    with pytest.raises(Refused) as caught:
        known.inspect(data, max_size)
    return caught.value


def animation():
    out = io.BytesIO()
    frames = [Image.new("RGB", (90, 70), color) for color in ("red", "blue", "green")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:], exif=EXIF)
    return out.getvalue()


@pytest.mark.parametrize(("rule", "data"), [
    ("jpeg-scans", hostile.jpeg_of_scans(600, 600, 3000)),
    ("jpeg-scans", hostile.jpeg_of_scans(6000, 6000, 40)),
    ("jpeg-segments", hostile.before_tables(JPEG, hostile.segment(0xE1, b"Exif\0\0") * 825_000)),
    ("jpeg-segments", hostile.before_tables(JPEG, hostile.segment(0xFE) * 10_000)),
    ("jpeg-frames", hostile.before_tables(JPEG, JPEG[JPEG.find(b"\xff\xc0") :][:19])),
    ("jpeg-damaged", hostile.before_tables(JPEG, b"\xff" * 9_000_000)),
    ("png-chunks", hostile.after_header(PNG, hostile.chunk(b"tEXt", b"") * 60_000)),
    ("png-chunks", hostile.png(PIXELS, hostile.RGB, 8, idat=1) + hostile.chunk(b"IDAT", b"") * 60_000),
    ("png-crc", PNG[:29] + b"\0\0\0\0" + PNG[33:]),
    ("png-kind", hostile.after_header(PNG, hostile.chunk(b"CgBI", b"\0"))),
    ("webp-chunks", hostile.webp(hostile.webp_chunk(b"XXXX", b"") * 10_000, WEBP[12:])),
    ("size-side", hostile.webp_of_canvas(16384, 9000, WEBP)),
    ("size-pixels", hostile.webp_of_canvas(16384, 16384, WEBP)),
    ("size-side", hostile.webp(hostile.webp_chunk(b"VP8X", bytes(10)),
                               hostile.webp_chunk(b"ANMF", bytes(6) + b"\xff\x1f\0" + bytes(7) + WEBP[12:]))),
    ("jpeg-damaged", b"\xff\xd8\xff" + bytes(1000)),
    ("unknown-format", b"GIF89a" + bytes(100)),
])  # fmt: skip
def test_what_no_picture_needs_is_refused_unseen(rule, data):
    if rule.startswith("png-chunks") and data.endswith(hostile.chunk(b"IDAT", b"")):
        data = data.replace(hostile.chunk(b"IEND", b""), b"") + hostile.chunk(b"IEND", b"")
    assert refusal(data).rule == rule


@pytest.mark.parametrize(("data", "longest"), [
    (hostile.before_tables(JPEG, hostile.segment(0xE1, b"Exif\0\0" + bytes(9000)) * 1000), len(JPEG)),
    (hostile.before_tables(JPEG, hostile.segment(0xE2, b"ICC_PROFILE\0\1\xff" + bytes(60_000)) * 100), len(JPEG)),
    (hostile.before_tables(JPEG, b"\xff" * 60_000), len(JPEG)),  # filler
    (hostile.before_tables(JPEG, b"\xff\0" * 30_000), len(JPEG)),
    (hostile.before_tables(JPEG, hostile.segment(0xED, b"Photoshop 3.0\0" + b"8BIM" * 9000) * 90), len(JPEG)),
    (JPEG + hostile.segment(0xE1, bytes(60_000)) * 20, len(JPEG)),
    (hostile.after_header(PNG, hostile.chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 24)))), len(PNG)),
    (hostile.after_header(PNG, hostile.chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 24)))), len(PNG)),
    (hostile.after_header(PNG, hostile.chunk(b"tEXt", b"x\0y", crc=1) * 9000), len(PNG)),
    (hostile.webp_of_canvas(384, 256, WEBP) + hostile.webp_chunk(b"XMP ", bytes(1 << 20)), 20 + len(WEBP)),
])  # fmt: skip
def test_metadata_is_not_even_read_and_does_not_decide(data, longest):
    plain = known.inspect(data, 6000)
    assert len(plain.data) <= longest
    assert (plain.width, plain.height) == (384, 256)
    np.testing.assert_allclose(open_photo(data).reduced.pixels.mean(), PIXELS.mean(), atol=2)


@pytest.mark.parametrize("data", [JPEG, PNG, WEBP], ids=["jpeg", "png", "webp"])
def test_a_plain_file_has_the_same_pixels(data):
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(open_photo(data).reduced.pixels, expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_orientation_survives(kind):
    assert open_photo(encode(PIXELS, kind, exif=EXIF)).orientation == 6


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_colours_of_a_jpeg_are_what_they_were(mode):
    data = encode(Image.fromarray(PIXELS).convert(mode), "JPEG")
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(open_photo(data).reduced.pixels, expected)


def test_of_an_animation_the_first_picture_is_kept():
    data = animation()
    plain = known.inspect(data, 6000)
    assert plain.data.count(b"ANMF") == 1
    photo = open_photo(data)
    assert photo.orientation == 6
    assert photo.reduced.pixels[30, 30].argmax() == 0


def test_a_known_format_of_an_unsupported_kind_is_told_from_an_unknown_one():
    at = JPEG.find(b"\xff\xc0")
    assert refusal(JPEG[: at + 4] + b"\x0c" + JPEG[at + 5 :]).reason.endswith("not supported (12 bits per sample)")
    assert "lossless" in refusal(JPEG[: at + 1] + b"\xc3" + JPEG[at + 2 :]).reason
    assert "CgBI" in refusal(hostile.after_header(PNG, hostile.chunk(b"CgBI", b"\0"))).reason
    assert refusal(b"\0\0\0\x18ftypqt  " + bytes(16)).rule == "unknown-format"


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_last_bytes_is_read_if_all_pixels_are_there(progressive):
    data = encode(PIXELS, "JPEG", quality=95, progressive=progressive)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    for end in (-1, -2):
        np.testing.assert_array_equal(open_photo(data[:end]).reduced.pixels, expected)
    for end in (-60, -len(data) // 2):
        with pytest.raises(BadImage, match="truncated"):
            open_photo(data[:end])


def test_a_png_without_its_end_is_read_if_all_pixels_are_there():
    for end in (-12, -16):  # the end; and the sum of the pixels before it
        np.testing.assert_array_equal(open_photo(PNG[:end]).reduced.pixels, PIXELS)
    with pytest.raises(BadImage, match="truncated"):
        open_photo(PNG[:-400])


@pytest.mark.parametrize(("data", "pixels"), [
    (JPEG, 384 * 256), (PNG, 384 * 256), (WEBP, 384 * 256), (encode(PIXELS, "WEBP", lossless=True), 384 * 256),
    (hostile.webp_of_canvas(6000, 5000, WEBP), 30_000_000),
    (b"hello", MOST_PIXELS), (JPEG[:20], MOST_PIXELS), (hostile.before_tables(JPEG, b"\xff" * 99), MOST_PIXELS),
])  # fmt: skip
def test_a_glance_tells_what_a_photo_may_cost(data, pixels):
    assert known.pixels_of(data) == pixels
