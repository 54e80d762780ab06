"""For everybody: axe-core finds nothing, the keyboard is enough; pictures of every view, to be looked at."""

from __future__ import annotations

import pytest

from tests.console.browser import SCREENSHOTS, SIZES, TOOLS, Visitor
from tests.support import photos

pytestmark = pytest.mark.slow

VIEWS = ("detect", "live", "compare", "search", "faces", "face", "add", "galleries", "metas", "persons", "person",
         "cameras", "history", "status")  # fmt: skip


def arrange(visitor, view: str, server) -> None:
    """Open a view with something in it."""
    address = {"face": f"face/{server.faces[0]['id']}", "person": "person/1"}.get(view, view)
    page = visitor.open(address)
    quiet(page)
    if view in ("detect", "search"):
        visitor.give(photos.two_faces(), "two.png")
        page.locator(".found, .result-row").first.wait_for()
    if view == "compare":
        visitor.give(photos.two_faces(), "two.png")
        visitor.give(photos.astronaut(), "one.png")
        page.locator(".pairing").first.wait_for()
    if view == "live":
        page.get_by_role("button", name="Start the camera").click()
        page.locator(".stage .box.known").wait_for()
    if view == "status":
        page.locator(".bars .meter").first.wait_for()
    quiet(page)


def quiet(page) -> None:
    """Wait until a view has what it asked for, and its pictures."""
    page.wait_for_function(
        "() => !document.querySelector('[aria-busy], .busy') && [...document.images].every((image) => image.complete)"
    )


def axe() -> str:
    source = TOOLS / "node_modules" / "axe-core" / "axe.min.js"
    if not source.exists():
        pytest.fail("axe-core is not installed: run scripts/test, which fetches it", pytrace=False)
    return source.read_text("utf-8")


def violations(page) -> list[str]:
    """Return what axe-core finds, if it is on the page, with where."""
    found = page.evaluate("window.axe?.run(document, { resultTypes: ['violations'] })") or {"violations": []}
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary']}"
        for one in found["violations"]
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_view_is_accessible_and_fits(browser, server, size, theme):
    """What axe-core has to say of a theme are colours, of a size what is there: each is asked about once."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    problems = []
    with Visitor(browser, server.url, size=size, theme=theme) as visitor:
        page = visitor.open()
        if (theme, size) in (("light", "desktop"), ("dark", "phone")):
            page.evaluate(axe())
        problems += [f"login: {one}" for one in violations(page)]
        page.screenshot(path=SCREENSHOTS / f"login-{theme}-{size}.png")
        page.get_by_label("Token").fill(server.key)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Detect").wait_for()
        for view in VIEWS:
            arrange(visitor, view, server)
            if view == "person":
                page.get_by_role("button", name="Merge with another person").click()
                page.get_by_role("button", name="Robin Lee").locator("img").wait_for()
                problems += [f"merge: {one}" for one in violations(page)]
                page.screenshot(path=SCREENSHOTS / f"merge-{theme}-{size}.png")
                page.keyboard.press("Escape")
            problems += [f"{view}: {one}" for one in violations(page)]
            if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                problems.append(f"{view} is wider than the window")
            page.screenshot(path=SCREENSHOTS / f"{view}-{theme}-{size}.png", full_page=True)
    assert problems == []


def reach(page, name: str) -> None:
    """Go by the Tab key to what has this name, as a screen reader says it."""
    named = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()"
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate(named) == name:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            return
    pytest.fail(f"the Tab key does not lead to {name}")


def test_the_keyboard_is_enough(browser, server):
    with Visitor(browser, server.url) as visitor:
        page = visitor.open()
        # Long before the key is pressed: a busy page handles keys first, and later who asks for its file choosers.
        page.on("filechooser", lambda _: None)
        press = page.keyboard.press
        page.keyboard.type(server.key)  # the field has the focus
        press("Enter")
        page.get_by_role("heading", name="Detect").wait_for()
        reach(page, "Choose a photo")
        with page.expect_file_chooser() as chooser:
            press("Enter")
        chooser.value.set_files({"name": "two.png", "mimeType": "image/png", "buffer": photos.two_faces()})
        page.locator(".stage .box").nth(1).wait_for()
        page.locator("main").focus()
        reach(page, page.locator(".stage .box").nth(1).get_attribute("aria-label"))
        press("Enter")
        page.locator(".found.chosen").wait_for()
        for name in ("Live", "Compare", "Search", "Faces", "Metas", "Persons", "Cameras", "History", "Status",
                     "Galleries"):  # fmt: skip
            reach(page, name)
            press("Enter")
            page.get_by_role("heading", name=name, exact=True, level=1).wait_for()
        reach(page, "New gallery")
        press("Enter")
        page.get_by_role("dialog").wait_for()
        page.keyboard.type("by-keyboard")
        press("Enter")
        page.get_by_role("link", name="by-keyboard", exact=True).wait_for()
        reach(page, "Delete by-keyboard")
        press("Enter")
        page.get_by_role("dialog").wait_for()
        # What cannot be undone is not a key press away.
        assert page.evaluate("document.activeElement.textContent") == "Cancel"
        press("Escape")
        page.get_by_role("dialog").wait_for(state="detached")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Delete by-keyboard"
        server.call("DELETE", "/v1/galleries/by-keyboard")


def test_the_first_paint_is_soon_and_little_is_transferred(browser, server):
    """Figures for people; the bound is on the size, which no load of the machine changes."""
    with Visitor(browser, server.url) as visitor:
        page = visitor.open()
        page.wait_for_load_state("networkidle")
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        entries = "[...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
        size = page.evaluate(f"{entries}.reduce((sum, one) => sum + one.transferSize, 0)")
        print(f"first paint after {paint:.0f} ms, {size / 1000:.0f} kB transferred")
        assert 0 < size < 300_000
