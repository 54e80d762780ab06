"""Who looks at the views."""

from __future__ import annotations

import pytest

from tests.console.browser import Visitor


@pytest.fixture
def visitor(browser, server):
    with Visitor(browser, server.url, server.key) as visitor:
        yield visitor
