"""A browser for the tests of a module, and a server for those of all."""

from __future__ import annotations

import io
import json

import pytest
from PIL import Image, ImageOps

from tests.support import photos
from tests.support.live import Server, form, jpeg


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser with a webcam in front of which somebody sits."""
    from tests.console.browser import launched  # noqa: PLC0415 - it brings Playwright

    frame = Image.new("RGB", (640, 480), "gray")
    frame.paste(Image.open(io.BytesIO(photos.astronaut())).resize((480, 480)), (80, 0))
    film = tmp_path_factory.mktemp("film") / "film.mjpeg"
    film.write_bytes(jpeg(frame) * 10)
    with launched(f"--use-file-for-fake-video-capture={film}") as browser:
        yield browser


def seeded(server: Server) -> Server:
    """Return the server with galleries, cameras and faces of two people."""
    server.call("POST", "/v1/galleries/employees")
    server.call("POST", "/v1/galleries/guests")
    server.cameras = [
        server.call(
            "POST", "/v1/camera", json.dumps({"meta": name, "url": f"rtsp://{name.lower()}.example/1"}).encode()
        )[1]["id"]
        for name in ("Entrance", "Hall")
    ]
    server.faces = []
    portraits = ((photos.astronaut(), "Sam Berry"), (photos.grace_hopper(), "Robin Lee"))
    for data, name in portraits:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        for number, picture in enumerate((image, ImageOps.mirror(image), image.rotate(8))):
            fields = {"photo": jpeg(picture), "meta": name, "galleries": ("employees", "guests")[number % 2],
                      "cam_id": server.cameras[number % 2], "gender": 1, "age": 1, "emotions": 1}  # fmt: skip
            status, answer = server.call("POST", "/v1/face", *form(fields))
            assert status == 200, answer
            server.faces += answer["results"]
    return server


@pytest.fixture(scope="session")
def server(tmp_path_factory, model_pack):
    """A server with real networks that keeps photos and assigns persons, and has six faces of two people.

    It is for all modules: whoever adds to it takes that away again, or is another owner.
    """
    options = ("--photo_storage=files", "--person_identify=True", "--person_identify_global=True",
               "--fetch_allow_private=True")  # fmt: skip
    with Server(tmp_path_factory.mktemp("console"), *options) as running:
        yield seeded(running)
