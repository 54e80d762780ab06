"""A photo that is refused is gone with the answer, not when Python happens to look for circles."""

import asyncio
import gc

import pytest

from facenapi.errors import Unavailable
from facenapi.photos.photo import Photo
from tests.support.effort import daily
from tests.support.server import RED, picture, serving

REFUSED = {
    "no picture": ("/v1/detect", {"photo": b"nothing"}),
    "cut": ("/v1/detect", {"photo": picture(RED, kind="JPEG")[:-400]}),
    "without a face": ("/v1/identify", {"photo": picture()}),
    "a box beside it": ("/v1/detect", {"photo": picture(RED), "bbox": "[[900, 900, 950, 950]]"}),
    "the second of two": ("/v1/verify", {"photo1": picture(RED), "photo2": b"nothing"}),
}


@pytest.mark.parametrize("how", daily(REFUSED))
async def test_it_is_not_kept(tmp_path, how):
    path, parts = REFUSED[how]
    async with serving(tmp_path) as client:
        gc.collect()
        gc.disable()
        try:
            assert (await client("POST", path, parts=parts)).status == 400
            await asyncio.sleep(0.05)
            assert not [thing for thing in gc.get_objects() if isinstance(thing, Photo)]
        finally:
            gc.enable()


async def test_errors_in_a_circle_stop_nobody(tmp_path, monkeypatch):
    """What was raised again while it was handled, as one failure of many waiting calls is, may be its own context."""
    one, other = Unavailable("The store is away"), OSError("away")
    one.__cause__, one.__context__, other.__context__ = other, other, one

    async def fail(*_):
        raise one

    async with serving(tmp_path) as client:
        monkeypatch.setattr(client.app.store, "list_galleries", fail)
        assert (await client("GET", "/v1/galleries")).status == 503
        assert (one.__traceback__, other.__traceback__) == (None, None)
