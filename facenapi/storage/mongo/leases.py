"""Locks among all servers on one database: leases that are renewed while they are held."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial

from pymongo.errors import DuplicateKeyError, PyMongoError

from facenapi.errors import Unavailable
from facenapi.storage.mongo.base import MongoBase
from facenapi.storage.mongo.driver import int64, reason_of

# A lease that is not renewed for so long is another's: longer than processes pause.
LEASE_S = 30.0
MAX_WAIT_S = 60.0


class Leases(MongoBase):
    """The part of the store that keeps locks."""

    def lock(self, name: str) -> AbstractAsyncContextManager[None]:
        """Return a mutual exclusion among all servers on this database."""
        return self._lock(name)

    @asynccontextmanager
    async def _lock(self, name: str) -> AsyncIterator[None]:
        holder = uuid.uuid4().hex
        async with self.local_locks.hold(name):
            try:
                await self._acquire(name, holder)
            except PyMongoError as error:
                raise reason_of(error) from error
            renewing = self.loops.repeat("renew a lock", partial(self._renew, name, holder), LEASE_S / 3)
            try:
                yield
            finally:
                await self.loops.end(renewing)
                # If this fails, the lease runs out by itself.
                with suppress(PyMongoError):
                    await self.leases.delete_one({"_id": name, "holder": holder})

    async def _acquire(self, name: str, holder: str) -> None:
        deadline = time.monotonic() + MAX_WAIT_S
        while time.monotonic() < deadline:
            await self.clock.renew()
            now = self.clock.milliseconds()
            try:
                # A lease of another holds the _id, so the upsert meets a duplicate key.
                await self.leases.find_one_and_update(
                    {"_id": name, "$or": [{"until": {"$lt": int64(now)}}, {"holder": holder}]},
                    {"$set": {"holder": holder, "until": int64(now + round(LEASE_S * 1000))}},
                    upsert=True,
                )
            except DuplicateKeyError:
                await asyncio.sleep(0.02)
            else:
                return
        raise Unavailable("Another server holds a lock for too long")

    async def _renew(self, name: str, holder: str) -> None:
        try:
            await self.clock.renew()
            until = int64(self.clock.milliseconds() + round(LEASE_S * 1000))
            await self.leases.update_one({"_id": name, "holder": holder}, {"$set": {"until": until}})
        except PyMongoError as error:
            raise reason_of(error) from error
