"""Texts of faces: fresh after a change, gone after a deletion, few enough."""

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


class CountingStore(SqliteStore):
    """Notes which faces were asked for."""

    asked: list[list[int]]

    async def get_faces(self, owner, ids):
        self.asked = [*getattr(self, "asked", []), list(ids)]
        return await super().get_faces(owner, ids)


async def keys_of(store):
    [keys] = await store.list_keys("ann", ALL, [Page()])
    return keys


@pytest.fixture
def store(io_loop, tmp_path):
    store = CountingStore(tmp_path, "normal")
    io_loop.run_sync(store.start)
    yield store
    io_loop.run_sync(store.close)


async def test_a_face_is_read_and_written_once_per_revision(store):
    first, second = await add(store, "ä", "b")
    texts = FaceTexts(store)
    keys = await keys_of(store)
    for _ in range(2):
        assert list(map(json.loads, await texts.of("ann", keys))) == [face_view(second), face_view(first)]
    assert store.asked == [[second.id, first.id]]
    changed = await store.update_face("ann", first.id, FaceChange(meta="new"))
    found = await texts.of("ann", await keys_of(store))
    assert list(map(json.loads, found)) == [face_view(second), face_view(changed)]
    assert store.asked[1:] == [[first.id]]


async def test_a_face_that_goes_between_key_and_text_is_left_out(store):
    first, second = await add(store, "a", "b")
    keys = await keys_of(store)
    await store.delete_face("ann", second.id)
    [gone, left] = await FaceTexts(store).of("ann", keys)
    assert gone is None
    assert json.loads(left) == face_view(first)
    assert await FaceTexts(store).of("ann", []) == []


async def test_a_face_that_changes_between_key_and_text_is_shown_as_it_is_now(store):
    [face] = await add(store, "a")
    texts, keys = FaceTexts(store), await keys_of(store)
    await store.update_face("ann", face.id, FaceChange(meta="new"))
    [text] = await texts.of("ann", keys)
    assert json.loads(text)["meta"] == "new"


async def test_the_oldest_texts_make_room(store, monkeypatch):
    monkeypatch.setattr(face_texts, "_MOST", 2)
    await add(store, *"abc")
    texts, keys = FaceTexts(store), await keys_of(store)
    assert len(await texts.of("ann", keys)) == 3
    await texts.of("ann", keys)
    assert [len(asked) for asked in store.asked] == [3, 1]
