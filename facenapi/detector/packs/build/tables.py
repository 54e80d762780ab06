"""From distance to confidence: the tables of the embedders, all measured on view 2 of LFW (7,701 photos).

Distances are of unit vectors (d² = 2 - 2 cos); low, medium and strict stand at false accept rates of 1e-1, 1e-3 and
1e-5. The point of 1e-6 cannot be measured there: it continues the decade before.
"""

from __future__ import annotations

from typing import Any

Table = list[list[float]]
Rates = list[dict[str, float]]

# face-api's copy of dlib's network, mirrored pair averaged.
DLIB: Table = [
    [0.0, 1.0],
    [0.2722, 0.8443],
    [0.3035, 0.7834],
    [0.3207, 0.75],
    [0.3369, 0.7225],
    [0.3760, 0.6616],
    [0.4212, 0.6153],
    [0.4836, 0.5690],
    [0.566, 0.40],
    [0.741, 0.05],
    [1.0, 0.0],
]
DLIB_RATES: Rates = [
    {"confidence": 0.5690, "distance": 0.4836, "far": 1e-1, "tar": 0.999},
    {"confidence": 0.6153, "distance": 0.4212, "far": 1e-2, "tar": 0.992},
    {"confidence": 0.6616, "distance": 0.3760, "far": 1e-3, "tar": 0.939},
    {"confidence": 0.7225, "distance": 0.3369, "far": 1e-4, "tar": 0.810},
    {"confidence": 0.7500, "distance": 0.3207, "far": 3.5e-5, "tar": 0.710},
    {"confidence": 0.7834, "distance": 0.3035, "far": 1e-5, "tar": 0.596},
    {"confidence": 0.8443, "distance": 0.2722, "far": 1e-6, "tar": 0.351},
]
DLIB_FP32_RATES: Rates = [
    {"confidence": 0.6153, "distance": 0.4212, "far": 1e-2, "tar": 0.991},
    {"confidence": 0.6616, "distance": 0.3760, "far": 1e-3, "tar": 0.938},
    {"confidence": 0.7225, "distance": 0.3369, "far": 1e-4, "tar": 0.801},
    {"confidence": 0.7834, "distance": 0.3035, "far": 1e-5, "tar": 0.579},
]

MOBILEFACENET: Table = [
    [0.0, 1.0],
    [0.829, 0.8443],
    [0.8979, 0.7834],
    [0.9347, 0.75],
    [0.9668, 0.7225],
    [1.0473, 0.6616],
    [1.142, 0.6153],
    [1.2662, 0.569],
    [1.4069, 0.4],
    [1.5998, 0.05],
    [2.08, 0.0],
]
MOBILEFACENET_1VIEW: Table = [
    [0.0, 1.0],
    [0.828, 0.8443],
    [0.8984, 0.7834],
    [0.9355, 0.75],
    [0.9688, 0.7225],
    [1.0485, 0.6616],
    [1.1428, 0.6153],
    [1.2666, 0.569],
    [1.4071, 0.4],
    [1.5997, 0.05],
    [2.08, 0.0],
]
MOBILEFACENET_TARS = (0.9985, 0.9935, 0.9844, 0.9564, 0.9368, 0.9089)

# dlib's cosine counted twice, MobileFaceNet's once.
JOINED: Table = [
    [0.0, 1.0],
    [0.5506, 0.8443],
    [0.5966, 0.7834],
    [0.6213, 0.75],
    [0.6426, 0.7225],
    [0.6946, 0.6616],
    [0.7568, 0.6153],
    [0.8397, 0.569],
    [0.9345, 0.4],
    [1.0636, 0.05],
    [1.3827, 0.0],
]
JOINED_TARS = (None, 0.995, 0.987, 0.965, 0.946, 0.915)

_FARS = (1e-1, 1e-2, 1e-3, 1e-4, 3.5e-5, 1e-5)


def rates_of(table: Table, tars: tuple[float | None, ...]) -> list[dict[str, Any]]:
    """Return ``rates`` of ``pack.json``, from a table's points and the true accept rates measured, weakest first."""
    points = [point for point in reversed(table) if 0.569 <= point[1] <= 0.7834]
    return [
        {"confidence": confidence, "distance": distance, "far": far, "tar": tar}
        for (distance, confidence), far, tar in zip(points, _FARS, tars, strict=True)
        if tar is not None
    ]
