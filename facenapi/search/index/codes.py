"""Rows in eight and in sixteen bits: what is read instead of the vectors, and how far that may be from the truth.

A scan asks two kinds of rows for *products*, numbers that order the rows roughly: :class:`Codes`, a quarter of the
size of the vectors, and :class:`Floats`, the vectors themselves where they are few. Each says for a probe from which
product on a row may have a given similarity, so that whatever has it is among those. Of some of these rows each tells
similarities to within a ``slack``: codes in sixteen bits to within about .0001, vectors exactly.

**The bound of the products.** Let ``x`` be a vector, ``c`` the centre and ``s`` the scale of its segment, ``a`` its
code in eight bits, about ``(x - c) / s``, and ``r = x - c - s a`` what that leaves out. Let ``p`` be a probe,
``b = rint(p / t)`` its code with ``t = max |p_i| / 127``. Then, with nothing left out,

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

NumKong multiplies in eight bits where the processor has instructions for that. Elsewhere BLAS does, in float32, where
the products are the same: sums of up to 1,040 products of seven bits are exact in its 24. Longer ones are off by at
most ``g |a| |b|``, and ``s t |a| |b|`` is at most ``L (|p| + |p - t b|)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    import numkong
except ImportError:  # no wheel for this machine
    numkong = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Products = NDArray[Any]  # int32 or float32, (probes, rows)
    Rows = NDArray[np.signedinteger[Any]]

BLOCK = 32_768  # rows whose products are looked at while they are in the cache
_CHUNK = 8192
_LONGEST = 1.01  # of a vector or probe that counts as one of unit length
_ROUNDED = 3e-6  # by how much float32 arithmetic may make a length of at most two too small, and more
_WIDEST = 2**24 // 127**2  # numbers whose products BLAS adds exactly


def has_fast_path() -> bool:
    """Whether NumKong multiplies in eight bits by more than plain loops here."""
    return numkong is not None and any(has for name, has in numkong.get_capabilities().items() if name != "serial")


def rounding(dim: int) -> float:
    """Return how far a float32 product of two vectors of about unit length is from the true one at most."""
    return dim * 2.0**-24 / (1 - dim * 2.0**-24) * _LONGEST**2


@dataclass(slots=True)
class Asked:
    """Probes as a kind of rows wants them. A row whose product with one of them is ``y`` has at most the similarity
    ``base + unit * y + slack`` to it; each (probes,), plain numbers, for NumPy takes ten times as long with few."""

    operand: Any
    base: list[float]
    unit: list[float]
    slack: list[float]
    whole: bool = False  # products are int32, and so are their bounds: mixed types take three times as long

    def lowest(self, number: int, cut: float) -> float:
        """Return the least product with a probe of a row that has a similarity of ``cut`` to it."""
        least = (cut - self.base[number] - self.slack[number]) / self.unit[number]
        return math.ceil(min(max(least, -(2**31)), 2**31 - 1)) if self.whole else least


class Floats:
    """The vectors themselves; their products are similarities but for the rounding."""

    slack = 0.0
    firsts = None  # it is not known which are copies

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def ask(self, probes: Sequence[Vectors]) -> Asked:
        """Prepare for probes (dim,)."""
        slack = 3 * rounding(self._vectors.shape[1])  # of the product, of the similarity, of the comparison
        count = len(probes)
        return Asked(np.array(probes), [0.0] * count, [1.0] * count, [slack] * count)

    def products(self, asked: Asked, start: int) -> Products:
        """Return the products of each probe with up to ``BLOCK`` rows from ``start`` on, (probes, rows)."""
        return _products(asked.operand, self._vectors[start : start + BLOCK])

    def similarities(self, rows: Rows, probes: Vectors) -> Vectors:
        """Return the similarities (count,) of some rows to a probe, or of each to its own, as they are in answers."""
        sims: Vectors = np.vecdot(self._vectors.take(rows, axis=0), probes)
        return sims


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
    """The rows of a segment: in eight bits, in blocks as the kernel wants them, and in sixteen."""

    def __init__(self, codes: NDArray[np.int16], coding: Coding, firsts: NDArray[np.int32] | None = None) -> None:
        """``codes``: (count, dim)."""
        dim = codes.shape[1]
        self.firsts = firsts
        self._coding, self._fine = coding, codes
        self._centre = np.array(coding.centre, np.float32)
        self._step = np.float32(coding.scale / 256)
        self._edge = self._centre - 128 * self._step
        sums = float(np.linalg.norm(self._edge)) + coding.fine_length + 1
        self.slack = _LONGEST * coding.fine_error + rounding(dim) * sums + 2 * _ROUNDED
        self._fast = has_fast_path()
        self._inexact = 0.0 if self._fast or dim <= _WIDEST else rounding(dim)
        self._blocks = [self._packed(codes[start : start + BLOCK]) for start in range(0, len(codes), BLOCK)]

    def _packed(self, block: NDArray[np.int16]) -> Any:
        upper = np.empty(block.shape, np.int8 if self._fast else np.float32)
        np.right_shift(block, 8, out=upper, casting="unsafe")
        return numkong.dots_pack(upper) if self._fast else upper

    def ask(self, probes: Sequence[Vectors]) -> Asked:
        """Prepare for probes (dim,)."""
        coding, rows = self._coding, np.array(probes)
        steps = np.maximum.reduce(np.abs(rows), axis=1, keepdims=True) / np.float32(127)
        codes = np.rint(rows / steps)
        base = (rows @ self._centre).tolist()
        rows -= steps * codes
        squares = np.vecdot(rows, rows, dtype=np.float64).tolist()
        fixed = _LONGEST * coding.error + 2 * rounding(rows.shape[1]) + 2 * _ROUNDED
        more = self._inexact
        lefts = [(1 + more) * square**0.5 + more * _LONGEST + _ROUNDED for square in squares]
        slack = [left * coding.length + fixed for left in lefts]
        unit = [step * coding.scale for (step,) in steps.tolist()]
        return Asked(codes.astype(np.int8 if self._fast else np.float32), base, unit, slack, self._fast)

    def products(self, asked: Asked, start: int) -> Products:
        """Return the products of each probe with up to ``BLOCK`` rows from ``start`` on, (probes, rows)."""
        block = self._blocks[start // BLOCK]
        if self._fast:
            return np.asarray(numkong.dots_packed(asked.operand, block))
        return _products(asked.operand, block)

    def similarities(self, rows: Rows, probes: Vectors) -> Vectors:
        """Return, to within ``slack``, the similarities (count,) of some rows to a probe, or of each to its own."""
        near: Vectors = np.vecdot(self._fine.take(rows, axis=0).astype(np.float32), probes)
        near *= self._step
        near += probes @ self._edge
        return near


Rough = Codes | Floats


def _products(probes: Vectors, rows: Vectors) -> Products:
    """Return the products (probes, rows); BLAS is quicker with a vector than with a matrix of one row."""
    return (rows @ probes[0])[None] if len(probes) == 1 else probes @ rows.T
