"""The embedded store's lists: led by an index, and as dear as what they return."""

from __future__ import annotations

import re

import pytest

from facenapi.storage.base import FaceFilter, Page
from facenapi.storage.sqlite import lists, schema
from tests.storage.samples import new_face
from tests.storage.sqlite.support import DATABASE, filled, opened


@pytest.mark.parametrize(
    "where",
    [
        FaceFilter(),
        FaceFilter(gallery="default", meta="1"),
        FaceFilter(events=True),
        FaceFilter(cam_ids=("c1", "c2")),
        FaceFilter(events=True, friend=True),
        FaceFilter(events=True, friend=False),
        FaceFilter(events=True, start_ms=1, end_ms=2),
        FaceFilter(cam_ids=("c1", "c2"), friend=True),
        FaceFilter(cam_ids=("c1", "c2"), start_ms=1, friend=True),
    ],
    ids=str,
)
async def test_an_index_leads_to_the_faces_of_a_page(tmp_path, where):
    await filled(tmp_path, 3)
    db = schema.connect(tmp_path / DATABASE, "normal")
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    lists.faces(db, "ann", where, Page())
    db.set_trace_callback(None)
    queries = [
        statement
        for statement in statements
        if "LIMIT" in statement and "count(" not in statement and "event_spans" not in statement
    ]
    assert queries
    for query in queries:
        # The ids of the page come first, then their faces.
        ids, *plan, page, face = [row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert (ids, page, face) == ("CO-ROUTINE k", "SCAN k", "SEARCH f USING INTEGER PRIMARY KEY (rowid=?)")
        assert re.match(
            r"SEARCH (f USING (COVERING )?INDEX events|m USING (PRIMARY KEY|COVERING INDEX memb))", plan[0]
        )
        assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan) or "events_by_time" in plan[0]
    db.close()


async def steps_of(path, count, in_order):
    """Return how many steps of SQLite's machine each list of a store of events takes, by filter and page."""
    store = await opened(path)
    person = await store.new_person("ann")
    for start in range(0, count, 500):
        await store.add_faces(
            [
                new_face(
                    cam_id=f"c{n % 3}", friend=n % 2 == 0, person_id=person, meta=str(n % 50), embedding=bytes(4),
                    timestamp_ms=(n if in_order else n * 7919 % count) * 1000,
                )
                for n in range(start, min(count, start + 500))
            ]
        )  # fmt: skip
    ids = [face.id for face in await store.list_faces("ann", FaceFilter(), Page(count))]
    await store.close()
    db = schema.connect(path / DATABASE, "normal")
    old, new = count // 10 * 1000, count * 9 // 10 * 1000
    taken = {}
    for times in ({}, {"end_ms": old}, {"start_ms": new}, {"start_ms": old, "end_ms": old + 60_000}, {"end_ms": -1}):
        for more in ({}, {"cam_ids": ("c1", "c2")}, {"friend": True}, {"friend": False}, {"person_id": person}):
            for page in (Page(50), Page(50, max_id=ids[len(ids) * 9 // 10]), Page(50, min_id=ids[-50])):
                where = FaceFilter(events=True, **times, **more)
                steps = [0]
                db.set_progress_handler(lambda steps=steps: steps.__setitem__(0, steps[0] + 1), 10)
                lists.faces(db, "ann", where, page)
                taken[where, page.limit, page.max_id is None, page.min_id is None] = steps[0]
                db.set_progress_handler(None, 0)
    db.close()
    return [*taken.values()], [*taken]


async def test_history_costs_what_it_returns_whatever_is_newer(tmp_path, monkeypatch):
    monkeypatch.setattr(lists, "SORTED_EVENTS", 80)
    few, _ = await steps_of(tmp_path / "few", 600, in_order=True)
    many, names = await steps_of(tmp_path / "many", 3600, in_order=True)
    for before, after, name in zip(few, many, names, strict=True):
        assert after <= 2 * before + 400, (name, before, after)


async def test_ids_of_a_time_range_are_never_too_few(tmp_path):
    store = await opened(tmp_path)
    times = [5000, 3000, 9000, 1000, 7000, 3000]
    faces = [(await store.add_faces([new_face(cam_id="c", timestamp_ms=time)]))[0] for time in times]
    await store.delete_face("ann", faces[3].id)
    for start in (None, 0, 3000, 6000, 10_000):
        for end in (None, 0, 3000, 6000, 10_000):
            where = FaceFilter(events=True, start_ms=start, end_ms=end)
            wanted = [
                face.id
                for face in reversed(faces)
                if face is not faces[3] and (start or 0) <= face.timestamp_ms <= (10_000 if end is None else end)
            ]
            assert [face.id for face in await store.list_faces("ann", where, Page())] == wanted
    assert [finding for finding in await store.report() if not finding.well] == []
    await store.close()
