"""From five points to an upright crop: exactly the chips that dlib cuts, with Pillow and numpy.

A crop is described by the 2x3 matrix that takes its pixel centres to the photo's. When it shrinks the
photo to less than half, the photo is first halved by dlib's filter as often as that holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facenapi.geometry import similarity_transform

if TYPE_CHECKING:
    from numpy.typing import NDArray

# How far the border of a photo is repeated: beyond what any face needs, so that none takes all memory.
_BORDER = 1024


def chip_matrix(points: NDArray[np.floating], template: NDArray[np.floating], size: int) -> NDArray[np.float64]:
    """Return the matrix of dlib's face chip: template fitted to the points.

    dlib turns the fit into a rectangle of inclusive corners, which is why the scale is not simply that
    of the fit (dlib's ``get_face_chip_details`` and ``extract_image_chips``).
    """
    fit = similarity_transform(template, points)
    scale = float(np.hypot(fit[0, 0], fit[1, 0]))
    step = (size * scale - 1.0) / (size - 1.0)
    linear = fit[:, :2] * (step / scale)
    centre = fit @ np.array([size / 2, size / 2, 1.0])
    return np.column_stack([linear, centre - linear @ np.full(2, (size - 1.0) / 2)])


def crop_matrix(
    points: NDArray[np.floating], template: NDArray[np.floating], size: int, zoom: float = 1.0
) -> NDArray[np.float64]:
    """Return the matrix of a crop: points fitted to the template, which grows by ``zoom`` about the centre."""
    centre = size / 2
    fit = similarity_transform(points, (template - centre) * zoom + centre)
    inverse = np.linalg.inv(fit[:, :2])
    return np.column_stack([inverse, -inverse @ fit[:, 2]])


def warp(
    pixels: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, *, replicate: bool = False
) -> NDArray[np.uint8]:
    """Return a (size, size, 3) crop of (H, W, 3) pixels.

    What lies outside the photo is black; with ``replicate`` it is as the photo's nearest pixel, for 1,024 pixels.
    """
    region, left, top = _region(pixels, reach(matrix, size), replicate=replicate)
    if not region.size:
        return np.zeros((size, size, 3), np.uint8)
    matrix = moved(matrix, left, top)
    for _ in range(_halvings(matrix, size)):
        region = halve(region)
        matrix = matrix / 2
        matrix[:, 2] -= (1.25, 0.75)
        if min(region.shape[:2]) < 2:
            return np.zeros((size, size, 3), np.uint8)
    # Pillow counts from the pixels' corners, the matrix from their centres.
    (a, b, c), (d, e, f) = matrix.tolist()
    data = (a, b, c + 0.5 - (a + b) / 2, d, e, f + 0.5 - (d + e) / 2)
    crop = Image.fromarray(region).transform((size, size), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    return np.asarray(crop)


def reach(matrix: NDArray[np.float64], size: int) -> tuple[int, int, int, int]:
    """Return the part of the photo that :func:`warp` looks at: left, top, right, bottom, also outside of it."""
    last = size - 1.0
    corners = np.array([[0, 0, 1], [last, 0, 1], [0, last, 1], [last, last, 1]]) @ matrix.T
    grow = 2.0 ** (_halvings(matrix, size) + 2) - 2.0
    left, top = np.floor(corners.min(axis=0) - grow).astype(int).tolist()
    right, bottom = (np.ceil(corners.max(axis=0) + grow) + 1).astype(int).tolist()
    return left, top, right, bottom


def moved(matrix: NDArray[np.float64], left: float, top: float) -> NDArray[np.float64]:
    """Return the matrix for a picture that begins at this pixel of the photo."""
    shifted = matrix.copy()
    shifted[:, 2] -= (left, top)
    return shifted


def halve(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve (H, W, 3) pixels with the filter [1 4 6 4 1]/16 in both directions (dlib's pyramid_down<2>).

    Pixel i of the result is centred on pixel 2i + 2; 16-bit sums cannot overflow: 255 * 256 = 65,280.
    """
    planes = _halve_rows(pixels.transpose(2, 0, 1).astype(np.uint16))
    planes = _halve_rows(planes.transpose(0, 2, 1)).transpose(0, 2, 1)
    return np.ascontiguousarray((planes >> 8).astype(np.uint8).transpose(1, 2, 0))


def _halve_rows(planes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    count = max((planes.shape[1] - 3) // 2, 0)
    a, b, c, d, e = (planes[:, i : i + 2 * count : 2] for i in range(5))
    return a + e + 4 * (b + d) + 6 * c


def _region(
    pixels: NDArray[np.uint8], box: tuple[int, int, int, int], *, replicate: bool
) -> tuple[NDArray[np.uint8], int, int]:
    """Return the pixels within a box, if so wanted with their border repeated, and where they begin."""
    left, top, right, bottom = box
    height, width = pixels.shape[:2]
    inside = min(left, top) >= 0 and right <= width and bottom <= height
    if inside or not replicate or not pixels.size:
        left, top = max(left, 0), max(top, 0)
        return np.ascontiguousarray(pixels[top : max(bottom, 0), left : max(right, 0)]), left, top
    left, top = max(left, -_BORDER), max(top, -_BORDER)
    columns = np.arange(left, min(right, width + _BORDER)).clip(0, width - 1)
    rows = np.arange(top, min(bottom, height + _BORDER)).clip(0, height - 1)
    return pixels[rows[:, None], columns], left, top


def _halvings(matrix: NDArray[np.float64], size: int) -> int:
    """Return how often the photo is halved before the crop is cut."""
    depth, span = 0, (size - 1) * float(np.hypot(matrix[0, 0], matrix[1, 0]))
    while span / 2 + 1 > size:
        depth, span = depth + 1, span / 2
    return depth
