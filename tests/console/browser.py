"""A headless Chromium that is used as a person would, and what it had to complain about."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "var" / "console-tools"
SCREENSHOTS = ROOT / "var" / "screenshots"
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]  # fmt: skip
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 400, "height": 800}}
PATIENCE = 60_000  # milliseconds: machines are shared
expect.set_options(timeout=PATIENCE)
# Chromium says so of every answer that is an error; which ones a test expects, it checks itself.
_STATUS = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


def chromium() -> str:
    """Return where Chromium is."""
    names = (os.environ.get("FACENAPI_TEST_BROWSER", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("There is no Chromium: apt-get install chromium, or name one in FACENAPI_TEST_BROWSER", False)
    return found


@contextmanager
def launched(*options: str) -> Iterator[Browser]:
    """Yield a browser with a profile of its own; it ends before anything else runs an event loop in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*OPTIONS, *options])
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """A person with a tab open. ``with`` it; at the end it complains about what the console said or loaded."""

    def __init__(self, browser: Browser, url: str, key: str = "", *, size: str = "desktop", theme: str = "light",
                 language: str = "en", expected: tuple[int, ...] = (), offline: bool = False) -> None:  # fmt: skip
        self.url = url
        self.expected = expected
        self.offline = offline  # whether the server goes away on purpose
        self.complaints: list[str] = []
        self.received = 0
        self._context = browser.new_context(viewport=SIZES[size], color_scheme=theme, locale=language)
        if key:
            self._context.add_init_script(f"sessionStorage.setItem('token', '{key}')")
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("request", self._ask)

    def _hear(self, message) -> None:
        status = _STATUS.match(message.text)
        if status and int(status[1]) in self.expected:
            return
        if self.offline and "net::ERR_" in message.text:
            return
        if message.type in ("error", "warning") or "Security Policy" in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def _ask(self, request) -> None:
        if request.url.startswith(("http:", "https:", "ws:", "wss:")) and not request.url.startswith(self.url + "/"):
            self.complaints.append(f"a request to another host: {urlsplit(request.url).netloc}")

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._context.close()
        if kind is None:
            assert self.complaints == [], self.complaints

    def open(self, view: str = "") -> Page:
        """Go to a view and wait until it is drawn."""
        self.page.goto(f"{self.url}/#/{view}" if view else f"{self.url}/")
        name = view.split("?", maxsplit=1)[0].split("/", maxsplit=1)[0]
        self.page.wait_for_selector(f"main[data-view={name}] h1" if name else "h1")
        return self.page

    def sees(self, text: str) -> None:
        """Wait until a text is to be seen."""
        self.page.get_by_text(text).first.wait_for()

    def give(self, data: bytes, name: str = "photo.jpg", place: int = 0) -> None:
        """Choose a photo for the place for it."""
        kind = "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"
        self.page.set_input_files(
            f"input[type=file] >> nth={place}", {"name": name, "mimeType": kind, "buffer": data}
        )
