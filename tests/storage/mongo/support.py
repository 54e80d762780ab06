"""What the tests of MongoStore share."""

from __future__ import annotations

from facenapi.storage.base import FaceFilter, Page

LASTING = 1000  # more often than anything tries again
NO_TIME = {"ok": 0.0, "code": 50, "codeName": "MaxTimeMSExpired", "errmsg": "no majority"}


def seen(double, name, collection=None):
    return [command for command in double.seen if next(iter(command)) == name and collection in (None, command[name])]


async def everything(store):
    return await store.list_faces("ann", FaceFilter(), Page(1000))
