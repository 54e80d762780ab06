"""The vectors of a segment: in a file of which the few rows are read that an answer is made of.

A mapped file would be quicker by a few microseconds, but whoever cuts it off ends the process, and a copy that nobody
can cut off takes a start half a minute for a million faces. So rows are read from a file that is opened once, and
each is known by its CRC-32: whatever happens to the file is an error and never an answer.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from facenapi.search.index.codes import Rows, Vectors

_BLOCK = 8192
_FEW = 32  # rows for which looking for neighbours would take longer than reading them one by one


class DamagedError(Exception):
    """A file is missing, damaged, or not what it should be; the message says which and why."""


class Stored:
    """Vectors (count, dim) in a file, float32, row after row. ``sums``: the CRC-32 of each row, uint32 (count,).

    ``firsts``: of each row the first one that has the same vector, int32 (count,); None where all differ.
    """

    slack = 0.0

    def __init__(
        self, path: Path, sums: NDArray[np.uint32], dim: int, firsts: NDArray[np.int32] | None = None
    ) -> None:
        """Open the file, which may be renamed or removed from now on; raise DamagedError if it is too short."""
        self.path, self.sums, self.dim, self.firsts = path, sums, dim, firsts
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DamagedError(f"{path}: {error.strerror}") from error
        weakref.finalize(self, os.close, self.fd)
        if os.fstat(self.fd).st_size != 4 * dim * len(sums):
            raise DamagedError(f"{path}: wrong size")

    def read(self, rows: Rows) -> Vectors:
        """Return some rows; raise DamagedError unless they are as they were written."""
        size = 4 * self.dim
        try:
            if len(rows) <= _FEW:
                pieces = [os.pread(self.fd, size, size * row) for row in rows.tolist()]
                data, sums = b"".join(pieces), [*map(crc32, pieces)]
            else:
                data = b"".join([os.pread(self.fd, size * count, size * row) for row, count in _spans(rows)])
                sums = sums_of(data, size)
        except OSError as error:
            raise DamagedError(f"{self.path}: {error.strerror}") from error
        if sums != self.sums.take(rows).tolist():
            raise DamagedError(f"{self.path}: a vector has the wrong checksum")
        return np.frombuffer(data, np.float32).reshape(-1, self.dim)

    def similarities(self, rows: Rows, probes: Vectors) -> Vectors:
        """Return the similarities of some rows, as they are in answers; raise DamagedError as :meth:`read`."""
        sims: Vectors = np.vecdot(self.read(rows), probes)
        return sims


def _spans(rows: Rows) -> list[tuple[int, int]]:
    """Return where neighbours begin that are read together, and how many they are."""
    begins = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
    return [*zip(rows[begins].tolist(), np.diff(begins, append=len(rows)).tolist(), strict=True)]


def sums_of(data: bytes | memoryview, size: int) -> list[int]:
    """Return the CRC-32 of each ``size`` bytes."""
    view = memoryview(data)
    return [crc32(view[start : start + size]) for start in range(0, len(view), size)]


def firsts_of(vectors: Vectors, sums: NDArray[np.uint32]) -> NDArray[np.int32] | None:
    """Return of each row the first one with the same vector, itself unless it is a copy; None if none is.

    ``sums``: checksums of the vectors, which tell where to look.
    """
    _, begins, which = np.unique(sums, return_index=True, return_inverse=True)
    firsts = begins[which].astype(np.int32)
    copies = np.flatnonzero(firsts != np.arange(len(firsts)))
    for start in range(0, len(copies), _BLOCK):
        some = copies[start : start + _BLOCK]
        other = some[(vectors[some] != vectors[firsts[some]]).any(axis=1)]  # that has the same sum by chance
        firsts[other] = other
    return firsts if (firsts[copies] != copies).any() else None
