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


def warp(pixels: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Return a (size, size, 3) crop of (H, W, 3) pixels; what lies outside the photo is black."""
    depth, scale = 0, float(np.hypot(matrix[0, 0], matrix[1, 0]))
    span = (size - 1) * scale
    while span / 2 + 1 > size:
        depth, span = depth + 1, span / 2
    region, matrix = _cut(pixels, matrix, size, depth)
    if not region.size:
        return np.zeros((size, size, 3), np.uint8)
    for _ in range(depth):
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


def _cut(
    pixels: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    size: int,
    depth: int,
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the part of the photo that the crop needs, and the matrix from there."""
    last = size - 1.0
    corners = np.array([[0, 0, 1], [last, 0, 1], [0, last, 1], [last, last, 1]]) @ matrix.T
    grow = 2.0 ** (depth + 2) - 2.0
    low = np.maximum(np.floor(corners.min(axis=0) - grow), 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0) + grow) + 1, pixels.shape[1::-1]).astype(int)
    shifted = matrix.copy()
    shifted[:, 2] -= low
    return np.ascontiguousarray(pixels[low[1] : max(high[1], 0), low[0] : max(high[0], 0)]), shifted
