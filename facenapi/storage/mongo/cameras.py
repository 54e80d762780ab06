"""Cameras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from facenapi.storage.base import Camera
from facenapi.storage.mongo.base import MongoBase, key
from facenapi.storage.mongo.documents import Document
from facenapi.storage.mongo.driver import AFTER, int64, operation


class Cameras(MongoBase):
    """The part of the store that keeps cameras."""

    @operation
    async def add_camera(self, camera: Camera) -> None:
        """Store a camera."""
        seq = await self.count_up("camera")
        update = {
            "$set": {"fields": dict(camera.fields)},
            "$setOnInsert": {"owner": camera.owner, "id": camera.id, "seq": int64(seq)},
        }
        place = {"_id": key(camera.owner, camera.id)}
        await self.repeated(lambda: self.cameras.update_one(place, update, upsert=True))

    @operation
    async def get_camera(self, owner: str, camera_id: str) -> Camera | None:
        """Return a camera."""
        document = await self.cameras.find_one({"_id": key(owner, camera_id)})
        return _camera(document) if document else None

    @operation
    async def list_cameras(self, owner: str, detector: str | None = None) -> list[Camera]:
        """Return the cameras."""
        cursor = self.cameras.find({"owner": owner}, hint="order").sort("seq", 1)
        found = [_camera(document) async for document in cursor]
        return [camera for camera in found if detector is None or camera.fields.get("detector") == detector]

    @operation
    async def update_camera(self, owner: str, camera_id: str, fields: Mapping[str, Any]) -> Camera | None:
        """Merge fields into a camera, without those that are None."""
        place = {"_id": key(owner, camera_id)}
        if not fields:
            document = await self.cameras.find_one(place)
        else:
            kept = {f"fields.{name}": value for name, value in fields.items() if value is not None}
            gone = {f"fields.{name}": "" for name, value in fields.items() if value is None}
            update = {verb: values for verb, values in (("$set", kept), ("$unset", gone)) if values}
            document = await self.repeated(
                lambda: self.cameras.find_one_and_update(place, update, return_document=AFTER)
            )
        return _camera(document) if document else None

    @operation
    async def delete_camera(self, owner: str, camera_id: str) -> bool:
        """Delete a camera."""
        place = {"_id": key(owner, camera_id)}
        if await self.cameras.find_one(place) is None:
            return False
        # Repeated after an unknown outcome it may find nothing, and has deleted it all the same.
        await self.repeated(lambda: self.cameras.delete_one(place))
        return True


def _camera(document: Document) -> Camera:
    return Camera(document["id"], document["owner"], document["fields"])
