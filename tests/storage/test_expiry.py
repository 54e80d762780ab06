"""Old history goes, the rest stays."""

from __future__ import annotations

from facenapi.storage.base import FaceFilter, Page, Token
from facenapi.storage.expiry import expire_history
from tests.storage.samples import DAY_MS, NOON, add, read_feed


async def test_old_events_of_every_owner_are_deleted(store):
    await store.add_token(Token("ann", "ann", "", 1))
    for owner in ("ann", "bob"):  # whose faces were imported: nobody has made him a token yet
        await add(store, "plain", owner=owner, timestamp_ms=NOON - DAY_MS)
        await add(store, "old", "old", "old", owner=owner, cam_id="c", timestamp_ms=NOON - 1)
        await add(store, "new", owner=owner, cam_id="c", timestamp_ms=NOON)
    forgotten = []

    async def forget(faces):
        forgotten.extend(face.meta for face in faces)

    assert await expire_history(store, NOON, forget, batch=2) == 6
    assert forgotten == ["old"] * 6
    assert await expire_history(store, NOON, forget) == 0
    for owner in ("ann", "bob"):
        left = await store.list_faces(owner, FaceFilter(), Page())
        assert [face.meta for face in left] == ["new", "plain"]
    assert len((await read_feed(store))[1]) == 6
