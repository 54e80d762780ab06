"""Making a segment: the parent writes an order, a child process of low priority fills the folder.

A build takes minutes for a million vectors and more than twice the memory of the result. In a child it
cannot slow the searches down, cannot take the server with it, and gives all of its memory back.

A segment's folder holds ``vectors.npy`` (each vector once, group by group), ``first.npy`` (where each
group begins), ``ids.npy`` (of the rows, in their order), ``vector_of.npy`` (which vector each row has),
``graph.nms`` over the means of the groups, ``centres.npy`` (none if they are not to be scanned), and at last
``segment.json`` with what was measured and the fingerprint of every file.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.search.index import calibration, geometry
from facenapi.search.index.grouping import group
from facenapi.search.index.segment import ALL, Graph, Level, Segment, build_graph
from facenapi.search.upkeep import files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.search.index.collection import Plan

FORMAT = 6
NICENESS = 10  # at 19 a busy machine starves the build and the tails pile up
_BLOCK = 8192
_PACKAGE = Path(__file__).resolve().parents[2]


class BuildError(Exception):
    """The child failed; the message has its last words."""


class Builder:
    """Runs one build at a time."""

    def __init__(self, niceness: int = NICENESS) -> None:
        self._niceness = niceness
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
            [sys.executable, "-m", "facenapi.search.upkeep.builder", str(folder), str(self._niceness)],
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
        np.save(folder / f"source{number}.ids.npy", part.ids[rows])
        if isinstance(part, Segment):
            path = str(part.folder / "vectors.npy")
            rows = part.vectors_of(rows)  # noqa: PLW2901
        else:
            path = str(folder / f"source{number}.vectors.npy")
            np.save(path, part.vectors[: part.count])
        np.save(folder / f"source{number}.rows.npy", rows)
        sources.append(path)
    files.write_json(folder / "order.json", {"format": FORMAT, "sources": sources})


def fill_folder(folder: Path) -> None:
    """Do what an order says. This is what the child runs."""
    order = files.read_json(folder / "order.json", FORMAT)
    vectors, ids = _gather(folder, order["sources"])
    unique, vector_of = share_vectors(vectors)
    vectors = vectors[unique]
    apart = geometry.centred(vectors)
    label = group(apart, calibration.similarity_at(apart, calibration.JOIN_FAR))
    del apart
    by_group = np.argsort(label, kind="stable")
    place = np.empty(len(vectors), np.int32)
    place[by_group] = np.arange(len(vectors))
    vectors = vectors[by_group]
    first = np.searchsorted(label[by_group], np.arange(label.max() + 2))
    centres = geometry.centres_of(vectors, first)
    build_graph(geometry.unit(centres), folder / "graph.nms")
    levels = calibration.calibrate(
        vectors, first, centres, lambda ef: Graph(folder / "graph.nms", vectors.shape[1], ef)
    )
    scanned = centres if levels[-1].ef == ALL else centres[:0]
    arrays: dict[str, NDArray[Any]] = {"vectors": vectors, "ids": ids, "first": first, "centres": scanned}
    for name, array in {**arrays, "vector_of": place[vector_of]}.items():
        np.save(folder / f"{name}.npy", array)
    for spent in folder.glob("source*.npy"):
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
            "groups": len(centres),
            "levels": [asdict(level) for level in levels],
            "files": {path.name: files.fingerprint(path) for path in sorted(folder.iterdir())},
        },
    )


def _gather(folder: Path, sources: list[str]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return vectors (count, dim) and ids (count,) of all sources in the order of ids."""
    ids = np.concatenate([np.load(folder / f"source{number}.ids.npy") for number in range(len(sources))])
    place = np.empty(len(ids), np.int64)
    place[np.argsort(ids, kind="stable")] = np.arange(len(ids))
    vectors: NDArray[np.float32] | None = None
    done = 0
    for number, path in enumerate(sources):
        source = np.load(path, mmap_mode="r")
        rows = np.load(folder / f"source{number}.rows.npy")
        if vectors is None:
            vectors = np.empty((len(ids), source.shape[1]), np.float32)
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            vectors[place[done + start : done + start + len(some)]] = source[some]
        done += len(rows)
    assert vectors is not None
    return vectors, np.sort(ids)


def share_vectors(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find equal vectors; return the row of each distinct one and, per row, which of those it is."""
    odd = np.random.default_rng(1).integers(0, 1 << 63, vectors.shape[1], dtype=np.uint64) | np.uint64(1)
    hashes = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK].view(np.uint32)
        hashes[start : start + len(block)] = (block * odd).sum(axis=1, dtype=np.uint64)
    _, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    for row in np.flatnonzero(first[which] != np.arange(len(vectors))).tolist():
        if not np.array_equal(vectors[row], vectors[first[which[row]]]):  # equal hashes of different vectors
            which[row] = len(first)
            first = np.append(first, row)
    return first, which


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
    names = ("vectors", "ids", "vector_of", "first", "centres")
    vectors, ids, vector_of, first, centres = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in names)
    if vectors.shape != (about["vectors"], about["dim"]) or not len(vector_of) == len(ids) == about["rows"]:
        raise files.DamagedError(f"{folder.name}: shapes {vectors.shape}, {ids.shape}, {vector_of.shape}")
    return Segment(
        folder,
        np.asarray(vectors),  # a plain view of the map: products stay plain arrays
        np.array(ids),
        vector_of=np.array(vector_of),
        first=np.array(first),
        centres=np.asarray(centres),
        levels=[(_graph(folder, about["dim"], level["ef"]), Level(**level)) for level in about["levels"]],
    )


def _graph(folder: Path, dim: int, ef: int) -> Graph | None:
    return None if ef == ALL else Graph(folder / "graph.nms", dim, ef)


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
    os.nice(int(sys.argv[2]))
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    fill_folder(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
