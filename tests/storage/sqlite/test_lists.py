"""The embedded store's lists: led by an index, and as dear as what they return."""

from __future__ import annotations

import asyncio
import re

import pytest

from facenapi.storage.base import FaceFilter, Page
from facenapi.storage.sqlite import faces, lists, persons, rows, schema
from facenapi.storage.sqlite.sources import sources
from scripts import bench_history
from tests.storage.samples import NOON, new_face
from tests.storage.sqlite.support import DATABASE, opened
from tests.support.skewed import EVERYWHERE, MAIN, OWNER, World, fill

WORLD = World(4000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A store that is closed, with a skewed history."""
    path = tmp_path_factory.mktemp("skewed")

    async def make():
        store = await opened(path, sync="normal")
        await fill(store, WORLD)
        await store.close()

    asyncio.run(make())
    return path


@pytest.mark.slow
def test_an_index_leads_to_the_ids_of_every_list_in_their_order(folder):
    db = schema.connect(folder / DATABASE, "normal")
    used = set()
    for where in (*WORLD.history().values(), *WORLD.lists().values()):
        gallery = rows.gallery_id(db, OWNER, where.gallery or "default") or 0
        for source in (s for limit in (20, 1000) for s in sources(db, OWNER, where, gallery, Page(limit))):
            for order in ("ASC", "DESC"):
                statement, values = source.ids(order)
                search, *more = [row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", (*values, 100))]
                led = re.match(r"SEARCH (?:f|m) USING (?:(?:COVERING )?INDEX (\w+)|PRIMARY KEY) \(.*=\?", search)
                assert led, (where, search)
                # Not even what is checked besides is read from the faces themselves, which are large.
                program = db.execute(f"EXPLAIN {statement}", (*values, 100)).fetchall()
                rowids = {step[4] for step in program if step[1] == "DeferredSeek"}
                assert not [step for step in program if step[1] == "Column" and step[2] in rowids], (where, program)
                used.add(led[1] or "memberships")
                # Events of a short time are few: they alone are sorted.
                assert not more or (led[1], more) == ("events_by_time", ["USE TEMP B-TREE FOR ORDER BY"]), where
    events = {"events", "events_of_camera", "events_of_person", "events_of_both", "events_by_time"}
    assert used == {*events, "faces_of_person", "memberships", "memberships_by_meta"}
    db.close()


@pytest.mark.slow
def test_a_list_costs_what_it_returns_whatever_is_asked_for(folder):
    """At most twice the steps of the first page without filters; scripts/bench_history.py has it for 1,000,000."""
    found = bench_history.measure(folder, WORLD, limit=100, rounds=0)
    assert len(found) > 3000
    assert [entry for entry in found if entry[3] > bench_history.BOUND] == []


@pytest.mark.slow
def test_days_of_sightings_cost_what_there_are_of_days(folder):
    """Not what there are of sightings: whoever adds a face has to wait for them."""
    db = schema.connect(folder / DATABASE, "normal")
    days: set[int] = set()

    def look(db):
        days.update(persons.sighting_days(db, OWNER, EVERYWHERE, MAIN, (0, 2**42)))

    assert bench_history.steps(db, look) < 300
    assert days == {WORLD.time_at(0) // 86_400_000}
    db.close()


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_step_of_expiry_costs_what_it_deletes(folder, part):
    """However much is newer, and however much is older: all other writes wait for it."""
    db = schema.connect(folder / DATABASE, "normal", writes=True)
    where = FaceFilter(events=True, end_ms=WORLD.time_at(part))
    db.execute("BEGIN")
    taken = bench_history.steps(db, lambda db: faces.delete_some(db, OWNER, where, 50))
    db.execute("ROLLBACK")
    assert 50 * 300 < taken < 50 * 1300
    db.close()


@pytest.mark.slow
@pytest.mark.parametrize("pace", [0.01, 100.0])
def test_times_that_are_told_in_order_are_found_at_once_however_fast_faces_come(tmp_path, pace):
    """A second store of another pace: days for a page, or thousands of events in one span of ids."""
    world = World(1500, pace=pace)

    async def make():
        store = await opened(tmp_path, sync="normal")
        await fill(store, world)
        await store.close()

    asyncio.run(make())
    found = bench_history.measure(tmp_path, world, limit=100, rounds=0)
    assert [entry for entry in found if entry[3] > bench_history.BOUND] == []


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


class Watched:
    """A connection that keeps what is asked of it."""

    def __init__(self, db):
        self._db, self.statements = db, set()

    def execute(self, statement, values=()):
        self.statements.add(statement)
        return self._db.execute(statement, values)


async def test_a_list_of_very_many_cameras_opens_no_statement_for_each(tmp_path):
    """Open ones cost each other time: of a thousand cameras with late and early events a page took minutes."""
    store, count = await opened(tmp_path, sync="normal"), 60
    new = [new_face(cam_id=f"c{number % count}", friend=bool(number % 2), timestamp_ms=NOON - number // count * 10**9)
           for number in range(4 * count)]  # fmt: skip
    stored = [face.id for face in await store.add_faces(new)]
    await store.close()
    db = schema.connect(tmp_path / DATABASE, "normal")
    where = FaceFilter(events=True, cam_ids=tuple(f"c{number}" for number in range(count)))
    found = [*sources(db, "ann", where, 1, Page(10))]
    assert len(found) >= 3 * count
    for limit in (1, 10, 7 * count):
        watched = Watched(db)
        page = lists.faces(watched, "ann", where, Page(limit))
        assert [face.id for face in page] == sorted(stored, reverse=True)[:limit]
        assert len(watched.statements) < 60
    page = lists.faces(db, "ann", where, Page(10, min_id=min(stored)))
    assert [face.id for face in page] == sorted(stored)[1:11][::-1]
    db.close()
