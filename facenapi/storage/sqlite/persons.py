"""Persons: functions of a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from facenapi.storage.base import Page, Person, PersonSummary
from facenapi.storage.rules import DAY_MS, camera_key, day_of
from facenapi.storage.sqlite import rows


def new_person(db: sqlite3.Connection, owner: str) -> int:
    """Make a person."""
    row = db.execute(
        "INSERT INTO counters VALUES (?, 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
        (_person_counter(owner),),
    ).fetchone()
    db.execute("INSERT INTO persons (owner, id) VALUES (?, ?)", (owner, row[0]))
    return int(row[0])


def remove_persons(db: sqlite3.Connection, owner: str, ids: Sequence[int]) -> None:
    """Remove those who have no face."""
    db.executemany("DELETE FROM persons WHERE owner = ? AND id = ? AND faces = 0", [(owner, i) for i in ids])


def remove_abandoned(db: sqlite3.Connection) -> None:
    """Remove all who have no face: a server died before the first one came, or after the last one went."""
    db.execute("DELETE FROM persons WHERE faces = 0")


def restore_persons(db: sqlite3.Connection, owner: str, ids: Sequence[int]) -> None:
    """Make persons with given ids."""
    db.executemany("INSERT OR IGNORE INTO persons (owner, id) VALUES (?, ?)", [(owner, i) for i in ids])
    db.execute(
        "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
        (_person_counter(owner), max(ids, default=0)),
    )


def persons(db: sqlite3.Connection, owner: str, page: Page) -> list[PersonSummary]:
    """Return a page of the persons who have a face, highest id first."""
    low = 0 if page.min_id is None else page.min_id
    high = 2**63 - 1 if page.max_id is None else page.max_id
    order = "ASC" if page.min_id is not None else "DESC"
    newest = "SELECT max(id) FROM faces INDEXED BY faces_of_person WHERE owner = p.owner AND person_id = p.id"
    found = db.execute(
        f"SELECT id, ifnull((SELECT meta FROM faces WHERE id = ({newest})), '') FROM persons AS p "  # noqa: S608
        f"WHERE owner = ? AND id > ? AND id < ? AND faces > 0 ORDER BY id {order} LIMIT ?",
        (owner, low, high, page.limit),
    )
    return sorted((PersonSummary(*row) for row in found), reverse=True)


def person(db: sqlite3.Connection, owner: str, person_id: int) -> Person | None:
    """Return a person."""
    row = db.execute("SELECT id, faces FROM persons WHERE owner = ? AND id = ?", (owner, person_id)).fetchone()
    return _person(db, owner, *row) if row else None


def _person(db: sqlite3.Connection, owner: str, person_id: int, faces: int) -> Person:
    first, last = (
        db.execute(
            f"SELECT {end}(id) FROM faces INDEXED BY faces_of_person "  # noqa: S608  (constants)
            "WHERE owner = ? AND person_id = ?",
            (owner, person_id),
        ).fetchone()[0]
        for end in ("min", "max")
    )
    found = rows.fetch(db, owner, {first, last} - {None})
    return Person(person_id, found[last].meta if last else "", faces, found.get(first))


def _person_counter(owner: str) -> str:
    return f"person:{owner}"


def sighting_days(
    db: sqlite3.Connection, owner: str, person_id: int, cam_id: str, between_ms: tuple[int, int]
) -> set[int]:
    """Return the UTC days on which a camera saw a person, within two inclusive times."""
    # From one day on to the first sighting after its end: there may be any number of them in a day.
    first = (
        "SELECT min(timestamp_ms) FROM faces INDEXED BY sightings WHERE owner = ?1 AND person_id = ?2 "
        "AND cam_key = ?3 AND timestamp_ms BETWEEN {} AND ?5"
    )
    # SQL division rounds towards 1970, days begin before: ?6 shifts far into the past to divide.
    next_day = f"((at + ?6) / {DAY_MS} + 1) * {DAY_MS} - ?6"
    found = db.execute(
        f"WITH RECURSIVE seen (at) AS ({first.format('?4')} UNION ALL "  # noqa: S608  (constants)
        f"SELECT ({first.format(next_day)}) FROM seen WHERE at IS NOT NULL) SELECT at FROM seen WHERE at IS NOT NULL",
        (owner, person_id, camera_key(cam_id), *between_ms, DAY_MS * 1_000_000),
    )
    return {day_of(at) for (at,) in found}
