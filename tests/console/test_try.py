"""The interactive API page: Swagger UI with the token of this tab, or how to get it."""

from __future__ import annotations

import pytest

from tests.console.browser import ROOT, SCREENSHOTS, Visitor
from tests.support.fake_server import ForkedServer

pytestmark = pytest.mark.slow

FETCHED = ROOT / "var" / "api-page"


def test_without_swagger_the_page_says_how_to_get_it(browser, tmp_path):
    with ForkedServer(tmp_path) as server, Visitor(browser, server.url) as visitor:
        page = visitor.page
        page.goto(f"{server.url}/docs/v1/try")
        visitor.sees("The interactive page is not installed")
        visitor.sees("facenapi api-page")
        assert server.call("GET", "/docs/v2/try")[0] == server.call("GET", "/docs/v1/try/../x.py")[0] == 404


def test_a_method_is_called_with_the_token(browser, tmp_path):
    if not (FETCHED / "swagger-ui.css").exists():
        pytest.fail(
            "Swagger UI is not fetched: run scripts/test, or facenapi api-page --api_page=var/api-page", False
        )
    with (
        ForkedServer(tmp_path, f"--api_page={FETCHED}") as server,
        Visitor(browser, server.url, theme="dark") as visitor,
    ):
        page = visitor.page
        page.goto(f"{server.url}/docs/v1/try")
        assert page.evaluate("document.documentElement.className") == "dark-mode"
        page.get_by_label("Token").fill(server.key)
        page.locator("[id^=operations-][id$=-get_galleries]").get_by_role("button").first.click()
        page.get_by_role("button", name="Execute").click()
        page.locator(".live-responses-table").get_by_text('"default"').wait_for()
        assert page.locator(".live-responses-table .response-col_status").last.inner_text().startswith("200")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "try-dark-desktop.png")


def test_the_pages_for_reading_fit_a_phone(browser, tmp_path):
    sizes = "[...document.querySelectorAll('p, td, pre')].map((part) => parseFloat(getComputedStyle(part).fontSize))"
    with ForkedServer(tmp_path) as server, Visitor(browser, server.url, size="phone") as visitor:
        page = visitor.page
        page.set_extra_http_headers({"Accept": "text/html"})
        for path in ("/docs", "/docs/v0", "/docs/v1"):
            page.goto(server.url + path)
            assert page.locator("h1").count() == 1
            assert page.evaluate("document.documentElement.scrollWidth") <= 400  # wide tables scroll by themselves
            assert min(page.evaluate(sizes)) >= 13
