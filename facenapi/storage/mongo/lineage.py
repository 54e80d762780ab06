"""The store's identity and its epochs, kept in the document that counts revisions: one read sees them together."""

from __future__ import annotations

from typing import Any

from facenapi.storage.lineage import EPOCHS_KEPT, NOTE_MS, Lineage, StoreIdentity, new_name
from facenapi.storage.mongo.base import MongoBase
from facenapi.storage.mongo.driver import int64, operation

REV = {"_id": "rev"}
TRIES = 200
# A revision may be committed this long after a later one: as long as a write may take before it is given
# a new revision (faces.py), with room to spare.
MARGIN_MS = 10_000


class Lineages(MongoBase):
    """The part of the store that tells which store it is."""

    @operation
    async def lineage(self) -> Lineage:
        """Read what the store tells of itself."""
        return await self.read_lineage()

    async def read_lineage(self, *, settled: bool = False) -> Lineage:
        """Read what the store tells of itself; ``settled``: what will not be rolled back."""
        return _lineage(await (self.settled_counters if settled else self.counters).find_one(REV) or {})

    @operation
    async def last_rev(self) -> int:
        """Return the highest revision that was given out."""
        return int((await self.counters.find_one(REV, {"value": 1}) or {"value": 0})["value"])

    @operation
    async def begin_epoch(self) -> StoreIdentity:
        """Begin a new epoch after the latest revision.

        It begins in the very step that finds the revision unchanged, so no reader of the epoch before can have
        seen a later one.
        """
        await self.repeated(lambda: self.counters.update_one(REV, {"$setOnInsert": {"value": int64(0)}}, upsert=True))
        epoch = new_name()
        for _ in range(TRIES):
            found = await self.counters.find_one(REV)
            if any(entry["name"] == epoch for entry in found.get("epochs", ())):
                break  # an earlier try, whose outcome was not known
            update: dict[str, Any] = {"$push": {"epochs": {"name": epoch, "rev": int64(found["value"])}}}
            if "store" not in found:
                update["$set"] = {"store": new_name(), "floor": int64(0), "marks": []}
            same = {**REV, "value": int64(found["value"]), "store": found.get("store")}
            await self.repeated(lambda same=same, update=update: self.counters.update_one(same, update))  # type: ignore[misc]
        if len(found.get("epochs", ())) > EPOCHS_KEPT:
            await self.counters.update_one(REV, {"$pop": {"epochs": -1}})
        return (await self.read_lineage()).identity

    @operation
    async def forget_tombstones(self, now_ms: int, before_ms: int, limit: int = 1000) -> int:
        """Remove tombstones from before a time, up to ``limit``; note how far revisions have come by now."""
        found = await self.counters.find_one(REV) or {"value": 0}
        marks = [mark for mark in found.get("marks", ()) if mark["ms"] >= before_ms]
        floor = max((mark["rev"] for mark in found.get("marks", ()) if mark["ms"] < before_ms), default=0)
        if not any(abs(mark["ms"] - now_ms) < NOTE_MS for mark in found.get("marks", ())):
            marks.append({"ms": int64(now_ms), "rev": int64(found["value"])})
        await self.counters.update_one(REV, {"$set": {"marks": marks}, "$max": {"floor": int64(floor)}})
        gone = {"gone": True, "rev": {"$lte": int64(max(floor, found.get("floor", 0)))}}
        stones = await self.faces.find(gone, {"_id": 1}, hint="tombstones").limit(limit).to_list(limit)
        ids = [stone["_id"] for stone in stones]
        if ids:
            await self.repeated(lambda: self.faces.delete_many({"_id": {"$in": ids}, "gone": True}))
        return len(ids)


def _lineage(found: dict[str, Any]) -> Lineage:
    epochs = tuple((entry["name"], int(entry["rev"])) for entry in found.get("epochs", ()))
    return Lineage(found.get("store", ""), epochs, int(found.get("value", 0)), int(found.get("floor", 0)))
