"""Segments that compare the means of all groups, where no list from the graph is good enough."""

import numpy as np
import pytest

from facenapi.search import builder, calibration, exact
from facenapi.search.collection import Collection
from facenapi.search.parts import Tail
from tests.search.support import faces_like

DIM, FLOOR = 32, 0.85


@pytest.fixture
def vectors():
    return faces_like(8000, DIM, shots=8, noise=0.2)


@pytest.fixture
def segment(tmp_path, monkeypatch, vectors):
    """A segment that never asks its graph, and no scan that would hide what it misses."""
    measured = calibration.calibrate

    def only_all(*how):
        *_, last = measured(*how)
        assert last.ef == calibration.ALL
        return [last]

    monkeypatch.setattr(calibration, "calibrate", only_all)
    monkeypatch.setattr(exact, "gather_limit", lambda dim: 0)
    tail = Tail(len(vectors), DIM)
    for row, vector in enumerate(vectors):
        tail.append(row, 1, ["even"] if row % 2 == 0 else [], vector)
    plan = Collection(DIM, None, (tail, Tail(1, DIM))).plan()
    builder.write_order(plan, tmp_path)
    builder.fill_folder(tmp_path)
    segment = builder.load_segment(tmp_path)
    monkeypatch.setattr(segment, "scan", lambda *_: pytest.fail("scanned exactly"))
    for row in range(0, len(vectors), 2):
        segment.retag(row, ["even"], 1)
    for row in range(0, len(vectors), 7):
        segment.kill(row)
    return segment


@pytest.mark.parametrize("tag", [None, "even"])
def test_all_means_find_every_match_and_nothing_else(segment, vectors, tag):
    found = wanted = 0
    for probe in faces_like(8000, DIM, shots=8, noise=0.2)[::40]:
        sims = vectors @ probe
        right = {row for row in np.flatnonzero(sims >= FLOOR).tolist() if row % 7 and (tag is None or row % 2 == 0)}
        ids, similarities = segment.search(probe, 100, FLOOR, tag)
        assert set(ids.tolist()) <= right
        assert np.allclose(similarities, sims[ids], atol=1e-5)
        found, wanted = found + len(ids), wanted + len(right)
    assert found >= 0.999 * wanted > 100
