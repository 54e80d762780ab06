"""Status and settings, as a person would use their views."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import expect

from tests.console.browser import Visitor
from tests.support import photos
from tests.support.live import form

pytestmark = pytest.mark.slow


def test_status_behind_a_proxy_that_keeps_figures_back_says_so(browser, server):
    with Visitor(browser, server.url, server.key, expected=(404,)) as visitor:
        asked: list = []
        visitor.page.on("request", lambda request: request.url.endswith("/metrics") and asked.append(request))
        visitor.page.route("**/metrics", lambda route: route.fulfill(status=404, body="<html>"))
        page = visitor.open("status")
        visitor.sees("There are no plots, because the proxy before the server keeps /metrics back.")
        visitor.sees("database works")
        with page.expect_response("**/health"):
            pass
        assert len(asked) == 1
        assert page.locator(".plot").count() == 0


def test_status_draws_what_the_server_says(visitor, server):
    page = visitor.open("status")
    visitor.sees("database works")
    server.call("POST", "/v1/detect", *form({"photo": photos.astronaut()}))
    page.wait_for_function("() => document.querySelectorAll('.plots .line')[4].getAttribute('d').includes('L')")
    expect(page.locator(".plots .plot")).to_have_count(6)
    expect(page.locator(".bars .plot .line").first).to_have_attribute("d", re.compile("M"))
    assert float(page.locator(".plots .now").nth(4).inner_text()) >= 6
    assert "detect" in page.locator(".bars").inner_text()


def test_russian_and_dark_are_chosen_and_stay(visitor):
    page = visitor.open("detect")
    page.get_by_label("Language").select_option("ru")
    page.get_by_role("heading", name="Поиск лиц").wait_for()
    page.get_by_label("Оформление").select_option("dark")
    page.reload()
    page.get_by_role("heading", name="Поиск лиц").wait_for()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert page.evaluate("document.documentElement.lang") == "ru"
    assert json.loads(page.evaluate("JSON.stringify(Object.keys(localStorage).sort())")) == ["language", "theme"]
