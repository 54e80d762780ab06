"""Faces, one or a folder of them, galleries and metas, as a person would use their views."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser import Visitor
from tests.support import photos
from tests.support.live import form

pytestmark = pytest.mark.slow


def test_faces_are_browsed_edited_and_deleted(visitor, server):
    added = form({"photo": photos.astronaut(), "meta": "to be changed"})
    [face] = server.call("POST", "/v1/face", *added)[1]["results"]
    page = visitor.open("faces?meta=to%20be%20changed")
    page.get_by_role("link", name="to be changed").click()
    page.locator("main[data-view=face] input[name=meta]").fill("has been changed")
    page.get_by_label("guests").check()
    page.get_by_role("button", name="Save").click()
    visitor.sees("Saved")
    page.get_by_role("heading", name="has been changed").wait_for()
    changed = server.call("GET", f"/v1/face/id/{face['id']}")[1]
    assert (changed["meta"], changed["galleries"]) == ("has been changed", ["default", "guests"])
    page.get_by_role("button", name="Delete this face").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert server.call("GET", f"/v1/face/id/{face['id']}")[0] == 200
    page.get_by_role("button", name="Delete this face").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("heading", name="Faces").wait_for()
    assert server.call("GET", f"/v1/face/id/{face['id']}")[0] == 404
    page.get_by_label("Gallery").select_option("employees")
    page.wait_for_url("**/#/faces?gallery=employees")
    expect(page.locator(".face")).to_have_count(4)


def test_a_page_and_what_is_deleted_are_of_the_list_not_of_the_form(visitor, server):
    for _ in range(2):
        server.call("POST", "/v1/face", *form({"photo": photos.astronaut(), "meta": "listed"}))
    page = visitor.open("faces")
    page.route("**/v1/faces/**", lambda route: route.continue_(url=route.request.url.replace("limit=60", "limit=1")))
    page.locator("input[name=meta]").fill("listed")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("button", name="Older").wait_for()
    page.locator("input[name=meta]").fill("Robin Lee")  # typed, and not asked for
    page.get_by_role("button", name="Older").click()
    expect(page.get_by_role("button", name="Older")).to_be_disabled()
    page.get_by_role("button", name="Delete all with this meta").click()
    assert "listed" in page.get_by_role("dialog").inner_text()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.locator(".toasts").get_by_text("Deleted").wait_for()
    left = [server.call("GET", f"/v1/faces/meta/{meta}")[1]["results"] for meta in ("listed", "Robin%20Lee")]
    assert [len(faces) for faces in left] == [0, 3]


def test_what_no_browser_can_ask_for_is_neither_shown_nor_deleted_as_something_else(visitor, server):
    server.call("POST", "/v1/face", *form({"photo": photos.astronaut()}))
    page = visitor.open("faces?meta=.")
    assert 'No browser can ask for "."' in page.get_by_role("alert").inner_text()
    expect(page.get_by_role("button", name="Delete all with this meta")).to_be_hidden()
    assert page.evaluate("""async () => {
        const api = await import(document.querySelector("script[type=module]").src.replace("app.js", "api.js"));
        try { await api.deleteMeta("."); } catch (error) { return error.code; }
    }""") == "BAD_PARAM"  # fmt: skip
    assert len(server.call("GET", "/v1/faces/meta/")[1]["results"]) == 1
    server.call("DELETE", "/v1/faces/meta/")


def test_a_photo_is_loaded_once_and_let_go(visitor):
    page = visitor.open("search")
    page.evaluate("""() => {
        const live = window.live = new Set(), make = URL.createObjectURL, drop = URL.revokeObjectURL;
        window.made = 0;
        URL.createObjectURL = (one) => {
            const url = make.call(URL, one);
            window.made += 1;
            live.add(url);
            return url;
        };
        URL.revokeObjectURL = (url) => { live.delete(url); drop.call(URL, url); };
    }""")
    visitor.give(photos.two_faces(), "two.png")
    page.locator(".result-row").first.wait_for()
    with page.expect_response("**/identify"):
        page.get_by_role("button", name="Search", exact=True).click()
    page.wait_for_selector("main :not([aria-busy]) > .results")
    assert page.evaluate("[window.made, window.live.size]") == [1, 0]
    visitor.open("compare")
    visitor.give(photos.two_faces(), "two.png")
    visitor.give(photos.astronaut(), "one.png")
    page.locator(".pairing").first.wait_for()
    assert page.evaluate("[window.made, window.live.size]") == [3, 0]


def test_a_folder_is_added_with_a_pause_and_its_failures_tried_again(browser, server, tmp_path):
    folder = tmp_path / "Ada_Lovelace"
    folder.mkdir()
    (folder / "good.png").write_bytes(photos.astronaut())
    (folder / "coffee.png").write_bytes(photos.no_face())
    (folder / "notes.txt").write_text("no photo")
    with Visitor(browser, server.url, server.key, expected=(400,)) as visitor:
        page = visitor.open("add")
        page.get_by_label("Meta of each face").select_option("folder")
        page.set_input_files("input[name=folder]", folder)
        visitor.sees("One photo could not be added")
        visitor.sees("2 of 2 photos, 1 faces added")
        assert "There is no face on this photo." in page.locator(".list").inner_text()
        page.get_by_role("button", name="Try these again").click()
        visitor.sees("One photo could not be added")
        page.get_by_role("link", name="See them").click()
        page.get_by_role("link", name="Ada_Lovelace").wait_for()
    server.call("DELETE", "/v1/face/meta/Ada_Lovelace")


def test_a_folder_is_dropped(visitor, server, tmp_path):
    """With a folder in it: the name of the inner one is the meta."""
    inner = tmp_path / "staff" / "Mary_Jackson"
    inner.mkdir(parents=True)
    (inner / "one.jpg").write_bytes(photos.grace_hopper())
    (tmp_path / "staff" / "list.txt").write_text("no photo")
    page = visitor.open("add")
    page.get_by_label("Meta of each face").select_option("folder")
    mouse = page.context.new_cdp_session(page)
    dragged = {"items": [], "files": [str(tmp_path / "staff")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        mouse.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": dragged})
    visitor.sees("One face was added.")
    page.get_by_role("link", name="See them").click()
    page.get_by_role("link", name="Mary_Jackson").wait_for()
    server.call("DELETE", "/v1/face/meta/Mary_Jackson")


def test_adding_pauses_and_goes_on(visitor, server):
    page = visitor.open("add")
    page.get_by_label("Meta of each face").select_option("fixed")
    page.locator("input[name=meta]").fill("many")
    photo = {"mimeType": "image/jpeg", "buffer": photos.grace_hopper()}
    page.set_input_files("input[name=files]", [{"name": f"{number}.jpg", **photo} for number in range(12)])
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Go on").wait_for()
    number, held = page.locator(".card .number"), ""
    while held != (held := number.inner_text()):  # those that are under way may still come to their end
        page.wait_for_timeout(3000)
    assert not held.startswith("12 of 12")
    page.get_by_role("button", name="Go on").click()
    visitor.sees("12 faces were added.")
    server.call("DELETE", "/v1/face/meta/many")


def test_galleries_come_and_go(visitor, server):
    page = visitor.open("galleries")
    page.get_by_role("button", name="New gallery").click()
    page.get_by_label("Name").fill("visitors")
    page.get_by_role("button", name="Create").click()
    page.get_by_role("link", name="visitors", exact=True).wait_for()
    assert "visitors" in server.call("GET", "/v1/galleries")[1]["results"]
    page.get_by_role("button", name="Delete visitors").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("link", name="visitors", exact=True).wait_for(state="detached")
    assert "visitors" not in server.call("GET", "/v1/galleries")[1]["results"]


def test_metas_lead_to_their_faces(visitor):
    page = visitor.open("metas")
    page.get_by_role("link", name="Robin Lee").click()
    page.wait_for_url("**/#/faces?meta=Robin%20Lee")
    expect(page.locator(".face")).to_have_count(3)
