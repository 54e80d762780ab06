"""Vectors of one person in one group: what makes a graph over faces small and quick.

A graph search for a noisy photo walks among other noisy photos. The mean of a person's photos is less
noisy than each of them: the probe is much closer to it, and there are fewer means than photos. So the
graph holds the means of groups of similar vectors, and a search looks at all members of the nearest
groups exactly. Groups need not be right, only tight: a person may be in several, and a vector alone
is a group of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_ROUNDS = 24
STALL = 0.995  # when a round leaves more than this share of the groups, the next ones would find little
MOST_MEMBERS = 32
FIT = 0.25  # how far from ``join`` towards 1 the similarity of a member to its group's mean has to be
_CELL = 512  # vectors that are compared with each other, on average
_CELL_MOST = 2048
_BLOCK = 16_384


def group(vectors: NDArray[np.float32], join: float, seed: int = 0) -> NDArray[np.int64]:
    """Return the group of each vector (count,), numbered without gaps.

    Groups whose means have a similarity of ``join`` or more are joined, the closest first. Each round
    compares only those that are nearest to the same of some random pivots, and the next round draws
    others, until that finds little. Then who fits badly leaves: a face that was joined early to a stranger
    who found his own.
    """
    random = np.random.default_rng(seed)
    label, means, sizes = np.arange(len(vectors)), vectors, np.ones(len(vectors), np.int64)
    for _ in range(MOST_ROUNDS):
        before = len(means)
        joined = np.arange(before)
        for cell in _cells(means, random):
            _join_within(cell, means, sizes, joined, join)
        while not np.array_equal(joined, further := joined[joined]):
            joined = further
        label, means, sizes = _means(vectors, joined[label])
        misfits = np.flatnonzero(np.einsum("vd,vd->v", vectors, means[label]) < join + FIT * (1 - join))
        label[misfits] = len(means) + np.arange(len(misfits))
        label, means, sizes = _means(vectors, label)
        if len(means) > STALL * before:
            break
    return label


def _means(
    vectors: NDArray[np.float32], label: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """Return the labels numbered without gaps, the unit mean of each group, and its size."""
    _, label, sizes = np.unique(label, return_inverse=True, return_counts=True)
    order = np.argsort(label, kind="stable")
    sums = np.add.reduceat(vectors[order], np.cumsum(sizes) - sizes, axis=0)
    return label, sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), np.float32(1e-6)), sizes


def _cells(means: NDArray[np.float32], random: np.random.Generator) -> list[NDArray[np.int64]]:
    """Part the means by the nearest of random pivots."""
    pivots = means[random.choice(len(means), max(1, len(means) // _CELL), replace=False)]
    nearest = np.empty(len(means), np.int64)
    for start in range(0, len(means), _BLOCK):
        nearest[start : start + _BLOCK] = np.argmax(means[start : start + _BLOCK] @ pivots.T, axis=1)
    order = np.argsort(nearest, kind="stable")
    cells = np.split(order, np.searchsorted(nearest[order], np.arange(1, len(pivots))))
    return [cell[start : start + _CELL_MOST] for cell in cells for start in range(0, len(cell), _CELL_MOST)]


def _join_within(
    cell: NDArray[np.int64],
    means: NDArray[np.float32],
    sizes: NDArray[np.int64],
    joined: NDArray[np.int64],
    join: float,
) -> None:
    """Join each mean of a cell to its nearest one if they are close; note it in ``joined`` and ``sizes``."""
    sims = means[cell] @ means[cell].T
    np.fill_diagonal(sims, -2)
    nearest = np.argmax(sims, axis=1)
    closeness = sims[np.arange(len(cell)), nearest]
    close = np.flatnonzero(closeness >= join)
    for place in close[np.argsort(-closeness[close], kind="stable")].tolist():
        own, other = int(cell[place]), int(cell[nearest[place]])
        while joined[other] != other:
            other = int(joined[other])
        if joined[own] == own and own != other and sizes[own] + sizes[other] <= MOST_MEMBERS:
            joined[own] = other
            sizes[other] += sizes[own]
