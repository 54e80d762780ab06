"""The parts of a collection: what a tail, which grows, and a segment, which has a graph, have in common; the tail.

They keep, per row: a face id, the revision of its last change, whether it is alive, and tags as bitmaps
of rows. One thread writes; any number of threads search without a lock. What makes that safe: a row is
filled before ``count`` admits it, a life is one byte, and a bitmap changes under the interpreter lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import numpy as np
from pyroaring import BitMap

from facenapi.search.index import exact

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Probes = Sequence[NDArray[np.float32]]  # unit vectors (dim,)
    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

NOTHING = (np.empty(0, np.int64), np.empty(0, np.float32))


class Part(ABC):
    """Rows of vectors with what belongs to them; ``count`` of them exist, ``live`` of those are alive."""

    def __init__(
        self,
        vectors: NDArray[np.float32],
        ids: NDArray[np.int64],
        revs: NDArray[np.int64],
        alive: NDArray[np.bool_],
        count: int,
    ) -> None:
        self.vectors = vectors
        self.ids = ids
        self.revs = revs
        self.alive = alive
        self.count = count
        self.live = int(np.count_nonzero(alive[:count]))
        self.tags: dict[str, BitMap] = {}

    @abstractmethod
    def find(self, face_id: int) -> int | None:
        """Return the row of a face that is alive here."""

    def vector(self, row: int) -> NDArray[np.float32]:
        """Return the vector of a row, (dim,)."""
        found: NDArray[np.float32] = self.vectors[row]
        return found

    def search(self, probe: NDArray[np.float32], n: int, floor: float | None, tag: str | None) -> Found:
        """Return ids and similarities of the best ``n`` at or above ``floor``, in no certain order."""
        return self.scan(probe, n, floor, tag)

    def search_batch(self, probes: Probes, n: int, floor: float | None, tag: str | None) -> list[Found]:
        """Return what :meth:`search` returns for each probe."""
        return [self.search(probe, n, floor, tag) for probe in probes]

    def kill(self, row: int) -> None:
        """Take a row out of every answer."""
        self.alive[row] = False
        self.live -= 1
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

    def tagged(self, tag: str, count: int) -> NDArray[np.int64]:
        """Return the rows with a tag, of the first ``count``. All of them are alive, or were just now."""
        bitmap = self.tags.get(tag)
        if bitmap is None:
            return NOTHING[0]
        rows = np.frombuffer(bitmap.to_array(), np.uint32).astype(np.int64)
        return rows[rows < count]

    def scan(self, probe: NDArray[np.float32], n: int, floor: float | None, tag: str | None) -> Found:
        """Search exactly."""
        count = self.count
        if tag is None:
            sims = self._similarities(probe)[:count]
            rows = np.arange(count) if floor is None else (sims >= floor).nonzero()[0]
            if not len(rows):
                return NOTHING
            rows = rows[self.alive[rows]]
            sims = sims[rows]
        else:
            rows = self.tagged(tag, count)
            many = len(rows) > 0.4 * count
            sims = self._similarities(probe)[rows] if many else self._similarities_of(rows, probe)
            wanted = self.alive[rows] if floor is None else self.alive[rows] & (sims >= floor)
            rows, sims = rows[wanted], sims[wanted]
        rows, sims = exact.best(rows, sims, n)
        return self.ids[rows], sims

    def _similarities(self, probe: NDArray[np.float32]) -> NDArray[np.float32]:
        return exact.similarities(self.vectors[: self.count], probe)

    def _similarities_of(self, rows: NDArray[np.int64], probe: NDArray[np.float32]) -> NDArray[np.float32]:
        return exact.similarities_of(self.vectors, rows, probe)


class Tail(Part):
    """The newest vectors, in memory that was set aside at once; always searched exactly."""

    def __init__(self, capacity: int, dim: int) -> None:
        super().__init__(
            np.empty((capacity, dim), np.float32),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.int64),
            np.zeros(capacity, np.bool_),
            0,
        )
        self._rows: dict[int, int] = {}

    @property
    def full(self) -> bool:
        """Whether there is no room for another row."""
        return self.count == len(self.vectors)

    def find(self, face_id: int) -> int | None:
        """Return the row of a face that is alive here."""
        return self._rows.get(face_id)

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
        self.live += 1
        self.count = row + 1

    def kill(self, row: int) -> None:
        """Take a row out of every answer."""
        super().kill(row)
        face_id = int(self.ids[row])
        if self._rows.get(face_id) == row:  # else a newer row of the face has come already
            del self._rows[face_id]
