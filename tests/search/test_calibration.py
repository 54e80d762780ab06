"""What a level promises of its list has to hold for photos that nothing was measured with."""

import numpy as np
import pytest

from facenapi.search import calibration
from facenapi.search.grouping import group
from facenapi.search.segment import Graph, build_graph
from tests.search.support import faces_like

DIM = 32


def photos_of(one):
    """Return photos of 1,000 people, and of one more who has so many."""
    many = [faces_like(one, DIM, shots=one, noise=0.4, seed=1)] if one else []
    return np.random.default_rng(2).permutation(np.concatenate([faces_like(8000, DIM, shots=8, noise=0.4), *many]))


@pytest.mark.parametrize("one", [0, 600])
def test_lists_hold_what_they_are_trusted_to_find(tmp_path, one):
    photos, path = photos_of(one), tmp_path / "graph.nms"
    probes, vectors = photos[::20], np.delete(photos, np.s_[::20], axis=0)
    label, means = group(vectors, calibration.similarity_at(vectors, calibration.JOIN_FAR))
    by_group = np.argsort(label, kind="stable")
    vectors, label = vectors[by_group], label[by_group]
    first = np.searchsorted(label, np.arange(len(means) + 1))
    build_graph(means, path)
    levels = calibration.calibrate(vectors, first, means, lambda ef: Graph(path, DIM, ef))
    lists = [level for level in levels if level.ef != calibration.ALL]
    assert [level.ef < len(means) for level in lists] == [True, True]
    for level in lists:
        graph, found, wanted = Graph(path, DIM, level.ef), 0, 0
        for probe in probes:
            listed, _ = graph.search(probe, level.ef)
            groups = label[vectors @ probe >= level.floor]
            found, wanted = found + np.count_nonzero(np.isin(groups, listed)), wanted + len(groups)
        assert found >= 0.998 * wanted > 1000


@pytest.mark.parametrize(("people", "shots"), [(0, 0), (1, 1500), (40, 100)])
def test_photos_of_one_person_do_not_make_strangers_alike(people, shots):
    strangers = faces_like(8000, 128, shots=1)
    photos = [strangers, *(faces_like(shots, 128, shots=shots, seed=1 + person) for person in range(people))]
    for far in (1e-2, 1e-4):
        estimated = calibration.similarity_at(np.concatenate(photos), far)
        assert abs(estimated - np.quantile(strangers[:4000] @ strangers[4000:].T, 1 - far)) < 0.02


def test_nothing_is_promised_of_a_list_that_finds_nothing():
    class Blind:
        def search(self, probe, k):
            return np.empty(0, np.int32), np.empty(0, np.float32)

    vectors = faces_like(500, DIM)
    levels = calibration.calibrate(vectors, np.arange(501), vectors, lambda ef: Blind())
    assert {level.floor for level in levels} == {calibration.NEVER}
