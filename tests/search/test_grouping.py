"""Groups: whose photos are together, and how many, and how tightly."""

import numpy as np
import pytest

from facenapi.search.grouping import MOST_MEMBERS, group
from tests.search.support import faces_like

JOIN = 0.7


@pytest.mark.parametrize(("shots", "most_each"), [(1, 1), (8, 1.2), (100, 10)], ids=str)
def test_photos_of_a_person_share_groups_that_are_not_too_large(shots, most_each):
    vectors, people = faces_like(2000, 64, shots=shots, noise=0.2), 2000 // shots
    label, means = group(vectors, JOIN)
    sizes = np.bincount(label)
    assert len(sizes) == len(means)
    assert 0 < sizes.min() <= sizes.max() <= MOST_MEMBERS
    assert people <= len(means) <= most_each * people
    sums = np.stack([vectors[label == number].sum(axis=0) for number in range(len(means))])
    assert np.allclose(means, sums / np.linalg.norm(sums, axis=1, keepdims=True), atol=1e-5)


def test_who_fits_badly_leaves():
    vectors = faces_like(2000, 32, shots=8, noise=0.8)  # with so few numbers strangers are alike, too
    label, means = group(vectors, JOIN)
    assert len(means) < 0.5 * len(vectors)
    assert np.einsum("vd,vd->v", vectors, means[label]).min() > JOIN


def test_who_is_not_alike_enough_stays_alone():
    vectors = faces_like(2000, 64, shots=8, noise=0.2)
    label, means = group(vectors, 0.9999)
    assert len(set(label.tolist())) == len(vectors)
    assert np.allclose(means[label], vectors, atol=1e-6)
