"""The exact scan: rough products of all rows, then the similarities of those that may be in the answer.

A similarity is the float32 dot product of two vectors as ``numpy.vecdot`` computes it, which depends on these two
alone. An answer is that of computing it for all rows, to the last bit: who is left out cannot be in it, by the bound
of :mod:`facenapi.search.index.codes`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.search.index.codes import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from facenapi.search.index.codes import Rough, Vectors

    Rows = NDArray[np.signedinteger[Any]]

_NOT_WORTH_SORTING = 200  # rows that are compared while NumPy is told to sort them
_GATHERED = 4096  # rows that are copied at a time, to compute their similarities


class Best:
    """The best ``n`` rows for a probe among those that it was shown, at or above a threshold."""

    def __init__(self, vectors: Vectors, probe: Vectors, n: int, floor: float | None) -> None:
        self._vectors, self._probe, self._n = vectors, probe, n
        self.cut = -math.inf if floor is None else float(np.float32(floor))  # of who is below it nobody gets in
        self.rows: Rows = np.empty(0, np.int64)
        self.sims = np.empty(0, np.float32)

    def show(self, rows: Rows) -> None:
        """Compare with some more rows, and keep the best; of equal ones all."""
        for start in range(0, len(rows), _GATHERED):
            some = rows[start : start + _GATHERED]
            sims = np.vecdot(self._vectors.take(some, axis=0), self._probe)
            good = sims >= self.cut
            some, sims = some[good], sims[good]
            if len(self.rows):
                some, sims = np.concatenate((self.rows, some)), np.concatenate((self.sims, sims))
            self.rows, self.sims = some, sims
            if len(self.rows) > self._n:
                self.cut = float(np.partition(self.sims, -self._n)[-self._n])
                good = self.sims >= self.cut
                self.rows, self.sims = self.rows[good], self.sims[good]
            elif len(self.rows) == self._n:
                self.cut = float(self.sims.min())


def scan(rough: Rough, bests: Sequence[Best], probes: Sequence[Vectors], n: int, allowed: NDArray[np.bool_]) -> None:
    """Show each probe's :class:`Best` all rows that may be among its best ``n``. ``allowed``: (rows,)."""
    asked = rough.ask(probes)
    for start in range(0, len(allowed), BLOCK):
        some = allowed[start : start + BLOCK]
        products = rough.products(asked, start)[:, : len(some)]  # rows that came a moment ago may have some, too
        for number, best in enumerate(bests):
            rows = ((products[number] >= asked.lowest(number, best.cut)) & some).nonzero()[0]
            if len(rows) > n + _NOT_WORTH_SORTING:  # the best by their products first: few others are left then
                near = products[number, rows]
                first = near >= np.partition(near, -n)[-n]
                best.show(start + rows[first])
                rows = rows[~first & (near >= asked.lowest(number, best.cut))]
            if len(rows):
                best.show(start + rows)
