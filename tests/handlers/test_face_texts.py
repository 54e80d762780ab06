"""Texts of faces: fresh after a change, gone after a deletion, and few enough."""

from __future__ import annotations

import json

import pytest

from facenapi.handlers import face_texts
from facenapi.handlers.face_texts import FaceTexts
from facenapi.handlers.views import face_view
from facenapi.storage.base import FaceChange, FaceFilter, Page
from facenapi.storage.sqlite import SqliteStore
from tests.storage.samples import add

ALL = FaceFilter()


class EventfulStore(SqliteStore):
    """Notes which faces were asked for, and lets something happen just before they are read."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asked, self.events = [], []

    async def get_faces(self, owner, ids):
        self.asked.append(list(ids))
        if self.events:
            await self.events.pop(0)()
        return await super().get_faces(owner, ids)


@pytest.fixture
def store(io_loop, tmp_path):
    store = EventfulStore(tmp_path, "normal")
    io_loop.run_sync(store.start)
    yield store
    io_loop.run_sync(store.close)


async def shown(texts, store, where=ALL, owner="ann"):
    """Return a page as it is answered: the texts that there are, read."""
    _, found = await texts.page(owner, lambda pages: store.list_keys(owner, where, pages), lambda key: key, Page())
    return [json.loads(text) if text else None for text in found]


async def test_a_face_is_read_and_written_once_per_revision(store):
    first, second = await add(store, "ä", "b")
    texts = FaceTexts(store)
    for _ in range(2):
        assert await shown(texts, store) == [face_view(second), face_view(first)]
    assert store.asked == [[second.id, first.id]]
    changed = await store.update_face("ann", first.id, FaceChange(meta="new"))
    assert await shown(texts, store) == [face_view(second), face_view(changed)]
    assert store.asked[1:] == [[first.id]]
    assert await shown(texts, store, owner="bob") == []


async def test_a_page_is_read_again_when_a_face_of_it_goes(store):
    first, second = await add(store, "a", "b")
    store.events = [lambda: store.delete_face("ann", second.id)]
    assert await shown(FaceTexts(store), store) == [face_view(first)]


async def test_a_face_is_never_in_a_list_that_it_has_left(store):
    await store.add_gallery("ann", "staff")
    [face] = await add(store, "a", galleries=("staff",))
    for where in (FaceFilter(meta="a"), FaceFilter(gallery="staff")):
        texts = FaceTexts(store)
        store.events = [lambda: store.update_face("ann", face.id, FaceChange(meta="b", del_galleries=("staff",)))]
        assert await shown(texts, store, where) == []
        await store.update_face("ann", face.id, FaceChange(meta="a", add_galleries=("staff",)))


async def test_a_face_that_changes_meanwhile_is_shown_as_it_is_now(store):
    [face] = await add(store, "a")
    store.events = [lambda: store.update_face("ann", face.id, FaceChange(meta="x"))]
    assert [view["meta"] for view in await shown(FaceTexts(store), store)] == ["x"]
    assert store.asked == [[face.id]]


async def test_faces_that_never_stay_as_they_are_are_left_out(store):
    [face] = await add(store, "a")
    texts, keys = FaceTexts(store), await store.list_keys("ann", ALL, [Page()])

    async def outdated(pages):
        return keys

    await store.update_face("ann", face.id, FaceChange(meta="x"))
    _, found = await texts.page("ann", outdated, lambda key: key, Page())
    assert found == [None]


async def test_the_oldest_texts_make_room(store, monkeypatch):
    monkeypatch.setattr(face_texts, "_MOST_BYTES", 500)
    await add(store, *"abc")
    texts = FaceTexts(store)
    for _ in range(2):
        assert len(await shown(texts, store)) == 3
    assert [len(asked) for asked in store.asked] == [3, 1]


async def test_many_revisions_and_long_texts_take_no_more_room(store):
    texts = FaceTexts(store)
    [face] = await add(store, "a")
    for number in range(50):
        await store.update_face("ann", face.id, FaceChange(meta=f"{number:02}"))
        await shown(texts, store)
    assert texts._bytes == len(b"".join(texts._kept.values())) < 500
    assert len(texts._revs) == 1
    await store.update_face("ann", face.id, FaceChange(meta="\U0001f600" * 4000))
    for _ in range(2):
        assert [view["meta"] for view in await shown(texts, store)] == ["\U0001f600" * 4000]
    assert (texts._bytes, texts._kept, texts._revs) == (0, {}, {})
