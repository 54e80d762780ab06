"""Parts of a photo that children of the decode pool are asked for later: one by one they hang, die or lie."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from facenapi.errors import BadImage
from facenapi.photos.photo import Photo
from facenapi.photos.pool import DecodePool
from tests.photos.pools import DYING, FILES, NONSENSE, SMALL, open_photo
from tests.support.effort import daily


@pytest.mark.parametrize("action", daily([
    DYING[1],
    """answer('{"region": [500, 300, 540, 340]}')""",  # another one
    NONSENSE[0],
    """answer('{"region": [0, 0, 100000, 100000]}')""",
    """answer('{"region": [0, 0, true, null]}')""",
    """answer('{"region": [0, 0, 920, 600]}')""",  # and not so many pixels
    """answer('{"region": [0, 0]}')""",
    "os.ftruncate(pixels, 0)",  # which is sealed
], 1))  # fmt: skip
def test_a_part_is_had_although_a_child_dies_of_it_or_lies_about_it(pool, odd, action):
    photo = open_photo(pool, FILES["JPEG"], 300)
    pool._idle.pop().close()
    odd(action)
    np.testing.assert_array_equal(
        photo.part(1, 2, 30, 40), Photo(FILES["JPEG"], "photo", 6000, 300).part(1, 2, 30, 40)
    )
    assert pool.deaths == 1


@pytest.mark.slow
def test_a_part_is_refused_when_the_child_was_killed_and_the_next_one_hangs(odd, children):
    pool = DecodePool(2, 0.2)
    try:
        photo = open_photo(pool, FILES["JPEG"], 300)
        [child] = children()
        odd("time.sleep(600)")
        os.kill(child, signal.SIGKILL)
        with pytest.raises(BadImage, match=r"takes longer than 0.2 seconds"):
            photo.part(1, 2, 30, 40)
        assert open_photo(pool, SMALL).width == 60
    finally:
        pool.close()
