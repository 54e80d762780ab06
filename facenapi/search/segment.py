"""One immutable HNSW graph: the only module that touches NMSLIB.

NMSLIB does not check what it is given: a vector of another length reads foreign memory, a file with a
flipped bit crashes the process, a NaN is "the same as" every face in cosine space. So nothing reaches it
unchecked: probes are unit vectors of the right length, files are those whose checksum the caller has
verified, and the space is ``negdotprod`` on unit vectors, where a NaN stays a NaN and is no match.

A graph never changes. NMSLIB's ids are 32-bit, so a graph knows ordinals (0, 1, 2 …) of vectors only;
:mod:`facenapi.search.collection` knows whose they are.
"""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

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


def check_probe(probe: NDArray[np.float32], dim: int) -> None:
    """Raise ValueError unless the probe is a finite unit vector, float32, C-contiguous, (dim,)."""
    if probe.dtype != np.float32 or probe.shape != (dim,) or not probe.flags.c_contiguous:
        raise ValueError(f"The probe must be {dim} contiguous float32 numbers, not {probe.dtype} {probe.shape}")
    if not 0.99 < float(probe @ probe) < 1.01:  # false for NaN and infinity, too
        raise ValueError("The probe must be a finite unit vector")
