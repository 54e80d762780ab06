"""The parts of a collection: what a buffer, which grows, and a segment, which does not, have in common; the buffer.

They keep, per row: a face id, the revision of its last change, whether it is alive, and tags as bitmaps
of rows. One thread writes; any number of threads search without a lock. What makes that safe: a row is
filled before ``count`` admits it, a life is one byte, and a bitmap changes under the interpreter lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from pyroaring import BitMap

from facenapi.search.index.codes import rounding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Probes = Sequence[NDArray[np.float32]]  # unit vectors (dim,)
    Found = tuple[NDArray[np.int64], NDArray[np.float32]]


class Part(ABC):
    """Rows of vectors of length ``dim`` with what belongs to them; ``count`` of them exist, ``dead`` are deleted."""

    def __init__(
        self, dim: int, ids: NDArray[np.int64], revs: NDArray[np.int64], alive: NDArray[np.bool_], count: int
    ) -> None:
        """``alive``: all of the first ``count`` are."""
        self.dim, self.ids, self.revs, self.alive = dim, ids, revs, alive
        self.count = count
        self.dead = 0
        self.tags: dict[str, BitMap] = {}

    @property
    def live(self) -> int:
        """How many rows are alive."""
        return self.count - self.dead

    @abstractmethod
    def find(self, face_id: int) -> int | None:
        """Return the row of a face that is alive here."""

    @abstractmethod
    def has(self, row: int, vector: NDArray[np.float32]) -> bool:
        """Whether the vector of a row is this one, to the bit."""

    # -- reading --------------------------------------------------------------------------------
    @abstractmethod
    def search(self, probes: Probes, n: int, floor: float | None, tag: str | None) -> list[Found]:
        """Return, for each probe, ids and similarities of its best ``n`` at or above ``floor`` with the tag."""

    def answer(self, rows: NDArray[np.signedinteger[Any]], sims: NDArray[np.float32], n: int) -> Found:
        """Return ids and similarities of the best ``n`` of some rows; of those that are as similar the least ids."""
        ids = self.ids[rows]
        if len(ids) > n:
            order = np.lexsort((ids, -sims))[:n]
            ids, sims = ids[order], sims[order]
        return ids, sims

    def tagged(self, tag: str, count: int) -> NDArray[np.int64]:
        """Return the rows with a tag that are alive, of the first ``count``."""
        rows = np.frombuffer(self.tags.get(tag, BitMap()).to_array(), np.uint32).astype(np.int64)
        rows = rows[: np.searchsorted(rows, count)]
        return rows[self.alive[rows]]

    # -- writing --------------------------------------------------------------------------------
    def kill(self, row: int) -> None:
        """Take a row out of every answer."""
        self.alive[row] = False
        self.dead += 1
        for tag in self.tags_of(row):
            self._untag(row, tag)

    def tags_of(self, row: int) -> frozenset[str]:
        """Return the tags of a row."""
        return frozenset(tag for tag, rows in self.tags.items() if row in rows)

    def retag(self, row: int, tags: Iterable[str], rev: int) -> None:
        """Give a row these tags and no others."""
        old, new = self.tags_of(row), frozenset(tags)
        for tag in new - old:
            self.tags.setdefault(tag, BitMap()).add(row)
        for tag in old - new:
            self._untag(row, tag)
        self.revs[row] = rev

    def _untag(self, row: int, tag: str) -> None:
        rows = self.tags[tag]
        rows.discard(row)
        if not rows:
            del self.tags[tag]


class Buffer(Part):
    """The newest vectors, in memory that was set aside at once."""

    def __init__(self, capacity: int, dim: int) -> None:
        super().__init__(
            dim, np.zeros(capacity, np.int64), np.zeros(capacity, np.int64), np.zeros(capacity, np.bool_), 0
        )
        self.vectors = np.empty((capacity, dim), np.float32)
        self._rows: dict[int, int] = {}

    @property
    def full(self) -> bool:
        """Whether there is no room for another row."""
        return self.count == len(self.vectors)

    def find(self, face_id: int) -> int | None:
        """Return the row of a face that is alive here."""
        return self._rows.get(face_id)

    def search(self, probes: Probes, n: int, floor: float | None, tag: str | None) -> list[Found]:
        """Return, for each probe, ids and similarities of its best ``n`` at or above ``floor`` with the tag."""
        count, found = self.count, []
        vectors, allowed = self.vectors[:count], self.alive[:count]
        if tag is not None:
            allowed = np.zeros(count, np.bool_)
            allowed[self.tagged(tag, count)] = True
        least = np.float32(-np.inf if floor is None else floor)
        # All by BLAS, which may round another way than answers do, then those that may be in the answer: each of two
        # that are compared is off by what BLAS and the answer round, and the comparison rounds, too.
        slack = np.float32(5 * rounding(self.dim))
        for probe, near in zip(probes, np.ascontiguousarray((vectors @ np.array(probes).T).T), strict=True):
            rows = np.flatnonzero((near >= least - slack) & allowed)
            if not len(rows):  # as a rule, where there is a threshold
                found.append((self.ids[:0], near[:0]))
                continue
            if len(rows) > n:
                near = near[rows]  # noqa: PLW2901
                rows = rows[near >= np.partition(near, -n)[-n] - slack]
            sims = np.vecdot(vectors[rows], probe)
            good = sims >= least
            found.append(self.answer(rows[good], sims[good], n))
        return found

    def has(self, row: int, vector: NDArray[np.float32]) -> bool:
        """Whether the vector of a row is this one, to the bit."""
        return np.array_equal(self.vectors[row], vector)

    def append(self, face_id: int, rev: int, tags: Iterable[str], vector: NDArray[np.float32]) -> None:
        """Add a row; it is in every search that starts from now on."""
        row = self.count
        self.vectors[row] = vector
        self.ids[row] = face_id
        self.alive[row] = True
        self.revs[row] = rev
        for tag in tags:
            self.tags.setdefault(tag, BitMap()).add(row)
        self._rows[face_id] = row
        self.count = row + 1

    def kill(self, row: int) -> None:
        """Take a row out of every answer."""
        super().kill(row)
        face_id = int(self.ids[row])
        if self._rows.get(face_id) == row:  # else a newer row of the face has come already
            del self._rows[face_id]
