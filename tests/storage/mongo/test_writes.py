"""MongoStore when the network, the servers or other clients get in the way: each write once, or reported failed."""

from __future__ import annotations

import pytest

from facenapi.errors import Unavailable
from facenapi.storage.base import Camera, FaceChange, FaceFilter, Page
from facenapi.storage.ids import seconds_of
from tests.storage.mongo.support import LASTING, NO_TIME, everything
from tests.storage.samples import add, new_face, read_feed
from tests.support.effort import daily
from tests.support.wire import Fault

# A client that is closed while one of the driver's monitors is just connecting leaves that socket to the collector.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:Exception ignored in. <socket\.socket:pytest.PytestUnraisableExceptionWarning"
)


# -- each write once ------------------------------------------------------------------------------

HARMLESS = daily(["drop after", "unconfirmed", "drop before", "not primary"], 2)


@pytest.mark.parametrize("fault", HARMLESS)
@pytest.mark.parametrize("command", ["findAndModify", "update", "insert"])
async def test_a_face_is_stored_once_whatever_fails_on_the_way(store, double, command, fault):
    double.faults = [Fault(command, fault)]
    [face] = await store.add_faces([new_face(meta="a")])
    assert await everything(store) == [face]
    [summary] = await store.list_metas("ann", None, Page())
    assert summary == (1, face)
    assert not double.faults[0].times


@pytest.mark.parametrize("times", daily([3, 2]))
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
    assert [await store.get_person("ann", person) is None for person in (second, first)] == [False, False]


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
