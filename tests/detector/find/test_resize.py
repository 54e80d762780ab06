import numpy as np
import pytest

from facenapi.detector.find.resize import area_resize


def naive(values, height, width):
    """Area means by cutting every pixel into height x width parts."""
    fine = np.repeat(np.repeat(values.astype(np.float64), height, axis=0), width, axis=1)
    rows, columns = values.shape[:2]
    return fine.reshape(height, rows, width, columns, -1).mean(axis=(1, 3)).transpose(2, 0, 1)


@pytest.mark.parametrize(("old", "new"), [((12, 20), (5, 7)), ((9, 9), (3, 3)), ((10, 6), (9, 5)), ((7, 5), (7, 5))])
def test_equals_the_mean_of_what_is_covered(old, new):
    values = np.random.default_rng(2).random((*old, 3), dtype=np.float32)
    assert np.abs(area_resize(values, *new) - naive(values, *new)).max() < 1e-6


def test_keeps_a_constant():
    assert np.allclose(area_resize(np.full((100, 333, 3), 7.5, np.float32), 13, 17), 7.5, atol=1e-5)
