"""What a level promises of its list has to hold for photos that nothing was measured with."""

import numpy as np
import pytest

from facenapi.search.index import calibration, geometry
from facenapi.search.index.grouping import group
from facenapi.search.index.segment import ALL, Graph, build_graph
from tests.search.support import faces_like

DIM = 32


class Blind:
    """A graph that finds nothing."""

    def search(self, probe, k):
        return np.empty(0, np.int32), np.empty(0, np.float32)


@pytest.fixture(scope="module", params=[(0, 0.0), (600, 0.0), (0, 2.4)], ids=str)
def people(request):
    """Probes, and vectors in the order of their groups with the group of each, the first of each, and centres.

    They are of 1,000 people, of one more who has very many photos, of people who have much in common.
    """
    many, common = request.param
    photos = faces_like(8000, DIM, shots=8, noise=0.4, common=common)
    if many:
        one = faces_like(many, DIM, shots=many, noise=0.4, seed=1)
        photos = np.random.default_rng(2).permutation(np.concatenate([photos, one]))
    probes, vectors = photos[::8], np.delete(photos, np.s_[::8], axis=0)
    apart = geometry.centred(vectors)
    label = group(apart, calibration.similarity_at(apart, calibration.JOIN_FAR))
    by_group = np.argsort(label, kind="stable")
    vectors, label = vectors[by_group], label[by_group]
    first = np.searchsorted(label, np.arange(label[-1] + 2))
    return probes, vectors, label, first, geometry.centres_of(vectors, first)


@pytest.mark.slow
@pytest.mark.parametrize(("scanned_share", "count"), [(calibration.SCANNED_SHARE, 1), (0.0, 2)], ids=str)
def test_lists_hold_what_they_are_trusted_to_find(people, tmp_path, monkeypatch, scanned_share, count):
    probes, vectors, label, first, centres = people
    path = tmp_path / "graph.nms"
    build_graph(geometry.unit(centres), path)
    monkeypatch.setattr(calibration, "SCANNED_SHARE", scanned_share)
    levels = calibration.calibrate(vectors, first, centres, lambda ef: Graph(path, DIM, ef))
    lists = [level for level in levels if level.ef != ALL]
    assert [level.ef < len(centres) for level in lists] == [True] * count
    for level in lists:
        graph, found, wanted = Graph(path, DIM, level.ef), 0, 0
        for probe in probes:
            listed, _ = graph.search(probe, level.ef)
            groups = label[vectors @ probe >= level.floor]
            found, wanted = found + np.count_nonzero(np.isin(groups, listed)), wanted + len(groups)
        assert found >= 0.998 * wanted > 1000


def test_groups_that_are_not_looked_into_have_no_matches_whatever_the_threshold(people):
    probes, vectors, label, first, centres = people
    *_, level = calibration.calibrate(vectors, first, centres, lambda ef: Blind())
    assert level.ef == ALL
    highest = centres @ probes.T + level.slack * geometry.spreads(centres)[:, None]
    sims = vectors @ probes.T
    for threshold in np.linspace(level.floor, float(np.quantile(sims[sims >= level.floor], 0.9)), 12):
        matches, looked_into = sims >= threshold, highest >= min(threshold, level.ceiling)
        assert np.count_nonzero(matches & looked_into[label]) >= 0.998 * matches.sum() > 300
        assert looked_into.mean() < 0.5


@pytest.mark.parametrize(("people", "shots"), [(0, 0), (1, 1500), (40, 100)])
def test_photos_of_one_person_do_not_make_strangers_alike(people, shots):
    strangers = faces_like(8000, 128, shots=1)
    photos = [strangers, *(faces_like(shots, 128, shots=shots, seed=1 + person) for person in range(people))]
    for far in (1e-2, 1e-4):
        estimated = calibration.similarity_at(np.concatenate(photos), far)
        assert abs(estimated - np.quantile(strangers[:4000] @ strangers[4000:].T, 1 - far)) < 0.02


def test_nothing_is_promised_of_a_list_that_finds_nothing():
    vectors = faces_like(500, DIM)
    levels = calibration.calibrate(vectors, np.arange(501), vectors, lambda ef: Blind())
    assert {level.floor for level in levels} == {calibration.NEVER}
