"""How well a face can be recognised: size, sharpness, light and pose, without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.detector.base import Quality
from facenapi.detector.describe.align import chip_matrix
from facenapi.detector.describe.crops import cut
from facenapi.detector.packs.pack import InputSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.detector.base import Detection
    from facenapi.photos.photo import Photo

_SIZE = 96
# Eyes, nose tip and mouth corners of dlib's mean face, scaled to the crop.
_TEMPLATE = np.array([[30.4, 29.8], [64.3, 29.8], [47.4, 49.0], [32.3, 65.9], [62.5, 65.9]])
_CROP = InputSpec(_SIZE, "dlib", _TEMPLATE)
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def assess(photo: Photo, face: Detection) -> Quality:
    """Return the quality of one face."""
    crop = cut(photo, face, _CROP).astype(np.float64) @ _LUMA
    scale = float(np.hypot(*chip_matrix(face.landmarks.astype(np.float64), _TEMPLATE, _SIZE)[:, 0]))
    pose = 0.0 if face.guessed else _pose(face.landmarks)  # where nothing was found nobody knows
    parts = (_between(scale, 0.2, 1.0), _sharpness(crop), _exposure(crop), pose)
    return Quality(*(round(part, 4) for part in parts))


def _sharpness(crop: NDArray[np.float64]) -> float:
    """Return how much of the contrast lies in the finest detail: the Laplacian's spread beside the crop's own."""
    inner = crop[1:-1, 1:-1]
    laplacian = 4 * inner - crop[:-2, 1:-1] - crop[2:, 1:-1] - crop[1:-1, :-2] - crop[1:-1, 2:]
    return _between(float(laplacian.std() / (crop.std() + 1e-6)), 0.02, 0.25)


def _exposure(crop: NDArray[np.float64]) -> float:
    """Return 1 for light with contrast; less for darkness, glare or grey in grey."""
    clipped = float(((crop < 8) | (crop > 247)).mean())
    mean = float(crop.mean())
    return min(_between(crop.std(), 6, 25), _between(mean, 15, 60), _between(255 - mean, 10, 50), 1 - clipped)


def _pose(points: NDArray[np.floating]) -> float:
    """Return 1 for a frontal face, 0 for a profile: where the nose stands between eyes and mouth corners."""
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    across, down = points[1] - points[0], mouth - eyes
    width, height = float(np.hypot(*across)), float(np.hypot(*down))
    if width < 1e-6 or height < 1e-6:
        return 0.0
    nose = points[2] - eyes
    sideways = abs(float(nose @ across) / width - float(down @ across) / width / 2) / width
    lower = abs(float(nose @ down) / height**2 - 0.53)
    narrow = width / height
    return min(1 - _between(sideways, 0.12, 0.45), 1 - _between(lower, 0.15, 0.4), _between(narrow, 0.35, 0.7))


def _between(value: float, worst: float, best: float) -> float:
    return float(np.clip((value - worst) / (best - worst), 0.0, 1.0))
