"""A segment: many vectors that do not change any more, in eight bits, in files, and perhaps behind a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from facenapi.search.index.parts import Part
from facenapi.search.index.scan import Best, scan
from facenapi.search.index.stored import DamagedError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from facenapi.search.index.codes import Codes
    from facenapi.search.index.graph import Graph
    from facenapi.search.index.parts import Found, Probes
    from facenapi.search.index.stored import Stored

FEW = 1 / 16  # of all rows: so many are compared one by one in the time in which a scan goes through all


class Segment(Part):
    """Rows are in the order of their ids. ``folder``: where its files are."""

    def __init__(
        self,
        folder: Path,
        vectors: Stored,
        ids: NDArray[np.int64],
        codes: Codes,
        graph: Graph | None = None,
        *,
        graphless: bool = False,
    ) -> None:
        """All rows are alive with revision 0. ``graphless``: no graph of these vectors finds enough."""
        super().__init__(vectors.dim, ids, np.zeros(len(ids), np.int64), np.ones(len(ids), np.bool_), len(ids))
        self.folder, self.vectors = folder, vectors
        self._codes, self.graph, self.graphless = codes, graph, graphless

    def find(self, face_id: int) -> int | None:
        """Return the row of a face that is alive here."""
        row = int(np.searchsorted(self.ids, face_id))
        return row if row < self.count and self.ids[row] == face_id and self.alive[row] else None

    def has(self, row: int, vector: NDArray[np.float32]) -> bool:
        """Whether the vector of a row is this one, to the bit; one that is damaged is not."""
        try:
            return np.array_equal(self.vectors.read(np.array([row]))[0], vector)
        except DamagedError:
            return False

    def search(self, probes: Probes, n: int, floor: float | None, tag: str | None) -> list[Found]:
        """Return, for each probe, ids and similarities of its best ``n`` at or above ``floor`` with the tag: through
        the graph what that was measured to find, else by a scan.

        Raises DamagedError if a vector that may be in the answer cannot be read.
        """
        graph = self.graph
        if graph is None or tag is not None or n > graph.most:
            return self.scan(probes, n, floor, tag)
        return [
            self._by_graph(graph, probe, n, floor) or self.scan([probe], n, floor)[0]  # seldom
            for probe in probes
        ]

    def scan(self, probes: Probes, n: int, floor: float | None, tag: str | None = None) -> list[Found]:
        """Return, and raise, what :meth:`search` does, whether there is a graph or not."""
        best = Best(self._codes, probes, n, floor)
        allowed = self.alive if self.dead else None
        rows = None if tag is None else self.tagged(tag, self.count)
        if rows is not None and len(rows) <= FEW * self.count:
            best.show([(number, rows) for number in range(len(probes))])
        else:
            if rows is not None:
                allowed = np.zeros(self.count, np.bool_)
                allowed[rows] = True
            scan(self._codes, best, allowed)
        exact = Best(self.vectors, probes, n, floor)
        exact.show([(number, rows) for number, (rows, _) in enumerate(best.found) if len(rows)])
        return [self.answer(*found, n) for found in exact.found]

    def _by_graph(self, graph: Graph, probe: NDArray[np.float32], n: int, floor: float | None) -> Found | None:
        """Return what the graph finds; None if it is not the best ``n``, because many of them are deleted."""
        rows, sims = graph.search(probe)
        alive = self.alive[rows]
        if np.count_nonzero(alive) < n and not (floor is not None and len(sims) and sims[-1] < floor):
            return None
        rows, sims = rows[alive], sims[alive]  # best first
        least = (sims[n - 1] if len(sims) >= n else -2) - graph.slack
        best = Best(self.vectors, [probe], n, floor)
        best.show([(0, np.sort(rows[sims >= max(least, best.cuts[0] - graph.slack)]))])
        unseen = graph.unseen(probe, best.cuts[0])
        best.show([(0, unseen[self.alive[unseen]])])
        return self.answer(*best.found[0], n)


def check_probe(probe: NDArray[np.float32], dim: int) -> None:
    """Raise ValueError unless the probe is a finite unit vector, float32, C-contiguous, (dim,)."""
    if probe.dtype != np.float32 or probe.shape != (dim,) or not probe.flags.c_contiguous:
        raise ValueError(f"The probe must be {dim} contiguous float32 numbers, not {probe.dtype} {probe.shape}")
    if not 0.99 < float(probe @ probe) < 1.01:  # false for NaN and infinity, too
        raise ValueError("The probe must be a finite unit vector")
