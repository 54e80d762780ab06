"""The cost of a request is bounded by more than its bytes, and much work does not hold up a little."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from facenapi.services import verify
from tests.support.fakes import FakeDetector
from tests.support.photos import encode
from tests.support.server import BLUE, GREEN, RED, picture, serving

BOXES = [[x, 0, x + 5, 5] for x in range(101)]
TWO = picture((RED, (10, 10, 40, 40)), (BLUE, (100, 10, 150, 60)))


class CrowdDetector(FakeDetector):
    """Waits at its gate with large photos and with many faces."""

    def __init__(self):
        self.gate, self.waiting = asyncio.Event(), 0

    async def detect(self, photo):
        if photo.width > 2500:
            self.waiting += 1
            await self.gate.wait()
        return await super().detect(photo)

    async def embed(self, photo, faces):
        if len(faces) > 8:
            self.waiting += 1
            await self.gate.wait()
        return await super().embed(photo, faces)


async def until(condition):
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


@pytest.mark.parametrize(("path", "photos", "box"), [
    ("/v1/detect", ("photo",), "bbox"), ("/v1/identify", ("photo",), "bbox"), ("/v1/face", ("photo",), "bbox"),
    ("/v1/verify", ("photo1", "photo2"), "bbox2"),
])  # fmt: skip
async def test_boxes_are_counted(tmp_path, path, photos, box):
    async with serving(tmp_path) as client:
        parts = dict.fromkeys(photos, picture(RED))
        reply = await client("POST", path, parts=parts | {box: str(BOXES)})
        assert (reply.status, reply.json) == (400, {
            "code": "BAD_PARAM", "param": box, "value": 101, "reason": f"{box} must have at most 100 boxes"
        })  # fmt: skip
        assert (await client("POST", path, parts=parts | {box: str(BOXES[:100])})).status == 200


async def test_the_pairs_of_two_crowds_are_counted(tmp_path, monkeypatch):
    async with serving(tmp_path) as client:
        parts = {"photo1": TWO, "photo2": TWO, "mf_selector": "all"}
        assert len((await client("POST", "/v1/verify", parts=parts)).json["results"]) == 4
        monkeypatch.setattr(verify, "MOST_PAIRS", 3)
        reply = await client("POST", "/v1/verify", parts=parts)
        assert (reply.status, reply.json["code"]) == (400, "BAD_PARAM")
        assert reply.json["reason"] == "2 and 2 faces make more than 3 pairs; choose by bbox1 and bbox2"


async def test_a_long_answer_is_the_same_as_a_short_one(tmp_path, monkeypatch):
    async with serving(tmp_path) as client:
        parts = {"photo1": TWO, "photo2": TWO, "mf_selector": "all"}
        short = (await client("POST", "/v1/verify", parts=parts)).body
        monkeypatch.setattr("facenapi.handlers.base._MANY_ROWS", 1)
        assert (await client("POST", "/v1/verify", parts=parts)).body == short


async def test_the_galleries_of_a_face_are_counted(tmp_path):
    async with serving(tmp_path, max_galleries=3) as client:
        for name in "abcd":
            assert (await client("POST", f"/v1/galleries/{name}")).status == 201
        reply = await client("POST", "/v1/face", parts={"photo": picture(RED), "galleries": "a,b,c,d"})
        assert (reply.status, reply.json["param"]) == (400, "galleries")
        parts = {"photo": picture(RED), "galleries": "a,b,c"}
        for gallery, status in (("d", 400), ("a", 200), ("default", 200)):
            assert (await client("POST", f"/v1/faces/gallery/{gallery}", parts=parts)).status == status
        face = await client.enrol(galleries="a,b,default")
        path = f"/v1/face/id/{face['id']}"
        for change, status in (({"add": ["c"]}, 200), ({"add": ["d"]}, 400), ({"add": ["c", "a"]}, 200),
                               ({"set": ["a", "b", "c", "d"]}, 400), ({"set": ["d"]}, 200)):  # fmt: skip
            assert (await client("PUT", path, json_body={"galleries": change})).status == status
        assert sorted((await client("GET", path)).json["galleries"]) == ["d", "default"]


@pytest.mark.slow
async def test_large_photos_and_crowds_leave_places_to_small_ones(tmp_path):
    detector = CrowdDetector()
    async with serving(tmp_path, detector=detector, threads=1, open_photos=3) as client:
        large = encode(np.full((2000, 3000, 3), 128, np.uint8))
        crowd = {"photo": picture(RED), "bbox": str([[20 * x, 85, 20 * x + 9, 94] for x in range(9)])}
        slow = [asyncio.ensure_future(client("POST", "/v1/identify", parts=crowd)) for _ in range(4)]
        slow += [asyncio.ensure_future(client("POST", "/v1/detect", parts={"photo": large})) for _ in range(4)]
        await until(lambda: client.app.photos.busy == 8 and detector.waiting == 1)
        for color in (RED, GREEN, BLUE):
            reply = await asyncio.wait_for(client("POST", "/v1/detect", parts={"photo": picture(color)}), 30)
            assert len(reply.json["faces"]) == 1
        assert detector.waiting == 1
        detector.gate.set()
        assert {reply.status for reply in await asyncio.gather(*slow)} == {200}
