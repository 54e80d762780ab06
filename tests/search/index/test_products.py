"""Products of codes are those of whole numbers, whatever the processor multiplies with."""

import sys

import numpy as np
import pytest

from facenapi.errors import StartupError
from facenapi.search.index.products import GREATEST, Packed, shifted


@pytest.mark.parametrize("dim", [1, 16, 63, 128, 192, 512])
@pytest.mark.parametrize("count", [1, 7, 700])
def test_products_are_exact(dim, count):
    random = np.random.default_rng(dim)
    codes = random.integers(-127 * 256, 127 * 256, (count, dim)).astype(np.int16)
    codes[0], codes[-1] = 127 * 256 + 255, -127 * 256  # where sums of two would saturate, if any did
    probes = random.integers(-GREATEST, GREATEST + 1, (17, dim)).astype(np.float32)
    probes[:2] = [[GREATEST], [-GREATEST]]
    right = probes.astype(np.int64) @ (codes.astype(np.int64) // 256).T
    packed = Packed(codes)
    for some in (slice(0, 1), slice(1, 5), slice(None)):
        assert np.array_equal(packed.products(shifted(probes[some])), right[some])


def test_packed_rows_do_not_need_what_they_were_made_of():
    codes = np.full((300, 32), 256, np.int16)
    packed = Packed(codes)
    codes[:] = 0
    del codes
    waste = [np.full(300 * 32, 7, np.int8) for _ in range(200)]  # writes over memory that was given back
    assert (packed.products(shifted(np.ones((1, 32), np.float32))) == 32).all()
    assert len(waste) == 200


def test_without_the_runtime_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(StartupError, match=r"facenapi\[cpu\]"):
        Packed(np.zeros((1, 4), np.int16))
