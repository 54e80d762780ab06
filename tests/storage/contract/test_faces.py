"""Every backend: adding, changing, deleting and restoring faces."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from facenapi.storage.base import (
    FaceChange,
    FaceFilter,
    IdTakenError,
    MetaSummary,
    Page,
    UnknownGalleryError,
    UnknownPersonError,
)
from facenapi.storage.ids import cell_of, seconds_of
from tests.storage.samples import ALL, add, ids, new_face

# -- adding and reading ---------------------------------------------------------------------------


async def test_a_face_comes_back_as_it_was_given(store):
    await store.add_gallery("ann", "staff")
    await store.add_gallery("ann", "b")
    person = await store.new_person("ann")
    given = new_face(
        meta="Zoë \0 ☃",
        galleries=("staff", "b", "staff"),
        photo="http://x/y.jpg",
        person_id=person,
        friend=True,
        cam_id="0F-a",
        age=31.337,
        gender="female",
        emotions=("sad", "happy"),
        thumbnail="/t",
        normalized="/n",
        x1=-3,
        timestamp_ms=-1,
        embedding=bytes(range(256)) * 8,
    )
    [face] = await store.add_faces([given])
    assert face.galleries == ("default", "b", "staff")
    same = {name: getattr(face, name) for name in given.__slots__ if name != "galleries"}
    assert same == {name: getattr(given, name) for name in given.__slots__ if name != "galleries"}
    assert (await store.get_faces("ann", [face.id])) == {face.id: face}
    assert (await store.list_faces("ann", ALL, Page())) == [face]


async def test_what_does_not_apply_stays_none(store):
    [face] = await store.add_faces([new_face()])
    [read] = (await store.get_faces("ann", [face.id])).values()
    assert read == face
    assert (read.person_id, read.friend, read.cam_id, read.age, read.gender, read.emotions) == (None,) * 6
    [stranger] = await store.add_faces([new_face(friend=False)])
    assert (await store.get_faces("ann", [stranger.id]))[stranger.id].friend is False


async def test_ids_grow_with_time_and_hold_the_cell(store):
    before = time.time()
    faces = [(await store.add_faces([new_face(cell=cell)]))[0] for cell in (1023, 0, 512)]
    assert ids(faces) == sorted(ids(faces))
    assert [cell_of(face.id) for face in faces] == [1023, 0, 512]
    assert (
        before - 1 <= seconds_of(faces[0].id) <= time.time() + 1
    )  # the clock is the database's, as far as it is known
    assert faces[-1].id < 2**53


async def test_many_clients_get_ids_of_their_own(store):
    added = await asyncio.gather(*(store.add_faces([new_face(cell=3)] * 4) for _ in range(20)))
    assert len({face.id for faces in added for face in faces}) == 80
    assert len({face.rev for faces in added for face in faces}) == 80
    assert await store.count_faces("ann") == 80


async def test_all_faces_of_a_call_are_stored_or_none(store):
    with pytest.raises(UnknownGalleryError) as caught:
        await store.add_faces([new_face(), new_face(galleries=("nowhere",))])
    assert caught.value.name == "nowhere"
    with pytest.raises(UnknownPersonError):
        await store.add_faces([new_face(), new_face(person_id=1)])
    assert await store.list_faces("ann", ALL, Page()) == []
    assert await store.list_metas("ann", None, Page()) == []
    assert await store.count_faces("ann") == 0
    assert await store.add_faces([]) == []


async def test_owners_see_nothing_of_each_other(store):
    [face] = await add(store, "m")
    await store.add_gallery("ann", "staff")
    assert await store.get_faces("bob", [face.id]) == {}
    assert await store.list_faces("bob", ALL, Page()) == []
    assert await store.count_faces("bob") == 0
    assert await store.list_metas("bob", None, Page()) == []
    assert await store.update_face("bob", face.id, FaceChange(meta="mine")) is None
    assert await store.delete_face("bob", face.id) is None
    assert await store.delete_faces("bob", ALL) == []
    assert await store.get_faces("ann", [face.id]) == {face.id: face}


# -- editing and deleting -------------------------------------------------------------------------


async def test_an_edit_changes_what_it_names_and_the_revision(store):
    await store.add_gallery("ann", "staff")
    await store.add_gallery("ann", "b")
    person = await store.new_person("ann")
    [face] = await add(store, "a")

    async def edit(**change):
        edited = await store.update_face("ann", face.id, FaceChange(**change))
        assert await store.get_faces("ann", [face.id]) == {face.id: edited}
        return edited

    edited = await edit(meta="z", person_id=person)
    assert (edited.meta, edited.person_id, edited.galleries) == ("z", person, ("default",))
    assert edited.rev > face.rev
    assert (await edit(meta="")).meta == ""
    assert (await edit(add_galleries=("staff", "b"))).galleries == ("default", "b", "staff")
    assert (await edit(del_galleries=("staff", "default", "never-was"))).galleries == ("default", "b")
    assert (await edit(set_galleries=("staff",))).galleries == ("default", "staff")
    assert (await edit(set_galleries=("b",), add_galleries=("staff",), del_galleries=("b",))).galleries == (
        "default",
        "staff",
    )
    moved = await edit(embedding=b"1234", model="net-2")
    assert (moved.embedding, moved.model) == (b"1234", "net-2")


async def test_an_edit_that_names_nothing_known_changes_nothing(store):
    [face] = await add(store, "a")
    with pytest.raises(UnknownGalleryError) as refused:
        await store.update_face("ann", face.id, FaceChange(meta="z", add_galleries=("nowhere", *"hgfedcba")))
    assert refused.value.name == "a"
    with pytest.raises(UnknownGalleryError):
        await store.update_face("ann", face.id, FaceChange(meta="z", set_galleries=("nowhere",)))
    with pytest.raises(UnknownPersonError):
        await store.update_face("ann", face.id, FaceChange(meta="z", person_id=1))
    assert await store.get_faces("ann", [face.id]) == {face.id: face}
    assert await store.update_face("ann", face.id + 1024, FaceChange(meta="z")) is None


async def test_concurrent_edits_all_take_effect(store):
    names = [f"g{i}" for i in range(6)]
    for name in names:
        await store.add_gallery("ann", name)
    [face] = await add(store, "a")
    await asyncio.gather(*(store.update_face("ann", face.id, FaceChange(add_galleries=(name,))) for name in names))
    assert (await store.get_faces("ann", [face.id]))[face.id].galleries == ("default", *names)
    assert await store.count_faces("ann", "g3") == 1


async def test_deleting_answers_what_was_there(store):
    [face] = await add(store, "a")
    assert await store.delete_face("ann", face.id) == face
    assert await store.delete_face("ann", face.id) is None
    assert await store.get_faces("ann", [face.id]) == {}
    assert await store.update_face("ann", face.id, FaceChange(meta="b")) is None


async def test_deleting_in_batches_ends_empty(store):
    faces = await add(store, *["a"] * 5, "b")
    assert ids(await store.delete_faces("ann", FaceFilter(meta="a"), 3)) == ids(faces[4:1:-1])
    assert len(await store.delete_faces("ann", FaceFilter(meta="a"), 3)) == 2
    assert await store.delete_faces("ann", FaceFilter(meta="a"), 3) == []
    assert await store.list_faces("ann", ALL, Page()) == faces[5:]


# -- restoring ------------------------------------------------------------------------------------


async def test_an_export_is_restored_under_its_ids(store):
    await store.add_gallery("ann", "staff")
    await store.restore_persons("ann", [3, 7])
    faces = await add(store, "a", "a", galleries=("staff",), person_id=7)
    await store.delete_faces("ann", ALL)
    assert await store.restore_faces(faces[1:]) == 1
    assert await store.restore_faces(faces) == 1
    assert await store.restore_faces(faces) == 0
    found = await store.get_faces("ann", ids(faces))
    assert [found[face.id].meta for face in faces] == ["a", "a"]
    assert await store.list_metas("ann", "staff", Page()) == [MetaSummary(2, found[faces[0].id])]
    assert await store.list_faces("ann", FaceFilter(person_id=7), Page()) == [found[i] for i in ids(faces)[::-1]]
    assert found[faces[0].id].rev > faces[1].rev
    assert (await store.add_faces([new_face()]))[0].id not in ids(faces)


async def test_restoring_takes_no_id_of_another_owner(store):
    [face] = await add(store, "a")
    with pytest.raises(IdTakenError):
        await store.restore_faces([replace(face, owner="bob")])
    assert await store.count_faces("bob") == 0
    assert await store.get_faces("ann", [face.id]) == {face.id: face}


async def test_restored_persons_are_counted_on(store):
    await store.restore_persons("ann", [2, 5])
    await store.restore_persons("ann", [2])
    await store.restore_persons("ann", [])
    assert [await store.get_person("ann", person) is None for person in (2, 3, 5)] == [False, True, False]
    assert await store.new_person("ann") == 6
