"""How late an event was told of, in classes, and which ids the events of a class and a time can have.

Ids are in the order of arrival, times are what clients say. Most events are told of within minutes (class 0), so
those of a time arrived about then; the other classes say within what bounds their events arrived. The last of them
has no bound: a camera whose clock says 1970 is in it, and only its like are looked through for a time.
"""

from __future__ import annotations

from bisect import bisect_left

from facenapi.storage.ids import MAX_ID, make_id, seconds_of

# The most that events of class 0, 1, … are late, those of class -1, -2, … early; beyond the last there is no bound.
BOUNDS_MS = (20_000, 300_000, 7_200_000, 86_400_000, 8 * 86_400_000, 90 * 86_400_000)


def lateness(face_id: int, timestamp_ms: int) -> int:
    """Return the class of an event: 0 is on time, 6 very late, negative in the future.

    >>> lateness(make_id(1465816266.25, 7), 1465816266000), lateness(make_id(1465816266.25, 7), 0)
    (0, 6)
    """
    delay = round(1000 * seconds_of(face_id)) - timestamp_ms
    return bisect_left(BOUNDS_MS, abs(delay)) * (1 if delay > 0 else -1)


def window(late: int | None, start_ms: int | None, end_ms: int | None) -> tuple[int, int]:
    """Return the exclusive ends of the ids of a class's events of a time range; None: events without a class."""
    least, most = _delays(late)
    low, high = -1, MAX_ID + 1
    if start_ms is not None and least is not None:
        low = max(low, _id_at(start_ms + least - 1) - 1)
    if end_ms is not None and most is not None:
        high = min(high, _id_at(end_ms + most + 1))
    return low, high


def _delays(late: int | None) -> tuple[int | None, int | None]:
    """Return the least and the most that the events of a class are late."""
    if late is None:
        return None, None
    if not late:
        return -BOUNDS_MS[0], BOUNDS_MS[0]
    near = BOUNDS_MS[abs(late) - 1]
    far = BOUNDS_MS[abs(late)] if abs(late) < len(BOUNDS_MS) else None
    return (near, far) if late > 0 else (None if far is None else -far, -near)


def _id_at(time_ms: int) -> int:
    """Return the first id of a moment, within what ids can be."""
    return min(make_id(min(max(time_ms, 0), 2**43) / 1000, 0), MAX_ID)
