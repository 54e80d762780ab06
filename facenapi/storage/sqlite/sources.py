"""Where the faces of a list come from: for every filter the indexes that lead to them in the order of their ids.

The plan is chosen here, not by SQLite's planner, which has no statistics and would pick by the shape of
the query. What a source's index does not cover is checked row by row: only times, within the ids that they can
have, and what no method of the API asks for.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from facenapi.storage.base import DEFAULT_GALLERY, FaceFilter, Page
from facenapi.storage.rules import camera_key
from facenapi.storage.sqlite import spans

_EARLIEST, _LATEST = -(2**63), 2**63 - 1
# Up to so many events in a time range, and up to a quarter of a page, are looked at one by one.
_FEW = 20
_FRIEND = ("f.friend IS NULL", "f.friend = 0", "f.friend = 1")


@dataclass(frozen=True, slots=True)
class Source:
    """Where candidates come from: tables (the faces are ``f``) and conditions, and the column of the id.

    It has ids between ``low`` and ``high``, both exclusive. Those of several sources differ.
    """

    sql: str
    values: tuple[Any, ...]
    low: int
    high: int
    key: str = "f.id"

    def ids(self, order: str) -> tuple[str, tuple[Any, ...]]:
        """Return a statement that yields the ids in an order, up to a limit which it is to be given as well."""
        return (
            f"SELECT {self.key} AS id FROM {self.sql} AND {self.key} > ? AND {self.key} < ? "  # noqa: S608
            f"ORDER BY {self.key} {order} LIMIT ?",
            (*self.values, self.low, self.high),
        )


def sources(db: sqlite3.Connection, owner: str, where: FaceFilter, gallery: int, page: Page) -> Iterator[Source]:
    """Yield the sources that together have the ids of a list; ``gallery`` is that of the filter, or default."""
    low, high = bounds(page)
    events = where.events or where.cam_ids is not None
    if events and where.meta is None and where.gallery in (None, DEFAULT_GALLERY):
        yield from _of_events(db, owner, where, page)
        return
    conditions, values = _conditions(where, gallery)
    if where.person_id is not None:
        sql = f"faces AS f INDEXED BY faces_of_person WHERE f.owner = ? AND f.person_id = ? {conditions}"
        yield Source(sql, (owner, where.person_id, *values), low, high)
        return
    join = "CROSS JOIN faces AS f ON f.id = m.face" if conditions else ""
    if where.meta is not None:
        table = f"memberships AS m INDEXED BY memberships_by_meta {join}"
        yield Source(
            f"{table} WHERE m.gallery = ? AND m.meta = ? {conditions}",
            (gallery, where.meta, *values),
            low,
            high,
            "m.face",
        )
        return
    yield Source(f"memberships AS m {join} WHERE m.gallery = ? {conditions}", (gallery, *values), low, high, "m.face")


def bounds(page: Page) -> tuple[int, int]:
    """Return the exclusive ends of the range of ids."""
    return -1 if page.min_id is None else page.min_id, _LATEST if page.max_id is None else page.max_id


def _conditions(where: FaceFilter, gallery: int) -> tuple[str, list[Any]]:
    """Return what to check of each candidate that is no mere event, as SQL that begins with AND, and its values."""
    keys = _camera_keys(where)
    terms: list[tuple[str, list[Any]]] = [
        (sql, [value])
        for sql, value in (
            ("f.timestamp_ms >= ?", where.start_ms),
            ("f.timestamp_ms <= ?", where.end_ms),
            ("f.friend = ?", where.friend),
        )
        if value is not None
    ]
    if where.events or keys:
        terms.append(("f.cam_key IS NOT NULL", []))
    if keys:
        terms.append((f"f.cam_key IN ({', '.join('?' * len(keys))})", [*keys]))
    if where.person_id is not None and where.meta is not None:
        terms.append(("f.meta = ?", [where.meta]))
    if where.person_id is not None and where.gallery not in (None, DEFAULT_GALLERY):
        terms.append(("EXISTS (SELECT 1 FROM memberships WHERE gallery = ? AND face = f.id)", [gallery]))
    return "".join(f"AND {sql} " for sql, _ in terms), [value for _, values in terms for value in values]


def _of_events(db: sqlite3.Connection, owner: str, where: FaceFilter, page: Page) -> Iterator[Source]:
    """Yield the sources of the events of cameras, persons, friends and times."""
    low, high = bounds(page)
    classes = spans.classes(db, owner)
    if where.start_ms is None and where.end_ms is None:
        yield from _walks(db, owner, where, dict.fromkeys(classes, (low, high)))
        return
    times = (
        _EARLIEST if where.start_ms is None else where.start_ms,
        _LATEST if where.end_ms is None else where.end_ms,
    )
    few = max(_FEW, page.limit // 4)
    within = {}
    for late in classes:
        count = _count(db, owner, late, times, few + 1)
        if count > few:
            lowest, highest = spans.bounds(db, owner, late, where.start_ms, where.end_ms)
            within[late] = (max(low, lowest), min(high, highest))
        elif count:
            yield _sorted(owner, where, late, times, page)
    yield from _walks(db, owner, where, within, times)


def _walks(
    db: sqlite3.Connection,
    owner: str,
    where: FaceFilter,
    within: dict[int, tuple[int, int]],
    times: tuple[int, ...] = (),
) -> Iterator[Source]:
    """Yield sources for each camera and class, and for friends and for others if neither was asked for.

    ``within``: between which ids, both exclusive, the events of each class are to be looked for.
    """
    values: tuple[Any, ...] = (owner,)
    index, begin = "events", "f.owner = ?"
    if where.person_id is not None:
        index, begin, values = "events_of_person", f"{begin} AND f.person_id = ?", (owner, where.person_id)
    cameras: list[tuple[str, ...]] = [()]
    if where.cam_ids is not None:
        index = "events_of_camera" if where.person_id is None else "events_of_both"
        begin = f"{begin} AND f.cam_key = ?"
        cameras = [(key,) for key in _camera_keys(where)]
    end = "f.cam_key IS NOT NULL" + (" AND f.timestamp_ms BETWEEN ? AND ?" if times else "")
    friends = _FRIEND if where.friend is None else (f"f.friend = {where.friend:d}",)
    table = f"faces AS f INDEXED BY {index} WHERE {begin}"
    for camera in cameras:
        for late in _classes(db, table, (*values, *camera)) if len(within) > 1 else within:
            low, high = within.get(late, (0, 0))
            if low + 1 < high:
                for friend in friends:
                    sql = f"{table} AND f.late = {late:d} AND {friend} AND {end}"
                    yield Source(sql, (*values, *camera, *times), low, high)


def _classes(db: sqlite3.Connection, table: str, values: tuple[Any, ...]) -> list[int]:
    """Return which classes of lateness there are below a place in an index."""
    least = f"SELECT min(f.late) FROM {table} AND f.cam_key IS NOT NULL"  # noqa: S608  (constants)
    found = db.execute(
        f"WITH RECURSIVE classes (late) AS ({least} UNION ALL SELECT ({least} AND f.late > classes.late) "  # noqa: S608
        "FROM classes WHERE late IS NOT NULL) SELECT late FROM classes WHERE late IS NOT NULL",
        (*values, *values),
    )
    return [late for (late,) in found]


def _sorted(owner: str, where: FaceFilter, late: int, times: tuple[int, ...], page: Page) -> Source:
    """Return the source that looks at all events of a class and a time range, and sorts them."""
    keys = _camera_keys(where)
    terms: list[tuple[str, list[Any]]] = []  # the plus keeps SQLite from choosing an index by them
    if where.person_id is not None:
        terms.append(("+f.person_id = ?", [where.person_id]))
    if where.friend is not None:
        terms.append(("+f.friend = ?", [where.friend]))
    if keys:
        terms.append((f"+f.cam_key IN ({', '.join('?' * len(keys))})", [*keys]))
    sql = "".join(f" AND {sql}" for sql, _ in terms)
    return Source(
        f"faces AS f INDEXED BY events_by_time WHERE f.owner = ? AND f.late = {late:d} "
        f"AND f.timestamp_ms BETWEEN ? AND ? AND f.cam_key IS NOT NULL{sql}",
        (owner, *times, *(value for _, values in terms for value in values)),
        *bounds(page),
    )


def _count(db: sqlite3.Connection, owner: str, late: int, times: tuple[int, ...], most: int) -> int:
    """Return how many events a class has in a time range, up to so many."""
    found: tuple[int] = db.execute(
        "SELECT count(*) FROM (SELECT 1 FROM faces INDEXED BY events_by_time WHERE owner = ? AND late = ? "
        "AND cam_key IS NOT NULL AND timestamp_ms BETWEEN ? AND ? LIMIT ?)",
        (owner, late, *times, most),
    ).fetchone()
    return found[0]


def _camera_keys(where: FaceFilter) -> list[str]:
    return sorted({camera_key(cam_id) for cam_id in where.cam_ids or ()})
