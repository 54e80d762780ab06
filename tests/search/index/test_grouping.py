"""Groups: whose photos are together, and how many, and how tightly."""

import numpy as np
import pytest

from facenapi.search.index.calibration import JOIN_FAR, similarity_at
from facenapi.search.index.geometry import centred, unit
from facenapi.search.index.grouping import MOST_MEMBERS, group
from tests.search.support import faces_like

JOIN = 0.7


@pytest.mark.parametrize(("shots", "most_each"), [(1, 1), (8, 1.2), (100, 10)], ids=str)
def test_photos_of_a_person_share_groups_that_are_not_too_large(shots, most_each):
    vectors, people = faces_like(2000, 64, shots=shots, noise=0.2), 2000 // shots
    sizes = np.bincount(group(vectors, JOIN))
    assert 0 < sizes.min() <= sizes.max() <= MOST_MEMBERS
    assert people <= len(sizes) <= most_each * people


def test_who_fits_badly_leaves():
    vectors = faces_like(2000, 32, shots=8, noise=0.8)  # with so few numbers strangers are alike, too
    label = group(vectors, JOIN)
    means = unit(np.stack([vectors[label == number].sum(axis=0) for number in range(label.max() + 1)]))
    assert len(means) < 0.5 * len(vectors)
    assert np.einsum("vd,vd->v", vectors, means[label]).min() > JOIN


def test_who_is_not_alike_enough_stays_alone():
    vectors = faces_like(2000, 64, shots=8, noise=0.2)
    assert sorted(group(vectors, 0.9999).tolist()) == list(range(len(vectors)))


def test_what_all_faces_have_in_common_does_not_join_them():
    photos = faces_like(4000, 64, shots=8, noise=0.75, common=2.4)
    apart = centred(photos)
    sizes = np.bincount(group(apart, similarity_at(apart, JOIN_FAR)))
    assert np.count_nonzero(sizes == 8) > 0.9 * 500
