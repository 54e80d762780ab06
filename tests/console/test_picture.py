"""The picture of the console in README and guide: made by this test, and nobody can be recognised on it.

With ``FACENAPI_TEST_PICTURE=1`` the test puts it where they take it from.
"""

from __future__ import annotations

import io
import os

import pytest
from PIL import Image

from tests.console.browser import ROOT, SCREENSHOTS, Visitor
from tests.console.test_access import arrange
from tests.support.live import form

pytestmark = pytest.mark.slow

KEPT = ROOT / "docs" / "images" / "console.png"
CELLS = 8  # of a face, side by side
# Draws every photo with few cells in its own place.
MOSAIC = """(cells) => Promise.all([...document.querySelectorAll("main img, main canvas")].map((one) => {
    const width = one.naturalWidth || one.width, height = one.naturalHeight || one.height;
    const factor = Math.min(1, cells / Math.max(width, height));
    const few = new OffscreenCanvas(Math.ceil(width * factor), Math.ceil(height * factor));
    few.getContext("2d").drawImage(one, 0, 0, few.width, few.height);
    const full = one instanceof HTMLCanvasElement ? one : document.createElement("canvas");
    [full.width, full.height] = [width, height];
    const pen = full.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(few, 0, 0, width, height);
    if (full === one) return null;
    one.src = full.toDataURL();
    return one.decode();
}))"""


def test_the_picture_shows_the_console_and_nobody(browser, server):
    with Visitor(browser, server.url, server.key) as visitor:
        arrange(visitor, "search", server)
        visitor.page.evaluate(MOSAIC, CELLS)
        shot = visitor.page.screenshot()
    buffer = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(128).save(buffer, "PNG", optimize=True)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    for path in (SCREENSHOTS / KEPT.name, *([KEPT] if os.environ.get("FACENAPI_TEST_PICTURE") else [])):
        path.write_bytes(buffer.getvalue())
    for data in (buffer.getvalue(), KEPT.read_bytes()):
        assert len(data) < 100_000
        assert Image.open(io.BytesIO(data)).size == (1280, 800)
        assert server.call("POST", "/v1/detect", *form({"photo": data}))[1]["faces"] == []
