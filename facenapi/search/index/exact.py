"""Exact scans: the similarity of a probe to every vector, or to some of them.

Vectors are float32 (count, dim) of unit length, so that a dot product is the cosine similarity. Keep
everything float32: one float64 among the operands would convert the whole matrix, 20 times slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Rows = NDArray[np.signedinteger[Any]]
    Similarities = NDArray[np.float32]

GATHER_ROWS = 1024  # a copy of this many rows stays in the cache of one core


def similarities(vectors: NDArray[np.float32], probe: NDArray[np.float32]) -> Similarities:
    """Return the similarity of every vector, (count,)."""
    return vectors @ probe


def similarities_together(vectors: NDArray[np.float32], probes: Sequence[NDArray[np.float32]]) -> Similarities:
    """Return the similarity of every vector to each of several probes, (probes, count).

    Goes by blocks that stay in the cache, with the probes as columns: of the whole matrix BLAS would make a copy,
    for two probes more work than is saved.
    """
    if len(probes) == 1:
        return similarities(vectors, probes[0])[None]
    columns = np.stack(probes, axis=1)
    answer = np.empty((len(probes), len(vectors)), np.float32)
    for start in range(0, len(vectors), GATHER_ROWS):
        answer[:, start : start + GATHER_ROWS] = (vectors[start : start + GATHER_ROWS] @ columns).T
    return answer


def similarities_of(vectors: NDArray[np.float32], rows: Rows, probe: NDArray[np.float32]) -> Similarities:
    """Return the similarity of the vectors in ``rows``, in that order.

    Gathers many into one small buffer, three times cheaper than ``vectors[rows] @ probe``, which fills
    fresh memory of the size of the selection.
    """
    if len(rows) <= GATHER_ROWS:
        return vectors.take(rows, axis=0) @ probe
    answer = np.empty(len(rows), np.float32)
    buffer = np.empty((GATHER_ROWS, vectors.shape[1]), np.float32)
    for start in range(0, len(rows), GATHER_ROWS):
        some = rows[start : start + GATHER_ROWS]
        gathered = np.take(vectors, some, axis=0, out=buffer[: len(some)], mode="clip")
        np.dot(gathered, probe, out=answer[start : start + len(some)])
    return answer


def best(rows: Rows, sims: Similarities, n: int) -> tuple[Rows, Similarities]:
    """Return the ``n`` rows of highest similarity, in no certain order."""
    if len(rows) <= n:
        return rows, sims
    chosen = np.argpartition(-sims, n - 1)[:n]
    return rows[chosen], sims[chosen]


def gather_limit(dim: int) -> int:
    """Return up to how many rows an exact scan is as good as a search through a graph."""
    return 4096 * 128 // dim
