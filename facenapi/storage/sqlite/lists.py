"""Lists of faces and metas: for every filter an index that leads straight to the page.

The plan is chosen here, not by SQLite's planner, which has no statistics and would pick by the shape of
the query: each *source* below yields face ids in order from one index; what it does not cover is
checked row by row.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from facenapi.storage.base import DEFAULT_GALLERY, Face, FaceFilter, MetaSummary, Page
from facenapi.storage.rules import camera_key
from facenapi.storage.sqlite import rows, spans

_COLUMNS = ", ".join(f"f.{name}" for name in rows.COLUMNS.split(", "))
# Up to so many events in a time range are sorted by id; more of them are found sooner by walking the ids.
SORTED_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Source:
    """Where candidates come from: tables (the faces are ``f``) and conditions, and the column of the id, in order."""

    sql: str
    values: tuple[Any, ...] = ()
    key: str = "f.id"


def faces(db: sqlite3.Connection, owner: str, where: FaceFilter, page: Page) -> list[Face]:
    """Return a page of faces, newest first."""
    gallery = rows.gallery_id(db, owner, where.gallery or DEFAULT_GALLERY)
    if gallery is None or where.cam_ids == ():
        return []
    conditions, values = _conditions(where, gallery)
    order = "ASC" if page.min_id is not None else "DESC"
    low, high = _bounds(page)
    if (where.start_ms, where.end_ms) != (None, None) and (where.events or where.cam_ids):
        lowest, highest = spans.bounds(db, owner, where.start_ms, where.end_ms)
        low, high = max(low, lowest), min(high, highest)
    found: list[Face] = []
    for source in _sources(db, owner, where, gallery, joined=bool(conditions)):
        # Ids first, from indexes alone where they have what is asked: whole rows are large, and slow to sort.
        ids = (
            f"SELECT {source.key} AS id FROM {source.sql} AND {source.key} > ? AND {source.key} < ? "  # noqa: S608
            f"{conditions} ORDER BY {source.key} {order} LIMIT ?"
        )
        candidates = db.execute(
            f"SELECT {_COLUMNS} FROM ({ids}) AS k CROSS JOIN faces AS f ON f.id = k.id",  # noqa: S608
            (*source.values, low, high, *values, page.limit),
        )
        found += map(rows.face_of, candidates)
    found.sort(key=attrgetter("id"), reverse=order == "DESC")
    window = found[: page.limit]
    return window if order == "DESC" else window[::-1]


def _bounds(page: Page) -> tuple[int, int]:
    """Return the exclusive ends of the range of ids."""
    return -1 if page.min_id is None else page.min_id, 2**63 - 1 if page.max_id is None else page.max_id


def _conditions(where: FaceFilter, gallery: int) -> tuple[str, list[Any]]:
    """Return what to check of each candidate, as SQL that begins with AND, and its values."""
    keys = _camera_keys(where)
    terms: list[tuple[str, list[Any]]] = [
        (sql, [value])
        for sql, value in (
            ("f.person_id = ?", where.person_id),
            ("f.timestamp_ms >= ?", where.start_ms),
            ("f.timestamp_ms <= ?", where.end_ms),
            ("f.friend = ?", where.friend),
        )
        if value is not None
    ]
    if where.events or keys:
        terms.append(("f.cam_key IS NOT NULL", []))
    if keys:
        # The plus keeps SQLite from choosing an index by this.
        terms.append((f"+f.cam_key IN ({', '.join('?' * len(keys))})", list(keys)))
    if where.person_id is not None and where.meta is not None:
        terms.append(("f.meta = ?", [where.meta]))
    if where.person_id is not None and where.gallery not in (None, DEFAULT_GALLERY):
        terms.append(("EXISTS (SELECT 1 FROM memberships WHERE gallery = ? AND face = f.id)", [gallery]))
    return "".join(f"AND {sql} " for sql, _ in terms), [value for _, values in terms for value in values]


def _sources(db: sqlite3.Connection, owner: str, where: FaceFilter, gallery: int, *, joined: bool) -> list[Source]:
    """Return the sources that together yield the candidates."""
    events = where.events or where.cam_ids is not None
    if where.person_id is not None:
        return [Source("faces AS f INDEXED BY faces_of_person WHERE f.owner = ?", (owner,))]
    if events and where.meta is None and where.gallery in (None, DEFAULT_GALLERY):
        return _event_sources(db, owner, where)
    join = "CROSS JOIN faces AS f ON f.id = m.face" if joined else ""
    members = f"memberships AS m {{}} {join} WHERE m.gallery = ?"
    if where.meta is not None:
        by_meta = members.format("INDEXED BY memberships_by_meta") + " AND m.meta = ?"
        return [Source(by_meta, (gallery, where.meta), "m.face")]
    return [Source(members.format(""), (gallery,), "m.face")]


def _event_sources(db: sqlite3.Connection, owner: str, where: FaceFilter) -> list[Source]:
    if _few_in_time(db, owner, where):
        return [Source("faces AS f INDEXED BY events_by_time WHERE f.owner = ?", (owner,))]
    if where.cam_ids is not None:
        index = "events_of_camera WHERE"
        if where.friend:
            index = "events_of_camera_friends WHERE f.friend = 1 AND"
        return [
            Source(f"faces AS f INDEXED BY {index} f.owner = ? AND f.cam_key = ?", (owner, key))
            for key in _camera_keys(where)
        ]
    if where.friend:
        return [Source("faces AS f INDEXED BY events_of_friends WHERE f.owner = ? AND f.friend = 1", (owner,))]
    return [Source("faces AS f INDEXED BY events WHERE f.owner = ?", (owner,))]


def _few_in_time(db: sqlite3.Connection, owner: str, where: FaceFilter) -> bool:
    """Whether so few events fall in the time range that it leads to them best."""
    if where.start_ms is None and where.end_ms is None:
        return False
    start = -(2**63) if where.start_ms is None else where.start_ms
    end = 2**63 - 1 if where.end_ms is None else where.end_ms
    count: int = db.execute(
        "SELECT count(*) FROM (SELECT 1 FROM faces INDEXED BY events_by_time WHERE owner = ? "
        "AND cam_key IS NOT NULL AND timestamp_ms BETWEEN ? AND ? LIMIT ?)",
        (owner, start, end, SORTED_EVENTS + 1),
    ).fetchone()[0]
    return count <= SORTED_EVENTS


def _camera_keys(where: FaceFilter) -> list[str]:
    return sorted({camera_key(cam_id) for cam_id in where.cam_ids or ()})


def metas(db: sqlite3.Connection, owner: str, gallery: str | None, page: Page) -> list[MetaSummary]:
    """Return a page of metas, newest first face first."""
    low, high = _bounds(page)
    order = "ASC" if page.min_id is not None else "DESC"
    found = db.execute(
        f"SELECT e.faces, {_COLUMNS} FROM metas AS e INDEXED BY metas_by_first "  # noqa: S608
        "CROSS JOIN faces AS f ON f.id = e.first "
        f"WHERE e.gallery = ? AND e.first > ? AND e.first < ? ORDER BY e.first {order} LIMIT ?",
        (rows.gallery_id(db, owner, gallery or DEFAULT_GALLERY), low, high, page.limit),
    )
    summaries = [MetaSummary(count, rows.face_of(tuple(row))) for count, *row in found]
    return summaries if order == "DESC" else summaries[::-1]
