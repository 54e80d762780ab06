"""What every backend does, as storage/base.py promises it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from facenapi.storage.base import (
    Camera,
    FaceChange,
    FaceFilter,
    IdTakenError,
    MetaSummary,
    Page,
    Person,
    StoreIdentity,
    Token,
    UnknownGalleryError,
    UnknownPersonError,
)
from facenapi.storage.ids import cell_of, seconds_of
from facenapi.storage.lineage import EPOCHS_KEPT
from tests.storage.samples import DAY_MS, NOON, add, new_face, read_feed

ALL = FaceFilter()


def ids(faces):
    return [face.id for face in faces]


# -- tokens ---------------------------------------------------------------------------------------


async def test_tokens_are_found_by_hash_listed_by_age_and_revoked(store):
    first, second = Token("h1", "ann", "kitchen", 5), Token("h2", "bob", "", 6)
    await store.add_token(second)
    await store.add_token(first)
    assert await store.find_token("h1") == first
    assert await store.find_token("h3") is None
    assert await store.list_tokens() == [first, second]
    assert await store.set_token_active("h1", False)
    assert not (await store.find_token("h1")).active
    assert await store.set_token_active("h1", True)
    assert await store.find_token("h1") == first
    assert not await store.set_token_active("h3", False)


# -- galleries ------------------------------------------------------------------------------------


async def test_default_gallery_always_exists_and_stays(store):
    assert await store.list_galleries("ann") == ["default"]
    assert await store.has_gallery("ann", "default")
    assert not await store.add_gallery("ann", "default")
    with pytest.raises(UnknownGalleryError):
        await store.remove_gallery("ann", "default")


async def test_galleries_belong_to_one_owner_and_are_sorted(store):
    assert await store.add_gallery("ann", "staff")
    assert await store.add_gallery("ann", "b")
    assert not await store.add_gallery("ann", "b")
    assert await store.list_galleries("ann") == ["default", "b", "staff"]
    assert await store.has_gallery("ann", "staff")
    assert await store.list_galleries("bob") == ["default"]
    assert not await store.has_gallery("bob", "staff")
    assert await store.add_gallery("bob", "staff")


async def test_a_gallery_is_removed_only_when_it_is_empty(store):
    await store.add_gallery("ann", "staff")
    [face] = await add(store, "x", galleries=("staff",))
    assert not await store.remove_gallery("ann", "staff")
    assert await store.has_gallery("ann", "staff")
    assert await store.delete_faces("ann", FaceFilter(gallery="staff")) == [face]
    assert await store.remove_gallery("ann", "staff")
    assert await store.list_galleries("ann") == ["default"]
    with pytest.raises(UnknownGalleryError):
        await store.remove_gallery("ann", "staff")


async def test_of_many_creators_of_a_gallery_one_succeeds(store):
    created = await asyncio.gather(*(store.add_gallery("ann", "staff") for _ in range(8)))
    assert sorted(created) == [False] * 7 + [True]


async def test_a_face_is_never_left_in_a_gallery_that_is_gone(store):
    async def enrol():
        try:
            await store.add_faces([new_face(galleries=("staff",))])
        except UnknownGalleryError:
            return False
        return True

    for _ in range(5):
        await store.add_gallery("ann", "staff")
        removed, *enrolled = await asyncio.gather(store.remove_gallery("ann", "staff"), enrol(), enrol(), enrol())
        left = await store.list_faces("ann", FaceFilter(gallery="staff"), Page())
        assert len(left) == sum(enrolled)
        assert await store.has_gallery("ann", "staff") is not removed
        assert not (left and removed)
        assert len(await store.delete_faces("ann", ALL)) == sum(enrolled)


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
    assert before - 0.001 <= seconds_of(faces[0].id) <= time.time() + 1
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


# -- lists ----------------------------------------------------------------------------------------


async def test_pages_are_newest_first_and_their_bounds_exclusive(store):
    faces = ids(await add(store, *"abcdefg"))[::-1]

    async def page(*bounds):
        return ids(await store.list_faces("ann", ALL, Page(*bounds)))

    assert await page() == faces
    assert await page(3) == faces[:3]
    assert await page(3, faces[2]) == faces[3:6]
    assert await page(3, faces[5]) == faces[6:]
    assert await page(3, None, faces[6]) == faces[3:6]
    assert await page(2, faces[1], faces[5]) == faces[3:5]
    assert await page(3, faces[6]) == await page(3, None, faces[0]) == []


async def test_filters_by_gallery_meta_and_person(store):
    await store.add_gallery("ann", "staff")
    person = await store.new_person("ann")
    a, b = await add(store, "Ann", "ann")
    [c] = await add(store, "Ann", galleries=("staff",), person_id=person)
    [d] = await add(store, "", galleries=("staff",))

    async def found(**where):
        return ids(await store.list_faces("ann", FaceFilter(**where), Page()))

    assert await found(gallery="staff") == [d.id, c.id]
    assert await found(gallery="default") == [d.id, c.id, b.id, a.id]
    assert await found(meta="Ann") == [c.id, a.id]
    assert await found(meta="") == [d.id]
    assert await found(meta="Ann", gallery="staff") == [c.id]
    assert await found(person_id=person) == [c.id]
    assert await found(person_id=person, gallery="staff", meta="Ann") == [c.id]
    assert await found(person_id=person, meta="x") == await found(gallery="nowhere") == await found(person_id=9) == []


async def test_history_by_camera_time_and_friend(store):
    (plain,) = await add(store, "no camera", timestamp_ms=NOON)
    (first,) = await add(store, "", cam_id="0F-a1", timestamp_ms=NOON + 10, friend=True)
    (second,) = await add(store, "", cam_id="door", timestamp_ms=NOON + 20, friend=False)
    (third,) = await add(store, "", cam_id="0fA1", timestamp_ms=NOON)

    async def found(**where):
        return ids(await store.list_faces("ann", FaceFilter(**where), Page()))

    assert await found(events=True) == [third.id, second.id, first.id]
    assert await found(cam_ids=("0-f-A-1",)) == [third.id, first.id]
    assert await found(cam_ids=("0fa1", "0FA1", "DOOR")) == [third.id, second.id, first.id]
    assert await found(cam_ids=()) == await found(cam_ids=("other",)) == []
    assert await found(events=True, start_ms=NOON + 10, end_ms=NOON + 20) == [second.id, first.id]
    assert await found(cam_ids=("door",), start_ms=NOON + 21) == []
    assert await found(start_ms=NOON, end_ms=NOON) == [third.id, plain.id]
    assert await found(events=True, friend=True) == [first.id]
    assert await found(events=True, friend=False) == [second.id]


async def test_history_pages_over_several_cameras(store):
    faces = ids([(await add(store, "", cam_id=f"cam{i % 3}"))[0] for i in range(9)])[::-1]
    where = FaceFilter(events=True, cam_ids=("cam0", "cam2"))
    expected = [faces[i] for i in (0, 2, 3, 5, 6, 8)]
    assert ids(await store.list_faces("ann", where, Page(4))) == expected[:4]
    assert ids(await store.list_faces("ann", where, Page(4, expected[3]))) == expected[4:]
    assert ids(await store.list_faces("ann", where, Page(2, None, expected[4]))) == expected[2:4]


# -- metas and counts -----------------------------------------------------------------------------


async def test_metas_have_a_count_and_their_first_face(store):
    await store.add_gallery("ann", "staff")
    a1, b1 = await add(store, "a", "b")
    (a2,) = await add(store, "a", galleries=("staff",))
    (c1,) = await add(store, "c", galleries=("staff",))
    everywhere = [MetaSummary(1, c1), MetaSummary(1, b1), MetaSummary(2, a1)]
    assert await store.list_metas("ann", None, Page()) == everywhere
    assert await store.list_metas("ann", "default", Page()) == everywhere
    assert await store.list_metas("ann", "staff", Page()) == [
        MetaSummary(1, c1),
        MetaSummary(1, a2),
    ]
    assert await store.list_metas("ann", "nowhere", Page()) == []
    assert await store.list_metas("ann", None, Page(1, c1.id)) == everywhere[1:2]
    assert await store.list_metas("ann", None, Page(1, None, a1.id)) == everywhere[1:2]
    assert [await store.count_faces("ann", g) for g in (None, "default", "staff", "nowhere")] == [4, 4, 2, 0]


async def test_metas_follow_edits_and_deletions(store):
    await store.add_gallery("ann", "staff")
    a1, a2 = await add(store, "a", "a")
    await store.delete_face("ann", a1.id)
    assert await store.list_metas("ann", None, Page()) == [MetaSummary(1, a2)]
    renamed = await store.update_face("ann", a2.id, FaceChange(meta="b", add_galleries=("staff",)))
    assert await store.list_metas("ann", None, Page()) == [MetaSummary(1, renamed)]
    assert await store.list_metas("ann", "staff", Page()) == [MetaSummary(1, renamed)]
    await store.update_face("ann", a2.id, FaceChange(set_galleries=()))
    assert await store.list_metas("ann", "staff", Page()) == []
    assert await store.count_faces("ann", "staff") == 0
    await store.delete_faces("ann", FaceFilter(meta="b"))
    assert await store.list_metas("ann", None, Page()) == []


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
    with pytest.raises(UnknownGalleryError):
        await store.update_face("ann", face.id, FaceChange(meta="z", add_galleries=("nowhere",)))
    with pytest.raises(UnknownGalleryError):
        await store.update_face("ann", face.id, FaceChange(meta="z", set_galleries=("nowhere",)))
    with pytest.raises(UnknownPersonError):
        await store.update_face("ann", face.id, FaceChange(meta="z", person_id=1))
    assert await store.get_faces("ann", [face.id]) == {face.id: face}
    assert await store.update_face("ann", face.id + 1024, FaceChange(meta="z")) is None


async def test_concurrent_edits_all_take_effect(store):
    names = [f"g{i}" for i in range(10)]
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
    assert [person.id for person in await store.list_persons("ann", Page())] == [5, 2]
    assert await store.new_person("ann") == 6


# -- persons --------------------------------------------------------------------------------------


async def test_persons_count_up_for_each_owner(store):
    assert [await store.new_person("ann") for _ in range(3)] == [1, 2, 3]
    assert await store.new_person("bob") == 1
    assert sorted(await asyncio.gather(*(store.new_person("bob") for _ in range(10)))) == list(range(2, 12))
    assert [person.id for person in await store.list_persons("ann", Page())] == [3, 2, 1]
    assert [person.id for person in await store.list_persons("ann", Page(1, 3))] == [2]
    assert [person.id for person in await store.list_persons("ann", Page(1, None, 1))] == [2]


async def test_persons_without_faces_can_be_removed_and_their_ids_are_gone(store):
    for owner in ("ann", "ann", "ann", "bob"):
        await store.new_person(owner)
    await add(store, "a", person_id=2)
    await store.remove_persons("ann", [1, 2, 3, 99])
    assert [person.id for person in await store.list_persons("ann", Page())] == [2]
    assert await store.get_person("ann", 1) is None
    assert await store.get_person("bob", 1) is not None
    with pytest.raises(UnknownPersonError):
        await add(store, "b", person_id=3)
    assert await store.new_person("ann") == 4


async def test_a_person_has_the_meta_of_its_newest_face_and_its_first_face(store):
    person, other = await store.new_person("ann"), await store.new_person("ann")
    assert await store.get_person("ann", person) == Person(person, "", 0, None)
    first, second = await add(store, "early", "late", person_id=person)
    assert await store.get_person("ann", person) == Person(person, "late", 2, first)
    await store.update_face("ann", second.id, FaceChange(person_id=other))
    assert await store.get_person("ann", person) == Person(person, "early", 1, first)
    assert (await store.get_person("ann", other)).count == 1
    await store.delete_face("ann", first.id)
    left = await store.get_person("ann", other)
    assert await store.list_persons("ann", Page()) == [left, Person(person, "", 0, None)]
    assert await store.get_person("ann", 99) is None
    assert await store.get_person("bob", person) is None


async def test_sighting_days_are_utc_days_of_one_camera(store):
    person = await store.new_person("ann")
    for time_ms in (NOON, NOON + 1, NOON + DAY_MS - 1, NOON + DAY_MS, NOON - 1, -1):
        await add(store, "", person_id=person, cam_id="Door-1", timestamp_ms=time_ms)
    await add(store, "", person_id=person, cam_id="other", timestamp_ms=NOON + 3 * DAY_MS)
    day = NOON // DAY_MS
    assert await store.sighting_days("ann", person, "door1", NOON, NOON + DAY_MS) == {day, day + 1}
    assert await store.sighting_days("ann", person, "DOOR-1", -DAY_MS, 2 * NOON) == {-1, day - 1, day, day + 1}
    assert await store.sighting_days("ann", person, "door1", NOON + 2, NOON + 3) == set()


# -- cameras --------------------------------------------------------------------------------------


async def test_cameras(store):
    fields = {"meta": "Door", "roi": [1, 2, 3, 4], "enabled": True, "detector": "d1", "rot": 0.5}
    door = Camera("c-2", "ann", fields)
    gate = Camera("c-1", "ann", {})
    for camera in (door, gate, Camera("c-3", "bob", {"detector": "d1"})):
        await store.add_camera(camera)
    assert await store.list_cameras("ann") == [door, gate]
    assert await store.list_cameras("ann", "d1") == [door]
    assert await store.get_camera("ann", "c-2") == door
    assert await store.get_camera("bob", "c-2") is None
    edit = {"url": "rtsp://x", "rot": 90}
    changed = Camera("c-2", "ann", {**fields, **edit})
    assert await store.update_camera("ann", "c-2", edit) == changed
    assert await store.list_cameras("ann") == [changed, gate]
    assert await store.update_camera("bob", "c-2", {"rot": 1}) is None
    for gone in ({"url": None, "meta": "x"}, {"rot": None}, {"none": None}, {}):
        changed = Camera("c-2", "ann", {k: v for k, v in {**changed.fields, **gone}.items() if v is not None})
        assert await store.update_camera("ann", "c-2", gone) == changed == await store.get_camera("ann", "c-2")
    assert not await store.delete_camera("bob", "c-2")
    assert await store.delete_camera("ann", "c-2")
    assert await store.list_cameras("ann") == [gate]
    await store.add_camera(Camera("c-1", "ann", {"meta": "again"}))
    assert await store.list_cameras("ann") == [Camera("c-1", "ann", {"meta": "again"})]


# -- the change feed ------------------------------------------------------------------------------


async def test_the_feed_tells_the_last_change_of_each_face(store):
    a, b, c = await add(store, "a", "b", "c")
    b = await store.update_face("ann", b.id, FaceChange(meta="bb"))
    await store.delete_face("ann", c.id)
    for limit in (1, 2, 1000):
        faces, stones, end = await read_feed(store, limit=limit)
        assert faces == [a, b]
        assert [(stone.id, stone.owner) for stone in stones] == [(c.id, "ann")]
        assert stones[0].rev > c.rev
    [d] = await add(store, "d")
    assert d in (await read_feed(store, end))[0]


async def test_the_feed_of_some_cells(store):
    inside, outside = await store.add_faces([new_face(cell=5), new_face(cell=6)])
    [gone] = await store.add_faces([new_face(cell=6)])
    await store.delete_face("ann", gone.id)
    assert (await read_feed(store, cells=frozenset({5, 9})))[:2] == ([inside], [])
    faces, stones, _ = await read_feed(store, cells=frozenset({6}))
    assert (faces, [stone.id for stone in stones]) == ([outside], [gone.id])
    assert (await read_feed(store, cells=frozenset()))[:2] == ([], [])


async def test_batch_deletion_leaves_a_tombstone_for_each(store):
    faces = await add(store, *"abc")
    await store.delete_faces("ann", ALL)
    assert sorted(stone.id for stone in (await read_feed(store))[1]) == ids(faces)


# -- life -----------------------------------------------------------------------------------------


async def test_a_lock_excludes_by_name(store):
    inside: list[str] = []

    async def visit(name):
        async with store.lock(name):
            assert name not in inside
            inside.append(name)
            await asyncio.sleep(0.01)
            inside.remove(name)

    await asyncio.wait_for(asyncio.gather(*(visit(name) for name in "aabbaab")), 60)
    assert inside == []


async def test_a_lock_is_free_again_after_an_error(store):
    with pytest.raises(KeyError):
        async with store.lock("a"):
            raise KeyError
    async with store.lock("a"), store.lock("b"):
        await store.ping()


async def test_the_last_revision_is_that_of_the_last_change(store):
    assert await store.last_rev() == 0
    [face] = await add(store, "meta")
    assert await store.last_rev() == face.rev
    changed = await store.update_face(face.owner, face.id, FaceChange(meta="other"))
    assert await store.last_rev() == changed.rev > face.rev
    await store.delete_face(face.owner, face.id)
    assert await store.last_rev() > changed.rev


# -- which store it is ----------------------------------------------------------------------------


async def test_an_epoch_begins_after_the_revisions_of_the_one_before(store):
    first = (await store.lineage()).identity
    assert first.id
    assert first.epoch
    faces = await add(store, "a", "b")
    page = await store.changes_since(0)
    assert page.identity == first
    second = await store.begin_epoch()
    assert (second.id, second == first) == (first.id, False)
    [later] = await add(store, "c")
    lineage = await store.lineage()
    assert lineage.identity == (await store.changes_since(0)).identity == second
    assert lineage.last == later.rev
    assert lineage.holds(first, faces[-1].rev)
    assert lineage.holds(second, later.rev)
    assert not lineage.holds(first, later.rev)  # what a backup put back makes of its readers
    assert not lineage.holds(second, faces[0].rev, later.rev + 1)
    assert not lineage.holds(StoreIdentity("another", second.epoch), later.rev)


async def test_only_so_many_epochs_are_remembered(store):
    first = (await store.lineage()).identity
    for _ in range(EPOCHS_KEPT):
        await store.begin_epoch()
    lineage = await store.lineage()
    assert len(lineage.epochs) == EPOCHS_KEPT
    assert not lineage.holds(first, 0)


async def test_tombstones_go_when_they_are_old_and_who_lags_behind_is_told(store):
    day = 86_400_000
    old, kept = await add(store, "a", "b")
    await store.delete_face(old.owner, old.id)
    assert await store.forget_tombstones(10 * day, day) == 0
    floor = (await store.lineage()).last
    await store.delete_face(kept.owner, kept.id)
    assert await store.forget_tombstones(11 * day, 10 * day) == 0
    assert await store.forget_tombstones(12 * day, 11 * day) == 1
    page = await store.changes_since(0)
    assert [stone.id for stone in page.tombstones] == [kept.id]
    assert page.floor == floor
    assert (await store.lineage()).floor == floor
    # A restored face may come back under the id of a tombstone that is gone.
    assert await store.restore_faces([old]) == 1


async def test_a_page_of_the_feed_belongs_to_one_epoch(store):
    await add(store, *"abc")

    async def begin():
        for _ in range(10):
            await store.begin_epoch()
            await add(store, "x")

    async def read():
        pages = [await store.changes_since(0) for _ in range(30)]
        lineage = await store.lineage()
        return all(lineage.holds(page.identity, max(face.rev for face in page.faces)) for page in pages)

    assert (await asyncio.gather(begin(), read()))[1]


async def test_what_a_process_has_changed_itself_is_no_news_to_it(store):
    assert await store.news_since(0) == (0, False)
    [face, other] = await add(store, "a", "b")
    await store.update_face("ann", face.id, FaceChange(meta="c"))
    await store.delete_face("ann", face.id)
    await store.delete_faces("ann", ALL)
    await store.restore_faces([other])
    mark, news = await store.news_since(0)
    assert not news
    assert await store.news_since(mark) == (mark, False)
