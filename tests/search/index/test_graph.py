"""Graphs: used for what they were measured to find, and for nothing else."""

import os
import subprocess
import sys

import numpy as np
import pytest

from facenapi.search.index import graph as graph_module
from facenapi.search.index.collection import Collection
from facenapi.search.index.parts import Buffer
from facenapi.search.index.stored import DamagedError, Stored
from facenapi.search.upkeep import builder
from tests.search.support import built_with_a_graph, faces_like

DIM, COUNT, LEFT_OUT = 32, 1500, 50


@pytest.fixture(scope="module")
def vectors():
    return faces_like(COUNT, DIM, shots=10)


def plan_of(vectors):
    source = Buffer(len(vectors), DIM)
    for row, vector in enumerate(vectors):
        source.append(row, 1, ("even",) if row % 2 == 0 else (), vector)
    return Collection(DIM, None, (source, Buffer(1, DIM))).plan()


@pytest.fixture
def segment(tmp_path, vectors):
    return built_with_a_graph(plan_of(vectors), tmp_path / "segment", LEFT_OUT, (200, 10))


def both(segment, *query):
    """Return what the segment answers, and what a scan does."""
    return segment.search(*query), segment.scan(*query)


def test_the_best_are_found_and_so_are_those_that_are_not_in_the_graph(segment, vectors):
    assert len(segment.graph._left_out) == LEFT_OUT
    probes = list(vectors[::9]) + list(vectors[segment.graph._left_out])
    found = wanted = 0
    for floor in (None, 0.5, 0.999):
        for (ids, sims), (best_ids, best) in zip(*both(segment, probes, 10, floor, None), strict=True):
            assert len(ids) == len(sims)
            found, wanted = found + len(np.intersect1d(ids, best_ids)), wanted + len(best)
    assert found >= 0.999 * wanted > 1000


@pytest.mark.parametrize(("n", "tag"), [(11, None), (5, "even")], ids=str)
def test_what_was_not_measured_is_scanned(segment, vectors, monkeypatch, n, tag):
    monkeypatch.setattr(segment.graph, "search", lambda probe: pytest.fail("asked the graph"))
    segment.search([vectors[0]], n, None, tag)


def test_where_the_nearest_are_deleted_nothing_is_missed(segment, vectors):
    probe = vectors[7]
    for row in np.argsort(-(vectors @ probe))[:195].tolist():
        segment.kill(row)
    ((ids, sims),), ((best_ids, best),) = both(segment, [probe], 10, None, None)
    assert np.array_equal(np.sort(ids), np.sort(best_ids))
    assert np.array_equal(np.sort(sims), np.sort(best))


class Fixed:
    """A graph that finds a share of the best."""

    share = 1.0

    vectors: np.ndarray

    def __init__(self, path, left_out, vectors, ef, most):
        self._left_out, self._ef = left_out, ef

    def search(self, probe):
        sims = self.vectors @ probe
        sims[self._left_out] = -2
        rows = np.argsort(-sims)[: self._ef]
        rows = rows[np.random.default_rng(int(1e6 * abs(probe[0]))).random(len(rows)) < self.share]
        return rows, sims[rows]


@pytest.mark.parametrize(
    ("share", "graph_s", "measured"),
    [(1.0, 1e-4, (128, 100)), (0.99, 1e-4, (0, 0)), (1.0, 1.0, None)],
    ids=["good", "misses some", "slow"],
)
def test_a_graph_is_used_if_it_is_quicker_and_misses_nothing(vectors, monkeypatch, share, graph_s, measured):
    monkeypatch.setattr(Fixed, "share", share)
    monkeypatch.setattr(Fixed, "vectors", vectors, raising=False)
    monkeypatch.setattr(graph_module, "Graph", Fixed)
    monkeypatch.setattr(graph_module, "LISTS", (128, 256))
    monkeypatch.setattr(graph_module, "_seconds", lambda search, probes: graph_s if "Fixed" in repr(search) else 1e-2)
    left_out = np.arange(0, COUNT, 15)
    others = np.delete(vectors, left_out, axis=0)

    def scan(probes, _):
        return [others @ probe for probe in probes]

    assert graph_module.measure(None, scan, vectors[left_out], left_out) == measured


def test_a_build_throws_away_a_graph_that_is_no_quicker(tmp_path, vectors, monkeypatch):
    monkeypatch.setattr(graph_module, "_seconds", lambda *_: 1.0)
    segment = built_with_a_graph(plan_of(vectors), tmp_path / "segment", LEFT_OUT, measured=None)
    assert segment.graph is None
    assert not (tmp_path / "segment" / "graph.nms").exists()
    ((ids, _),) = segment.search([vectors[5]], 1, None, None)
    assert ids.tolist() == [5]


def test_of_many_vectors_some_are_tried_first(tmp_path, vectors, monkeypatch):
    counts = []
    build = builder.build_graph
    monkeypatch.setattr(
        graph_module, "build_graph", lambda some, *args: [counts.append(len(some)), build(some, *args)]
    )
    monkeypatch.setattr(builder, "build_graph", graph_module.build_graph)
    for module in (graph_module, builder):
        monkeypatch.setattr(module, "TRIAL", 500)
    monkeypatch.setattr(graph_module, "LEFT_OUT", LEFT_OUT)
    monkeypatch.setattr(graph_module, "LISTS", (2,))
    hard = built_with_a_graph(plan_of(vectors), tmp_path / "hard", LEFT_OUT, measured=None)
    assert (counts, hard.graphless, [*tmp_path.glob("hard/graph*")]) == ([500], True, [])
    monkeypatch.setattr(graph_module, "LISTS", (500,))
    built_with_a_graph(plan_of(vectors), tmp_path / "easy", LEFT_OUT, measured=None)
    assert counts == [500, 500, COUNT]


def test_after_a_graph_that_found_too_little_no_other_is_tried_in_the_collection(tmp_path, vectors, monkeypatch):
    first = built_with_a_graph(plan_of(vectors), tmp_path / "first", LEFT_OUT, measured=graph_module.NO_LIST)
    assert (first.graph, [*tmp_path.glob("first/graph*")]) == (None, [])
    collection = Collection(DIM, 100, (first, Buffer(100, DIM)))
    for row, vector in enumerate(vectors[:300]):
        collection.upsert(COUNT + row, 1, (), vector)
    monkeypatch.setattr(builder, "build_graph", lambda *_: pytest.fail("it was built"))
    merged = built_with_a_graph(collection.plan(), tmp_path / "merged", LEFT_OUT, measured=None)
    assert (merged.graph, merged.graphless) == (None, True)
    ((ids, _),) = merged.search([vectors[5]], 1, None, None)
    assert ids.tolist() == [COUNT + 5]


def test_no_graph_is_built_where_a_scan_takes_no_time(tmp_path, vectors, monkeypatch):
    monkeypatch.setattr(graph_module, "_seconds", lambda *_: 1e-3)
    monkeypatch.setattr(builder, "build_graph", lambda *_: pytest.fail("it was built"))
    for name, value in (("LEAST_ROWS", 0), ("LEFT_OUT", LEFT_OUT), ("SHORT_S", 1e-3)):
        monkeypatch.setattr(builder, name, value)
    (tmp_path / "segment").mkdir()
    builder.write_order(plan_of(vectors), tmp_path / "segment")
    builder.fill_folder(tmp_path / "segment")
    assert builder.load_segment(tmp_path / "segment").graph is None


def test_a_new_file_that_cannot_be_read_is_not_taken_for_a_damaged_source(tmp_path, vectors, monkeypatch):
    def read(*_):
        raise DamagedError("Input/output error")

    monkeypatch.setattr(Stored, "read", read)
    with pytest.raises(builder.BuildError, match="what was built is damaged: Input/output error"):
        built_with_a_graph(plan_of(vectors), tmp_path / "segment")


def test_it_is_loaded_where_no_temporary_file_can_be_made():
    code = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere']; import " + graph_module.__name__
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ, timeout=60)
