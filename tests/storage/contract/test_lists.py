"""Every backend: lists, metas and counts."""

from __future__ import annotations

from facenapi.storage.base import (
    FaceChange,
    FaceFilter,
    MetaSummary,
    Page,
)
from tests.storage.samples import ALL, NOON, add, ids

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
