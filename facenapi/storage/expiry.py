"""History that is kept for a time only.

A database's own expiry (a TTL index) would delete faces behind the back of the search shards; here they
are deleted as any client would do it, leaving tombstones, in batches that let others through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from facenapi.storage.base import Face, FaceFilter, Store


async def expire_history(
    store: Store, before_ms: int, forget: Callable[[list[Face]], Awaitable[None]], batch: int = 50
) -> int:
    """Delete the faces with a camera, of every owner, that are older than a time; return how many.

    ``before_ms``: milliseconds since 1970; faces of exactly that time stay. ``forget`` is given what was
    deleted, to remove their photos. Raises Unavailable.
    """
    deleted = 0
    where = FaceFilter(events=True, end_ms=before_ms - 1)
    for owner in await store.list_owners():
        while faces := await store.delete_faces(owner, where, batch):
            await forget(faces)
            deleted += len(faces)
            await asyncio.sleep(0)
    return deleted
