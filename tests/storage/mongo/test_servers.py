"""Several servers on one MongoDB, of which some die or have wrong clocks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from bson.int64 import Int64

from facenapi.errors import Unavailable
from facenapi.storage.base import FaceChange, FaceFilter, Page, UnknownGalleryError
from facenapi.storage.ids import seconds_of
from facenapi.storage.mongo import MongoStore, clock, galleries, leases
from tests.storage.conftest import mongo_config
from tests.storage.mongo.support import everything, seen
from tests.storage.samples import add, new_face, read_feed
from tests.support.wire import Fault

# A client that is closed while one of the driver's monitors is just connecting leaves that socket to the collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
)


# -- metas and galleries after a crash ------------------------------------------------------------


async def test_what_a_dead_server_left_of_metas_is_put_right(store, double):
    [face] = await add(store, "a")
    await store.hint([replace(face, meta="never stored", id=face.id + 1024), replace(face, id=face.id - 1024)])
    [summary] = await store.list_metas("ann", None, Page())
    assert summary == (1, face)
    assert await store.metas.count_documents({}) == 1


async def test_a_gallery_being_removed_by_a_dead_server_comes_free(store, double, monkeypatch):
    await store.add_gallery("ann", "staff")
    mark = {"closing": Int64(time.time() * 1000), "closer": "x"}
    await store.galleries.update_one({"name": "staff"}, {"$set": mark})
    assert not await store.remove_gallery("ann", "staff")
    monkeypatch.setattr(galleries, "CLOSING_S", 0.05)
    await store.add_faces([new_face(galleries=("staff",))])
    assert len(await store.delete_faces("ann", FaceFilter(gallery="staff"))) == 1
    assert await store.remove_gallery("ann", "staff")


async def test_a_face_whose_gallery_goes_meanwhile_is_taken_back(store, double):
    await store.add_gallery("ann", "staff")
    double.faults = [Fault("insert", "slow", seconds=0.3)]
    adding = asyncio.ensure_future(store.add_faces([new_face(galleries=("staff",))]))
    while not seen(double, "insert"):
        await asyncio.sleep(0.01)
    assert await store.remove_gallery("ann", "staff")
    with pytest.raises(UnknownGalleryError):
        await adding
    assert await everything(store) == []
    assert await store.list_metas("ann", "staff", Page()) == []


async def test_many_who_have_no_face_yet_are_passed_over_side_by_side(store, double):
    await store.restore_persons("ann", range(1, 100))
    for person in (20, 30, 90):
        await add(store, "a", person_id=person)
    double.seen.clear()
    pages = (Page(1), Page(2, 90), Page(1, None, 30), Page(2, None, 20))
    lists = [[person.id for person in await store.list_persons("ann", page)] for page in pages]
    assert lists == [[90], [30, 20], [90], [90, 30]]
    assert len(seen(double, "find", "persons")) <= 20


@pytest.mark.parametrize("verb", ["set", "add"])
async def test_an_edit_whose_gallery_goes_meanwhile_changes_nothing(store, double, verb):
    await store.add_gallery("ann", "staff")
    await store.add_gallery("ann", "crew")
    await store.add_gallery("ann", "team")
    [face] = await add(store, "a", galleries=("crew",))
    double.faults = [Fault("update", "slow", seconds=0.3, collection="faces")]
    change = FaceChange(meta="b", **{f"{verb}_galleries": ("crew", "staff", "team")})
    double.seen.clear()
    editing = asyncio.ensure_future(store.update_face("ann", face.id, change))
    while not seen(double, "update", "faces"):
        await asyncio.sleep(0.01)
    assert await store.remove_gallery("ann", "staff")
    with pytest.raises(UnknownGalleryError):
        await editing
    [left] = await everything(store)
    assert left == replace(face, rev=left.rev)
    assert [summary.first.meta for summary in await store.list_metas("ann", "crew", Page())] == ["a"]


async def test_metas_of_a_gallery_that_is_made_anew_while_the_old_one_goes_stay(store, double):
    await store.add_gallery("ann", "staff")
    [other] = await add(store, "left by a server that died")
    await store.hint([replace(other, galleries=("staff",))])
    double.faults = [Fault("delete", "slow", seconds=0.3, collection="metas")]
    removing = asyncio.ensure_future(store.remove_gallery("ann", "staff"))
    while await store.has_gallery("ann", "staff"):
        await asyncio.sleep(0.01)
    await store.add_gallery("ann", "staff")
    faces = await add(store, "a", "b", galleries=("staff",))
    assert await removing
    hints = await store.metas.find({"gallery": "staff"}).to_list(None)
    assert sorted(hint["meta"] for hint in hints) == ["a", "b"]
    assert [summary.first for summary in await store.list_metas("ann", "staff", Page())] == faces[::-1]


# -- clocks ---------------------------------------------------------------------------------------


async def test_a_server_whose_clock_is_minutes_wrong_tells_the_time_by_the_database(store, double, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 600)
    [face] = await add(store, "a")
    stored = await store.faces.find_one({"_id": face.id})
    assert abs(seconds_of(face.id) - now) < 300
    assert abs(stored["changed"] / 1000 - now) < 300


@pytest.mark.parametrize("ahead", [86_400, -86_400])
async def test_a_server_whose_clock_is_hours_wrong_stores_nothing(store, double, monkeypatch, ahead):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + ahead)
    with pytest.raises(Unavailable, match="clock"):
        await add(store, "a")
    monkeypatch.undo()
    assert await everything(store) == []
    assert await store.list_metas("ann", None, Page()) == []


@pytest.mark.parametrize("apart", [240, -240])
async def test_servers_whose_clocks_are_minutes_apart_give_ids_that_are_unique_and_found(store, double, apart):
    """Worse than it can be: each server's ids follow the database's clock, so here one is wrong about that."""
    other = MongoStore(mongo_config(double))
    await other.start()
    other.clock._offset += apart
    added = await asyncio.gather(*((store, other)[i % 2].add_faces([new_face(cell=3)]) for i in range(20)))
    ids = {face.id for [face] in added}
    assert len(ids) == 20
    assert max(map(seconds_of, ids)) - min(map(seconds_of, ids)) > 200
    for server in (store, other):
        assert set(await server.get_faces("ann", [*ids])) == ids
        assert {face.id for face in await server.list_faces("ann", FaceFilter(), Page(1000))} == ids
        assert {face.id for face in (await read_feed(server))[0]} == ids
    await other.close()


async def test_a_wrong_clock_of_the_database_is_forgotten_when_it_is_right_again(store, double, monkeypatch):
    monkeypatch.setattr(clock, "RENEW_S", 0.0)
    monkeypatch.setattr(clock, "MOST_APART_S", 1e9)
    double.ahead = timedelta(days=9000)
    store.clock._renew_at = 0.0
    [strange] = await add(store, "a")
    assert seconds_of(strange.id) > time.time() + 8000 * 86_400
    double.ahead = timedelta()
    [face] = await add(store, "b")
    restarted = MongoStore(mongo_config(double))
    await restarted.start()
    double.ahead = timedelta(seconds=-600)
    [other] = await add(restarted, "c")
    await restarted.close()
    assert other.id > face.id
    assert max(seconds_of(face.id), seconds_of(other.id)) < time.time() + 3600
    assert set(await store.get_faces("ann", [strange.id, face.id, other.id])) == {strange.id, face.id, other.id}


# -- locks ----------------------------------------------------------------------------------------


async def test_a_lock_excludes_other_servers_and_a_dead_one_only_for_a_time(store, double, monkeypatch):
    other = MongoStore(mongo_config(double))
    await other.start()
    inside = 0

    async def visit(which):
        nonlocal inside
        async with which.lock("a"):
            inside += 1
            assert inside == 1
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(visit((store, other)[i % 2]) for i in range(6)))
    await store.leases.insert_one({"_id": "b", "holder": "dead", "until": Int64(time.time() * 1000 + 100)})
    async with other.lock("b"):
        pass
    monkeypatch.setattr(leases, "MAX_WAIT_S", 0.1)
    await store.leases.insert_one({"_id": "c", "holder": "other", "until": Int64(2**50)})
    with pytest.raises(Unavailable):
        async with other.lock("c"):
            pass
    await other.close()


async def test_a_lease_is_renewed_while_it_is_held(store, double, monkeypatch):
    monkeypatch.setattr(leases, "LEASE_S", 0.1)
    async with store.lock("a"):
        first = (await store.leases.find_one({"_id": "a"}))["until"]
        while (await store.leases.find_one({"_id": "a"}))["until"] == first:
            await asyncio.sleep(0.02)
    assert await store.leases.find_one({"_id": "a"}) is None
