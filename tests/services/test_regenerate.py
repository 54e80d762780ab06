"""Moving faces to another embedding model, beside a server that works."""

import pytest

from facenapi.config.options import Config
from facenapi.errors import Unavailable
from facenapi.services.photos import PhotoLoader
from facenapi.services.regenerate import Regenerator, count_models
from tests.support.fakes import FakeDetector
from tests.support.pictures_server import serve_pictures
from tests.support.server import BLUE, GREEN, RED, YELLOW, picture, serving, use_spare_decoders


class NewDetector(FakeDetector):
    """Another model: other vectors under another name."""

    embedding_name = "newer"

    def __init__(self):
        self.embedded = 0

    async def embed(self, photo, faces):
        self.embedded += len(faces)
        return -(await super().embed(photo, faces))


@pytest.fixture
def photos(tmp_path, io_loop):
    loader = PhotoLoader(Config(data_dir=str(tmp_path), fetch_allow_private=True))
    use_spare_decoders(loader)
    yield loader
    loader.close()


async def enrolled(client, tmp_path):
    """Enrol three faces: by URL, by upload with a file that is kept, by upload without; return files by hash."""
    [url] = serve_pictures([picture(RED)])
    found = (await client("POST", "/v1/face", json_body={"photo": url, "meta": "by url"})).json["results"][0]
    assert found["photo"] == url
    kept = await client.enrol(GREEN, meta="kept")
    await client.enrol(BLUE, meta="lost")
    file = tmp_path / "green.png"
    file.write_bytes(picture(GREEN))
    return {kept["photo_hash"]: file}


async def name_of(client, color):
    reply = await client("POST", "/v1/identify", parts={"photo": picture(color)})
    [matches] = reply.json["results"].values()
    return [match["face"]["meta"] for match in matches]


async def run(app, photos, files, detector=None):
    [token] = await app.store.list_tokens()
    return await run_for(token.owner, app, photos, files, detector)


async def run_for(owner, app, photos, files, detector=None):
    looked_at = []
    work = Regenerator(app.store, detector or NewDetector(), photos, app.pictures, files=files, parallel=4)
    return await work.run(owner, looked_at.append), sum(looked_at)


async def test_faces_move_and_both_generations_of_servers_find_them(tmp_path, photos):
    async with serving(tmp_path / "data", fetch_allow_private=True) as client:
        files = await enrolled(client, tmp_path)
        result, looked_at = await run(client.app, photos, files)
        assert (result.moved, looked_at) == (2, 3)
        [reason] = result.failed.values()
        assert reason == "The photo was uploaded and not kept"
        [token] = await client.app.store.list_tokens()
        assert await count_models(client.app.store, token.owner) == {"newer": 2, "fake": 1}
        # The server that runs with the old model goes on as before.
        [shard] = client.app.searcher.shards
        await shard._follow()
        assert [await name_of(client, color) for color in (RED, GREEN, BLUE)] == [["by url"], ["kept"], ["lost"]]
        key = client.key
    async with serving(tmp_path / "data", detector=NewDetector()) as client:
        client.key = key
        assert [await name_of(client, color) for color in (RED, GREEN, BLUE)] == [["by url"], ["kept"], []]


@pytest.mark.slow
async def test_a_second_run_does_only_what_is_left(tmp_path, photos):
    async with serving(tmp_path / "data", fetch_allow_private=True) as client:
        files = await enrolled(client, tmp_path)
        await run(client.app, photos, files)
        detector = NewDetector()
        lost = tmp_path / "blue.png"
        lost.write_bytes(picture(BLUE))
        faces = (await client("GET", "/v1/faces/meta/lost")).json["results"]
        result, looked_at = await run(client.app, photos, {faces[0]["photo_hash"]: lost}, detector)
        assert (result.moved, result.failed, looked_at) == (1, {}, 3)
        assert detector.embedded == 1


async def test_a_kept_photo_that_is_lost_is_said_to_be(tmp_path, photos):
    async with serving(tmp_path / "data", photo_storage="files") as client:
        await client.enrol(RED)
        for path in (tmp_path / "data" / "photos").rglob("*.png"):
            path.unlink()
        result, _ = await run(client.app, photos, {})
        assert list(result.failed.values()) == ["The photo was kept and is not there"]


async def test_another_photo_at_the_url_is_not_taken(tmp_path, photos):
    async with serving(tmp_path / "data", fetch_allow_private=True) as client:
        pictures = [picture(RED)]
        [url] = serve_pictures(pictures)
        await client("POST", "/v1/face", json_body={"photo": url})
        pictures[0] = picture(YELLOW)
        result, _ = await run(client.app, photos, {})
        assert (result.moved, list(result.failed.values())) == (0, ["The photo at its URL is another one now"])
        pictures[0] = b"no picture"
        result, _ = await run(client.app, photos, {})
        assert "not a JPEG" in next(iter(result.failed.values()))


@pytest.mark.slow
async def test_each_face_of_a_photo_gets_its_own_vector(tmp_path, photos):
    async with serving(tmp_path / "data") as client:
        data = picture((RED, (10, 10, 60, 60)), (GREEN, (100, 10, 190, 90)))
        reply = await client("POST", "/v1/face", parts={"photo": data, "mf_selector": "all", "meta": "both"})
        assert len(reply.json["results"]) == 2
        file = tmp_path / "two.png"
        file.write_bytes(data)
        result, _ = await run(client.app, photos, {reply.json["results"][0]["photo_hash"]: file})
        assert result.moved == 2
        key = client.key
    async with serving(tmp_path / "data", detector=NewDetector()) as client:
        client.key = key
        for color in (RED, GREEN):
            reply = await client("POST", "/v1/identify", parts={"photo": picture(color), "threshold": "0.99", "n": 5})
            [matches] = reply.json["results"].values()
            assert [match["confidence"] for match in matches] == [1]


async def test_kept_photos_are_used(tmp_path, photos):
    async with serving(tmp_path / "data", photo_storage="files") as client:
        face = await client.enrol(RED)
        assert "/uploads/" in face["photo"]
        result, _ = await run(client.app, photos, {})
        assert (result.moved, result.failed) == (1, {})


async def test_a_dead_store_ends_the_run(tmp_path, photos):
    async with serving(tmp_path / "data", fetch_allow_private=True) as client:
        files = await enrolled(client, tmp_path)
        await client.app.store.close()
        with pytest.raises(Unavailable):
            await run_for("x", client.app, photos, files)
