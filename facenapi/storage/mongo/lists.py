"""Reading faces: by id, in lists, as the feed of changes. Each filter names the index it uses."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from facenapi.config.options import Config
from facenapi.storage.base import DEFAULT_GALLERY, Changes, Face, FaceFilter, Page
from facenapi.storage.ids import MAX_ID
from facenapi.storage.mongo.documents import Document, face_of, tombstone_of
from facenapi.storage.mongo.driver import int64, operation
from facenapi.storage.mongo.lateness import window
from facenapi.storage.mongo.lineage import MARGIN_MS
from facenapi.storage.mongo.tallies import Tallies
from facenapi.storage.rules import camera_key

# Up to so many events in a time range, and up to a quarter of a page, are looked at one by one, and sorted.
FEW = 20
# By whether a person and whether cameras are asked for.
_HISTORY = {
    (False, False): "history",
    (False, True): "history_of_camera",
    (True, False): "history_of_person",
    (True, True): "history_of_both",
}
# MongoDB merges at most 200 walks of an index: of each camera, each of 14 classes of lateness, 3 values of friend.
CAMERAS_AT_ONCE = 4
AT_ONCE = 16  # walks
TRIES = 3


class Lists(Tallies):
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
        order = 1 if page.min_id is not None else -1
        queries = await self._queries(owner, where, page)
        if len(queries) > AT_ONCE:
            return await self._matching_many(owner, queries, order, page.limit)
        # Each walks its own index in order, no further than a page; together they have the page.
        found = await asyncio.gather(*(self._walk(query, hint, order, page.limit) for query, hint in queries))
        documents = sorted(itertools.chain(*found), key=itemgetter("_id"), reverse=order < 0)[: page.limit]
        return [face_of(document) for document in documents[::-order]]

    async def _matching_many(
        self, owner: str, queries: Sequence[tuple[Document, str]], order: int, limit: int
    ) -> list[Face]:
        """Return a page that many walks have together: a few at a time, and of each its ids alone.

        Each may have a whole page, and of very many cameras these were gigabytes.
        """
        for _ in range(TRIES):
            ids: list[int] = []
            for start in range(0, len(queries), AT_ONCE):
                some = queries[start : start + AT_ONCE]
                found = await asyncio.gather(
                    *(self._walk(query, hint, order, limit, {"_id": 1}) for query, hint in some)
                )
                more = [int(document["_id"]) for document in itertools.chain(*found)]
                ids = sorted([*ids, *more], reverse=order < 0)[:limit]
            faces = await self.fetch(owner, ids)
            if len(faces) == len(ids):  # else one was deleted meanwhile, and the page would look like the last
                break
        return [faces[face_id] for face_id in ids if face_id in faces][::-order]

    async def _walk(
        self, query: Document, hint: str, order: int, limit: int, fields: Document | None = None
    ) -> list[Document]:
        walked: list[Document] = (
            await self.faces.find(query, fields, hint=hint).sort("_id", order).limit(limit).to_list(limit)
        )
        return walked

    async def _queries(self, owner: str, where: FaceFilter, page: Page) -> list[tuple[Document, str]]:
        """Return what to ask, and by which index, so that none looks at more than it returns."""
        conditions = _conditions(owner, where)
        events = where.events or where.cam_ids is not None
        if not events or where.meta is not None or where.gallery not in (None, DEFAULT_GALLERY):
            if page.max_id is not None or page.min_id is not None:
                conditions["_id"] = _range(page.min_id, page.max_id, "$gt", "$lt")
            hint = "persons" if where.person_id is not None else "metas" if where.meta is not None else "members"
            return [(conditions, hint)]
        del conditions["galleries"]  # no tombstone is an event
        conditions["friend"] = {"$in": [None, False, True]} if where.friend is None else where.friend
        of_cameras = [{"cam_key": {"$in": keys}} for keys in _batches(where)] or [{}]
        hint = _HISTORY[where.person_id is not None, where.cam_ids is not None]
        # None is of events that an earlier release has stored, until they have a class.
        classes = [None, *await self.faces.distinct("late", {"owner": owner, "event": True})]
        if where.start_ms is None and where.end_ms is None:
            span = _range(page.min_id, page.max_id, "$gt", "$lt") or {"$gt": int64(-1)}
            every = conditions | {"late": {"$in": classes}, "_id": span}
            return [(every | cameras, hint) for cameras in of_cameras]
        return [
            (query | cameras, index or hint)
            for query, index in await asyncio.gather(
                *(self._of_class(late, conditions, where, page) for late in classes)
            )
            if query
            for cameras in of_cameras
        ]

    async def _of_class(
        self, late: int | None, conditions: Document, where: FaceFilter, page: Page
    ) -> tuple[Document, str]:
        """Return what to ask of a class's events of a time range; an index if they are so few that it is theirs."""
        few = max(FEW, page.limit // 4)
        span = {name: conditions[name] for name in ("owner", "event", "timestamp")} | {"late": late}
        count = await self.faces.count_documents(span, limit=few + 1, hint="history_by_time")
        low, high = window(late, where.start_ms, where.end_ms) if count > few else (-1, MAX_ID + 1)
        low = low if page.min_id is None else max(low, page.min_id)
        high = high if page.max_id is None else min(high, page.max_id)
        if not count or low + 1 >= high:
            return {}, ""
        query = conditions | {"late": late, "_id": _range(low, high, "$gt", "$lt")}
        return query, "" if count > few else "history_by_time"

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


def _batches(where: FaceFilter) -> list[list[str]]:
    keys = sorted({camera_key(cam_id) for cam_id in where.cam_ids or ()})
    return [keys[start : start + CAMERAS_AT_ONCE] for start in range(0, len(keys), CAMERAS_AT_ONCE)]


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
