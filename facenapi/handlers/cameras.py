"""POST and GET /camera; GET, PUT and DELETE /camera/ID."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import Any

from facenapi.api.kinds import ROI, camera_id
from facenapi.api.operation import operation
from facenapi.api.params import BOOLEAN, Param, text
from facenapi.errors import NotFound
from facenapi.handlers.base import ApiHandler
from facenapi.handlers.views import INTEGER, TEXT, TRUTH, array, record
from facenapi.storage.base import Camera

_FIELDS = (
    Param("meta", text(), "A name of yours"),
    Param("url", text(), "Where its video comes from"),
    Param("detector", text(256), "Which video detector looks after it"),
    Param("rot", ROI, "The region of tracking: [width, height, x, y]"),
    Param("roi", ROI, "The region of interest: [width, height, x, y]"),
    Param("enabled", BOOLEAN, "Whether it is in use"),
)
_GONE = object()
_CHANGES = tuple(replace(param, cleared=None if param.name == "enabled" else _GONE) for param in _FIELDS)
_REGION = array(INTEGER) | {"examples": [[1280, 720, 0, 0]]}
_CAMERA = record(
    {"id": TEXT | {"examples": ["12345678-1234-5678-1234-56781234abcd"]}},
    {
        "meta": TEXT | {"examples": ["entrance"]},
        "url": TEXT | {"examples": ["rtsp://camera.example.com/1"]},
        "detector": TEXT | {"examples": ["north"]},
        "rot": _REGION,
        "roi": _REGION,
        "enabled": TRUTH,
    },
    "Camera",
)


class CamerasHandler(ApiHandler):
    """All cameras."""

    @operation(
        "Add a camera", *_FIELDS, answer=_CAMERA, status=201, example={"meta": "entrance", "roi": [1280, 720, 0, 0]}
    )
    async def post(self, **fields: Any) -> None:
        """Store it under a new id."""
        camera = Camera(uuid.uuid4().hex, self.owner, _given(fields))
        await self.app.store.add_camera(camera)
        self.answer(_view(camera), status=201)

    @operation(
        "List the cameras",
        Param("detector", text(256), "Only those of this video detector"),
        answer=array(_CAMERA),
    )
    async def get(self, *, detector: str | None) -> None:
        """Answer a bare array."""
        self.answer([_view(camera) for camera in await self.app.store.list_cameras(self.owner, detector)])


class CameraHandler(ApiHandler):
    """One camera."""

    @operation("Get a camera", answer=_CAMERA, errors=("NOT_FOUND",))
    async def get(self, *, cam_id: str) -> None:
        """Answer it."""
        self._answer(cam_id, await self.app.store.get_camera(self.owner, camera_id(cam_id)))

    @operation(
        "Change a camera; an empty value clears a field",
        *_CHANGES,
        answer=_CAMERA,
        errors=("NOT_FOUND",),
        example={"enabled": False},
    )
    async def put(self, *, cam_id: str, **fields: Any) -> None:
        """Change what is given and answer the camera."""
        changes = {name: None if value is _GONE else value for name, value in _given(fields).items()}
        self._answer(cam_id, await self.app.store.update_camera(self.owner, camera_id(cam_id), changes))

    @operation("Delete a camera; its history stays", status=204, errors=("NOT_FOUND",))
    async def delete(self, *, cam_id: str) -> None:
        """Delete it."""
        if not await self.app.store.delete_camera(self.owner, camera_id(cam_id)):
            raise _no_camera(cam_id)
        self.answer_nothing()

    def _answer(self, cam_id: str, camera: Camera | None) -> None:
        if camera is None:
            raise _no_camera(cam_id)
        self.answer(_view(camera))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _view(camera: Camera) -> dict[str, Any]:
    digits = re.fullmatch("([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})", camera.id)
    return {"id": "-".join(digits.groups()) if digits else camera.id, **camera.fields}


def _no_camera(cam_id: str) -> NotFound:
    return NotFound(f"There is no camera {cam_id[:64]}")
