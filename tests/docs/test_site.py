"""The guide as a site: it is built without a warning, its links lead somewhere, and a browser likes it, offline."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

from tests.console.browser import SCREENSHOTS, Visitor, launched
from tests.docs.blocks import HOSTS, ROOT
from tests.support.fake_server import ForkedServer

pytestmark = pytest.mark.slow

# What the theme names at the foot of each page.
THEME = {"www.sphinx-doc.org", "pradyunsg.me", "github.com"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site; a warning is an error."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    build = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "-q", ROOT / "docs", folder]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(build, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return folder


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.links += [given[name] for name in ("href", "src") if given.get(name)]
        if given.get("id"):
            self.anchors.add(given["id"])


def test_its_links_lead_somewhere(site):
    """To pages, pictures, styles and anchors; what is of another host is on the list of such hosts."""
    pages = {path.resolve(): Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 25
    followed = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("http", "https"):
                assert parts.hostname in HOSTS | THEME, f"{path.name}: {link}"
            elif parts.scheme not in ("data", "mailto"):
                aim = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                assert aim.is_file(), f"{path.name}: {link}"
                if parts.fragment and aim in pages:
                    assert unquote(parts.fragment) in pages[aim].anchors, f"{path.name}: {link}"
                followed += 1
    assert followed > 500


def test_a_browser_shows_and_searches_it(site, tmp_path):
    """Under the policy that it is served with, and without a request to any other host."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with ForkedServer(tmp_path, f"--guide_dir={site}") as server, launched() as browser:
        for size, theme in (("desktop", "light"), ("phone", "dark")):
            with Visitor(browser, server.url, size=size, theme=theme) as visitor:
                page = visitor.page
                page.goto(f"{server.url}/docs/guide/")
                assert page.locator("article img").evaluate(
                    "(image) => image.decode().then(() => image.naturalWidth)"
                )
                page.screenshot(path=SCREENSHOTS / f"guide-{theme}-{size}.png")
                page.goto(f"{server.url}/docs/guide/search.html?q=epoch")
                page.locator("#search-results a", has_text="Back up and restore").click()
                page.get_by_role("heading", name="Back up and restore").wait_for()
