"""Segments that compare the means of all groups, and which lists from the graph are not good enough."""

import numpy as np
import pytest

from facenapi.search.index import calibration, exact, geometry
from facenapi.search.index.collection import Collection
from facenapi.search.index.parts import Tail
from facenapi.search.index.segment import ALL, Level
from facenapi.search.upkeep import builder
from tests.search.support import faces_like

DIM, FLOOR = 32, 0.85
LIST, LOW, SLACK, SPREADS = 16, 0.3, 0.4, 3.0


@pytest.fixture(scope="module")
def vectors():
    return faces_like(8000, DIM, shots=8, noise=0.2)


@pytest.fixture(autouse=True)
def no_small_scans(monkeypatch):
    """Leave no search to an exact scan because little is allowed."""
    monkeypatch.setattr(exact, "gather_limit", lambda dim: 0)


def built(folder, vectors, calibrate):
    """A segment with levels of our choice, and no scan or tail that would hide what it misses."""
    tail = Tail(len(vectors), DIM)
    for row, vector in enumerate(vectors):
        tail.append(row, 1, ["even"] if row % 2 == 0 else [], vector)
    plan = Collection(DIM, None, (tail, Tail(1, DIM))).plan()
    builder.write_order(plan, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "calibrate", calibrate)
        builder.fill_folder(folder)
    segment = builder.load_segment(folder)
    segment.scan = lambda *_: pytest.fail("scanned exactly")
    return segment


@pytest.fixture(scope="module")
def segment(tmp_path_factory, vectors):
    """A segment that never asks its graph."""
    measured = calibration.calibrate

    def only_all(*how):
        *_, last = measured(*how)
        assert last.ef == ALL
        return [last]

    segment = built(tmp_path_factory.mktemp("segment"), vectors, only_all)
    for row in range(0, len(vectors), 2):
        segment.retag(row, ["even"], 1)
    for row in range(0, len(vectors), 7):
        segment.kill(row)
    return segment


@pytest.mark.slow
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


@pytest.mark.parametrize("common", [0.0, 2.4])
def test_a_copy_and_a_near_copy_find_their_face_at_any_threshold(tmp_path, common):
    vectors = faces_like(4000, DIM, shots=8, noise=0.4, common=common)
    segment, found, count = built(tmp_path, vectors, calibration.calibrate), 0, 0
    noise = np.random.default_rng(3).standard_normal((len(vectors), DIM)).astype(np.float32)
    for noisy in (0.0, 0.01, 0.02):
        probes = geometry.unit(vectors + noisy * noise)
        for row in range(0, len(vectors), 4):
            floor = min(0.999, float(vectors[row] @ probes[row]) - 1e-5)
            count, found = count + 1, found + (row in segment.search(probes[row], 1000, floor, None)[0])
    assert found >= 0.999 * count


def test_a_segment_of_copies_that_differ_by_a_rounding_finds_them_all(tmp_path):
    people = faces_like(200, DIM, shots=1)
    noise = np.random.default_rng(4).standard_normal((4000, DIM)).astype(np.float32)
    vectors = geometry.unit(np.repeat(people, 20, axis=0) + np.float32(1e-6) * noise)
    segment = built(tmp_path, vectors, calibration.calibrate)
    del segment.scan
    found = [len(segment.search(person, 100, 0.99, None)[0]) for person in people]
    assert sum(found) >= 0.999 * 4000


def test_probes_that_are_searched_for_together_find_what_each_finds_alone(segment, vectors):
    for floor, n, tag in [(FLOOR, 100, None), (0.6, 5, "even"), (None, 3, None)]:
        for count in (2, 3, 16):
            probes, found = vectors[1 : 301 * count : 301], 0
            for probe, (ids, sims) in zip(probes, segment.search_batch(probes, n, floor, tag), strict=True):
                ids_alone, sims_alone = segment.search(probe, n, floor, tag)
                assert dict(zip(ids, sims, strict=True)) == dict(zip(ids_alone, sims_alone, strict=True))
                found += len(ids)
            assert found >= 2 * count


@pytest.mark.parametrize(("trusted_from", "n"), [(LOW, 8000), (FLOOR, 8000), (FLOOR, 3)], ids=str)
def test_a_list_is_not_trusted_when_full_or_below_its_floor(tmp_path, vectors, trusted_from, n):
    levels = [
        Level(LIST, trusted_from, SLACK, 1.0),
        Level(ALL, LOW, SPREADS, 1.0),
    ]
    segment = built(tmp_path, vectors, lambda *_: levels)
    for probe in faces_like(200, DIM, seed=5):
        sims = vectors @ probe
        right = np.sort(sims[sims >= LOW])[::-1][:n]
        assert n == 3 or len(right) > 8 * LIST  # more matches than a list of groups of eight can hold
        _, found = segment.search(probe, n, LOW, None)
        assert len(found) == len(right)
        assert np.allclose(np.sort(found)[::-1], right, atol=1e-5)
