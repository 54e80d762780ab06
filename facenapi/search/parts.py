"""The parts of a collection: a tail that grows and segments that are searched through a graph.

Both keep, per row: a face id, the revision of its last change, whether it is alive, and tags as bitmaps
of rows. One thread writes; any number of threads search without a lock. What makes that safe: a row is
filled before ``count`` admits it, a life is one byte, and a bitmap changes under the interpreter lock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pyroaring import BitMap

from facenapi.search import exact
from facenapi.search.calibration import spreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from facenapi.search.calibration import Level
    from facenapi.search.segment import Graph

    Probes = Sequence[NDArray[np.float32]]  # unit vectors (dim,)
    Compare = Callable[[], NDArray[np.float32]]
    Found = tuple[NDArray[np.int64], NDArray[np.float32]]

_LUCKY = 3  # up to so many faces, there may be enough above any floor
_NOTHING = (np.empty(0, np.int64), np.empty(0, np.float32))


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

    def search_together(self, probes: Probes, n: int, floor: float | None, tag: str | None) -> list[Found]:
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
            return _NOTHING[0]
        rows = np.frombuffer(bitmap.to_array(), np.uint32).astype(np.int64)
        return rows[rows < count]

    def scan(self, probe: NDArray[np.float32], n: int, floor: float | None, tag: str | None) -> Found:
        """Search exactly."""
        count = self.count
        if tag is None:
            sims = self._similarities(probe)[:count]
            rows = np.arange(count) if floor is None else (sims >= floor).nonzero()[0]
            if not len(rows):
                return _NOTHING
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
        self.retag(row, tags, rev)
        self._rows[face_id] = row
        self.live += 1
        self.count = row + 1

    def kill(self, row: int) -> None:
        """Take a row out of every answer."""
        super().kill(row)
        face_id = int(self.ids[row])
        if self._rows.get(face_id) == row:  # else a newer row of the face has come already
            del self._rows[face_id]


class Segment(Part):
    """Many vectors behind a graph. Rows are in the order of their ids, vectors in that of their groups.

    The graph holds the means of groups of similar vectors; equal vectors are stored once. ``vector_of``
    (rows,) says which vector a row has, ``first`` (groups + 1,) where the vectors of each group begin.
    """

    def __init__(
        self,
        folder: Path,
        vectors: NDArray[np.float32],
        ids: NDArray[np.int64],
        *,
        vector_of: NDArray[np.int32],
        first: NDArray[np.int64],
        centres: NDArray[np.float32],
        levels: Sequence[tuple[Graph | None, Level]],
    ) -> None:
        """All rows are alive with revision 0. ``levels``: graphs, the quickest first, each with
        what it can be trusted to find; None is a scan of the ``centres``."""
        super().__init__(vectors, ids, np.zeros(len(ids), np.int64), np.ones(len(ids), np.bool_), len(ids))
        self.folder = folder
        self._levels = levels
        self._centres = centres
        self._spreads = spreads(centres)
        self._group_first = first[:-1]
        self._group_sizes = np.diff(first)
        self._vector_of = vector_of
        self._by_vector = np.argsort(vector_of, kind="stable").astype(np.int32)
        self._row_first = None
        if len(vectors) < len(ids):
            row_first = np.searchsorted(vector_of, np.arange(len(vectors) + 1), sorter=self._by_vector)
            self._row_first, self._row_counts = row_first[:-1], np.diff(row_first)

    def find(self, face_id: int) -> int | None:
        """Return the row of a face that is alive here."""
        row = int(np.searchsorted(self.ids, face_id))
        return row if row < self.count and self.ids[row] == face_id and self.alive[row] else None

    def vector(self, row: int) -> NDArray[np.float32]:
        """Return the vector of a row, (dim,)."""
        return super().vector(int(self._vector_of[row]))

    def vectors_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which vectors these rows have."""
        return self._vector_of[rows].astype(np.int64)

    def search_together(self, probes: Probes, n: int, floor: float | None, tag: str | None) -> list[Found]:
        """Return what :meth:`search` returns for each probe; all centres are read once, if any of them needs that."""
        known: dict[int, NDArray[np.float32]] = {}

        def compare(number: int) -> NDArray[np.float32]:
            if number not in known:  # those that come after it are likely to need them as well
                known.update(enumerate(exact.similarities_together(self._centres, probes[number:]), number))
            return known[number]

        return [self.search(probe, n, floor, tag, partial(compare, number)) for number, probe in enumerate(probes)]

    def search(
        self,
        probe: NDArray[np.float32],
        n: int,
        floor: float | None,
        tag: str | None,
        compare: Compare | None = None,
    ) -> Found:
        """Search through the graph where that is sure to have seen every match, exactly otherwise.

        It has seen them all if there are enough above the level's own floor, or if the threshold is
        above that floor and the list of groups went on for long after the last match. A level whose floor
        is too high is tried for very few faces only. ``compare``: gives the similarities of all centres, (groups,).
        """
        bitmap = None if tag is None else self.tags.get(tag, BitMap())
        allowed = self.live if bitmap is None else len(bitmap)
        if allowed == 0:
            return _NOTHING
        if allowed > exact.gather_limit(self.vectors.shape[1]):
            for graph, level in self._levels:
                if n > _LUCKY and floor is not None and floor < level.floor:
                    continue
                enough = level.floor if floor is None else max(floor, level.floor)
                groups, whole = self._nearest_groups(graph, level, probe, enough, compare)
                rows, sims, spare = self._members(groups, probe, enough)
                wanted = self.alive[rows]
                if bitmap is not None:
                    wanted &= np.fromiter((row in bitmap for row in rows.tolist()), np.bool_, len(rows))
                if np.count_nonzero(wanted) >= n or (floor is not None and floor >= level.floor and (whole or spare)):
                    rows, sims = exact.best(rows[wanted], sims[wanted], n)
                    return self.ids[rows], sims
        return self.scan(probe, n, floor, tag)

    def _nearest_groups(
        self, graph: Graph | None, level: Level, probe: NDArray[np.float32], floor: float, compare: Compare | None
    ) -> tuple[NDArray[np.signedinteger[Any]], bool]:
        """Return the groups that may have members at or above ``floor``, and whether these are all."""
        if graph is None:
            sims = exact.similarities(self._centres, probe) if compare is None else compare()
            return (sims + level.slack * self._spreads >= floor).nonzero()[0], True
        listed, sims = graph.search(probe, graph.ef)  # best first
        groups = listed[: np.count_nonzero(sims >= floor - level.slack)]
        return groups, len(groups) < len(listed)

    def _members(
        self, groups: NDArray[np.signedinteger[Any]], probe: NDArray[np.float32], floor: float
    ) -> tuple[NDArray[np.int32], NDArray[np.float32], bool]:
        """Return the rows at or above ``floor`` in these groups, and whether the last quarter of them had none.

        The processor's caches are full of the graph by now, and each call of NumPy is slow: there are few.
        """
        sizes = self._group_sizes[groups]
        vectors = _spread(self._group_first[groups], sizes)
        sims = exact.similarities_of(self.vectors, vectors, probe)
        places = (sims >= floor).nonzero()[0]
        spare = not len(places) or int(sizes.cumsum().searchsorted(places[-1], side="right")) < 0.75 * len(groups)
        vectors, sims = vectors[places], sims[places]
        if self._row_first is None:
            return self._by_vector[vectors], sims, spare
        counts = self._row_counts[vectors]
        return self._by_vector[_spread(self._row_first[vectors], counts)], sims.repeat(counts), spare

    def _similarities(self, probe: NDArray[np.float32]) -> NDArray[np.float32]:
        return exact.similarities(self.vectors, probe)[self._vector_of]

    def _similarities_of(self, rows: NDArray[np.int64], probe: NDArray[np.float32]) -> NDArray[np.float32]:
        return super()._similarities_of(self.vectors_of(rows), probe)


def _spread(begins: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return all numbers of the ranges that begin there and have so many."""
    members: NDArray[np.int64] = (begins - counts.cumsum() + counts).repeat(counts)
    members += np.arange(len(members))
    return members
