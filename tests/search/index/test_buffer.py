"""A buffer answers as comparing all of its vectors does, however BLAS rounds."""

import numpy as np

from facenapi.search.index.codes import rounding
from facenapi.search.index.parts import Buffer

DIM = 192


class Rounded(np.ndarray):
    """Vectors whose products are as far from the truth as BLAS may be, and ``numpy.vecdot`` the other way."""

    def __matmul__(self, others):
        exact = np.asarray(self) @ others
        exact[::2] -= 1.9 * rounding(DIM)
        exact[1::2] += 1.9 * rounding(DIM)
        return exact


def test_no_rounding_of_products_keeps_the_best_out():
    vectors = np.zeros((8, DIM), np.float32)
    vectors[:, 0] = 1 - np.arange(8) * np.float32(1e-7)  # the first is the best one by a hair
    buffer = Buffer(8, DIM)
    for face_id, vector in enumerate(vectors):
        buffer.append(face_id, 1, (), vector)
    buffer.vectors = buffer.vectors.view(Rounded)
    for n, floor in [(1, None), (3, None), (1, 0.9999999), (8, 0.9999998)]:
        ((ids, sims),) = buffer.search([vectors[0]], n, floor, None)
        right = np.flatnonzero(vectors[:, 0] >= np.float32(floor or 0))[:n]
        assert sorted(ids.tolist()) == right.tolist()
        assert sorted(sims.tolist(), reverse=True) == vectors[right, 0].tolist()
