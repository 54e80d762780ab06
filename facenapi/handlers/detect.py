"""POST /detect."""

from __future__ import annotations

from typing import Any

from facenapi.api.kinds import PhotoSource
from facenapi.api.operation import operation
from facenapi.geometry import Box
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.common import ATTRIBUTES, BBOX, PHOTO, QUALITY, check_boxes, face_limit, wanted_attributes
from facenapi.handlers.views import ATTRIBUTES as ATTRIBUTE_SCHEMAS
from facenapi.handlers.views import BOX, FACE_LIMIT, INTEGER, array, quality_view, record
from facenapi.handlers.views import QUALITY as QUALITY_SCHEMAS
from facenapi.process.stages import stage
from facenapi.services.selection import faces_in_boxes, is_many


class DetectHandler(ApiHandler):
    """Finds faces."""

    reading = ("GET", "HEAD", "POST")

    @operation(
        "Find the faces on a photo",
        PHOTO,
        *ATTRIBUTES,
        QUALITY,
        BBOX,
        answer=record(
            {
                "faces": array(record(BOX["properties"], ATTRIBUTE_SCHEMAS | QUALITY_SCHEMAS, "DetectedFace")),
                "orientation": INTEGER,
            },
            {"limit": FACE_LIMIT},
        ),
        errors=("BAD_IMAGE",),
        example={"photo": "http://static.example.com/sample.jpg", "gender": True, "age": True, "emotions": True},
        interruptible=True,
    )
    async def post(
        self,
        *,
        photo: PhotoSource,
        gender: bool,
        age: bool,
        emotions: bool,
        quality: bool,
        bbox: tuple[Box, ...] | None,
    ) -> None:
        """Answer boxes, with the attributes and the quality if they were asked for."""
        wanted = wanted_attributes(self.app, gender=gender, age=age, emotions=emotions)
        detector = self.app.detector
        check_boxes(self.app, bbox=bbox)
        async with self.app.photos.open(photo, self.owner, many=is_many(bbox)) as picture:
            if bbox:
                faces = await faces_in_boxes(detector, picture, bbox, photo.param, all_needed=False)
            else:
                with stage("detect"):
                    faces = await detector.detect(picture)
            with stage("attributes"):
                attributes = await detector.attributes(picture, faces, wanted)
            qualities = []
            if quality:
                with stage("quality"):
                    qualities = await detector.quality(picture, faces)
        views: list[dict[str, Any]] = [face.box.as_dict() for face in faces]
        for view, seen in zip(views, attributes, strict=True):
            found = {"age": seen.age, "gender": seen.gender, "emotions": seen.emotions}
            view.update({name: value for name, value in found.items() if value is not None})
        for view, judged in zip(views, qualities, strict=False):
            view.update(quality_view(judged))
        limit = {} if bbox else face_limit(self.app, len(faces))
        self.answer({"faces": views, "orientation": picture.orientation} | limit)
