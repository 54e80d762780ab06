"""Photos as programs have them."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from facenapi.client.photos import content
from tests.support.live import ROOT


def pixels():
    """A gradient that tells the corners apart: red grows to the right, green downward."""
    down, right = np.mgrid[0:60, 0:80]
    return np.stack([right * 3, down * 4, np.full_like(down, 7)], axis=2).astype(np.uint8)


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_files_bytes_and_urls_pass_unchanged(tmp_path):
    file = tmp_path / "photo é.jpg"
    file.write_bytes(b"photo")
    assert content(file) == content(str(file)) == content(b"photo") == content(memoryview(b"photo")) == b"photo"
    assert content("https://h/a.jpg") == "https://h/a.jpg"
    with pytest.raises(FileNotFoundError):
        content(tmp_path / "none.jpg")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "1", "LA"])
def test_images_of_every_mode(mode):
    image = Image.fromarray(pixels()).convert(mode)
    found = opened(content(image))
    wanted = np.asarray(image if mode in ("RGB", "L") else Image.open(io.BytesIO(content(image))))
    assert found.shape[:2] == (60, 80)
    assert np.abs(found.astype(int) - wanted).max() <= (8 if mode in ("RGB", "L") else 0)


def test_an_image_that_lies_on_its_side_says_so_as_its_file_did():
    exif, out = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray(pixels()).save(out, "JPEG", exif=exif)
    image = Image.open(out)
    assert Image.open(io.BytesIO(content(image))).getexif()[0x0112] == 6


def test_arrays_are_rgb_or_grey():
    found = opened(content(pixels()))
    assert np.abs(found.astype(int) - pixels()).max() <= 8
    assert opened(content(pixels()[..., 0])).ndim == 2
    assert opened(content(pixels()[::2, ::-1])).shape == (30, 80, 3)  # a view, as OpenCV users give


@pytest.mark.parametrize(
    ("photo", "error"),
    [(np.zeros((4, 4, 3)), ValueError), (np.zeros((1, 4, 4, 3), np.uint8), ValueError), (None, TypeError)],
)
def test_what_is_no_photo_is_refused(photo, error):
    with pytest.raises(error):
        content(photo)


def test_neither_pillow_nor_numpy_is_loaded_unless_one_is_given():
    code = """if True:
        import sys
        from facenapi.client import AsyncClient, Client
        from facenapi.client.photos import content
        content(b"x"), content("http://h/x.jpg")
        Client(token="x").close()
        try:
            content(3)
        except TypeError:
            pass
        print({"numpy", "PIL", "tornado", "onnxruntime"} & set(sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.stdout, done.stderr) == ("set()\n", "")
