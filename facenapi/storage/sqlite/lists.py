"""Lists of faces and metas: ids first, from indexes alone, then the faces of the page."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import islice

from facenapi.storage.base import DEFAULT_GALLERY, Face, FaceFilter, MetaSummary, Page
from facenapi.storage.sqlite import rows
from facenapi.storage.sqlite.sources import Source, bounds, sources

MOST_OPEN = 50  # statements; few that are read as they are needed are quicker than any that are read in steps
_COLUMNS = ", ".join(f"f.{name}" for name in rows.COLUMNS.split(", "))


def faces(db: sqlite3.Connection, owner: str, where: FaceFilter, page: Page) -> list[Face]:
    """Return a page of faces, newest first."""
    gallery = rows.gallery_id(db, owner, where.gallery or DEFAULT_GALLERY)
    if gallery is None or where.cam_ids == ():
        return []
    order = "ASC" if page.min_id is not None else "DESC"
    # Ids first: whole rows are large, and slow to sort.
    found = [*sources(db, owner, where, gallery, page)]
    if len(found) == 1:
        ids, values = found[0].ids(order)
        table = f"({ids})"
        values = (*values, page.limit)
    else:
        table = "(SELECT value AS id FROM json_each(?))"
        values = (json.dumps(_merged(db, found, order, page.limit)),)
    window = [
        rows.face_of(row)
        for row in db.execute(f"SELECT {_COLUMNS} FROM {table} AS k CROSS JOIN faces AS f ON f.id = k.id", values)  # noqa: S608
    ]
    return window if order == "DESC" else window[::-1]


def _merged(db: sqlite3.Connection, found: Sequence[Source], order: str, limit: int) -> list[int]:
    """Return the first ids of several sources, of which little more is read than that."""
    backwards = order == "DESC"
    if len(found) > MOST_OPEN:
        walks = [_walk(db, source, order, 2 * limit // len(found) + 1) for source in found]
        return list(islice(heapq.merge(*walks, reverse=backwards), limit))
    with ExitStack() as stack:
        cursors = []
        for number, source in enumerate(found):
            statement, values = source.ids(order)
            # A prepared statement that is being read serves nobody else; numbered, those of all walks stay prepared.
            cursor = db.execute(f"{statement} -- {number}", (*values, limit))
            cursors.append(stack.enter_context(closing(cursor)))
        merged = heapq.merge(*cursors, reverse=backwards)
        return [face_id for (face_id,) in islice(merged, limit)]


def _walk(db: sqlite3.Connection, source: Source, order: str, step: int) -> Iterator[int]:
    """Yield the ids of a source, read in steps that grow: each statement that stays open costs all others time, and
    many cameras make thousands of them."""
    more = True
    while more:
        statement, values = source.ids(order)
        ids = [face_id for (face_id,) in db.execute(statement, (*values, step))]
        yield from ids
        more = len(ids) == step
        if more:
            source = replace(source, **{"high" if order == "DESC" else "low": ids[-1]})
            step *= 2


def metas(db: sqlite3.Connection, owner: str, gallery: str | None, page: Page) -> list[MetaSummary]:
    """Return a page of metas, newest first face first."""
    low, high = bounds(page)
    order = "ASC" if page.min_id is not None else "DESC"
    found = db.execute(
        f"SELECT e.faces, {_COLUMNS} FROM metas AS e INDEXED BY metas_by_first "  # noqa: S608
        "CROSS JOIN faces AS f ON f.id = e.first "
        f"WHERE e.gallery = ? AND e.first > ? AND e.first < ? ORDER BY e.first {order} LIMIT ?",
        (rows.gallery_id(db, owner, gallery or DEFAULT_GALLERY), low, high, page.limit),
    )
    summaries = [MetaSummary(count, rows.face_of(tuple(row))) for count, *row in found]
    return summaries if order == "DESC" else summaries[::-1]
