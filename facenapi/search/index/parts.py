"""The parts of a collection: what a buffer, which grows, and a segment, which does not, have in common; the buffer.

They keep, per row: a face id, the revision of its last change, whether it is alive, and tags as bitmaps
of rows. One thread writes; any number of threads search without a lock. What makes that safe: a row is
filled before ``count`` admits it, a life is one byte, and a bitmap changes under the interpreter lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from pyroaring import BitMap

from facenapi.search.index.codes import Floats
from facenapi.search.index.scan import Best, scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from facenapi.search.index.codes import Rough, Rows, Vectors

    Probes = Sequence[NDArray[np.float32]]  # unit vectors (dim,)
    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

FEW = 1 / 16  # of all rows: so many are compared one by one in the time in which a scan goes through all


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
    def rough(self) -> Rough:
        """Return what a scan reads."""

    @abstractmethod
    def has(self, row: int, vector: NDArray[np.float32]) -> bool:
        """Whether the vector of a row is this one, to the bit."""

    # -- reading --------------------------------------------------------------------------------
    def search(self, probes: Probes, n: int, floor: float | None, tag: str | None) -> list[Found]:
        """Return, for each probe, ids and similarities of its best ``n`` at or above ``floor`` with the tag."""
        count, rough = self.count, self.rough()
        best = Best(rough, probes, n, floor)
        allowed = self.alive[:count] if self.dead else None
        if tag is not None:
            rows = self._tagged(tag, count)
            if len(rows) <= FEW * count:
                best.show([(number, rows) for number in range(len(probes))])
                return self.answers(best)
            allowed = np.zeros(count, np.bool_)
            allowed[rows] = True
        scan(rough, best, count, allowed)
        return self.answers(best)

    def answers(self, best: Best) -> list[Found]:
        """Return ids and similarities, the best ``n`` of what may be more because some are equal."""
        return [self._answer(rows, sims, best.n) for rows, sims in best.found]

    def _answer(self, rows: Rows, sims: Vectors, n: int) -> Found:
        ids = self.ids[rows]
        if len(ids) > n:
            order = np.lexsort((ids, -sims))[:n]
            ids, sims = ids[order], sims[order]
        return ids, sims

    def _tagged(self, tag: str, count: int) -> NDArray[np.int64]:
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

    def rough(self) -> Rough:
        """Return what a scan reads."""
        return Floats(self.vectors[: self.count])

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
