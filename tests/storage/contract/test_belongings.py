"""Every backend: tokens, galleries, persons, cameras."""

from __future__ import annotations

import asyncio

import pytest

from facenapi.storage.base import (
    Camera,
    FaceChange,
    FaceFilter,
    Page,
    Person,
    PersonSummary,
    Token,
    UnknownGalleryError,
    UnknownPersonError,
)
from tests.storage.samples import ALL, DAY_MS, NOON, add, new_face

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


async def test_an_owner_is_whoever_has_anything(store):
    assert await store.list_owners() == []
    await store.add_token(Token("h1", "tom", "", 1))
    await store.add_gallery("gil", "g")
    await store.new_person("pia")
    await store.add_camera(Camera("c", "cam", {}))
    await add(store, "a", "b", owner="fay")
    assert await store.list_owners() == ["cam", "fay", "gil", "pia", "tom"]


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


# -- persons --------------------------------------------------------------------------------------


async def test_persons_count_up_for_each_owner(store):
    assert [await store.new_person("ann") for _ in range(3)] == [1, 2, 3]
    assert await store.new_person("bob") == 1
    assert sorted(await asyncio.gather(*(store.new_person("bob") for _ in range(10)))) == list(range(2, 12))


async def test_who_has_no_face_takes_no_place_in_lists_of_persons(store):
    for _ in range(7):
        await store.new_person("ann")
    for person in (2, 4, 7):
        await add(store, "a", person_id=person)
    pages = (Page(), Page(1, 7), Page(2, 7), Page(1, None, 2), Page(2, None, 1), Page(5, None, 4), Page(1, 2))
    lists = [[person.id for person in await store.list_persons("ann", page)] for page in pages]
    assert lists == [[7, 4, 2], [4], [4, 2], [4], [4, 2], [7], []]


async def test_persons_without_faces_can_be_removed_and_their_ids_are_gone(store):
    for owner in ("ann", "ann", "ann", "bob"):
        await store.new_person(owner)
    await add(store, "a", person_id=2)
    await store.remove_persons("ann", [1, 2, 3, 99])
    assert [await store.get_person("ann", person) is None for person in (1, 2, 3)] == [True, False, True]
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
    assert await store.list_persons("ann", Page()) == [PersonSummary(other, "late")]
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
