"""Public-domain portraits that installed packages carry, and pictures made of them."""

from __future__ import annotations

import io
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data


def encode(pixels, kind: str = "PNG", **options) -> bytes:
    """Return an array or a Pillow image as a file's bytes."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@cache
def astronaut() -> bytes:
    """NASA's portrait of Eileen Collins, 512x512 PNG: one face."""
    return encode(data.astronaut())


@cache
def grace_hopper() -> bytes:
    """The Navy's portrait of Grace Hopper, 512x600 JPEG: one face."""
    package = find_spec("matplotlib")  # which takes long to import
    assert package is not None
    assert package.origin is not None
    return (Path(package.origin).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg").read_bytes()


@cache
def two_faces() -> bytes:
    """Both portraits side by side: two faces, Grace Hopper's the larger."""
    left = np.asarray(Image.open(io.BytesIO(astronaut())).convert("RGB"))
    right = np.asarray(Image.open(io.BytesIO(grace_hopper())).convert("RGB"))
    height = max(left.shape[0], right.shape[0])
    canvas = np.full((height, left.shape[1] + right.shape[1], 3), 127, np.uint8)
    canvas[: left.shape[0], : left.shape[1]] = left
    canvas[: right.shape[0], left.shape[1] :] = right
    return encode(canvas)


@cache
def no_face() -> bytes:
    """A picture of a cup of coffee."""
    return encode(data.coffee())


@cache
def large(*size: int) -> bytes:
    """The same picture at any size, as a JPEG: the portraits with other photos around them."""
    pieces = [
        (data.astronaut(), 700, 0, 0),
        (_grace_hopper_pixels(), 700, 700, 0),
        (data.coffee(), 300, 1300, 0),
        (data.rocket(), 700, 0, 820),
        (data.chelsea(), 500, 700, 820),
        (data.coffee(), 500, 1132, 820),
    ]
    return _collage(pieces, size)


@cache
def large_with_small_faces(*size: int) -> bytes:
    """As ``large``, with faces of a fortieth of the width."""
    return _collage([(data.coffee(), 1836, 0, 0), (data.astronaut(), 250, 300, 400),
                     (_grace_hopper_pixels(), 130, 1100, 500)], size)  # fmt: skip


def _collage(pieces, size) -> bytes:
    canvas = Image.new("RGB", (1632, 1224))
    for pixels, across, x, y in pieces:
        height = round(across * pixels.shape[0] / pixels.shape[1])
        canvas.paste(Image.fromarray(pixels).resize((across, height), Image.Resampling.LANCZOS), (x, y))
    return encode(canvas.resize(size, Image.Resampling.BICUBIC), "JPEG", quality=90)


def _grace_hopper_pixels():
    return np.asarray(Image.open(io.BytesIO(grace_hopper())).convert("RGB"))
