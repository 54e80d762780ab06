"""Which ids the events of a time range can have: ids are in the order of arrival, times are what clients say.

Most events are *on time*: told of within minutes, so those of a time arrived about then. Others are told of late, or
come from a camera whose clock is wrong. By how late they are, events are kept in classes (:data:`LATE`), for one that
says 1970 must not make all that arrived beside it look as old as itself.

``event_spans`` has, for spans of ids of several sizes, how many events of an owner and a class are in each and
between which times they were; triggers keep it. So the newest span with an event that is old enough says where to
begin, and nothing newer has to be looked at.
"""

from __future__ import annotations

import sqlite3

ON_TIME_MS = 300_000
_CLASSES_MS = (ON_TIME_MS, 2 * 3_600_000, 86_400_000, 8 * 86_400_000, 90 * 86_400_000)
# A span has 2^shift ids: 80 days, a day, half an hour, 26 seconds, 0.4 seconds. The larger ones lead to what is late.
SHIFTS = (44, 38, 32, 26, 20)
FINE = SHIFTS[-2:]

# How late a face was told of: 0 is on time, 5 very late, negative in the future. Ids count 0.4 ms. It is part of the
# schema: other figures need a migration.
_DELAY = "((id >> 10) * 2 / 5 - timestamp_ms)"
LATE = (
    "ALTER TABLE faces ADD COLUMN late INTEGER GENERATED ALWAYS AS ("
    f"CASE WHEN {_DELAY} < 0 THEN -1 ELSE 1 END * CASE "
    + " ".join(f"WHEN abs({_DELAY}) <= {most} THEN {number}" for number, most in enumerate(_CLASSES_MS))
    + f" ELSE {len(_CLASSES_MS)} END) VIRTUAL;"
)

_TABLE = """
CREATE TABLE event_spans (
    owner TEXT NOT NULL, late INTEGER NOT NULL, shift INTEGER NOT NULL, span INTEGER NOT NULL,
    events INTEGER NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL,
    PRIMARY KEY (owner, late, shift, span)) WITHOUT ROWID;
"""
_OF_ONE_SIZE = """
INSERT INTO event_spans SELECT owner, late, $SHIFT, id >> $SHIFT, count(*), min(timestamp_ms), max(timestamp_ms)
    FROM faces WHERE cam_key IS NOT NULL $late GROUP BY 1, 2, 4;
CREATE TRIGGER event_added_$SHIFT AFTER INSERT ON faces WHEN NEW.cam_key IS NOT NULL $NEW.late BEGIN
    INSERT INTO event_spans
        VALUES (NEW.owner, NEW.late, $SHIFT, NEW.id >> $SHIFT, 1, NEW.timestamp_ms, NEW.timestamp_ms)
        ON CONFLICT DO UPDATE SET events = events + 1, oldest = min(oldest, NEW.timestamp_ms),
            newest = max(newest, NEW.timestamp_ms);
END;
CREATE TRIGGER event_removed_$SHIFT AFTER DELETE ON faces WHEN OLD.cam_key IS NOT NULL $OLD.late BEGIN
    UPDATE event_spans SET events = events - 1
        WHERE owner = OLD.owner AND late = OLD.late AND shift = $SHIFT AND span = OLD.id >> $SHIFT;
    DELETE FROM event_spans
        WHERE owner = OLD.owner AND late = OLD.late AND shift = $SHIFT AND span = OLD.id >> $SHIFT AND events = 0;
END;
"""


def _of_one_size(shift: int) -> str:
    script = _OF_ONE_SIZE.replace("$SHIFT", str(shift))
    for name in ("late", "NEW.late", "OLD.late"):
        script = script.replace(f" ${name}", "" if shift in FINE else f" AND {name} != 0")
    return script


TABLE = _TABLE + "".join(map(_of_one_size, SHIFTS))


def classes(db: sqlite3.Connection, owner: str) -> list[int]:
    """Return which classes of lateness an owner's events have."""
    found = db.execute(
        "WITH RECURSIVE classes (late) AS (SELECT min(late) FROM event_spans WHERE owner = ?1 UNION ALL "
        "SELECT (SELECT min(late) FROM event_spans WHERE owner = ?1 AND late > classes.late) FROM classes "
        "WHERE late IS NOT NULL) SELECT late FROM classes WHERE late IS NOT NULL",
        (owner,),
    )
    return [late for (late,) in found]


def bounds(
    db: sqlite3.Connection, owner: str, late: int, start_ms: int | None, end_ms: int | None
) -> tuple[int, int]:
    """Return the exclusive ends of the ids that a class's events of a time range have; nothing may lie between."""
    low, high = -1, 2**63 - 1
    if end_ms is not None:
        high = _last(db, owner, late, "oldest <= ?", end_ms) + 1 << FINE[-1]
    if start_ms is not None:
        first = _last(db, owner, late, "newest >= ?", start_ms)
        low = high if first < 0 else (first << FINE[-1]) - 1
    return low, high


def _last(db: sqlite3.Connection, owner: str, late: int, condition: str, time_ms: int) -> int:
    """Return the newest of the smallest spans with an event so old, or the oldest with one so new; -1 for none."""
    order = "DESC" if condition.startswith("oldest") else "ASC"
    sizes = SHIFTS if late else FINE
    within = (0, 1 << 63 - sizes[0])
    edge = -1
    if not late:  # what is on time arrived about then; all that is beyond arrived before or after it
        earliest, latest = _id_at(time_ms - ON_TIME_MS - 1), _id_at(time_ms + ON_TIME_MS + 1)
        within = (earliest >> sizes[0], (latest >> sizes[0]) + 1)
        edge = (earliest if order == "DESC" else latest) >> FINE[-1]
    for shift, smaller in zip(sizes, (*sizes[1:], FINE[-1]), strict=True):
        found = db.execute(
            "SELECT span FROM event_spans WHERE owner = ? AND late = ? AND shift = ? "  # noqa: S608  (constants)
            f"AND span >= ? AND span < ? AND {condition} ORDER BY span {order} LIMIT 1",
            (owner, late, shift, *within, time_ms),
        ).fetchone()
        if found is None:  # a larger one has its bounds of an event that is deleted: any place in it will do
            break
        span = int(found[0])
        within = (span << shift - smaller, span + 1 << shift - smaller)
        edge = (span + 1 << shift - FINE[-1]) - 1 if order == "DESC" else span << shift - FINE[-1]
    return edge


def _id_at(time_ms: int) -> int:
    """Return the first id of a moment, within what ids can be."""
    return min(max(time_ms, 0), 2**43) * 5 // 2 << 10
