"""What the store has done is answered as done, whoever has not heard of it."""

import asyncio

import pytest

from facenapi.errors import Overloaded, Unavailable
from facenapi.services.pictures import PictureKeeper
from facenapi.storage.pictures.photos import FolderFiles
from tests.support.effort import daily
from tests.support.server import BLUE, GREEN, RED, picture, serving


def deaf(error):
    async def apply(changes):
        raise error

    return apply


@pytest.mark.parametrize(
    "error", daily([Unavailable("It is away"), Overloaded("It is busy"), ValueError("It is mad")])
)
async def test_a_shard_that_does_not_hear_makes_no_lie(tmp_path, error):
    async with serving(tmp_path) as client:
        await client("POST", "/v1/galleries/g")
        red, green = await client.enrol(RED, meta="red"), await client.enrol(GREEN, meta="green", galleries="g")
        blue = await client.enrol(BLUE, meta="blue")
        [shard] = client.app.searcher.shards
        shard.apply = deaf(error)
        reply = await client("PUT", f"/v1/face/id/{red['id']}", json_body={"meta": "rot"})
        assert (reply.status, reply.json["meta"], reply.headers["X-Live-Servers"]) == (200, "rot", "0/1")
        for path, face in (
            (f"/v1/face/id/{red['id']}", red),
            ("/v1/galleries/g", green),
            ("/v1/faces/meta/blue", blue),
        ):
            reply = await client("DELETE", path)
            assert (reply.status, reply.headers["X-Live-Servers"]) == (204, "0/1")
            assert (await client("GET", f"/v1/face/id/{face['id']}")).status == 404
        for color in (RED, GREEN, BLUE):
            reply = await client("POST", "/v1/identify", parts={"photo": picture(color)})
            assert [*reply.json["results"].values()] == [[]]
        del shard.apply
        face = await client.enrol(RED)
        reply = await client("DELETE", f"/v1/face/id/{face['id']}")
        assert (reply.status, reply.headers["X-Live-Servers"]) == (204, "1/1")


async def test_neither_do_persons_and_pictures_that_cannot_follow(tmp_path, monkeypatch):
    async with serving(tmp_path, photo_storage="files", person_identify=True) as client:
        for broken in ("remove_persons", "pictures"):
            face = await client.enrol(RED)
            with monkeypatch.context() as patch:
                if broken == "pictures":
                    patch.setattr(client.app.pictures._files, "delete", deaf(Unavailable("It is away")))
                else:
                    patch.setattr(client.app.store, broken, lambda *_: deaf(Unavailable("It is away"))(0))
                assert (await client("DELETE", f"/v1/face/id/{face['id']}")).status == 204
            assert (await client("GET", f"/v1/face/id/{face['id']}")).status == 404


async def test_photos_of_many_faces_are_removed_side_by_side(tmp_path, monkeypatch):
    async with serving(tmp_path, photo_storage="files") as client:
        for _ in range(6):
            await client.enrol(RED, meta="gone")
        files = client.app.pictures._files
        delete, running, most = files.delete, 0, 0

        async def slowly(name):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            await delete(name)
            running -= 1

        monkeypatch.setattr(files, "delete", slowly)
        assert (await client("DELETE", "/v1/face/meta/gone")).status == 204
        assert most == 16
        assert [path for path in (tmp_path / "photos").rglob("*") if path.suffix in (".jpg", ".png")] == []


async def test_no_photo_stays_because_many_are_removed_at_once(tmp_path):
    keeper = PictureKeeper(FolderFiles(tmp_path), "")
    await asyncio.gather(*(keeper.remove([f"ann-2026010100-{face}.{n}" for n in range(3)]) for face in range(200)))
    await keeper.close()
    assert not keeper.left_over


@pytest.mark.parametrize("path", ["/v1/face/meta/gone", "/v1/face/id/{}"])
async def test_photos_of_faces_whose_deletion_a_stop_breaks_off_are_left_to_a_sweep(tmp_path, monkeypatch, path):
    async with serving(tmp_path, photo_storage="files", shutdown_timeout=0.1) as client:
        face = await client.enrol(RED, meta="gone")
        begun, held = asyncio.Event(), asyncio.Event()

        async def tell(changes):
            if changes:
                begun.set()
                await held.wait()
            return 1, 1

        monkeypatch.setattr(client.app.searcher, "tell", tell)
        deleting = asyncio.ensure_future(client("DELETE", path.format(face["id"])))
        await begun.wait()
        await client.app.drain()
        assert [*tmp_path.rglob("*.png")]
        assert [*tmp_path.glob("photos/running-*")]
        held.set()
        deleting.cancel()
