"""Segments, and the immutable HNSW graphs that lead to their vectors: the only module that touches NMSLIB.

NMSLIB does not check what it is given: a vector of another length reads foreign memory, a file with a
flipped bit crashes the process, a NaN is "the same as" every face in cosine space. So nothing reaches it
unchecked: probes are unit vectors of the right length, files are those whose checksum the caller has
verified, and the space is ``negdotprod`` on unit vectors, where a NaN stays a NaN and is no match.

A graph never changes. NMSLIB's ids are 32-bit, so a graph knows ordinals (0, 1, 2 …) of groups only; the segment
knows whose vectors are in them.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pyroaring import BitMap

from facenapi.search.index import exact
from facenapi.search.index.geometry import spreads
from facenapi.search.index.parts import NOTHING, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from facenapi.search.index.parts import Found, Probes

    Compare = Callable[[], NDArray[np.float32]]

_LUCKY = 3  # up to so many faces, there may be enough above any floor

_ADVICE = (
    b"Your CPU supports instructions that this binary was not compiled to use",
    b"For maximum performance, you can install NMSLIB from sources",
    b"pip install --no-binary :all: nmslib",
)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Hold back what the wheel writes to file descriptor 2 when it is loaded; pass on anything else."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught:
                if line.strip() and not line.startswith(_ADVICE):
                    os.write(2, line)


with _without_advice():
    import nmslib

SPACE = "negdotprod"
LINKS = 24
EF_CONSTRUCTION = 400  # of a large graph 200: it would take too long
LARGE = 200_000
_FEED_ROWS = 5000  # addDataPointBatch holds the interpreter lock: feed it in bites
ALL = 0  # no list from the graph: every mean is compared


@dataclass(frozen=True, slots=True)
class Level:
    """How to search: a list of ``ef`` groups (:data:`ALL`: of all) has all (by ``GOAL``) vectors at or above
    ``floor`` in it.

    Groups whose means are more than ``slack`` below the threshold need not be looked into. Where all means are
    compared, ``slack`` counts in spreads of a group (``geometry.py``), for its members surround its
    centre. A probe that is nearly one of the members is no nearer to the centre than that member is, so a threshold
    above ``ceiling`` selects groups as ``ceiling`` does.
    """

    ef: int
    floor: float
    slack: float
    ceiling: float


def build_graph(vectors: NDArray[np.float32], path: Path, threads: int = 1) -> None:
    """Build a graph of unit vectors (count, dim) and save it. Minutes per million; run it in a child process."""
    index = nmslib.init(method="hnsw", space=SPACE)
    for start in range(0, len(vectors), _FEED_ROWS):
        block = np.ascontiguousarray(vectors[start : start + _FEED_ROWS], np.float32)
        index.addDataPointBatch(block, np.arange(start, start + len(block), dtype=np.int32))
    effort = EF_CONSTRUCTION if len(vectors) < LARGE else EF_CONSTRUCTION // 2
    index.createIndex(
        {"M": LINKS, "efConstruction": effort, "post": 0, "indexThreadQty": threads}, print_progress=False
    )
    index.saveIndex(str(path), save_data=False)


class Graph:
    """A loaded graph. Searches run in any number of threads at once and release the interpreter lock."""

    def __init__(self, path: Path, dim: int, ef: int) -> None:
        """Load a file that :func:`build_graph` wrote and whose checksum was verified.

        ``ef`` is the length of the search list: NMSLIB keeps it per index, not per query, and changing it
        during queries spoils answers, so it is set once, here.
        """
        self.dim = dim
        self.ef = ef
        self._index = nmslib.init(method="hnsw", space=SPACE)
        self._index.loadIndex(str(path), load_data=False)
        self._index.setQueryTimeParams({"ef": ef})

    def search(self, probe: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return ordinals and cosine similarities of about the ``k`` nearest, best first; may be fewer.

        ``probe``: a unit vector, float32 (dim,). Raises ValueError for anything else.
        """
        if probe.shape != (self.dim,) or probe.dtype != np.float32:
            raise ValueError(f"The probe must be {self.dim} float32 numbers")
        ordinals, distances = self._index.knnQuery(probe, k=max(1, min(k, self.ef)))
        return ordinals, -distances


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

    def search_batch(self, probes: Probes, n: int, floor: float | None, tag: str | None) -> list[Found]:
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
            return NOTHING
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
        floor = min(floor, level.ceiling)
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


def check_probe(probe: NDArray[np.float32], dim: int) -> None:
    """Raise ValueError unless the probe is a finite unit vector, float32, C-contiguous, (dim,)."""
    if probe.dtype != np.float32 or probe.shape != (dim,) or not probe.flags.c_contiguous:
        raise ValueError(f"The probe must be {dim} contiguous float32 numbers, not {probe.dtype} {probe.shape}")
    if not 0.99 < float(probe @ probe) < 1.01:  # false for NaN and infinity, too
        raise ValueError("The probe must be a finite unit vector")
