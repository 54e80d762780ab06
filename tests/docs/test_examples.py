"""What the README and the tutorial tell people to type, typed against a real server, in their order."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from tests.support import photos
from tests.support.live import ROOT, Server, jpeg
from tests.support.pictures_server import serve_pictures

pytestmark = pytest.mark.slow


def blocks(text: str, language: str) -> list[str]:
    """Return the code of a language, in order."""
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:(?:   .*)?\n)+)", text, re.MULTILINE)
    return [textwrap.dedent(code) for code in found]


@pytest.fixture(scope="module")
def server(tmp_path_factory, model_pack):
    with Server(tmp_path_factory.mktemp("server"), "--fetch_allow_private=True") as running:
        yield running


@pytest.fixture
def folder(server, tmp_path):
    """A folder with the photos that the examples name, and a curl that takes a refusal for a failure."""
    server.key = server.new_key()
    sam, visitor = (
        Image.open(io.BytesIO(data)).convert("RGB") for data in (photos.astronaut(), photos.grace_hopper())
    )
    for name, image in {
        "sam": sam, "sam2": ImageOps.mirror(sam), "unknown": ImageOps.mirror(sam), "visitor": visitor,
    }.items():  # fmt: skip
        (tmp_path / f"{name}.jpg").write_bytes(jpeg(image))
    (tmp_path / ".curlrc").write_text("fail-with-body\nshow-error\n")
    return tmp_path


def placed(code: str, server: Server) -> str:
    """Return code with the server's address and a key of it in the places of those that are shown."""
    return code.replace("http://127.0.0.1:8000", server.url).replace("KEY", server.key)


def run(folder: Path, code: str, *interpreter: str) -> str:
    done = subprocess.run(
        interpreter, input=code, capture_output=True, text=True, check=False, cwd=folder,
        env={"PATH": "/usr/bin:/bin", "CURL_HOME": str(folder), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorial(server, folder):
    text = (ROOT / "docs" / "tutorial.rst").read_text("utf-8")
    said = run(folder, placed("\n".join(blocks(text, "bash")), server), "bash", "-euo", "pipefail")
    assert '"verified":true' in said
    assert '"verified":false' in said
    assert said.count('"meta":"Sam Berry"') == 2  # as stored, and as recognised
    assert '"cam_id":"door"' in said
    [program] = blocks(text, "python")
    assert "Sam Berry" in run(folder, placed(program, server), sys.executable, "-")


def test_the_tour_of_the_readme(server, folder):
    text = (ROOT / "README.rst").read_text("utf-8")
    tour = re.search(r"^A tour\n-+\n\n::\n\n((?:(?:    .*)?\n)+)", text, re.MULTILINE)[1]
    [url] = serve_pictures([(folder / "sam.jpg").read_bytes()])
    code = placed(textwrap.dedent(tour), server).replace("http://static.example.com/sam.jpg", url)
    said = run(folder, code, "bash", "-euo", "pipefail")
    assert said.count('"meta":"Sam Berry"') == 3  # stored, found in the gallery, found by URL
