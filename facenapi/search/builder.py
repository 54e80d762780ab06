"""Making a segment: the parent writes an order, a child process of low priority fills the folder.

A build takes minutes for a million vectors and more than twice the memory of the result. In a child it
cannot slow the searches down, cannot take the server with it, and gives all of its memory back.

A segment's folder holds ``vectors.npy`` (each vector once), ``ids.npy`` (rows in the order of ids),
``vector_of.npy`` if faces share vectors, ``graph.nms``, and at last ``segment.json`` with what was
measured and the fingerprint of every file.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.search import calibration, files
from facenapi.search.parts import Segment
from facenapi.search.segment import Graph, build_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.search.collection import Plan

FORMAT = 1
NICENESS = 10  # at 19 a busy machine starves the build and the tails pile up
_BLOCK = 8192
_PACKAGE = Path(__file__).resolve().parent.parent


class BuildError(Exception):
    """The child failed; the message has its last words."""


class Builder:
    """Runs one build at a time."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._stopped = False

    def build(self, plan: Plan, folder: Path) -> Segment | None:
        """Make the segment of a plan in ``folder`` and load it; None if the plan has no rows."""
        if not plan.rows:
            return None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_order(plan, folder)
        self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "facenapi.search.builder", str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_PACKAGE.parent), "OPENBLAS_NUM_THREADS": "1"},
        )
        if self._stopped:
            self._child.kill()
        _, words = self._child.communicate()
        if self._child.returncode:
            raise BuildError(f"exit code {self._child.returncode}: {words.decode(errors='replace')[-500:].strip()}")
        return load_segment(folder)

    def stop(self) -> None:
        """End a running build, and any that is asked for later."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()


def write_order(plan: Plan, folder: Path) -> None:
    """Write what the child needs: ids of the rows, and where each finds its vector."""
    sources = []
    for number, (part, rows) in enumerate(plan.sources):
        np.save(folder / f"ids{number}.npy", part.ids[rows])
        if isinstance(part, Segment):
            path = str(part.folder / "vectors.npy")
            rows = part.vectors_of(rows)  # noqa: PLW2901
        else:
            path = str(folder / f"vectors{number}.npy")
            np.save(path, part.vectors[: part.count])
        np.save(folder / f"rows{number}.npy", rows)
        sources.append(path)
    files.write_json(folder / "order.json", {"format": FORMAT, "sources": sources})


def fill_folder(folder: Path) -> None:
    """Do what an order says. This is what the child runs."""
    order = files.read_json(folder / "order.json", FORMAT)
    vectors, ids = _gather(folder, order["sources"])
    unique, vector_of = share_vectors(vectors)
    if vector_of is not None:
        vectors = vectors[unique]
        np.save(folder / "vector_of.npy", vector_of)
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "ids.npy", ids)
    build_graph(vectors, folder / "graph.nms")
    measured = calibration.calibrate(vectors, lambda ef: Graph(folder / "graph.nms", vectors.shape[1], ef))
    for spent in [*folder.glob("rows*.npy"), *folder.glob("ids[0-9]*.npy"), *folder.glob("vectors[0-9]*.npy")]:
        spent.unlink()
    (folder / "order.json").unlink()
    for path in folder.iterdir():
        _sync(path)
    files.write_json(
        folder / "segment.json",
        {
            "format": FORMAT,
            "dim": vectors.shape[1],
            "rows": len(ids),
            "vectors": len(vectors),
            "ef": measured.ef,
            "floor": measured.floor,
            "recall": measured.recall,
            "files": {path.name: files.fingerprint(path) for path in sorted(folder.iterdir())},
        },
    )


def _gather(folder: Path, sources: list[str]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return vectors (count, dim) and ids (count,) of all sources in the order of ids."""
    ids = np.concatenate([np.load(folder / f"ids{number}.npy") for number in range(len(sources))])
    place = np.empty(len(ids), np.int64)
    place[np.argsort(ids, kind="stable")] = np.arange(len(ids))
    vectors: NDArray[np.float32] | None = None
    done = 0
    for number, path in enumerate(sources):
        source = np.load(path, mmap_mode="r")
        rows = np.load(folder / f"rows{number}.npy")
        if vectors is None:
            vectors = np.empty((len(ids), source.shape[1]), np.float32)
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            vectors[place[done + start : done + start + len(some)]] = source[some]
        done += len(rows)
    assert vectors is not None
    return vectors, np.sort(ids)


def share_vectors(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int32] | None]:
    """Find equal vectors; return the row of each distinct one and, per row, which it is (None: all differ)."""
    odd = np.random.default_rng(1).integers(0, 1 << 63, vectors.shape[1], dtype=np.uint64) | np.uint64(1)
    hashes = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK].view(np.uint32)
        hashes[start : start + len(block)] = (block * odd).sum(axis=1, dtype=np.uint64)
    _, first, of = np.unique(hashes, return_index=True, return_inverse=True)
    if len(first) == len(vectors):
        return first, None
    for row in np.flatnonzero(first[of] != np.arange(len(vectors))).tolist():
        if not np.array_equal(vectors[row], vectors[first[of[row]]]):  # equal hashes of different vectors
            of[row] = len(first)
            first = np.append(first, row)
    order = np.argsort(first)  # the graph's ordinals in the order of the rows, for locality
    rank = np.empty(len(first), np.int32)
    rank[order] = np.arange(len(first))
    return first[order], rank[of]


def load_segment(folder: Path, expected: list[int] | None = None) -> Segment:
    """Load a segment, all rows alive with revision 0; raise DamagedError unless every file is as written.

    ``expected``: the fingerprint of its ``segment.json``, as a snapshot knows it.
    """
    if expected is not None:
        files.verify(folder / "segment.json", expected)
    about = files.read_json(folder / "segment.json", FORMAT)
    for name, mark in about["files"].items():
        files.verify(folder / name, mark)
    with _once(folder / "loading"):
        return _open(folder, about)


def _open(folder: Path, about: dict[str, Any]) -> Segment:
    ids = np.load(folder / "ids.npy")
    vectors = np.asarray(np.load(folder / "vectors.npy", mmap_mode="r"))  # a plain view: products stay plain
    shared = folder / "vector_of.npy"
    vector_of = np.load(shared) if shared.name in about["files"] else None
    if ids.shape != (about["rows"],) or vectors.shape != (about["vectors"], about["dim"]):
        raise files.DamagedError(f"{folder.name}: shapes {ids.shape}, {vectors.shape}")
    graph = Graph(folder / "graph.nms", about["dim"], about["ef"])
    return Segment(folder, vectors, ids, graph, floor=about["floor"], vector_of=vector_of)


class _once:  # noqa: N801 - a context manager, named like the function it is used as
    """Mark an attempt to load; a file at which the process died twice is not tried a third time."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __enter__(self) -> None:
        tries = self._mark.stat().st_size if self._mark.exists() else 0
        if tries >= 2:
            raise files.DamagedError(f"{self._mark.parent.name}: the process died twice while loading it")
        with self._mark.open("ab") as file:
            file.write(b".")

    def __exit__(self, *_: object) -> None:
        self._mark.unlink()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def main() -> None:
    """Run the child: step back behind everybody else, die with the parent, build."""
    os.nice(NICENESS)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    fill_folder(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
