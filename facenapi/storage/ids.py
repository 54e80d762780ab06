"""Face ids: time in ticks of 0.4 ms since 1970, shifted left by ten bits, plus the cell of the face.

So ids sort by age, and an id alone says which search shard holds its vector. They stay below 2^53
(exact in every JSON reader) until the year 2081.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from facenapi.errors import Unavailable
from facenapi.storage.base import CELL_COUNT

TICKS_PER_SECOND = 2500
CELL_BITS = 10
MAX_ID = 2**53 - 1
EARLIEST_S = 1_577_836_800.0  # 2020: before there was such a server; a machine without a battery begins in 1970
MOST_AHEAD_S = 3600.0
SECONDS_A_YEAR = 365.2425 * 86_400


def make_id(seconds: float, cell: int) -> int:
    """Return the id for a moment (seconds since 1970) and a cell.

    >>> make_id(1465816266.25, 7) == (1465816266 * 2500 + 625) * 1024 + 7
    True
    """
    if not 0 <= cell < CELL_COUNT:
        raise ValueError(f"cell {cell} is not in 0…{CELL_COUNT - 1}")
    return int(seconds * TICKS_PER_SECOND) << CELL_BITS | cell


def cell_of(face_id: int) -> int:
    """Return the cell of an id.

    >>> cell_of(make_id(1465816266.25, 7))
    7
    """
    return face_id & (CELL_COUNT - 1)


def seconds_of(face_id: int) -> float:
    """Return the moment at which an id was made, in seconds since 1970."""
    return (face_id >> CELL_BITS) / TICKS_PER_SECOND


def highest_at(seconds: float) -> int:
    """Return an id above all that can have been made by then, clocks being what they are.

    Faces with higher ids were stored while a clock was wrong. New ids do not count on from those.
    """
    return make_id(seconds + MOST_AHEAD_S, 0)


class IdMaker:
    """Makes ids that only ever grow, also when the clock is set back a little or many fall on one tick.

    What a clock said that was wrong by hours is forgotten when it is right again. Not for use from several threads.
    Two makers (two servers) may clash: the database finds out, and the face is stored under a new id.
    """

    def __init__(self, last: int = 0, clock: Callable[[], float] = time.time) -> None:
        self._last = last
        self._clock = clock

    def next(self, cell: int) -> int:
        """Return a new id in a cell, above all made before; raise Unavailable if the clock says what cannot be."""
        now = self._clock()
        face_id = make_id(now, cell)
        if face_id <= self._last < highest_at(now):
            face_id = self._last - cell_of(self._last) + cell
            if face_id <= self._last:
                face_id += CELL_COUNT
        if now < EARLIEST_S or face_id > MAX_ID:
            raise Unavailable(f"The clock is wrong: it says {now / SECONDS_A_YEAR + 1970:.0f}, so no face is stored")
        self._last = face_id
        return face_id
