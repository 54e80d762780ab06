"""Every backend: the change feed, locks, and which store it is."""

from __future__ import annotations

import asyncio

import pytest

from facenapi.storage.base import (
    FaceChange,
    StoreIdentity,
)
from facenapi.storage.lineage import EPOCHS_KEPT
from tests.storage.samples import ALL, add, ids, new_face, read_feed

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
