"""Camera history: GET and POST /history/search, GET /person/history/id/ID."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from facenapi import clock
from facenapi.api.kinds import CAMERAS
from facenapi.api.operation import operation
from facenapi.api.params import BOOLEAN, TIME, Param, integer
from facenapi.errors import NotFound
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.common import path_id
from facenapi.handlers.paging import MAX_ID, MOST, link
from facenapi.handlers.views import FACE_REF, INTEGER, MOMENT, TEXT, Json, absolute, array, record
from facenapi.storage.base import Face, FaceFilter, Page

_CAM_IDS = Param("cam_ids", CAMERAS, "Only events of these cameras")
_START = Param("start", TIME, "Only events from this time on")
_END = Param("end", TIME, "Only events up to this time, inclusive")
_LIMIT = Param("limit", integer(0, MOST), f"Events per page; 0: as many as fit on one page of {MOST}", default=0)
_NEXT = {
    "type": "string",
    "description": "path and query of the next page; absent on the last",
    "examples": ["/v1/history/search?max_id=3754490218243079"],
}
_EVENTS = record({"results": array(FACE_REF)}, {"next_page": _NEXT})
_SIGHTING = record(
    {"person_id": INTEGER, "face_id": INTEGER, "cam_id": TEXT, "meta": TEXT, "screenshot": TEXT, "timestamp": MOMENT},
    title="Sighting",
)


class _EventsHandler(ApiHandler):
    """Answers a page of the faces that cameras saw."""

    async def answer_events(self, where: FaceFilter, page: Page, view: Callable[[Face], Json]) -> None:
        """Finish with a page of events, newest first; the link is left out on the last page."""
        found = await self.app.store.list_faces(self.owner, where, replace(page, limit=page.limit + 1))
        events = found[: page.limit]
        next_page = link(self, max_id=events[-1].id if len(found) > page.limit else None)
        more = {} if next_page is None else {"next_page": next_page}
        self.answer({"results": [view(face) for face in events], **more})


class HistoryHandler(_EventsHandler):
    """All events."""

    reading = ("GET", "HEAD", "POST")

    @operation(
        "Search the camera history",
        Param("person_id", integer(1), "Only events of this person"),
        _CAM_IDS,
        _START,
        _END,
        Param("friend", BOOLEAN, "Only friends, or only others"),
        _LIMIT,
        MAX_ID,
        answer=_EVENTS,
        example={"limit": 2},
    )
    async def post(
        self,
        *,
        person_id: int | None,
        cam_ids: tuple[str, ...] | None,
        start: int | None,
        end: int | None,
        friend: bool | None,
        limit: int,
        max_id: int | None,
    ) -> None:
        """Answer the events that match, newest first."""
        where = FaceFilter(
            person_id=person_id, events=True, cam_ids=cam_ids, start_ms=start, end_ms=end, friend=friend
        )
        await self.answer_events(where, Page(limit or MOST, max_id), self.face_view)

    get = post


class PersonHistoryHandler(_EventsHandler):
    """The events of one person."""

    @operation(
        "Get where and when a person was seen",
        _CAM_IDS,
        _START,
        _END,
        _LIMIT,
        MAX_ID,
        answer=record({"results": array(_SIGHTING)}, {"next_page": _NEXT}),
        errors=("NOT_FOUND",),
    )
    async def get(
        self,
        *,
        person_id: str,
        cam_ids: tuple[str, ...] | None,
        start: int | None,
        end: int | None,
        limit: int,
        max_id: int | None,
    ) -> None:
        """Answer the sightings, newest first."""
        number = path_id(person_id, "person")
        person = await self.app.store.get_person(self.owner, number)
        if person is None or not person.count:
            raise NotFound(f"There is no person {number}")
        where = FaceFilter(person_id=number, events=True, cam_ids=cam_ids, start_ms=start, end_ms=end)
        await self.answer_events(where, Page(limit or MOST, max_id), self._sighting)

    def _sighting(self, face: Face) -> Json:
        return {
            "person_id": face.person_id,
            "face_id": face.id,
            "cam_id": face.cam_id,
            "meta": face.meta,
            "screenshot": absolute(face.thumbnail or face.photo, self.exchange.seen.base),
            "timestamp": clock.to_text(face.timestamp_ms),
        }
