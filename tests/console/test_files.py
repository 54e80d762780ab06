"""How the console is served: to browsers only, under a strict policy, small, and kept by them for ever."""

from __future__ import annotations

import gzip
import http.client
import re

import pytest

from facenapi.config.options import Config
from facenapi.console.files import FOLDER, TYPES
from facenapi.handlers.console import security_headers
from tests.support.fake_server import ForkedServer
from tests.support.server import serving

BROWSER = {"Accept": "text/html,application/xhtml+xml", "Accept-Encoding": "gzip, br"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ForkedServer(tmp_path_factory.mktemp("files")) as running:
        yield running


def get(server, path, headers=None, method="GET"):
    """Return status, headers and body, without a token."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    connection.request(method, path, headers=headers or {})
    reply = connection.getresponse()
    answer = reply.status, reply.headers, reply.read()
    connection.close()
    return answer


def addresses(page: bytes) -> list[str]:
    return re.findall(r'(?:href|src)="(/console/[^"]+)"', page.decode())


def test_browsers_get_the_page_and_programs_where_to_read_on(server):
    status, headers, body = get(server, "/", BROWSER)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=UTF-8")
    assert b"<!doctype html>" in gzip.decompress(body)
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        status, headers, body = get(server, "/", accept)
        assert (status, headers["Content-Type"]) == (200, "application/json; charset=UTF-8")
        assert b'"docs":"/docs"' in body.replace(b" ", b"")
        assert "Accept" in headers["Vary"]
    assert get(server, "/", BROWSER, "HEAD")[0] == 200


def test_nothing_inline_and_nothing_from_elsewhere(server):
    page = get(server, "/", {"Accept": "text/html"})[2].decode()
    assert not re.search(r"<style|style=|<script>|javascript:|\son\w+=|https?://", page)
    for path in addresses(page.encode()):
        _, headers, _ = get(server, path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
    for path in FOLDER.rglob("*.js"):
        text = path.read_text("utf-8").replace('"https://"', "").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\(|https?://", text), path


def test_pictures_may_come_from_where_they_are_kept():
    assert "img-src 'self' blob: data:;" in security_headers(Config())["Content-Security-Policy"]
    for options in ({"upload_path": "https://photos.example.com/a"},
                    {"photo_storage": "webdav", "ffupload_url": "https://u:p@photos.example.com/dav"}):  # fmt: skip
        policy = security_headers(Config(**options))["Content-Security-Policy"]
        assert "img-src 'self' blob: data: https://photos.example.com;" in policy
        assert "u:p" not in policy


def test_files_stay_with_the_browser_and_the_page_is_asked_for_anew(server):
    _, headers, body = get(server, "/", {"Accept": "text/html"})
    assert headers["Cache-Control"] == "no-cache"
    status, _, again = get(server, "/", BROWSER | {"If-None-Match": headers["Etag"]})
    assert (status, again) == (304, b"")
    [path, *_] = addresses(body)
    status, headers, _ = get(server, path)
    assert status == 200
    assert "immutable" in headers["Cache-Control"]
    # A page of another release must not get files of this one.
    other = re.sub(r"/console/[0-9a-f]+/", "/console/0123456789abcdef/", path)
    assert get(server, other)[0] == 404
    for wrong in ("/console/x/../../errors.py", path.rsplit("/", 1)[0] + "/files.py", path + "/nothing.js"):
        assert get(server, wrong)[0] == 404


def test_all_of_it_is_less_than_300_kilobytes_and_installed(server):
    page = get(server, "/", {"Accept": "text/html"})[2]
    base = addresses(page)[0].rsplit("/", 1)[0]
    packed = plain = 0
    for path in (path for path in FOLDER.rglob("*") if path.suffix in TYPES and path.name != "index.html"):
        status, headers, body = get(server, f"{base}/{path.relative_to(FOLDER).as_posix()}", BROWSER)
        assert (status, headers["Content-Type"]) == (200, TYPES[path.suffix])
        packed, plain = packed + len(body), plain + path.stat().st_size
        assert gzip.decompress(body) == path.read_bytes()
    assert packed < plain < 300_000


async def test_it_can_be_switched_off(tmp_path):
    async with serving(tmp_path, console=False) as client:
        reply = await client("GET", "/", headers={"Accept": "text/html"})
        assert (reply.status, reply.json["docs"]) == (200, "/docs")
        assert (await client("GET", "/console/0123456789abcdef/app.js")).status == 404
