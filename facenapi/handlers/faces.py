"""/faces and /faces/gallery/G: add and list; /face/id/ID: get, change, delete."""

from __future__ import annotations

from facenapi import clock
from facenapi.api.kinds import CAMERA, GALLERIES, GALLERY_EDIT, PhotoSource
from facenapi.api.operation import operation
from facenapi.api.params import LARGEST_ID, TIME, Param, integer, text
from facenapi.errors import BadParam
from facenapi.geometry import Box
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.common import (
    ATTRIBUTES,
    BBOX,
    MF_SELECTOR,
    PHOTO,
    QUALITY,
    check_boxes,
    check_galleries,
    face_limit,
    path_id,
    wanted_attributes,
)
from facenapi.handlers.lists import FaceListHandler
from facenapi.handlers.views import ADDED_FACE, FACE_LIMIT, FACE_REF, array, quality_view, record
from facenapi.services.enrol import Enrolment
from facenapi.storage.base import DEFAULT_GALLERY, FaceChange

# Half of all numbers stay above: the counter goes on from the highest that was given.
_PERSON = Param(
    "person_id", integer(1, LARGEST_ID // 2), "The person whose face it is; one who is new comes into being"
)


class FacesHandler(FaceListHandler):
    """Adds faces, and lists them."""

    @operation(
        "Add the faces of a photo",
        PHOTO,
        Param("meta", text(), "A name or an id of yours", default=""),
        BBOX,
        MF_SELECTOR,
        Param("galleries", GALLERIES, "Galleries to put the faces in, beside default", default=()),
        Param("cam_id", CAMERA, "The camera that saw them"),
        *ATTRIBUTES,
        QUALITY,
        Param("timestamp", TIME, "When they were seen; now, if absent"),
        _PERSON,
        answer=record({"results": array(ADDED_FACE)}, {"limit": FACE_LIMIT}),
        errors=("BAD_IMAGE", "NO_FACES", "TOO_MANY_FACES", "NOT_FOUND"),
        example={"photo": "http://static.example.com/sample.jpg", "meta": "Sam Berry", "galleries": ["niceppl"]},
        interruptible=True,
    )
    async def post(
        self,
        *,
        photo: PhotoSource,
        meta: str,
        bbox: tuple[Box, ...] | None,
        mf_selector: str,
        galleries: tuple[str, ...],
        cam_id: str | None,
        gender: bool,
        age: bool,
        emotions: bool,
        quality: bool,
        timestamp: int | None,
        person_id: int | None,
        gallery: str = DEFAULT_GALLERY,
    ) -> None:
        """Store the faces and answer them, with their quality if it was asked for."""
        if gallery != DEFAULT_GALLERY:
            await self.app.galleries.require(self.owner, gallery)
        check_boxes(self.app, bbox=bbox)
        check_galleries(self.app, (*galleries, gallery))
        enrolment = Enrolment(
            owner=self.owner,
            source=photo,
            boxes=bbox,
            selector=mf_selector,
            meta=meta,
            galleries=(*galleries, gallery),
            cam_id=cam_id,
            person_id=person_id,
            timestamp_ms=clock.now_ms() if timestamp is None else timestamp,
            wanted=wanted_attributes(self.app, gender=gender, age=age, emotions=emotions),
            quality=quality,
        )
        added = await self.app.enroller.enrol(enrolment)
        views = [self.face_view(face) | (quality_view(judged) if judged else {}) for face, judged in added]
        limit = face_limit(self.app, len(added)) if mf_selector == "all" and not bbox else {}
        self.answer({"results": views} | limit)


class FaceHandler(ApiHandler):
    """One stored face."""

    @operation("Get a face", answer=FACE_REF, errors=("NOT_FOUND",))
    async def get(self, face_id: str) -> None:
        """Answer the face."""
        self.answer(self.face_view(await self.app.faces.get(self.owner, path_id(face_id, "face"))))

    @operation(
        "Change a face",
        Param("meta", text(), "The new meta; empty: none", cleared=""),
        _PERSON,
        Param("galleries", GALLERY_EDIT, "Galleries to add, to delete or to set"),
        answer=FACE_REF,
        errors=("NOT_FOUND",),
        example={"meta": "Sam Berry", "galleries": {"add": ["niceppl"]}},
    )
    async def put(
        self, face_id: str, meta: str | None, person_id: int | None, galleries: tuple[str, tuple[str, ...]] | None
    ) -> None:
        """Change what is given and answer the face."""
        verb, names = galleries or ("", ())
        if verb == "del" and DEFAULT_GALLERY in names:
            raise BadParam("galleries", DEFAULT_GALLERY, "A face cannot be taken out of the gallery default")
        number = path_id(face_id, "face")
        if verb in ("add", "set"):
            has = (await self.app.faces.get(self.owner, number)).galleries if verb == "add" else ()
            check_galleries(self.app, (*has, *names))
        change = FaceChange(
            meta=meta,
            person_id=person_id,
            set_galleries=names if verb == "set" else None,
            add_galleries=names if verb == "add" else (),
            del_galleries=names if verb == "del" else (),
        )
        face, heard = await self.app.faces.edit(self.owner, number, change)
        self.say_live(*heard)
        self.answer(self.face_view(face))

    @operation("Delete a face", status=204, errors=("NOT_FOUND",))
    async def delete(self, face_id: str) -> None:
        """Delete it; no later search finds it."""
        self.say_live(*await self.app.faces.delete(self.owner, path_id(face_id, "face")))
        self.answer_nothing()
