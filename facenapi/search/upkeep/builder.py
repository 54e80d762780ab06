"""Making a segment: the parent writes an order, a child process of low priority fills the folder.

A build sorts and encodes the vectors, seconds for a million; if a graph is worth trying it takes minutes and more
than twice the memory of the result. In a child it cannot slow the searches down, cannot take the server with it, and
gives all of its memory back.

A segment's folder holds arrays row by row: ``vectors`` (float32), ``sums`` (the CRC-32 of each vector), ``ids``
(ascending) and ``codes`` (the vectors in sixteen bits); perhaps ``graph.nms``; where vectors are the same ``firsts``,
of each row the first one that has its vector; and at last ``segment.json`` with what was measured and the
fingerprints of all files but the vectors, which are checked row by row when they are read.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from facenapi.process.durable import sync
from facenapi.search.index.codes import Codes, Coding, encode
from facenapi.search.index.graph import (
    LEAST_ROWS,
    LEFT_OUT,
    NO_LIST,
    SHORT_S,
    TRIAL,
    Graph,
    build_graph,
    finds_too_little,
    measure,
    scan_seconds,
)
from facenapi.search.index.parts import Buffer
from facenapi.search.index.segment import Segment
from facenapi.search.index.stored import DamagedError, Stored, firsts_of, sums_of
from facenapi.search.upkeep import files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from facenapi.search.index.collection import Plan
    from facenapi.search.index.parts import Probes

FORMAT = 8
NICENESS = 10  # at 19 a busy machine starves the build and the buffers pile up
_BLOCK = 8192
_DAMAGED = 3  # exit status of a child that found a segment damaged
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
        """Make the segment of a plan in ``folder`` and load it; None if the plan has no rows.

        Raises BuildError, OSError, or DamagedError if a segment that it was to be made of is damaged.
        """
        if not plan.rows:
            return None
        folder.mkdir(parents=True)
        try:
            return self._fill(plan, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)  # what it has of a disk that is full the next one needs
            raise

    def _fill(self, plan: Plan, folder: Path) -> Segment:
        write_order(plan, folder)
        self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "facenapi.search.upkeep.builder", str(folder), str(self._niceness)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(_PACKAGE.parent), "OPENBLAS_NUM_THREADS": "1"},
            pass_fds=[part.vectors.fd for part, _ in plan.sources if isinstance(part, Segment)],
        )
        if self._stopped:
            self._child.kill()
        _, words = self._child.communicate()
        said = words.decode(errors="replace")[-500:].strip()
        if self._child.returncode == _DAMAGED:
            raise DamagedError(said)
        if self._child.returncode:
            raise BuildError(f"exit code {self._child.returncode}: {said}")
        try:
            return load_segment(folder)
        except DamagedError as error:
            raise BuildError(f"what was built is damaged: {error}") from error
        except (MemoryError, RuntimeError) as error:
            raise BuildError(f"what was built cannot be loaded: {error}") from error

    def stop(self) -> None:
        """End a running build, and any that is asked for later."""
        self._stopped = True
        if self._child is not None:
            self._child.kill()


def write_order(plan: Plan, folder: Path) -> None:
    """Write what the child needs: ids of the rows, of each source their vectors or where these are, and whether a
    graph is worth trying."""
    for number, (part, rows) in enumerate(plan.sources):
        if isinstance(part, Segment):
            source: dict[str, Any] = {"fd": part.vectors.fd, "sums": part.vectors.sums, "rows": rows}
        else:
            assert isinstance(part, Buffer)
            source = {"vectors": part.vectors[rows]}
        np.savez(folder / f"source{number}.npz", allow_pickle=False, **source)
    ids = np.concatenate([part.ids[rows] for part, rows in plan.sources])
    about = {"dim": plan.sources[0][0].dim, "sources": len(plan.sources), "graph": plan.graph}
    np.savez(folder / "order.npz", allow_pickle=False, format=FORMAT, ids=ids, **about)


def fill_folder(folder: Path) -> None:
    """Do what an order says. This is what the child runs. Raises DamagedError if a source is damaged."""
    vectors, ids, try_graph = _gather(folder)
    codes, coding = encode(vectors)
    sums = np.array(sums_of(vectors.data.cast("B"), vectors.strides[0]), np.uint32)
    firsts = firsts_of(vectors, sums)
    if firsts is not None:
        firsts.tofile(folder / "firsts")
    vectors.tofile(folder / "vectors")
    sums.tofile(folder / "sums")
    ids.tofile(folder / "ids")
    codes.tofile(folder / "codes")
    graph, left_out = None if try_graph else NO_LIST, np.empty(0, np.int64)
    if try_graph and len(vectors) >= LEAST_ROWS:
        stored = Stored(folder / "vectors", sums, vectors.shape[1], firsts)
        try:
            graph, left_out = _add_graph(Segment(folder, stored, ids, Codes(codes, coding, firsts)), vectors)
        except DamagedError as error:  # no source is
            raise BuildError(f"what was built is damaged: {error}") from error
    for spent in folder.glob("*.npz"):
        spent.unlink()
    for path in folder.iterdir():
        sync(path)
    files.write_json(
        folder / "segment.json",
        {
            "format": FORMAT,
            "dim": vectors.shape[1],
            "rows": len(ids),
            "coding": asdict(coding),
            "graph": graph,
            "left_out": left_out.tolist(),
            "files": {path.name: files.fingerprint(path) for path in folder.iterdir() if path.name != "vectors"},
        },
    )


def _add_graph(segment: Segment, vectors: NDArray[np.float32]) -> tuple[tuple[int, int] | None, NDArray[np.int64]]:
    """Build a graph where a scan takes long; return what it was measured to be good for, as :func:`measure` does, and
    the rows that are not in it."""
    left_out = np.sort(np.random.default_rng(1).choice(len(vectors), LEFT_OUT, replace=False))
    path, probes = segment.folder / "graph.nms", vectors[left_out]
    for row in left_out.tolist():
        segment.kill(row)

    def scan(probes: Probes, n: int) -> list[NDArray[np.float32]]:
        return [sims for _, sims in segment.scan(probes, n, None)]

    if scan_seconds(scan, probes) <= SHORT_S:
        return None, left_out
    if len(vectors) > 2 * TRIAL and finds_too_little(vectors, path):
        path.unlink()
        return NO_LIST, left_out
    build_graph(vectors, path, left_out)
    good_for = measure(path, scan, probes, left_out)
    if good_for in (None, NO_LIST):
        path.unlink()
    return good_for, left_out


def _gather(folder: Path) -> tuple[NDArray[np.float32], NDArray[np.int64], bool]:
    """Return vectors (count, dim) and ids (count,) of all sources in the order of ids; whether to try a graph."""
    order = np.load(folder / "order.npz")
    if order["format"] != FORMAT:
        raise BuildError(f"the order has format {order['format']} instead of {FORMAT}")
    ids, dim, done = order["ids"], int(order["dim"]), 0
    places = np.empty(len(ids), np.int64)
    places[np.argsort(ids, kind="stable")] = np.arange(len(ids))
    vectors = np.empty((len(ids), dim), np.float32)
    for number in range(int(order["sources"])):
        for some in _read_source(np.load(folder / f"source{number}.npz"), dim):
            vectors[places[done : done + len(some)]] = some
            done += len(some)
    return vectors, np.sort(ids), bool(order["graph"])


def _read_source(source: Mapping[str, NDArray[Any]], dim: int) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of a source in blocks."""
    if "vectors" in source:
        yield source["vectors"]
        return
    stored, rows = Stored(Path(f"/dev/fd/{source['fd']}"), source["sums"], dim), source["rows"]
    for start in range(0, len(rows), _BLOCK):
        yield stored.read(rows[start : start + _BLOCK])


def load_segment(folder: Path, expected: list[int] | None = None) -> Segment:
    """Load a segment, all rows alive with revision 0; raise DamagedError unless every file is as written.

    Of the vectors only the size is looked at. ``expected``: the fingerprint of its ``segment.json``, as a snapshot
    knows it.
    """
    if expected is not None:
        files.verify(folder / "segment.json", expected)
    about = files.read_json(folder / "segment.json", FORMAT)
    shape, marks, graph = (about["rows"], about["dim"]), about["files"], None
    with _once(folder / "loading"):
        sums = files.read_array(folder / "sums", marks["sums"], np.uint32, shape[:1])
        ids = files.read_array(folder / "ids", marks["ids"], np.int64, shape[:1])
        codes = files.read_array(folder / "codes", marks["codes"], np.int16, shape)
        firsts = None  # no copies, or built by a version that did not look for them
        if "firsts" in marks:
            firsts = files.read_array(folder / "firsts", marks["firsts"], np.int32, shape[:1])
        vectors = Stored(folder / "vectors", sums, about["dim"], firsts)
        graphless = about["graph"] == list(NO_LIST)
        if about["graph"] is not None and not graphless:
            files.verify(folder / "graph.nms", marks["graph.nms"])
            left_out = np.array(about["left_out"])
            graph = Graph(folder / "graph.nms", left_out, vectors.read(left_out), *about["graph"])
        coded = Codes(codes, Coding(**about["coding"]), firsts)
        return Segment(folder, vectors, ids, coded, graph, graphless=graphless)


@contextmanager
def _once(mark: Path) -> Iterator[None]:
    """Mark an attempt to load; a file at which the process died twice is not tried a third time."""
    if mark.exists() and mark.stat().st_size >= 2:
        raise DamagedError(f"{mark.parent.name}: the process died twice while loading it")
    with mark.open("ab") as file:
        file.write(b".")
    try:
        yield
    finally:
        mark.unlink()


def main() -> None:
    """Run the child: step back behind everybody else, die with the parent, build."""
    os.nice(int(sys.argv[2]))
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    try:
        fill_folder(Path(sys.argv[1]))
    except DamagedError as error:
        sys.stderr.write(str(error))
        sys.exit(_DAMAGED)


if __name__ == "__main__":
    main()
