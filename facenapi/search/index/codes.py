"""Rows in eight and in sixteen bits: what is read instead of the vectors, and how far that may be from the truth.

A scan asks for *products*, numbers that order the rows roughly, of codes a quarter of the size of the vectors, and
gets for a probe from which product on a row may have a given similarity, so that whatever has it is among those. Of
some of these rows it then asks for similarities to within a ``slack`` of about .0001, by codes in sixteen bits.

**The bound of the products.** Let ``x`` be a vector, ``c`` the centre and ``s`` the scale of its segment, ``a`` its
code in eight bits, about ``(x - c) / s``, and ``r = x - c - s a`` what that leaves out. Let ``p`` be a probe,
``b = rint(p / t)`` its code with ``t = max |p_i| / 63``. Then, with nothing left out,

    p.x = p.c + s t (a.b) + (p - t b).(s a) + p.r

``a.b`` is computed exactly, in integers, and the last two terms are at most ``|p - t b| L + |p| R`` by Cauchy and
Schwarz, where ``L`` is the greatest ``|s a|`` and ``R`` the greatest ``|r|`` of the segment, both measured when it is
built. A similarity in an answer is a float32 sum, which differs from ``p.x`` by at most ``g |p| |x|`` in whatever
order it is summed, ``g = d u / (1 - d u)``, ``u = 2**-24`` (Higham, Accuracy and Stability of Numerical Algorithms,
3.1). So a row can have the similarity ``m`` only if

    a.b >= (m - p.c - |p - t b| L - |p| R - g |p| |x|) / (s t)

**The slack of the similarities.** The code in sixteen bits is ``k = rint(256 (x - c) / s) + 128``, of which ``a`` is
the upper byte. With ``e = c - s / 2`` (in each dimension) and ``q = x - e - s k / 256``,

    p.x = p.e + s/256 (p.k) + p.q

The last term is at most ``|p| Q``, ``Q`` the greatest ``|q|`` of the segment; the sums of the others, computed in
float32, are off by at most ``g |p| (|e| + s/256 |k|)``, and a similarity in an answer by ``g |p| |x|``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.search.index.products import GREATEST, Packed, shifted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Rows = NDArray[np.signedinteger[Any]]

BLOCK = 32_768  # rows whose products are looked at while they are in the cache
_CHUNK = 8192
_LONGEST = 1.01  # of a vector or probe that counts as one of unit length
_ROUNDED = 3e-6  # by how much float32 arithmetic may make a length of at most two too small, and more


def rounding(dim: int) -> float:
    """Return how far a float32 product of two vectors of about unit length is from the true one at most."""
    return dim * 2.0**-24 / (1 - dim * 2.0**-24) * _LONGEST**2


@dataclass(slots=True)
class Asked:
    """Probes as codes. A row whose product with one of them is ``y`` has at most the similarity
    ``base + unit * y + slack`` to it; each (probes,), plain numbers, for NumPy takes ten times as long with few."""

    codes: NDArray[np.uint8]
    base: list[float]
    unit: list[float]
    slack: list[float]

    def lowest(self, number: int, cut: float) -> int:
        """Return the least product with a probe of a row that has a similarity of ``cut`` to it."""
        least = (cut - self.base[number] - self.slack[number]) / self.unit[number]
        return math.ceil(min(max(least, -(2**31)), 2**31 - 1))


@dataclass(frozen=True, slots=True)
class Coding:
    """How codes were made, and how far off they are at most, with the module's names: ``centre`` c, ``scale`` s,
    ``length`` the greatest s |a|, ``error`` R, ``fine_length`` the greatest s/256 |k|, ``fine_error`` Q."""

    centre: list[float]
    scale: float
    length: float
    error: float
    fine_length: float
    fine_error: float


def encode(vectors: Vectors) -> tuple[NDArray[np.int16], Coding]:
    """Return the codes (count, dim) of unit vectors (count, dim) in sixteen bits."""
    centre = vectors[:: max(1, len(vectors) // 20_000)].mean(axis=0)
    chunks = [vectors[start : start + _CHUNK] for start in range(0, len(vectors), _CHUNK)]
    scale = np.float32(max(1e-6, *(float(np.abs(chunk - centre).max()) for chunk in chunks)) / 127)
    step = scale / np.float32(256)
    codes = np.empty(vectors.shape, np.int16)
    greatest = [0.0] * 4

    for number, chunk in enumerate(chunks):
        apart = chunk - centre
        fine = np.rint(apart / step).clip(-127 * 256, 127 * 256)
        codes[number * _CHUNK : number * _CHUNK + len(chunk)] = fine + 128
        coarse = np.floor((fine + 128) / 256) * scale
        lengths = [_greatest(some) for some in (coarse, apart - coarse, (fine + 128) * step, apart - fine * step)]
        greatest = [*map(max, greatest, lengths)]
    return codes, Coding(centre.tolist(), float(scale), *(length + _ROUNDED for length in greatest))


def _greatest(rows: Vectors) -> float:
    return math.sqrt(np.vecdot(rows, rows, dtype=np.float64).max())


class Codes:
    """The rows of a segment: in eight bits, in blocks as the kernels want them, and in sixteen."""

    def __init__(self, codes: NDArray[np.int16], coding: Coding, firsts: NDArray[np.int32] | None = None) -> None:
        """``codes``: (count, dim). ``firsts``: as of :class:`facenapi.search.index.stored.Stored`."""
        self.count, dim = codes.shape
        self.firsts = firsts
        self._coding, self._fine = coding, codes
        self._centre = np.array(coding.centre, np.float32)
        self._step = np.float32(coding.scale / 256)
        self._edge = self._centre - 128 * self._step
        sums = float(np.linalg.norm(self._edge)) + coding.fine_length + 1
        self.slack = _LONGEST * coding.fine_error + rounding(dim) * sums + 2 * _ROUNDED
        self._blocks = [Packed(codes[start : start + BLOCK]) for start in range(0, self.count, BLOCK)]

    def ask(self, probes: Sequence[Vectors]) -> Asked:
        """Prepare for probes (dim,)."""
        coding, rows = self._coding, np.array(probes)
        steps = np.maximum.reduce(np.abs(rows), axis=1, keepdims=True) / np.float32(GREATEST)
        codes = np.rint(rows / steps)
        base = (rows @ self._centre).tolist()
        rows -= steps * codes
        squares = np.vecdot(rows, rows).tolist()
        lost = rounding(rows.shape[1])
        fixed = _LONGEST * coding.error + 2 * lost + 2 * _ROUNDED
        slack = [((1 + lost) * square**0.5 + _ROUNDED) * coding.length + fixed for square in squares]
        unit = [step * coding.scale for (step,) in steps.tolist()]
        return Asked(shifted(codes), base, unit, slack)

    def products(self, asked: Asked, start: int) -> NDArray[np.int32]:
        """Return the products of each probe with up to ``BLOCK`` rows from ``start`` on, (probes, rows)."""
        return self._blocks[start // BLOCK].products(asked.codes)

    def similarities(self, rows: Rows, probes: Vectors) -> Vectors:
        """Return, to within ``slack``, the similarities (count,) of some rows to a probe, or of each to its own."""
        near: Vectors = np.vecdot(self._fine.take(rows, axis=0).astype(np.float32), probes)
        near *= self._step
        near += probes @ self._edge
        return near
