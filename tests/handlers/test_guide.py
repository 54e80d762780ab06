"""The guide, as it is served: its files and no others, under a policy that names the scripts in its pages."""

from __future__ import annotations

import base64
import hashlib

import pytest

from facenapi.config.options import Config
from tests.support.server import serving

PAGE = b"<html><script>dark()</script><script src='x.js'></script></html>"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "guide"
    (folder / "_static").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "_static" / "x.js").write_text("1")
    (tmp_path / "secret").write_text("secret")
    return folder


async def test_its_files_are_served_and_no_others(tmp_path, folder):
    async with serving(tmp_path / "data", guide_dir=str(folder)) as client:
        page = await client("GET", "/docs/guide/index.html", key="")
        assert (page.status, page.body) == (200, PAGE)
        digest = base64.b64encode(hashlib.sha256(b"dark()").digest()).decode()
        assert f"script-src 'self' 'sha256-{digest}'" in page.headers["Content-Security-Policy"]
        script = await client("GET", "/docs/guide/_static/x.js", key="")
        assert (script.status, script.headers["Content-Type"]) == (200, "text/javascript; charset=UTF-8")
        for path in ("../secret", "%2e%2e/secret", "_static/../../secret", "_static", "nothing.html", "/etc/passwd"):
            assert (await client("GET", f"/docs/guide/{path}", key="")).status == 404


@pytest.mark.parametrize(("path", "leads_to"), [("/docs/guide", "guide/index.html"), ("/docs/guide/", "index.html")])
async def test_the_address_alone_leads_to_the_first_page(tmp_path, folder, path, leads_to):
    async with serving(tmp_path / "data", guide_dir=str(folder)) as client:
        answer = await client("GET", path, key="")
        assert (answer.status, answer.headers["Location"]) == (302, leads_to)


async def test_a_guide_that_was_not_built_says_so(tmp_path):
    async with serving(tmp_path / "data", guide_dir=str(tmp_path / "nothing")) as client:
        answer = await client("GET", "/docs/guide", key="")
        assert (answer.status, answer.json["code"]) == (404, "NOT_FOUND")
        assert "scripts/docs" in answer.json["reason"]


def test_by_default_it_is_where_an_installation_has_it():
    assert Config().guide_dir == "/opt/facenapi/share/doc/facenapi/guide"
