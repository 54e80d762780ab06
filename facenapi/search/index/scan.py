"""The exact scan: rough products of all rows, then the similarities of those that may be in the answer.

A similarity is the float32 dot product of two vectors as ``numpy.vecdot`` computes it, which depends on these two
alone. An answer is that of computing it for all rows, to the last bit: who is left out cannot be in it, by the bounds
of :mod:`facenapi.search.index.codes`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from facenapi.search.index.codes import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from facenapi.search.index.codes import Rough, Rows, Vectors

_NOT_WORTH_SORTING = 200  # rows that are compared while NumPy is told to sort them
_GATHERED = 4096  # rows that are copied at a time, to compute their similarities
_NO_ROWS, _NO_SIMS = np.empty(0, np.int64), np.empty(0, np.float32)


class Near(Protocol):
    """Rows that tell similarities to within ``slack``."""

    slack: float

    def similarities(self, rows: Rows, probe: Vectors) -> Vectors:
        """Return the similarities (count,) of some rows."""


class Best:
    """The best ``n`` rows for a probe at or above a threshold among those that it was shown, and all others that may
    be among them as far as ``near`` can tell: without slack only those that are as similar as the last one."""

    def __init__(self, near: Near, probe: Vectors, n: int, floor: float | None) -> None:
        self.probe, self.n, self.floor = probe, n, floor
        self._near, self._slack = near, near.slack
        self.cut = -math.inf if floor is None else float(np.float32(floor))  # of who is below it nobody gets in
        self.rows: Rows = _NO_ROWS
        self.sims: Vectors = _NO_SIMS

    def show(self, rows: Rows) -> None:
        """Compare with some more rows."""
        n, slack = self.n, self._slack
        for start in range(0, len(rows), _GATHERED):
            some = rows[start : start + _GATHERED]
            sims = self._near.similarities(some, self.probe)
            if len(self.rows):
                some, sims = np.concatenate((self.rows, some)), np.concatenate((self.sims, sims))
            if len(sims) >= n:
                self.cut = max(self.cut, float(np.partition(sims, -n)[-n]) - slack)
            good = sims >= self.cut - slack
            self.rows, self.sims = some[good], sims[good]


def scan(rough: Rough, bests: Sequence[Best], count: int, allowed: NDArray[np.bool_] | None = None) -> None:
    """Show each :class:`Best` all rows of the first ``count`` that may be in it. ``allowed``: (count,), None: all."""
    asked = rough.ask([best.probe for best in bests])
    for start in range(0, count, BLOCK):
        products = rough.products(asked, start)[:, : count - start]  # rows that came a moment ago may have some, too
        for number, best in enumerate(bests):
            rows = (products[number] >= asked.lowest(number, best.cut)).nonzero()[0]
            if allowed is not None and len(rows):
                rows = rows[allowed[start + rows]]
            if len(rows) > best.n + _NOT_WORTH_SORTING:  # the best by their products first: few others are left then
                near = products[number, rows]
                first = near >= np.partition(near, -best.n)[-best.n]
                best.show(start + rows[first])
                rows = rows[~first & (near >= asked.lowest(number, best.cut))]
            if len(rows):
                best.show(start + rows)
