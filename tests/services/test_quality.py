"""The gate of POST /face: what it refuses, with which words, and that nothing is stored then."""

from __future__ import annotations

import pytest

from tests.support.effort import daily
from tests.support.server import GREEN, RED, picture, serving

DULL, MISTY = (130, 0, 0), (250, 0, 150)
SMALL, NARROW = (RED, (10, 10, 30, 30)), (RED, (10, 10, 25, 70))


async def refusal(client, photo, **fields):
    """Return the reason of a refusal that stored nothing."""
    reply = await client("POST", "/v1/face", parts={"photo": photo, **fields})
    assert (reply.status, reply.json["code"], reply.json["param"]) == (400, "BAD_IMAGE", "photo")
    assert sorted(reply.json) == ["code", "param", "reason"]
    assert (await client("GET", "/v1/faces")).json["results"] == []
    return reply.json["reason"]


@pytest.mark.parametrize(
    ("options", "face", "reason"),
    daily([
        ({"min_quality": 0.6}, SMALL, "[10, 10, 30, 30] is too small (size 0.33, at least 0.60)"),
        ({"min_enrol_size": 21}, SMALL, "[10, 10, 30, 30] is too small (20 pixels, at least 21)"),
        ({"min_quality": 0.6}, MISTY, "[50, 20, 110, 80] is blurred (sharpness 0.41, at least 0.60)"),
        ({"min_sharpness": 0.5}, MISTY, "[50, 20, 110, 80] is blurred (sharpness 0.41, at least 0.50)"),
        ({"min_quality": 0.1, "min_exposure": 0.6}, DULL,
         "[50, 20, 110, 80] is too dark, too bright or without contrast (exposure 0.51, at least 0.60)"),
        ({"min_quality": 0.3, "min_pose": 0.2}, NARROW, "[10, 10, 25, 70] is turned away (pose 0.25, at least 0.30)"),
        ({"min_enrol_size": 21, "min_quality": 0.5}, SMALL,
         "[10, 10, 30, 30] is too small (20 pixels, at least 21), too small (size 0.33, at least 0.50)"),
    ], 3),
)  # fmt: skip
async def test_a_bad_face_is_refused_with_what_is_wrong(tmp_path, options, face, reason):
    async with serving(tmp_path, **options) as client:
        assert await refusal(client, picture(face)) == f"The face at {reason}"
        await client.enrol(GREEN)  # a good one is taken


async def test_one_bad_face_refuses_the_photo_and_nothing_is_stored(tmp_path):
    both = picture((GREEN, (60, 10, 120, 70)), SMALL)
    async with serving(tmp_path, min_quality=0.5, photo_storage="files") as client:
        assert "too small" in await refusal(client, both, mf_selector="all")
        assert "too small" in await refusal(client, both, bbox="[10, 10, 30, 30]")
        assert not list((tmp_path / "photos").rglob("*.*"))
        # Only the faces that are meant are judged.
        [face] = (await client("POST", "/v1/face", parts={"photo": both})).json["results"]
        assert face["x1"] == 60


async def test_limits_change_while_the_server_runs(tmp_path):
    async with serving(tmp_path) as client:
        client.app.config.min_quality = 1.0
        await refusal(client, picture(SMALL))
        client.app.config.min_quality = 0.0
        assert (await client("POST", "/v1/face", parts={"photo": picture(SMALL)})).status == 200


async def test_the_gate_is_for_storing_only(tmp_path):
    async with serving(tmp_path, min_quality=1.0) as client:
        photo = picture(SMALL)
        for path, parts in (("/detect", {"photo": photo}), ("/verify", {"photo1": photo, "photo2": photo}),
                            ("/identify", {"photo": photo})):  # fmt: skip
            assert (await client("POST", path, parts=parts)).status == 200
