"""Rows in eight bits: what a scan reads instead of the vectors, and how far that may be from the truth.

A scan asks two kinds of rows for *products*, numbers that order the rows roughly: :class:`Codes`, a quarter of the
size of the vectors, and :class:`Floats`, the vectors themselves where they are few. Each says for a probe from which
product on a row may have a given similarity, so that whatever has it is among those.

**The bound.** Let ``x`` be a vector, ``c`` the centre and ``s`` the scale of its segment, ``a = rint((x - c) / s)``
its code and ``r = x - c - s a`` what the code leaves out. Let ``p`` be a probe, ``b = rint(p / t)`` its code with
``t = max |p_i| / 127``. Then, with nothing left out,

    p.x = p.c + s t (a.b) + (p - t b).(s a) + p.r

``a.b`` is computed exactly, in integers, and the last two terms are at most ``|p - t b| L + |p| R`` by Cauchy and
Schwarz, where ``L`` is the greatest ``|s a|`` and ``R`` the greatest ``|r|`` of the segment, both measured when it is
built. A similarity in an answer is a float32 sum, which differs from ``p.x`` by at most ``g |p| |x|`` in whatever
order it is summed, ``g = d u / (1 - d u)``, ``u = 2**-24`` (Higham, Accuracy and Stability of Numerical Algorithms,
3.1). So a row can have the similarity ``m`` only if

    a.b >= (m - p.c - |p - t b| L - |p| R - g |p| |x|) / (s t)

NumKong multiplies in eight bits where the processor has instructions for that. Elsewhere BLAS does, in float32, where
the products are the same: sums of up to 1,000 products of seven bits are exact in its 24.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

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

BLOCK = 32_768  # rows whose products are looked at while they are in the cache
_CHUNK = 8192
_LONGEST = 1.01  # of a vector or probe that counts as one of unit length
_ROUNDED = 3e-6  # by how much float32 arithmetic may make a length of at most two too small, and more
_WIDEST = 1000  # numbers whose products BLAS adds exactly


def has_fast_path() -> bool:
    """Whether NumKong multiplies in eight bits by more than plain loops here."""
    return numkong is not None and any(has for name, has in numkong.get_capabilities().items() if name != "serial")


def rounding(dim: int) -> float:
    """Return how far a float32 product of two vectors of about unit length is from the true one at most."""
    return dim * 2.0**-24 / (1 - dim * 2.0**-24) * _LONGEST**2


@dataclass(frozen=True, slots=True)
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


class Rough(Protocol):
    """Rows that tell products."""

    def ask(self, probes: Sequence[Vectors]) -> Asked:
        """Prepare for probes (dim,)."""

    def products(self, asked: Asked, start: int) -> Products:
        """Return the products of each probe with up to ``BLOCK`` rows from ``start`` on, (probes, rows)."""


class Floats:
    """The vectors themselves; their products are similarities but for the rounding."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def ask(self, probes: Sequence[Vectors]) -> Asked:
        """Prepare for probes."""
        slack = 3 * rounding(self._vectors.shape[1])  # of the product, of the similarity, of the comparison
        count = len(probes)
        return Asked(np.stack(probes, axis=1), [0.0] * count, [1.0] * count, [slack] * count)

    def products(self, asked: Asked, start: int) -> Products:
        """Return the products with some rows."""
        rows = self._vectors[start : start + BLOCK]
        return _product(rows, asked.operand)


@dataclass(frozen=True, slots=True)
class Coding:
    """How codes were made, and how far off they are at most: see the module. ``centre``: (dim,)."""

    centre: NDArray[np.float64]
    scale: float
    length: float
    error: float


def encode(vectors: Vectors) -> tuple[NDArray[np.int8], Coding]:
    """Return the codes (count, dim) of unit vectors (count, dim)."""
    centre = vectors[:: max(1, len(vectors) // 20_000)].mean(axis=0)
    chunks = [vectors[start : start + _CHUNK] for start in range(0, len(vectors), _CHUNK)]
    scale = np.float32(max(1e-6, *(float(np.abs(chunk - centre).max()) for chunk in chunks)) / 127)
    codes = np.empty(vectors.shape, np.int8)
    length = error = 0.0
    for number, chunk in enumerate(chunks):
        apart = chunk - centre
        code = np.rint(apart / scale).clip(-127, 127)
        codes[number * _CHUNK : number * _CHUNK + len(chunk)] = code
        code *= scale
        apart -= code
        length = max(length, float(np.vecdot(code, code).max()) ** 0.5)
        error = max(error, float(np.vecdot(apart, apart).max()) ** 0.5)
    return codes, Coding(centre.astype(np.float64), float(scale), length + _ROUNDED, error + _ROUNDED)


class Codes:
    """The eight-bit rows of a segment, in blocks as the kernel wants them."""

    def __init__(self, codes: NDArray[np.int8], coding: Coding) -> None:
        """``codes``: (count, dim); copied."""
        self._coding = coding
        self._centre = coding.centre.astype(np.float32)
        self._fast = has_fast_path()
        if not self._fast and codes.shape[1] > _WIDEST:
            raise ValueError(f"{codes.shape[1]} numbers are too many")
        blocks = [codes[start : start + BLOCK] for start in range(0, len(codes), BLOCK)]
        self._blocks: list[Any] = [
            numkong.dots_pack(np.ascontiguousarray(block)) if self._fast else block.astype(np.float32)
            for block in blocks
        ]

    def ask(self, probes: Sequence[Vectors]) -> Asked:
        """Prepare for probes."""
        coding, rows = self._coding, np.stack(probes)
        steps = np.abs(rows).max(axis=1) / np.float32(127)
        codes = np.rint(rows / steps[:, None]).clip(-127, 127)
        apart = rows - steps[:, None] * codes
        squares = np.vecdot(apart, apart).tolist()
        fixed = _LONGEST * coding.error + 2 * rounding(rows.shape[1]) + 2 * _ROUNDED
        slack = [(square**0.5 + _ROUNDED) * coding.length + fixed for square in squares]
        base = (rows @ self._centre).tolist()
        unit = [step * coding.scale for step in steps.tolist()]
        return Asked(codes.astype(np.int8 if self._fast else np.float32), base, unit, slack, self._fast)

    def products(self, asked: Asked, start: int) -> Products:
        """Return the products with some rows."""
        block = self._blocks[start // BLOCK]
        if self._fast:
            return np.asarray(numkong.dots_packed(asked.operand, block))
        return _product(block, asked.operand.T)


def _product(rows: Vectors, columns: Vectors) -> Products:
    """Return the products (columns, rows); BLAS is quicker with a vector than with a matrix of one column."""
    products: Products = rows @ (columns[:, 0] if columns.shape[1] == 1 else columns)
    return products.reshape(len(rows), -1).T
