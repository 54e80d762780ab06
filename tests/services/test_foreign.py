"""Faces that are not found, because another model made their vectors: told, and no more when they have moved."""

from __future__ import annotations

from tests.support.server import GREEN, RED, picture, serving


async def test_they_are_counted_until_they_have_moved(tmp_path, caplog):
    async with serving(tmp_path) as client:
        await client.enrol(RED)
        await client.enrol(GREEN)
        await client.app.foreign.count()
        assert client.app.foreign.view() == {}
        client.app.foreign._model = client.app.detector.embedding_name = "newer"
        await client.enrol(RED)
        await client.app.foreign.count()
        await client.app.foreign.count()
        found = {"faces": 2, "of": 3, "models": ["fake"], "command": "facenapi regenerate"}
        assert (await client.app.readiness())["not_found"] == found
        assert caplog.text.count("2 of 3 stored faces are not found") == 1
        for face in (await client("GET", "/v1/faces")).json["results"]:
            assert (await client("DELETE", f"/v1/face/id/{face['id']}")).status == 204
        reply = await client("POST", "/v1/face", parts={"photo": picture((RED, (10, 10, 60, 60)))})
        assert reply.status == 200
        await client.app.foreign.count()
        assert client.app.foreign.view() == {}
