"""Which ids the events of a time range can have: ids are in the order of arrival, times are what clients say.

``event_spans`` has, for spans of ids of three sizes, how many events of an owner are in each and between which
times they were; triggers keep it. Events mostly arrive in the order of their times, or long after them but in that
order. So the newest span with an event that is old enough says where to begin, and nothing newer has to be looked
at.
"""

from __future__ import annotations

import sqlite3

SHIFTS = (40, 30, 20)  # a span has 2^shift ids: five days, seven minutes, 0.4 seconds

_TABLE = """
CREATE TABLE event_spans (
    owner TEXT NOT NULL, shift INTEGER NOT NULL, span INTEGER NOT NULL, events INTEGER NOT NULL,
    oldest INTEGER NOT NULL, newest INTEGER NOT NULL, PRIMARY KEY (owner, shift, span)) WITHOUT ROWID;
"""
_OF_ONE_SIZE = """
INSERT INTO event_spans SELECT owner, $SHIFT, id >> $SHIFT, count(*), min(timestamp_ms), max(timestamp_ms)
    FROM faces WHERE cam_key IS NOT NULL GROUP BY owner, id >> $SHIFT;
CREATE TRIGGER event_added_$SHIFT AFTER INSERT ON faces WHEN NEW.cam_key IS NOT NULL BEGIN
    INSERT INTO event_spans
        VALUES (NEW.owner, $SHIFT, NEW.id >> $SHIFT, 1, NEW.timestamp_ms, NEW.timestamp_ms)
        ON CONFLICT DO UPDATE SET events = events + 1, oldest = min(oldest, NEW.timestamp_ms),
            newest = max(newest, NEW.timestamp_ms);
END;
CREATE TRIGGER event_removed_$SHIFT AFTER DELETE ON faces WHEN OLD.cam_key IS NOT NULL BEGIN
    UPDATE event_spans SET events = events - 1
        WHERE owner = OLD.owner AND shift = $SHIFT AND span = OLD.id >> $SHIFT;
    DELETE FROM event_spans
        WHERE owner = OLD.owner AND shift = $SHIFT AND span = OLD.id >> $SHIFT AND events = 0;
END;
"""
TABLE = _TABLE + "".join(_OF_ONE_SIZE.replace("$SHIFT", str(shift)) for shift in SHIFTS)


def bounds(db: sqlite3.Connection, owner: str, start_ms: int | None, end_ms: int | None) -> tuple[int, int]:
    """Return the exclusive ends of the ids that events of a time range have; none between them if there are none."""
    low, high = -1, 2**63 - 1
    if end_ms is not None:
        high = _last(db, owner, "oldest <= ?", end_ms, "DESC") + 1 << SHIFTS[-1]
    if start_ms is not None:
        first = _last(db, owner, "newest >= ?", start_ms, "ASC")
        low = high if first < 0 else (first << SHIFTS[-1]) - 1
    return low, high


def _last(db: sqlite3.Connection, owner: str, condition: str, time_ms: int, order: str) -> int:
    """Return the first of the smallest spans, in an order, with an event of a time; -1 if there is none."""
    within = (0, 2**43)
    span = -1
    for number, shift in enumerate(SHIFTS):
        found = db.execute(
            "SELECT span FROM event_spans WHERE owner = ? AND shift = ? AND span >= ? AND span < ? "  # noqa: S608
            f"AND {condition} ORDER BY span {order} LIMIT 1",
            (owner, shift, *within, time_ms),
        ).fetchone()
        if found is None:  # its bounds may be those of an event that is deleted: then any place in it will do
            return -1 if number == 0 else _edge(span, SHIFTS[number - 1], order)
        span = found[0]
        if number + 1 < len(SHIFTS):
            step = shift - SHIFTS[number + 1]
            within = (span << step, span + 1 << step)
    return int(span)


def _edge(span: int, shift: int, order: str) -> int:
    """Return the smallest span at the end of a larger one at which an order begins."""
    step = shift - SHIFTS[-1]
    return (span + 1 << step) - 1 if order == "DESC" else span << step
