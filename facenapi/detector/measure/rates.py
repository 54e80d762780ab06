"""Error rates of a comparison from the distances of genuine and impostor pairs: pure functions on arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


# The scale that the original promises: false accept rate → confidence. Between its three presets the logarithm of
# the rate is interpolated, and 1e-6 continues the last step.
SCALE = (
    (1e-1, 0.5690),
    (1e-2, 0.6153),
    (1e-3, 0.6616),
    (1e-4, 0.7225),
    (3.5e-5, 0.7500),
    (1e-5, 0.7834),
    (1e-6, 0.8443),
)
# A rate is measured where at least this many impostor pairs lie below its distance; else it is extrapolated.
ENOUGH = 10
_MOST_LIMITS = 6000  # tried for the accuracy: every distance of LFW's 6,000 pairs


def rate_below(distances: NDArray[np.floating], limit: float) -> float:
    """Return the share of pairs at or below a distance: the FAR of impostors, the TAR of genuine pairs."""
    return float((distances <= limit).mean()) if len(distances) else 0.0


def distance_at(impostors: NDArray[np.floating], rate: float) -> tuple[float, int]:
    """Return the distance below which the share ``rate`` of sorted impostor pairs lies, and how many those are.

    With fewer than ENOUGH such pairs the distance is extrapolated, linearly in the logarithm of the rate, from
    the two smallest decades that have enough.
    """
    count = int(rate * len(impostors))
    if count >= ENOUGH:
        return float(impostors[count - 1]), count
    low = ENOUGH / len(impostors)
    high = min(low * 10, 0.5)
    near, far = (float(impostors[max(int(share * len(impostors)), 1) - 1]) for share in (low, high))
    slope = (far - near) / np.log10(high / low)
    return max(near + slope * float(np.log10(rate / low)), 0.0), count


def equal_error_rate(genuine: NDArray[np.floating], impostors: NDArray[np.floating]) -> float:
    """Return the rate at which false accepts and false rejects are equally frequent."""
    limits = np.sort(np.concatenate([genuine, impostors]))
    accepts = np.searchsorted(np.sort(impostors), limits, side="right") / len(impostors)
    rejects = 1 - np.searchsorted(np.sort(genuine), limits, side="right") / len(genuine)
    at = int(np.argmin(np.abs(accepts - rejects)))
    return float((accepts[at] + rejects[at]) / 2)


def accuracy(distances: NDArray[np.floating], same: NDArray[np.bool_], folds: int = 10) -> float:
    """Return LFW's accuracy: each fold judged with the limit that is best on the others."""
    limits = np.unique(distances)
    if len(limits) > _MOST_LIMITS:
        limits = np.quantile(limits, np.linspace(0, 1, _MOST_LIMITS))
    right = (distances[:, None] <= limits) == same[:, None]
    parts = np.array_split(np.arange(len(distances)), min(folds, len(distances)))
    total = right.sum(axis=0)
    scores = []
    for part in parts:
        inside = right[part].sum(axis=0)
        others = total - inside if len(parts) > 1 else total
        best = int(np.median(np.flatnonzero(others == others.max())))
        scores.append(inside[best] / len(part))
    return float(np.mean(scores))
