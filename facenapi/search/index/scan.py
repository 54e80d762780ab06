"""The exact scan: rough products of all rows, then the similarities of those that may be in the answer.

A similarity is the float32 dot product of two vectors as ``numpy.vecdot`` computes it, which depends on these two
alone. An answer is that of computing it for all rows, to the last bit: who is left out cannot be in it, by the bounds
of :mod:`facenapi.search.index.codes`.
"""

from __future__ import annotations

import math
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from facenapi.search.index.codes import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from facenapi.search.index.codes import Codes, Rows, Vectors
    from facenapi.search.index.stored import Stored

_NOT_WORTH_SORTING = 200  # rows that are compared while NumPy is told to sort them
_GATHERED = 4096  # rows that are copied at a time, to compute their similarities
_NOBODY = np.empty(0, np.int64), np.empty(0, np.float32)


class Best:
    """For each of some probes the best ``n`` rows at or above a threshold among those that it was shown, and all
    others that may be among them as far as ``near`` can tell: without slack only those as similar as the last one.
    Of copies of a vector, where ``near`` knows them, only the first ``n``: they have the least ids."""

    def __init__(self, near: Codes | Stored, probes: Sequence[Vectors], n: int, floor: float | None) -> None:
        self.probes, self.n, self.floor = probes, n, floor
        self._near, self._slack = near, near.slack
        # Of who is below it nobody gets in.
        self.cuts = [-math.inf if floor is None else float(np.float32(floor))] * len(probes)
        self.found: list[tuple[Rows, Vectors]] = [_NOBODY] * len(probes)  # rows and their similarities

    def show(self, shown: Sequence[tuple[int, Rows]]) -> None:
        """Compare probes, by their numbers, with some more rows each."""
        if self._near.firsts is not None:
            shown = [(number, _first_copies(rows, self._near.firsts, self.n)) for number, rows in shown]
        counts = [len(rows) for _, rows in shown]
        if sum(counts) > _GATHERED:
            for number, rows in shown:
                for start in range(0, len(rows), _GATHERED):
                    some = rows[start : start + _GATHERED]
                    self._keep(number, some, self._near.similarities(some, self.probes[number]))
        elif len(shown) == 1:
            ((number, rows),) = shown
            self._keep(number, rows, self._near.similarities(rows, self.probes[number]))
        elif shown:
            probes = np.repeat([self.probes[number] for number, _ in shown], counts, axis=0)
            sims = self._near.similarities(np.concatenate([rows for _, rows in shown]), probes)
            for (number, rows), end in zip(shown, accumulate(counts), strict=True):
                self._keep(number, rows, sims[end - len(rows) : end])

    def _keep(self, number: int, rows: Rows, sims: Vectors) -> None:
        old_rows, old_sims = self.found[number]
        if len(old_rows):
            rows, sims = np.concatenate((old_rows, rows)), np.concatenate((old_sims, sims))
        if len(rows) >= self.n:
            self.cuts[number] = max(self.cuts[number], float(np.partition(sims, -self.n)[-self.n]) - self._slack)
        good = sims >= self.cuts[number] - self._slack
        self.found[number] = rows[good], sims[good]


def _first_copies(rows: Rows, firsts: NDArray[np.int32], n: int) -> Rows:
    """Return those of some rows before which fewer than ``n`` have the same vector."""
    if len(rows) <= n:
        return rows
    of_copies = firsts[rows]
    order = np.lexsort((rows, of_copies))
    of_copies = of_copies[order]
    kept = np.ones(len(rows), np.bool_)
    kept[n:] = of_copies[n:] != of_copies[:-n]
    return np.sort(rows[order[kept]])


def scan(codes: Codes, best: Best, allowed: NDArray[np.bool_] | None = None) -> None:
    """Show a :class:`Best` all rows that may be in it. ``allowed``: (count,), None: all."""
    asked = codes.ask(best.probes)
    for start in range(0, codes.count, BLOCK):
        products = codes.products(asked, start)
        least = np.array([*map(asked.lowest, range(len(best.cuts)), best.cuts)], products.dtype)
        (places,) = (products >= least[:, None]).ravel().nonzero()
        shown, width = [], products.shape[1]
        edges = np.searchsorted(places, np.arange(1, len(least)) * width).tolist() if len(least) > 1 else []
        for number, (begin, end) in enumerate(pairwise([0, *edges, len(places)])):
            if begin == end:
                continue
            rows = places[begin:end] + (start - number * width)
            if allowed is not None:
                rows = rows[allowed[rows]]
            if len(rows) > best.n + _NOT_WORTH_SORTING:  # the best by their products first: few others are left then
                near = products[number, rows - start]
                first = near >= np.partition(near, -best.n)[-best.n]
                best.show([(number, rows[first])])
                rows = rows[~first & (near >= asked.lowest(number, best.cuts[number]))]
            if len(rows):
                shown.append((number, rows))
        best.show(shown)
