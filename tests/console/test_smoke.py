"""The console in a browser, once through, in a few seconds; the views have modules of their own."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser import Visitor
from tests.support.fake_server import ForkedServer
from tests.support.server import GREEN, RED, picture

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ForkedServer(tmp_path_factory.mktemp("smoke")) as running:
        yield running


def test_signing_in_finding_a_face_and_signing_out(browser, server):
    with Visitor(browser, server.url, expected=(401,)) as visitor:
        page = visitor.open()
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        visitor.sees("The server does not know this token.")
        page.get_by_label("Token").fill(server.key)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Detect").wait_for()
        visitor.give(picture(RED, (GREEN, (120, 20, 180, 80))))
        visitor.sees("2 faces")
        expect(page.locator(".stage .box")).to_have_count(2)
        assert page.evaluate("Object.keys(localStorage).concat(document.cookie)") == [""]  # the token is the tab's
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Token").wait_for()
        assert page.evaluate("sessionStorage.length") == 0
