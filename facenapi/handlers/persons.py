"""GET /persons, /person/id/ID."""

from __future__ import annotations

from typing import Any

from facenapi.api.operation import operation
from facenapi.errors import NotFound
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.common import path_id
from facenapi.handlers.paging import PAGING, PageHandler
from facenapi.handlers.views import FACE_REF, INTEGER, META, page_links, record, results
from facenapi.services.paging import single, window
from facenapi.storage.base import Page

_ID = INTEGER | {"examples": [2001]}
_SUMMARY = record({"id": _ID, "meta": META})
_PERSON = record({"id": _ID, "meta": META, "count": INTEGER, "face": {"oneOf": [FACE_REF, {"type": "null"}]}})


class PersonsHandler(PageHandler):
    """All persons."""

    @operation(
        "List the persons, newest first", *PAGING, answer=results(_SUMMARY, **page_links("/v1/persons", 2001, 2100))
    )
    async def get(self, *, limit: int, max_id: int | None, min_id: int | None) -> None:
        """Answer a page of persons."""
        found = await window(
            single(lambda asked: self.app.store.list_persons(self.owner, asked)),
            lambda person: person.id,
            Page(limit, max_id, min_id),
        )
        self.answer_page(({"id": person.id, "meta": person.meta} for person in found.items), found)


class PersonHandler(ApiHandler):
    """One person."""

    @operation("Get a person", answer=_PERSON, errors=("NOT_FOUND",))
    async def get(self, *, person_id: str) -> None:
        """Answer the person with one of the faces and their count."""
        number = path_id(person_id, "person")
        person = await self.app.store.get_person(self.owner, number)
        if person is None or not person.count:  # one without a face is about to come, or to go
            raise NotFound(f"There is no person {number}")
        view: dict[str, Any] = {"id": person.id, "meta": person.meta, "count": person.count}
        self.answer(view | {"face": self.face_view(person.face) if person.face else None})
