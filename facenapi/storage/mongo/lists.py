"""Reading faces: by id, in lists, as the feed of changes. Each filter names the index it uses."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from facenapi.config.options import Config
from facenapi.storage.base import DEFAULT_GALLERY, Changes, Face, FaceFilter, Page
from facenapi.storage.mongo.documents import Document, face_of, tombstone_of
from facenapi.storage.mongo.driver import int64, operation
from facenapi.storage.mongo.lineage import Lineages
from facenapi.storage.rules import camera_key

# Up to so many events in a time range are sorted by id; more of them are found sooner by walking the ids.
SORTED_EVENTS = 5000
# A revision may be committed this long after a later one: as long as a write may take before it is given
# a new revision (faces.py), with room to spare.
MARGIN_MS = 10_000


class Lists(Lineages):
    """The part of the store that reads faces."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        # By the revision that a page of the feed ended with: where the next pass must begin again.
        self._unsettled: OrderedDict[int, int] = OrderedDict()

    @operation
    async def get_faces(self, owner: str, ids: Sequence[int]) -> dict[int, Face]:
        """Return those of the ids that exist."""
        return await self.fetch(owner, ids)

    async def fetch(self, owner: str, ids: Sequence[int]) -> dict[int, Face]:
        """Return those of the ids that exist."""
        if not ids:
            return {}
        cursor = self.faces.find({"_id": {"$in": [int64(i) for i in ids]}, "owner": owner, "gone": None})
        return {int(document["_id"]): face_of(document) async for document in cursor}

    @operation
    async def list_faces(self, owner: str, where: FaceFilter, page: Page) -> list[Face]:
        """Return a page of faces, newest first."""
        return await self.matching(owner, where, page)

    async def matching(self, owner: str, where: FaceFilter, page: Page) -> list[Face]:
        """Return a page of faces, newest first."""
        if where.cam_ids == ():
            return []  # no partial index may be asked for nothing
        conditions = _conditions(owner, where)
        if page.max_id is not None or page.min_id is not None:
            conditions["_id"] = _range(page.min_id, page.max_id, "$gt", "$lt")
        order = 1 if page.min_id is not None else -1
        cursor = self.faces.find(conditions, hint=await self._index_for(owner, where)).sort("_id", order)
        found: list[Document] = await cursor.limit(page.limit).to_list(page.limit)
        return [face_of(document) for document in found[::-order]]

    async def _index_for(self, owner: str, where: FaceFilter) -> str:
        """Return the index that leads to the page of a filter without detours."""
        if where.person_id is not None:
            return "persons"
        if where.meta is not None:
            return "metas"
        if not (where.events or where.cam_ids) or where.gallery not in (None, DEFAULT_GALLERY):
            return "members"
        if where.start_ms is not None or where.end_ms is not None:
            span = {"owner": owner, "event": True, "timestamp": _range(where.start_ms, where.end_ms, "$gte", "$lte")}
            if await self.faces.count_documents(span, limit=SORTED_EVENTS + 1, hint="times") <= SORTED_EVENTS:
                return "times"
        if where.cam_ids:
            return "cameras"
        return "events" if where.friend is None else "friends"

    @operation
    async def count_faces(self, owner: str, gallery: str | None = None) -> int:
        """Return how many faces there are, by walking an index alone."""
        return int(
            await self.faces.count_documents(
                {"owner": owner, "galleries": gallery or DEFAULT_GALLERY}, hint="members"
            )
        )

    @operation
    async def changes_since(self, rev: int, limit: int = 1000, cells: frozenset[int] | None = None) -> Changes:
        """Return a page of the feed.

        Revisions may be committed out of order, so at its end the feed goes back to before the first
        change that is younger than :data:`MARGIN_MS`: young changes come again until they have settled.
        """
        conditions: Document = {"rev": {"$gt": int64(rev)}}
        if cells is not None:
            conditions["cell"] = {"$in": sorted(cells)}
        await self.clock.renew()
        lineage = await self.read_lineage()
        while True:
            cursor = self.settled_faces.find(conditions, hint="feed").sort("rev", 1).limit(limit + 1)
            found = await cursor.to_list(limit + 1)
            before, lineage = lineage, await self.read_lineage()
            if before.identity == lineage.identity:  # else a page may have changes of two epochs
                break
        page = found[:limit]
        return Changes(
            [face_of(document) for document in page if "gone" not in document],
            [tombstone_of(document) for document in page if "gone" in document],
            self._next_rev(rev, page, len(found) > limit),
            more=len(found) > limit,
            identity=lineage.identity,
            floor=lineage.floor,
        )

    def _next_rev(self, rev: int, page: list[Document], more: bool) -> int:
        last = int(page[-1]["rev"]) if page else rev
        old = self.clock.milliseconds() - MARGIN_MS
        # Whatever comes late has a revision above that of every change that is old.
        ancient = list(itertools.takewhile(lambda document: document["changed"] <= old, page))
        settled = last if len(ancient) == len(page) else int(ancient[-1]["rev"]) if ancient else rev
        settled = min(settled, self._unsettled.get(rev, settled))
        if not more:
            return settled
        if settled < last:
            self._unsettled[last] = settled
            if len(self._unsettled) > 1000:
                self._unsettled.popitem(last=False)
        return last


def _range(low: int | None, high: int | None, above: str, below: str) -> Document:
    bounds = {above: int64(low), below: int64(high)}
    return {name: value for name, value in bounds.items() if value is not None}


def _conditions(owner: str, where: FaceFilter) -> Document:
    """Return a filter as a query. Every face is in "default", and no tombstone is."""
    conditions: dict[str, Any] = {"owner": owner, "galleries": where.gallery or DEFAULT_GALLERY}
    if where.meta is not None:
        conditions["meta"] = where.meta
    if where.person_id is not None:
        conditions["person_id"] = int64(where.person_id)
    if where.events or where.cam_ids is not None:
        conditions["event"] = True
    if where.cam_ids is not None:
        conditions["cam_key"] = {"$in": sorted({camera_key(cam_id) for cam_id in where.cam_ids})}
    if where.start_ms is not None or where.end_ms is not None:
        conditions["timestamp"] = _range(where.start_ms, where.end_ms, "$gte", "$lte")
    if where.friend is not None:
        conditions["friend"] = where.friend
    return conditions
