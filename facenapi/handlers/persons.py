"""GET /persons, /person/id/ID and its faces; POST /person/id/ID/merge."""

from __future__ import annotations

from typing import Any

from facenapi.api.operation import operation
from facenapi.api.params import LARGEST_ID, Param, integer
from facenapi.errors import NotFound
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.common import path_id
from facenapi.handlers.paging import PAGING, PageHandler
from facenapi.handlers.views import FACE_REF, INTEGER, META, page_links, record, results
from facenapi.services.paging import single, window
from facenapi.storage.base import FaceFilter, Page, Person

_ID = INTEGER | {"examples": [2001]}
_SUMMARY = record({"id": _ID, "meta": META}, title="PersonSummary")
_PERSON = record(
    {"id": _ID, "meta": META, "count": INTEGER, "face": {"oneOf": [FACE_REF, {"type": "null"}]}}, title="Person"
)


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


class _PersonHandler(ApiHandler):
    """Answers a person."""

    def view(self, person: Person) -> dict[str, Any]:
        """Return how it looks in an answer."""
        view: dict[str, Any] = {"id": person.id, "meta": person.meta, "count": person.count}
        return view | {"face": self.face_view(person.face) if person.face else None}


class PersonHandler(_PersonHandler):
    """One person."""

    @operation("Get a person", answer=_PERSON, errors=("NOT_FOUND",))
    async def get(self, *, person_id: str) -> None:
        """Answer the person with one of the faces and their count."""
        number = path_id(person_id, "person")
        person = await self.app.store.get_person(self.owner, number)
        if person is None or not person.count:  # one without a face is about to come, or to go
            raise NotFound(f"There is no person {number}")
        self.answer(self.view(person))


class PersonFacesHandler(PageHandler):
    """The faces of one person."""

    @operation(
        "List the faces of a person, newest first",
        *PAGING,
        answer=results(FACE_REF, **page_links("/v1/person/id/2001/faces")),
        errors=("NOT_FOUND",),
    )
    async def get(self, *, person_id: str, limit: int, max_id: int | None, min_id: int | None) -> None:
        """Answer a page of faces."""
        number = path_id(person_id, "person")
        person = await self.app.store.get_person(self.owner, number)
        if person is None or not person.count:
            raise NotFound(f"There is no person {number}")
        where = FaceFilter(person_id=number)
        found = await window(
            single(lambda asked: self.app.store.list_faces(self.owner, where, asked)),
            lambda face: face.id,
            Page(limit, max_id, min_id),
        )
        self.answer_page(map(self.face_view, found.items), found)


class PersonMergeHandler(_PersonHandler):
    """Two persons who are one."""

    @operation(
        "Give all faces of another person to this one; the other is gone then",
        Param("other", integer(1, LARGEST_ID), "The person whose faces are taken", required=True),
        answer=_PERSON,
        errors=("NOT_FOUND",),
        example={"other": 2002},
    )
    async def post(self, *, person_id: str, other: int) -> None:
        """Merge them and answer the person."""
        self.answer(self.view(await self.app.merger.merge(self.owner, path_id(person_id, "person"), other)))
