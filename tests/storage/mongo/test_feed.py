"""The feed and the news of several servers: nothing that is stored is missed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from pymongo.errors import WaitQueueTimeoutError

from facenapi.errors import Unavailable
from facenapi.storage.base import FaceChange, FaceFilter, UnknownGalleryError
from facenapi.storage.mongo import MongoStore, faces, lists
from tests.storage.conftest import mongo_config
from tests.storage.mongo.support import LASTING, NO_TIME, everything, seen
from tests.storage.samples import add, new_face, read_feed
from tests.support.effort import daily
from tests.support.wire import Fault

# A client that is closed while one of the driver's monitors is just connecting leaves that socket to the collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
)


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


@pytest.mark.slow
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


@pytest.mark.parametrize("what", daily(["add", "delete", "edit", "cancelled"], 2))
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


async def test_who_asks_while_a_doubt_is_counted_is_not_told_there_is_none(store, double):
    [old] = await add(store, "a")
    mark = (await store.news_since(0))[0]
    double.faults = [replace(fault) for fault in UNCONFIRMED["update"]]
    with pytest.raises(Unavailable):
        await store.delete_face("ann", old.id)
    double.faults = [Fault("findAndModify", "slow", seconds=0.3)]
    first = asyncio.ensure_future(store.news_since(mark))
    await asyncio.sleep(0.1)
    second = await store.news_since(mark)
    assert (second[1], (await first)[1]) == (True, True)


@pytest.mark.parametrize("what", ["add", "edit", "delete"])
async def test_a_busy_driver_is_no_reason_to_do_again_what_is_done(store, monkeypatch, what):
    """OVERLOADED tells clients that nothing was done: they would add the face twice."""
    [old] = await add(store, "a")

    async def busy():
        raise WaitQueueTimeoutError("too many wait")

    monkeypatch.setattr(store, "announce", busy)
    writes = {
        "add": lambda: store.add_faces([new_face()]),
        "edit": lambda: store.update_face("ann", old.id, FaceChange(meta="b")),
        "delete": lambda: store.delete_face("ann", old.id),
    }
    with pytest.raises(Unavailable, match="too busy to confirm"):
        await writes[what]()


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
