"""What lies where among vectors: unit lengths, the centres of groups, how far their members are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors (count, dim) of unit length; those of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    shorter: NDArray[np.float32] = vectors / np.maximum(lengths, np.float32(1e-6))
    return shorter


def centred(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return unit vectors (count, dim) without what all of them have in common.

    Some networks give all faces a large common part. The mean of a person's photos has less noise beside it than each
    photo, so the means of two people are more alike than photos of strangers ever are, and would be joined.
    """
    return unit(vectors - vectors.mean(axis=0))


def centres_of(vectors: NDArray[np.float32], first: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean of the members of each group (groups, dim); its length tells how much alike they are."""
    centres: NDArray[np.float32] = np.add.reduceat(vectors, first[:-1])
    centres /= np.diff(first)[:, None]
    return centres


def spreads(centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distance (root of the mean square) of each group's members from its centre, (groups,)."""
    spread: NDArray[np.float32] = np.sqrt(np.maximum(1 - np.einsum("gd,gd->g", centres, centres), np.float32(1e-6)))
    return spread
