"""Making a segment: the parent writes an order, a child process of low priority fills the folder.

A build sorts and encodes the vectors, seconds for a million; if a graph is worth trying it takes minutes and more
than twice the memory of the result. In a child it cannot slow the searches down, cannot take the server with it, and
gives all of its memory back.

A segment's folder holds ``vectors`` (float32, row by row), ``ids.npy`` (of the rows, ascending), ``codes.npy`` (the
rows in eight bits), ``centre.npy``, perhaps ``graph.nms`` and ``left_out.npy`` (rows that the graph has not), and
at last ``segment.json`` with what was measured and the fingerprint of every file.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import weakref
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.process.durable import sync
from facenapi.search.index.codes import Codes, Coding, encode
from facenapi.search.index.graph import LEAST_ROWS, LEFT_OUT, SHORT_S, Graph, build_graph, measure, scan_seconds
from facenapi.search.index.segment import Segment
from facenapi.search.upkeep import files

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from facenapi.search.index.collection import Plan

FORMAT = 7
NICENESS = 10  # at 19 a busy machine starves the build and the buffers pile up
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
            pass_fds=[part.backing.fileno() for part, _ in plan.sources if isinstance(part, Segment)],
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
        np.save(folder / f"source{number}.rows.npy", rows)
        if isinstance(part, Segment):
            sources.append(f"/dev/fd/{part.backing.fileno()}")
        else:
            sources.append(str(folder / f"source{number}.vectors"))
            part.vectors[: part.count].tofile(sources[-1])
    dim = plan.sources[0][0].vectors.shape[1]
    files.write_json(folder / "order.json", {"format": FORMAT, "dim": dim, "sources": sources})


def fill_folder(folder: Path) -> None:
    """Do what an order says. This is what the child runs."""
    order = files.read_json(folder / "order.json", FORMAT)
    vectors, ids = _gather(folder, order["sources"], order["dim"])
    codes, coding = encode(vectors)
    arrays: dict[str, NDArray[Any]] = {"ids": ids, "codes": codes, "centre": coding.centre}
    graph, arrays["left_out"] = _add_graph(folder / "graph.nms", vectors, Codes(codes, coding))
    vectors.tofile(folder / "vectors")
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    for spent in (*folder.glob("source*"), folder / "order.json"):
        spent.unlink()
    for path in folder.iterdir():
        sync(path)
    files.write_json(
        folder / "segment.json",
        {
            "format": FORMAT,
            "dim": vectors.shape[1],
            "rows": len(ids),
            "scale": coding.scale,
            "length": coding.length,
            "error": coding.error,
            "graph": graph,
            "files": {path.name: files.fingerprint(path) for path in sorted(folder.iterdir())},
        },
    )


def _add_graph(
    path: Path, vectors: NDArray[np.float32], codes: Codes
) -> tuple[tuple[int, int] | None, NDArray[np.int64]]:
    """Build a graph where a scan takes long; return what it was measured to be good for, None if there is none that
    is quicker, and the rows that are not in it."""
    if len(vectors) < LEAST_ROWS:
        return None, np.empty(0, np.int64)
    left_out = np.sort(np.random.default_rng(1).choice(len(vectors), LEFT_OUT, replace=False))
    if scan_seconds(vectors, codes, left_out) <= SHORT_S:
        return None, left_out
    build_graph(vectors, path, left_out)
    good_for = measure(path, vectors, codes, left_out)
    if good_for is None:
        path.unlink()
    return good_for, left_out


def _gather(folder: Path, sources: list[str], dim: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return vectors (count, dim) and ids (count,) of all sources in the order of ids."""
    ids = np.concatenate([np.load(folder / f"source{number}.ids.npy") for number in range(len(sources))])
    place = np.empty(len(ids), np.int64)
    place[np.argsort(ids, kind="stable")] = np.arange(len(ids))
    vectors = np.empty((len(ids), dim), np.float32)
    done = 0
    for number, path in enumerate(sources):
        source = np.memmap(path, np.float32, "r").reshape(-1, dim)
        rows = np.load(folder / f"source{number}.rows.npy")
        for start in range(0, len(rows), _BLOCK):
            some = rows[start : start + _BLOCK]
            vectors[place[done + start : done + start + len(some)]] = source[some]
        done += len(rows)
    return vectors, np.sort(ids)


def load_segment(folder: Path, expected: list[int] | None = None) -> Segment:
    """Load a segment, all rows alive with revision 0; raise DamagedError unless every file is as written.

    ``expected``: the fingerprint of its ``segment.json``, as a snapshot knows it.
    """
    if expected is not None:
        files.verify(folder / "segment.json", expected)
    about = files.read_json(folder / "segment.json", FORMAT)
    for name, mark in about["files"].items():
        if name != "vectors":
            files.verify(folder / name, mark)
    with _once(folder / "loading"):
        return _open(folder, about)


def _open(folder: Path, about: dict[str, Any]) -> Segment:
    shape = (about["rows"], about["dim"])
    ids, codes, centre = (np.load(folder / f"{name}.npy", mmap_mode=None) for name in ("ids", "codes", "centre"))
    files.demand(
        codes.shape == shape and ids.shape == shape[:1] and centre.shape == shape[1:], f"{folder.name}: shapes"
    )
    coding, graph = Coding(centre, about["scale"], about["length"], about["error"]), None
    with ExitStack() as opened:
        backing = opened.enter_context(files.private_copy(folder / "vectors", about["files"]["vectors"]))
        vectors = files.mapped(backing, shape)
        if about["graph"] is not None:
            graph = Graph(folder / "graph.nms", vectors, np.load(folder / "left_out.npy"), *about["graph"])
        segment = Segment(folder, backing, vectors, ids, Codes(codes, coding), graph)
        weakref.finalize(segment, opened.pop_all().close)
    return segment


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


def main() -> None:
    """Run the child: step back behind everybody else, die with the parent, build."""
    os.nice(int(sys.argv[2]))
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    fill_folder(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
