"""History that is kept for a time only.

A database's own expiry (a TTL index) would delete faces behind the back of the search shards; here they
are deleted as any client would do it, leaving tombstones, in batches that let others through.
"""

from __future__ import annotations

import asyncio

from facenapi.storage.base import FaceFilter, Store


async def expire_history(store: Store, before_ms: int, batch: int = 500) -> int:
    """Delete the faces with a camera, of every owner, that are older than a time; return how many.

    ``before_ms``: milliseconds since 1970; faces of exactly that time stay. Raises Unavailable.
    """
    deleted = 0
    where = FaceFilter(events=True, end_ms=before_ms - 1)
    for owner in sorted({token.owner for token in await store.list_tokens()}):
        while faces := await store.delete_faces(owner, where, batch):
            deleted += len(faces)
            await asyncio.sleep(0)
    return deleted
