"""MongoStore when the network, the servers or other clients get in the way: each write once, or reported failed."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from datetime import timedelta

import pymongo.common
import pytest
from bson.int64 import Int64

from facenapi.config.options import Config
from facenapi.errors import Overloaded, StartupError, Unavailable
from facenapi.storage.base import Camera, FaceChange, FaceFilter, Page, UnknownGalleryError
from facenapi.storage.ids import seconds_of
from facenapi.storage.mongo import MongoStore, base, clock, driver, faces, galleries, leases, lists
from facenapi.storage.mongo.indexes import INDEXES
from tests.storage.conftest import FERRET, REAL_URI, mongo_config
from tests.storage.samples import add, new_face, read_feed
from tests.support.ferret import Ferret
from tests.support.wire import Fault, WireDouble

LASTING = 1000  # more often than anything tries again
NO_TIME = {"ok": 0.0, "code": 50, "codeName": "MaxTimeMSExpired", "errmsg": "no majority"}

# A client that is closed while one of the driver's monitors is just connecting leaves that socket to the collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(params=["motor", "pymongo"])
def kind(request):
    return request.param


@pytest.fixture
def store(io_loop, double, kind, monkeypatch):
    # How long the driver waits before it looks at a server again that it has lost.
    monkeypatch.setattr(pymongo.common, "MIN_HEARTBEAT_INTERVAL", 0.01)
    monkeypatch.setattr(base, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(faces, "PAUSES", (0.0, 0.0, 0.0))
    store = MongoStore(mongo_config(double, mongo_driver=kind))
    io_loop.run_sync(store.start)
    double.seen.clear()
    yield store
    double.faults.clear()
    io_loop.run_sync(store.close)


def seen(double, name, collection=None):
    return [command for command in double.seen if next(iter(command)) == name and collection in (None, command[name])]


async def everything(store):
    return await store.list_faces("ann", FaceFilter(), Page(1000))


# -- each write once ------------------------------------------------------------------------------

HARMLESS = ["drop before", "drop after", "not primary", "unconfirmed"]


@pytest.mark.parametrize("fault", HARMLESS)
@pytest.mark.parametrize("command", ["findAndModify", "update", "insert"])
async def test_a_face_is_stored_once_whatever_fails_on_the_way(store, double, command, fault):
    double.faults = [Fault(command, fault)]
    [face] = await store.add_faces([new_face(meta="a")])
    assert await everything(store) == [face]
    [summary] = await store.list_metas("ann", None, Page())
    assert summary == (1, face)
    assert not double.faults[0].times


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("fault", HARMLESS)
async def test_a_face_is_stored_once_when_it_fails_repeatedly(store, double, fault, times):
    double.faults = [Fault("insert", fault, times)]
    added = await store.add_faces([new_face(), new_face()])
    assert await everything(store) == added[::-1]
    assert await store.count_faces("ann") == 2


@pytest.mark.parametrize("fault", HARMLESS)
async def test_persons_are_counted_by_one_each(store, double, fault):
    double.faults = [Fault("findAndModify", fault)]
    first = await store.new_person("ann")
    second = await store.new_person("ann")
    # A majority that does not answer in time leaves a number unused, but never gives one twice.
    assert (first, second) == ((2, 3) if fault == "unconfirmed" else (1, 2))
    assert [person.id for person in await store.list_persons("ann", Page())] == [second, first]


@pytest.mark.parametrize("fault", HARMLESS)
async def test_an_edit_and_a_deletion_happen_once(store, double, fault):
    [face, other] = await add(store, "a", "a")
    double.faults = [Fault("update", fault, collection="faces")]
    edited = await store.update_face("ann", face.id, FaceChange(meta="b"))
    assert edited.meta == "b"
    double.faults = [Fault("update", fault, collection="faces")]
    assert await store.delete_face("ann", face.id) == edited
    double.faults = [Fault("update", fault, collection="faces")]
    assert await store.delete_faces("ann", FaceFilter(meta="a")) == [other]
    assert await everything(store) == []
    stones = (await read_feed(store))[1]
    assert sorted(stone.id for stone in stones) == [face.id, other.id]


@pytest.mark.parametrize("fault", HARMLESS)
async def test_one_of_two_creators_of_a_gallery_is_told_so(store, double, fault):
    double.faults = [Fault("findAndModify", fault, collection="galleries")]
    assert await store.add_gallery("ann", "staff")
    assert not await store.add_gallery("ann", "staff")
    double.faults = [Fault("findAndModify", fault, collection="galleries")]
    assert await store.remove_gallery("ann", "staff")
    assert not await store.has_gallery("ann", "staff")


async def test_of_two_who_make_a_document_at_once_one_tries_again(store, double):
    [face] = await add(store, "a")
    await store.delete_face("ann", face.id)
    errors = [{"index": 0, "code": 11000, "errmsg": "E11000 duplicate key error", "keyPattern": {"_id": 1}}]
    lost = {"ok": 1.0, "n": 0, "nModified": 0, "writeErrors": errors}
    double.faults = [Fault("update", "refuse", collection=name, answer=lost) for name in ("faces", "metas")]
    assert await store.restore_faces([face]) == 1
    assert [fault.times for fault in double.faults] == [0, 0]
    assert [found.id for found in await everything(store)] == [face.id]
    assert [entry.first.id for entry in await store.list_metas("ann", None, Page())] == [face.id]


@pytest.mark.parametrize("fault", HARMLESS)
async def test_a_camera_is_deleted_once_and_the_client_is_told_so(store, double, fault):
    await store.add_camera(Camera("c", "ann"))
    double.faults = [Fault("delete", fault, 2)]
    assert await store.delete_camera("ann", "c")
    assert not await store.delete_camera("ann", "c")


# -- or reported failed ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop before", "not primary"])
async def test_a_face_that_cannot_be_stored_is_reported_and_leaves_nothing(store, double, fault):
    double.faults = [Fault("insert", fault, LASTING)]
    with pytest.raises(Unavailable):
        await store.add_faces([new_face(meta="a"), new_face(meta="b")])
    double.faults.clear()
    assert await everything(store) == []
    assert await store.list_metas("ann", None, Page()) == []


async def test_a_majority_that_never_answers_is_reported(store, double):
    double.faults = [
        Fault("insert", "unconfirmed", LASTING),
        Fault("find", "refuse", LASTING, collection="faces", answer=NO_TIME),
    ]
    with pytest.raises(Unavailable):
        await store.add_faces([new_face()])


async def test_an_edit_that_cannot_be_stored_is_reported(store, double):
    [face] = await add(store, "a")
    double.faults = [Fault("update", "drop before", LASTING, collection="faces")]
    with pytest.raises(Unavailable):
        await store.update_face("ann", face.id, FaceChange(meta="b"))
    with pytest.raises(Unavailable):
        await store.delete_face("ann", face.id)
    double.faults.clear()
    assert await everything(store) == [face]
    assert [entry.first.meta for entry in await store.list_metas("ann", None, Page())] == ["a"]


async def test_an_id_that_is_taken_is_replaced(store, double):
    [taken] = await add(store, "a", cell=3)
    store.ids._last = taken.id - 1024
    store.ids._clock = lambda: seconds_of(taken.id) - 60
    added = await store.add_faces([new_face(cell=3, meta="b"), new_face(cell=3, meta="c")])
    assert [face.id for face in added] == [taken.id + 2048, taken.id + 1024]
    assert len(await everything(store)) == 3
    assert {entry.first.meta for entry in await store.list_metas("ann", None, Page())} == {"a", "b", "c"}


async def test_a_duplicate_key_after_an_unknown_outcome_is_the_face_itself(store, double):
    [before] = await add(store, "a", cell=3)
    # The driver's own second try is refused too, so the store tries again and meets its own document.
    double.faults = [Fault("insert", "drop after"), Fault("insert", "not primary")]
    [face] = await store.add_faces([new_face(cell=3)])
    assert await everything(store) == [face, before]


async def test_a_refused_operation_is_unavailable_without_details(store, double):
    double.faults = [
        Fault(
            "find",
            "refuse",
            2,
            answer={"ok": 0.0, "code": 13, "codeName": "Unauthorized", "errmsg": "not authorized on secret"},
        )
    ]
    with pytest.raises(Unavailable) as caught:
        await store.get_faces("ann", [1])
    assert "secret" not in caught.value.reason
    assert "13" in caught.value.reason


# -- reading --------------------------------------------------------------------------------------


async def test_a_cursor_that_is_lost_in_the_middle_is_reported_not_the_end(store, double):
    await store.add_faces([new_face() for _ in range(300)])
    double.faults = [
        Fault(
            "getMore",
            "refuse",
            answer={"ok": 0.0, "code": 43, "codeName": "CursorNotFound", "errmsg": "cursor id 5 not found"},
        )
    ]
    with pytest.raises(Unavailable):
        await store.changes_since(0)
    assert len((await store.changes_since(0)).faces) == 300


@pytest.mark.parametrize("fault", ["drop before", "not primary"])
async def test_a_read_is_tried_again(store, double, fault):
    [face] = await add(store, "a")
    double.faults = [Fault("find", fault)]
    assert await everything(store) == [face]


async def test_a_slow_answer_keeps_nobody_else_waiting(store, double):
    double.faults = [Fault("find", "slow", seconds=0.5, collection="tokens")]
    slow = asyncio.ensure_future(store.find_token("h"))
    await asyncio.sleep(0.05)
    await asyncio.gather(*(store.count_faces("ann") for _ in range(20)))
    assert not slow.done()
    assert await slow is None


async def test_operations_are_bounded(store, double):
    store.max_in_flight = 2
    double.faults = [Fault("find", "slow", 2, seconds=0.2)]
    waiting = [asyncio.ensure_future(store.find_token("h")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await store.list_tokens()
    await asyncio.gather(*waiting)
    assert await store.list_tokens() == []


async def test_the_feed_is_read_from_what_a_majority_has(store, double):
    await store.changes_since(0)
    assert [find["readConcern"]["level"] for find in seen(double, "find", "faces")] == ["majority"]


# -- indexes and documents ------------------------------------------------------------------------


async def test_every_query_names_its_index(store, double):
    await store.add_gallery("ann", "staff")
    person = await store.new_person("ann")
    await add(store, "a", "b", galleries=("staff",), person_id=person, cam_id="c")
    for where in (
        FaceFilter(),
        FaceFilter(gallery="staff"),
        FaceFilter(meta="a"),
        FaceFilter(person_id=person),
        FaceFilter(events=True),
        FaceFilter(events=True, friend=True),
        FaceFilter(cam_ids=("c",)),
        FaceFilter(events=True, end_ms=0),
        FaceFilter(gallery="staff", meta="a"),
    ):
        await store.list_faces("ann", where, Page())
    await store.list_metas("ann", "staff", Page())
    await store.count_faces("ann", "staff")
    await store.list_persons("ann", Page())
    await store.list_cameras("ann")
    await store.list_galleries("ann")
    await store.sighting_days("ann", person, "c", 0, 1)
    await store.delete_faces("ann", FaceFilter(meta="a"))
    await store.changes_since(0)
    await store.forget_tombstones(2, 1)
    assert double.commands.unhinted == []
    used = {command["hint"] for command in double.seen if "hint" in command}
    assert used == {name for indexes in INDEXES.values() for name in indexes}


async def test_a_wide_time_range_walks_the_ids(store, double, monkeypatch):
    monkeypatch.setattr(lists, "SORTED_EVENTS", 1)
    await add(store, "a", "b", cam_id="c")
    await store.list_faces("ann", FaceFilter(cam_ids=("c",), start_ms=0), Page())
    await store.list_faces("ann", FaceFilter(events=True, start_ms=0), Page())
    assert [find["hint"] for find in seen(double, "find", "faces") if "hint" in find][-2:] == ["cameras", "events"]


async def test_numbers_that_can_grow_are_64_bits_wide(store, double):
    person = await store.new_person("ann")
    await add(store, "a", person_id=person)
    [insert] = seen(double, "insert", "faces")
    [document] = insert["documents"]
    assert {name for name, value in document.items() if isinstance(value, Int64)} == {
        "_id",
        "rev",
        "changed",
        "timestamp",
        "person_id",
    }


async def test_other_clients_get_in_between(store, double):
    """A second server on the same database sees what the first one does, and neither undoes the other."""
    other = MongoStore(mongo_config(double))
    await other.start()
    names = [f"g{i}" for i in range(6)]
    for name in names:
        await store.add_gallery("ann", name)
    [face] = await add(store, "a")
    await asyncio.gather(
        *(
            (store, other)[i % 2].update_face("ann", face.id, FaceChange(add_galleries=(name,)))
            for i, name in enumerate(names)
        )
    )
    assert (await other.get_faces("ann", [face.id]))[face.id].galleries == ("default", *names)
    deleted = await asyncio.gather(*((store, other)[i % 2].delete_face("ann", face.id) for i in range(4)))
    assert sum(found is not None for found in deleted) == 1
    await other.close()


# -- the feed -------------------------------------------------------------------------------------


async def test_a_revision_that_commits_late_is_not_missed(store, double):
    held = await store.stamp(1)
    [face] = await add(store, "a")
    faces_seen, _, end = await read_feed(store)
    assert faces_seen == [face]
    late = faces.document_of(replace(face, id=face.id + 1024, rev=held.revs[0]), held.changed_ms)
    await store.faces.insert_one(late)
    for limit in (1, 2, 10):
        assert [found.id for found in (await read_feed(store, end, limit))[0]] == [face.id + 1024, face.id]


async def test_a_late_revision_is_not_missed_behind_several_pages(store, double):
    held = await store.stamp(1)
    added = await add(store, *"abcde")
    first = await store.changes_since(0, 2)
    second = await store.changes_since(first.next_rev, 2)
    late = faces.document_of(replace(added[0], id=added[0].id + 1024, rev=held.revs[0]), held.changed_ms)
    await store.faces.insert_one(late)
    last = await store.changes_since(second.next_rev, 2)
    assert (first.more, second.more, last.more) == (True, True, False)
    assert held.revs[0] > last.next_rev


async def test_changes_that_have_settled_do_not_come_again(store, double, monkeypatch):
    await add(store, "a", "b")
    monkeypatch.setattr(lists, "MARGIN_MS", -1000)
    _, _, end = await read_feed(store)
    assert (await read_feed(store, end))[:2] == ([], [])


async def test_a_write_that_took_long_gets_a_new_revision(store, double, monkeypatch):
    monkeypatch.setattr(faces, "LATE_S", 0.15)
    double.faults = [Fault("insert", "slow", seconds=0.3)]
    [face] = await store.add_faces([new_face()])
    [stored] = await everything(store)
    assert (stored.id, stored.rev > face.rev) == (face.id, True)


async def test_a_database_where_each_write_takes_too_long_is_reported(store, double, monkeypatch):
    monkeypatch.setattr(faces, "LATE_S", 0.01)
    double.faults = [Fault(name, "slow", LASTING, seconds=0.02, collection="faces") for name in ("insert", "update")]
    with pytest.raises(Unavailable, match="slow"):
        await store.add_faces([new_face()])


async def test_a_revision_is_no_older_than_its_date_says(store, double):
    double.faults = [Fault("findAndModify", "slow", seconds=0.3, collection="counters")]
    asked = time.time()
    stamp = await store.stamp(1)
    assert stamp.changed_ms / 1000 - asked > 0.2


async def test_news_are_what_other_servers_acknowledged(store, double):
    other = MongoStore(mongo_config(double))
    await other.start()
    mark = 0

    async def is_news(change):
        nonlocal mark
        await change
        before, (mark, news) = mark, await store.news_since(mark)
        await add(store, "own", owner="bob")
        assert not (await store.news_since(mark))[1]
        return news and mark > before

    assert await is_news(add(other, "a", "b"))
    [face, _] = await everything(other)
    assert await is_news(other.update_face("ann", face.id, FaceChange(meta="c")))
    assert await is_news(other.delete_face("ann", face.id))
    assert await is_news(other.restore_faces([face]))
    assert await is_news(other.delete_faces("ann", FaceFilter()))
    await other.close()


UNCONFIRMED = {
    "insert": [
        Fault("insert", "unconfirmed", LASTING),
        Fault("find", "refuse", LASTING, collection="faces", answer=NO_TIME),
        Fault("update", "drop before", LASTING, collection="faces"),
    ],
    "update": [Fault("update", "unconfirmed", LASTING, collection="faces")],
}


@pytest.mark.parametrize("what", ["add", "edit", "delete", "cancelled"])
async def test_what_failed_and_may_be_done_is_news_to_all(store, double, what):
    """Lists show it at once: no search, here or elsewhere, may be behind them."""
    other = MongoStore(mongo_config(double))
    await other.start()
    [old] = await add(store, "a")
    ours, theirs = [(await server.news_since(0))[0] for server in (store, other)]
    if what == "cancelled":
        double.faults = [Fault("update", "slow", seconds=0.3, collection="faces")]
        deleting = asyncio.ensure_future(store.delete_face("ann", old.id))
        while not seen(double, "update", "faces"):
            await asyncio.sleep(0.01)
        deleting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deleting
        await asyncio.sleep(0.5)
    else:
        writes = {
            "add": lambda: store.add_faces([new_face()]),
            "edit": lambda: store.update_face("ann", old.id, FaceChange(meta="b")),
            "delete": lambda: store.delete_face("ann", old.id),
        }
        double.faults = [replace(fault) for fault in UNCONFIRMED["insert" if what == "add" else "update"]]
        with pytest.raises(Unavailable):
            await writes[what]()
    double.faults = [Fault("findAndModify", "refuse", answer=NO_TIME)]
    assert await everything(store) != [old]
    with pytest.raises(Unavailable):
        await store.news_since(ours)
    (ours, here), (_, there) = await store.news_since(ours), await other.news_since(theirs)
    assert (here, there) == (True, True)  # the doubt was not forgotten
    with pytest.raises(UnknownGalleryError):
        await store.add_faces([new_face(galleries=("none",))])
    assert not (await store.news_since(ours))[1]  # that cannot have changed anything
    await other.close()


async def test_news_come_after_the_change_can_be_read_and_before_it_is_acknowledged(store, double):
    other = MongoStore(mongo_config(double))
    await other.start()
    double.faults = [Fault("insert", "slow", seconds=0.3)]
    adding = asyncio.ensure_future(add(store, "a"))
    while not seen(double, "insert"):
        await asyncio.sleep(0.01)
    mark, news = await other.news_since(0)
    assert not news  # its revision is given out, but a reader of the feed would not find it yet
    [face] = await adding
    assert (await other.news_since(mark))[1]
    assert (await read_feed(other))[0] == [face]
    await other.close()


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
    [other] = await add(restarted, "c")
    await restarted.close()
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


# -- starting -------------------------------------------------------------------------------------


async def refused(config: Config) -> str:
    with pytest.raises(StartupError) as caught:
        await MongoStore(config).start()
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_no_server_stops_the_start_and_the_password_stays_secret(kind, double, caplog):
    caplog.set_level(logging.DEBUG)
    uri = "mongodb://admin:s3cret@127.0.0.1:1/?authSource=admin"
    message = await refused(Config(mongo_uri=uri, mongo_driver=kind, mongo_timeout=0.2))
    assert "mongo_uri" in message
    assert "s3cret" not in message + caplog.text


@pytest.mark.parametrize(
    "uri", ["mongodb://a:s3cret@", "http://s3cret", "mongodb://s3:cr:et@h/", "mongodb://h/?s3=&tls"]
)
async def test_a_uri_that_is_none_is_refused_without_repeating_it(kind, uri):
    assert "s3" not in await refused(Config(mongo_uri=uri, mongo_driver=kind))


async def test_a_standalone_server_is_written_by_its_journal_and_read_as_it_can(kind, caplog):
    with WireDouble(standalone=True) as double:
        store = MongoStore(mongo_config(double, mongo_driver=kind))
        await store.start()
        double.faults = [Fault("insert", "drop after"), Fault("findAndModify", "drop before")]
        [face] = await add(store, "a")
        assert await everything(store) == [face]
        assert (await read_feed(store))[0] == [face]
        assert await store.delete_face("ann", face.id) == face
        await store.close()
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1
    assert "standalone" in warned[0]


@pytest.mark.parametrize(
    "wish", ["readPreference=secondary", "readConcernLevel=available", "w=0", "w=1&journal=false"]
)
async def test_what_a_uri_says_weakens_no_read_and_no_write(kind, double, wish):
    """The double refuses weaker writes; it cannot tell a secondary, so what is asked of it is looked at."""
    uri = f"mongodb://127.0.0.1:{double.port}/?{wish}"
    store = MongoStore(Config(mongo_uri=uri, mongo_driver=kind))
    await store.start()
    [face] = await add(store, "a")
    assert await everything(store) == [face]
    await store.close()
    for command in double.seen:
        assert command.get("$readPreference", {"mode": "primary"})["mode"] in ("primary", "primaryPreferred"), command
        assert command.get("readConcern", {"level": "local"})["level"] in ("local", "majority"), command


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"mongo_db": "a.b"}, "mongo_db"),
        ({"mongo_db": ""}, "mongo_db"),
        ({"mongo_uri": "mongodb://127.0.0.1:1/?tls=true&tlsCAFile=/nonexistent"}, "certificate"),
        ({"mongo_uri": "mongodb://127.0.0.1:1/?tls=true&tlsCAFile=" + __file__}, "certificate"),
        ({"mongo_host": "::1,[::2],h:1,h", "mongo_port": 9}, "ServerSelection"),
    ],
)
async def test_options_that_cannot_be_used_are_named(kind, options, word):
    assert word in await refused(Config(mongo_driver=kind, mongo_timeout=0.2, **options))


def test_hosts_without_a_port_get_one():
    config = Config(mongo_host="::1,[::2]:7, h:1,[fe80::3],h", mongo_port=9)
    assert driver._uri_of(config) == "mongodb://[::1]:9,[::2]:7,h:1,[fe80::3]:9,h:9"


@pytest.mark.parametrize(
    "hello", [{"isWritablePrimary": False, "secondary": True}, {"isWritablePrimary": False, "setName": None}]
)
async def test_a_server_that_takes_no_writes_is_refused_with_advice(kind, double, hello):
    double.hello = hello
    uri = f"mongodb://127.0.0.1:{double.port}/?directConnection=true"
    message = await refused(Config(mongo_uri=uri, mongo_driver=kind, mongo_timeout=0.5))
    assert "directConnection" in message


@pytest.mark.parametrize(
    "made",
    [{"options": {"collation": {"locale": "en", "strength": 2}}}, {"type": "view"}, {"options": {"capped": True}}],
)
async def test_a_collection_that_does_not_keep_documents_as_they_are_is_refused(kind, double, made):
    double.commands.made["galleries"] = made
    assert "galleries" in await refused(mongo_config(double, mongo_driver=kind))


async def test_making_an_index_may_take_longer_than_an_answer(kind, double):
    double.faults = [Fault("createIndexes", "slow", seconds=1.0)]
    store = MongoStore(mongo_config(double, mongo_driver=kind, mongo_timeout=0.2))
    await store.start()  # an answer may take three times the time-out
    await store.close()


async def test_a_database_of_a_newer_release_is_refused(store, double):
    await store.about.update_one({"_id": "schema"}, {"$set": {"version": 99}})
    assert "newer release" in await refused(mongo_config(double))


async def test_indexes_can_be_left_to_an_administrator(kind, double):
    config = mongo_config(double, mongo_driver=kind, mongo_create_indexes=False)
    assert "faces.members" in await refused(config)
    store = MongoStore(mongo_config(double))
    await store.start()
    await store.close()
    store = MongoStore(config)
    await store.start()
    await store.close()


async def test_an_index_that_is_in_the_way_is_named(store, double):
    indexes = double.commands._indexes["facenapi", "faces"]
    indexes["feed"] = {"key": {"rev": -1}, "name": "feed"}
    assert "faces.feed" in await refused(mongo_config(double))


async def test_health_needs_a_write_that_a_majority_confirms(store, double):
    await store.ping()
    double.faults = [Fault("findAndModify", "unconfirmed", LASTING)]
    with pytest.raises(Unavailable, match="confirmed"):
        await store.ping()


def test_motor_gets_a_thread_for_each_connection():
    code = (
        "from facenapi.config.options import Config; from facenapi.storage.mongo.driver import Driver; "
        "Driver(Config(mongo_pool_size=37, mongo_driver='motor')); "
        "import motor.frameworks.asyncio as m; print(m.max_workers)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "37\n"


# -- plans ----------------------------------------------------------------------------------------

FILTERS = {
    "members": FaceFilter(gallery="staff"),
    "metas": FaceFilter(meta="a"),
    "persons": FaceFilter(person_id=1),
    "events": FaceFilter(events=True),
    "friends": FaceFilter(events=True, friend=True),
    "cameras": FaceFilter(cam_ids=("c", "d")),
    "times": FaceFilter(events=True, start_ms=0),
}


@pytest.mark.parametrize("index", FILTERS)
async def test_each_filter_has_its_index(store, double, index):
    await store.list_faces("ann", FILTERS[index], Page())
    assert seen(double, "find", "faces")[-1]["hint"] == index


if REAL_URI:

    def stages(plan):
        """Yield a plan and all plans below it."""
        yield plan
        for child in [plan.get("inputStage"), *plan.get("inputStages", []), plan.get("queryPlan")]:
            if child:
                yield from stages(child)

    @pytest.mark.parametrize("index", FILTERS)
    async def test_a_real_server_walks_the_index_in_order(index):
        store = MongoStore(Config(mongo_uri=REAL_URI, mongo_db=f"facenapi_test_{uuid.uuid4().hex[:12]}"))
        await store.start()
        await add(store, "a", person_id=await store.new_person("ann"), cam_id="c", friend=True)
        query = lists._conditions("ann", FILTERS[index])
        plan = await store.faces.find(query, hint=index).sort("_id", -1).limit(10).explain()
        found = list(stages(plan["queryPlanner"]["winningPlan"]))
        assert {stage.get("indexName") for stage in found} - {None} == {index}
        # Events of a short time are few: they alone are sorted, all others come in order.
        assert ("SORT" in {stage.get("stage") for stage in found}) == (index == "times")
        await store.driver.drop()
        await store.close()


# -- FerretDB -------------------------------------------------------------------------------------


@pytest.mark.skipif(FERRET is None, reason="FerretDB is not built")
async def test_ferretdb_as_a_replica_set_is_written_by_its_majority(kind, tmp_path, caplog):
    with Ferret(tmp_path, replica_set="rs0") as server:
        uri = f"mongodb://127.0.0.1:{server.port}/?directConnection=true"
        store = MongoStore(Config(mongo_uri=uri, mongo_driver=kind))
        await store.start()
        assert store.driver.server.place == "replica set rs0"
        [face, other] = await add(store, "a", "b")
        assert (await read_feed(store))[0] == [face, other]
        assert await store.delete_face("ann", face.id) == face
        assert await everything(store) == [other]
        # More updates in one command than it has connections to its own database would never end.
        assert len(await store.add_faces([new_face(owner="bob", meta=str(i)) for i in range(120)])) == 120
        findings = await store.report()
        assert all(finding.well for finding in findings)
        await store.close()
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert [word in warned[0] for word in ("partial indexes", "$min", "indexes and of hints")] == [True] * 3
    assert len(warned) == 1
