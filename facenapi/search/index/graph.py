"""NMSLIB's HNSW graph over the vectors of a large segment: the only module that touches NMSLIB.

NMSLIB does not check what it is given: a vector of another length reads foreign memory, a file with a
flipped bit crashes the process, a NaN is "the same as" every face in cosine space. So nothing reaches it
unchecked: probes are unit vectors of the right length, files are those whose checksum the caller has
verified, and the space is ``negdotprod`` on unit vectors, where a NaN stays a NaN and is no match.

A graph is used for the best few only, and only where that was measured, when it was built, to be quicker than a scan
and to find what the scan finds. It is measured with rows of the segment that are left out of the graph: nothing is
more like photos to come. These rows are compared with every probe.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from facenapi.search.index.codes import rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Scan = Callable[[Sequence[NDArray[np.float32]], int], Sequence[NDArray[np.float32]]]

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
    # In memory: a disk that is full, or may not be written, must not keep a server from its start.
    with os.fdopen(os.memfd_create("words", os.MFD_CLOEXEC), "w+b") as caught:
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
LINKS, EFFORT = 16, 100  # efConstruction
LEFT_OUT = 1000
LEAST_ROWS = 20 * LEFT_OUT
TRIAL = 100_000  # rows of which a graph is built first: more are no easier, and take many minutes
SHORT_S = 4e-3  # a shorter scan (of a thread) is worth no graph: minutes of building, and seldom quicker
GOAL = 0.9995  # of the best 10 in the measurement, so that 0.999 holds for probes that it does not know
MOST = (1, 10, 100)
LISTS = (64, 128, 256, 512, 1024)
NO_LIST = (0, 0)  # for how many it is good: with no list it finds enough, and more rows are no easier
_TIMED = 100
_FEED_ROWS = 5000  # addDataPointBatch holds the interpreter lock: feed it in bites


def build_graph(vectors: NDArray[np.float32], path: Path, left_out: NDArray[np.int64], threads: int = 1) -> None:
    """Build a graph of unit vectors (count, dim) but those ``left_out`` and save it: minutes, for a child process."""
    index = nmslib.init(method="hnsw", space=SPACE)
    rows = np.delete(np.arange(len(vectors), dtype=np.int32), left_out)
    for start in range(0, len(rows), _FEED_ROWS):
        some = rows[start : start + _FEED_ROWS]
        index.addDataPointBatch(vectors[some], some)
    index.createIndex({"M": LINKS, "efConstruction": EFFORT, "post": 0, "indexThreadQty": threads})
    index.saveIndex(str(path), save_data=False)


class Graph:
    """A loaded graph. Searches run in any number of threads at once and release the interpreter lock."""

    def __init__(
        self, path: Path, left_out: NDArray[np.int64], vectors: NDArray[np.float32], ef: int, most: int
    ) -> None:
        """Load a file that :func:`build_graph` wrote and whose checksum was verified.

        ``left_out``: the rows that are not in it, and ``vectors`` theirs.
        ``ef`` is the length of the search list: NMSLIB keeps it per index, not per query, and changing it
        during queries spoils answers, so it is set once, here. ``most``: for how many best rows it is good.
        """
        self.ef, self.most = ef, most
        self._left_out, self._vectors = left_out, vectors
        self.slack = 4 * rounding(
            vectors.shape[1]
        )  # two similarities, each as NMSLIB or BLAS adds it and as answers do
        self._index = nmslib.init(method="hnsw", space=SPACE)
        self._index.loadIndex(str(path), load_data=False)
        self._index.setQueryTimeParams({"ef": ef})

    def search(self, probe: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return about the ``ef`` nearest rows and their similarities, best first; may be fewer.

        ``probe``: a unit vector, float32 (dim,). Raises ValueError for anything else.
        """
        if probe.shape != self._vectors.shape[1:] or probe.dtype != np.float32:
            raise ValueError(f"The probe must be {self._vectors.shape[1]} float32 numbers")
        rows, distances = self._index.knnQuery(probe, k=self.ef)
        return rows, -distances

    def unseen(self, probe: NDArray[np.float32], cut: float) -> NDArray[np.int64]:
        """Return the rows that are not in the graph and may have a similarity of ``cut``."""
        return self._left_out[self._vectors @ probe >= cut - self.slack]


def measure(
    path: Path, scan: Scan, probes: NDArray[np.float32], left_out: NDArray[np.int64]
) -> tuple[int, int] | None:
    """Return the length of the list and for how many best rows it is good; None if a scan is as quick,
    ``NO_LIST`` if no list finds enough.

    ``scan``: returns for probes and a number the similarities of so many best rows of those that are in the graph;
    ``probes``: the rows ``left_out``.
    """
    wanted = np.array(MOST)
    worst: list[NDArray[np.float32]] = []
    for start in range(0, len(probes), 16):
        found = scan(list(probes[start : start + 16]), max(MOST))
        worst += [np.sort(sims)[::-1][wanted - 1] for sims in found]
    took = scan_seconds(scan, probes)
    for ef in LISTS:
        graph = Graph(path, left_out, probes, ef, 0)
        hits = np.zeros(len(MOST))
        for probe, least in zip(probes, worst, strict=True):
            sims = graph.search(probe)[1] + rounding(len(probe))
            hits += np.minimum((sims[:, None] >= least).sum(axis=0), MOST)
        good = hits >= GOAL * len(probes) * wanted
        if good[:2].all():
            quicker = _seconds(graph.search, probes) < took
            return (ef, MOST[-1] if good.all() else MOST[1]) if quicker else None
    return NO_LIST


def finds_too_little(vectors: NDArray[np.float32], path: Path) -> bool:
    """Whether no list finds enough among the ``TRIAL`` of more vectors (count, dim) that are most like one of them:
    these have their nearest neighbours with them, as a sample would not. ``path``: where the graph of them may be.
    """
    some = vectors[np.argpartition(vectors @ vectors[0], -TRIAL)[-TRIAL:]]
    left_out = np.arange(0, TRIAL, TRIAL // LEFT_OUT)
    others = np.delete(some, left_out, axis=0)
    build_graph(some, path, left_out)

    def scan(probes: Sequence[NDArray[np.float32]], n: int) -> list[NDArray[np.float32]]:
        return [np.partition(others @ probe, -n)[-n:] for probe in probes]

    return measure(path, scan, some[left_out], left_out) == NO_LIST


def scan_seconds(scan: Scan, probes: NDArray[np.float32]) -> float:
    """Return how long a scan takes a thread that asks for the best few."""
    return _seconds(lambda probe: scan([probe], MOST[1]), probes)


def _seconds(search: Callable[[NDArray[np.float32]], object], probes: NDArray[np.float32]) -> float:
    """Return the median of the seconds of this thread's own time."""
    took = []
    for probe in probes[:_TIMED]:
        began = time.thread_time()
        search(probe)
        took.append(time.thread_time() - began)
    return float(np.median(took))
