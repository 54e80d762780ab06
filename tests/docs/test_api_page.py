"""The examples on the page of the API, /docs/v1: each request of each method as it stands there."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.docs.blocks import ROOT
from tests.support.fake_server import ForkedServer
from tests.support.live import form
from tests.support.pictures_server import serve_pictures
from tests.support.server import GREEN, RED, picture

pytestmark = pytest.mark.slow

PHOTOS = {"photo": picture(RED), "photo1": picture(RED), "photo2": picture(GREEN)}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    options = ("--person_identify=True", "--person_identify_global=True", "--fetch_allow_private=True", "--gae=True")
    with ForkedServer(tmp_path_factory.mktemp("api-page"), *options) as running:
        yield running


def examples(server) -> Iterator[tuple[str, str]]:
    """Yield the anchor of each method with each of its requests."""
    page = server.call("GET", "/docs/v1")[1].decode()
    for anchor, section in re.findall(r'<h3 id="([^"]+)">(.*?)(?=<h[23]|$)', page, re.DOTALL):
        for text in re.findall(r"<pre>((?:curl |from facenapi_client).*?)</pre>", section, re.DOTALL):
            yield anchor, html.unescape(text)


def placed(server, anchor: str, text: str, addresses: list[str]) -> str:
    """Return the example for a new owner of whom everything that it names is there."""
    server.key = server.new_key()
    server.call("POST", "/v1/galleries/niceppl")
    faces = []
    for photo in (RED, GREEN):
        fields = {"photo": picture(photo), "meta": "Sam Berry", "galleries": "niceppl"}
        faces += server.call("POST", "/v1/face", *form(fields))[1]["results"]
    camera = server.call("POST", "/v1/camera", b'{"meta": "hall"}')[1]["id"]
    named = {
        re.search(r"https?://[\w.:]+(?=/v1/|\", token)", text)[0]: server.url, "KEY": server.key,
        "http://static.example.com/sample.jpg": addresses[0], "http://static.example.com/sample2.jpg": addresses[1],
        "3754490218243079": faces[0]["id"], "1234567812345678123456781234abcd": camera,
        "2001": faces[0]["person_id"], "2002": faces[1]["person_id"],
    }  # fmt: skip
    if anchor.startswith("post/galleries"):
        named["niceppl"] = "new-ones"
    for shown, real in named.items():
        text = text.replace(shown, str(real))
    return text


def test_every_request_is_answered_as_a_good_one(server, tmp_path):
    for name, data in PHOTOS.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    addresses = serve_pictures([picture(RED), picture(GREEN)])
    found = list(examples(server))
    assert len(found) > 70
    assert len({anchor for anchor, _ in found}) > 30
    typed = {"curl": [], "from": []}
    for anchor, text in found:
        code = placed(server, anchor, text, addresses)
        typed[text.split()[0]].append(code.replace("curl ", "curl -sS --fail-with-body "))
    for codes, interpreter in (
        (typed["curl"], ["bash", "-e"]),
        (typed["from"], [sys.executable, "-W", "error", "-"]),
    ):
        assert len(codes) > 30
        done = subprocess.run(
            interpreter,
            input="\n".join(codes),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(ROOT / "client")},
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
