"""Photo storage: kept pictures, their URLs, and their end."""

from __future__ import annotations

import io
import os
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from tests.contract.client import Api
from tests.contract.conftest import STORES, serving
from tests.support.effort import daily
from tests.support.fake_server import ForkedServer
from tests.support.pictures_server import DavServer, serve_pictures
from tests.support.server import BLUE, RED, picture

URL = r"http://127\.0\.0\.1:\d+/uploads/[0-9a-f]{16}-\d{10}-[\w-]{22}%s\.%s"


@pytest.fixture(scope="module", params=STORES)
def keeping(request, tmp_path_factory):
    """A server that keeps photos in its folder."""
    options = ("--photo_storage=files", "--fetch_allow_private=True")
    with serving(request.param, tmp_path_factory.mktemp("keeping"), *options) as server:
        yield server


@pytest.fixture
def keeper(keeping):
    """A client of it."""
    return Api(keeping)


def files(server, folder="photos") -> set[Path]:
    """Return the kept files, or the notes of them."""
    return {path for path in (server.folder / folder).rglob("*.*") if path.is_file()}


def age(server):
    """Let what is kept or noted have been written long ago, so that no server can be storing its face."""
    for path in files(server) | files(server, "webdav"):
        os.utime(path, (0, 0))


def urls_of(face):
    return [face[name] for name in ("photo", "thumbnail", "normalized")]


def test_without_the_option_nothing_is_kept(api):
    face = api.face()
    assert (face["photo"], "thumbnail" in face, "normalized" in face) == ("", False, False)
    assert not (api.server.folder / "photos").exists()


@pytest.mark.parametrize(("kind", "ending", "media"), daily([
    ("JPEG", "jpg", "image/jpeg"), ("WEBP", "webp", "image/webp"), ("AVIF", "avif", "image/avif"),
]))  # fmt: skip
def test_a_kept_photo_is_called_what_it_is(keeper, kind, ending, media):
    photo = picture(RED, kind=kind)
    [face] = keeper.good("POST", "/v1/face", parts={"photo": photo})["results"]
    assert re.fullmatch(URL % ("", ending), face["photo"])
    with urllib.request.urlopen(face["photo"], timeout=30) as reply:
        assert (reply.headers["Content-Type"], reply.read()) == (media, photo)


def test_a_face_has_the_urls_of_its_pictures(keeper):
    photo = picture(RED)
    [face] = keeper.good("POST", "/v1/face", parts={"photo": photo})["results"]
    for url, tail, kind in zip(urls_of(face), ("", "_thumb", "_norm"), ("png", "jpg", "jpg"), strict=True):
        assert re.fullmatch(URL % (tail, kind), url)
        reply = keeper("GET", url)
        assert reply.headers["Content-Type"] == ("image/png" if kind == "png" else "image/jpeg")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert (reply.body == photo) is (tail == "")
        assert keeper("HEAD", url).headers["Content-Length"] == str(len(reply.body))
    for url in urls_of(face)[1:]:
        shown = Image.open(io.BytesIO(keeper("GET", url).body)).convert("RGB")
        assert shown.size == (160, 160)
        red, green, blue = shown.getpixel((80, 80))
        assert (red > 200, max(green, blue) < 60) == (True, True)  # the face is in the middle
    assert keeper.good("GET", f"/face/id/{face['id']}") == face


def test_a_photo_from_a_url_is_kept_like_any_other(keeper):
    photo = picture(RED)
    [face] = keeper.good("POST", "/v1/face", json_body={"photo": serve_pictures([photo])[0]})["results"]
    assert re.fullmatch(URL % ("", "png"), face["photo"])
    assert keeper("GET", face["photo"]).body == photo
    assert all(keeper("GET", face[name]).status == 200 for name in ("thumbnail", "normalized"))
    sighting = keeper.face(cam_id="0" * 32)
    assert keeper.good("GET", "/history/search")["results"] == [sighting]


def test_urls_are_those_by_which_the_client_came(keeper):
    face = keeper.face(person_id=7, cam_id="door")
    through = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "faces.example.com", "X-Forwarded-Prefix": "/api"}
    seen = keeper("GET", f"/face/id/{face['id']}", headers=through).json
    assert [url.partition("/uploads/")[0] for url in urls_of(seen)] == ["https://faces.example.com/api"] * 3
    assert [url.rpartition("/")[2] for url in urls_of(seen)] == [url.rpartition("/")[2] for url in urls_of(face)]
    [sighting] = keeper("GET", "/person/history/id/7", headers=through).json["results"]
    assert sighting["screenshot"] == seen["thumbnail"]
    for path in ("/faces", "/meta", "/person/id/7", "/history/search"):
        assert b"https://faces.example.com/api/uploads/" in keeper("GET", path, headers=through).body, path
    found = keeper("POST", "/identify", parts={"photo": picture(RED)}, headers=through)
    assert b"https://faces.example.com/api/uploads/" in found.body


def test_whoever_has_the_name_gets_the_picture_and_nothing_else(keeper):
    url = keeper.face()["photo"]
    for headers in ({"Authorization": None}, {"Authorization": "Bearer x"}, {}):
        assert keeper("GET", url, headers=headers).body == picture(RED)
    for method in ("DELETE", "PUT", "POST"):
        refusal = keeper.refusal(method, url, headers={"Authorization": None})
        assert refusal == (405, "METHOD_NOT_ALLOWED", None)
    tag = url.split("/")[4][:16]
    for name in ("x.jpg", f"{tag}-2020010100-{'x' * 22}.jpg", f"{tag}-..-..%2Fx.jpg", f"{url[9:]}.jpg", "running",
                 "%2e%2e%2fstore%2ffacenapi.sqlite"):  # fmt: skip
        assert keeper.refusal("GET", f"/uploads/{name}") == (404, "NOT_FOUND", None), name


def test_with_photo_access_token_they_are_their_owners(tmp_path):
    with serving("sqlite", tmp_path, "--photo_storage=files", "--photo_access=token") as server:
        api = Api(server)
        url = api.face()["photo"]
        assert api("GET", url).status == 200
        assert api.other().refusal("GET", url) == (404, "NOT_FOUND", None)
        assert api.refusal("GET", url, headers={"Authorization": None}) == (401, "AUTH_FAILED", None)


@pytest.mark.slow
def test_upload_path_is_what_urls_begin_with(tmp_path):
    options = ("--photo_storage=files", "--upload_path=https://cdn.example.com/f")
    with serving("sqlite", tmp_path, *options) as server:
        assert urls_of(Api(server).face())[1].startswith("https://cdn.example.com/f/")


def test_pictures_go_with_their_face_however_it_goes(keeper):
    keeper.gallery("ppl")
    before = files(keeper.server)
    by_id, by_meta, by_gallery = keeper.face(), keeper.face(meta="m"), keeper.face(galleries="ppl")
    stays = keeper.face(BLUE)
    keeper("DELETE", f"/face/id/{by_id['id']}")
    keeper("DELETE", "/face/meta/m")
    keeper("DELETE", "/galleries/ppl")
    for face in (by_id, by_meta, by_gallery):
        assert [keeper("GET", url).status for url in urls_of(face)] == [404, 404, 404]
    assert [keeper("GET", url).status for url in urls_of(stays)] == [200, 200, 200]
    assert {path.name for path in files(keeper.server) - before} == {Path(url).name for url in urls_of(stays)}


def test_faces_of_one_photo_do_not_take_each_others_pictures_along(keeper):
    both = picture((RED, (10, 10, 60, 60)), (BLUE, (100, 10, 140, 50)))
    one, two = keeper.good("POST", "/face", parts={"photo": both, "mf_selector": "all"})["results"]
    assert not set(urls_of(one)) & set(urls_of(two))
    spoof = keeper.good("POST", "/face", parts={"photo": both, "meta": one["photo"]})["results"][0]
    keeper("DELETE", f"/face/id/{one['id']}")
    keeper("DELETE", f"/face/id/{spoof['id']}")
    assert [keeper("GET", url).status for url in urls_of(two)] == [200, 200, 200]


def test_a_refused_face_leaves_no_file(keeper):
    before = files(keeper.server)
    for parts in ({"photo": picture()}, {"photo": b"x"}, {"photo": picture(RED), "galleries": "nowhere"},
                  {"photo": picture(RED), "person_id": "x"}):  # fmt: skip
        assert keeper.refusal("POST", "/face", parts=parts)[0] == 400
    assert files(keeper.server) == before


@pytest.mark.slow
def test_a_killed_server_leaves_no_face_without_files_and_sweeps_up_the_rest(tmp_path):
    with ForkedServer(tmp_path, "--photo_storage=files") as server:
        api = Api(server)
        kept = api.face(BLUE)
        with ThreadPoolExecutor(8) as pool:
            pending = [pool.submit(api, "POST", "/face", parts={"photo": picture(RED)}) for _ in range(40)]
            pending[8].result()
            server.kill()
        assert any(future.exception() for future in pending)
        folder = next(path.parent for path in files(server))
        orphans = [folder / kept["photo"].rpartition("/")[2].replace(".png", "")[:-3]]
        orphans = [
            orphans[0].with_name(orphans[0].name + f"xyz{tail}") for tail in (".png", "_thumb.jpg", "_norm.jpg")
        ]
        for path in orphans:
            path.write_bytes(b"left over")
        age(server)
        server.start()
        api.port = int(server.url.rsplit(":", 1)[1])
        assert server.wait_for_log("Swept up")
        faces = api.good("GET", "/faces?limit=1000")["results"]
        named = {Path(url).name for face in faces for url in urls_of(face)}
        assert {path.name for path in files(server)} == named
        assert Path(kept["photo"]).name in named
        assert len(faces) >= 2


@pytest.mark.slow
def test_webdav_is_swept_up_after_a_kill(tmp_path):
    with (
        DavServer() as dav,
        ForkedServer(tmp_path, "--photo_storage=webdav", f"--ffupload_url={dav.url}/faces") as server,
    ):
        api = Api(server)
        stays, goes = api.face(BLUE), api.face()
        with ThreadPoolExecutor(8) as pool:
            pending = [pool.submit(api, "POST", "/face", parts={"photo": picture(RED)}) for _ in range(40)]
            pending += [pool.submit(api, "DELETE", f"/face/id/{goes['id']}")]
            pending[8].result()
            server.kill()
        # One more that was written and whose face was never stored.
        tag, hour, _ = Path(stays["photo"]).name.split("-", 2)
        orphan = f"{tag}-{hour}-{'x' * 22}.png"
        (tmp_path / "webdav" / tag / hour / orphan).touch()
        dav.files[f"/faces/{orphan}"] = b"left over"
        age(server)
        server.start()
        api.port = int(server.url.rsplit(":", 1)[1])
        assert server.wait_for_log("Swept up")
        faces = api.good("GET", "/faces?limit=1000")["results"]
        assert stays in faces
        assert set(dav.files) == {url.removeprefix(dav.url) for face in faces for url in urls_of(face)}
        noted = {path.name for path in (tmp_path / "webdav").rglob("*.*")}
        assert {f"/faces/{name}" for name in noted} == set(dav.files)


@pytest.mark.slow
def test_webdav(tmp_path):
    with (
        DavServer() as dav,
        ForkedServer(tmp_path, "--photo_storage=webdav", f"--ffupload_url={dav.url}/faces/") as server,
    ):
        api = Api(server)
        face = api.face()
        assert all(url.startswith(f"{dav.url}/faces/") for url in urls_of(face))
        assert set(dav.files) == {url.removeprefix(dav.url) for url in urls_of(face)}
        assert dav.files[face["photo"].removeprefix(dav.url)] == picture(RED)
        api("DELETE", f"/face/id/{face['id']}")
        assert dav.files == {}
        dav.refuse = True
        assert api.refusal("POST", "/face", parts={"photo": picture(RED)}) == (503, "SERVICE_UNAVAILABLE", None)
        assert api.good("GET", "/faces")["results"] == []
        dav.refuse = False
        kept = api.face()
        dav.refuse = True
        assert api("DELETE", f"/face/id/{kept['id']}").status == 204  # the face goes all the same
        server.stop()
        assert len(dav.files) == 3
        dav.refuse = False
        age(server)
        server.start()
        assert server.wait_for_log("Swept up 4 kept photos without a face")  # one of the refused face
        assert dav.files == {}
    options = ["--photo_storage=webdav"]
    with pytest.raises(RuntimeError, match="photo_storage=webdav needs ffupload_url"):
        ForkedServer(tmp_path / "wrong", *options)
