"""Each view used as a person would, with real networks and faces."""

from __future__ import annotations

import base64
import io
import json
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.console.browser import Visitor
from tests.support import photos
from tests.support.live import form, jpeg
from tests.support.pictures_server import serve_pictures

pytestmark = pytest.mark.slow


@pytest.fixture
def visitor(browser, server):
    with Visitor(browser, server.url, server.key) as visitor:
        yield visitor


def dropped(page, selector: str, data: bytes, event: str) -> None:
    """Drop or paste a photo as a browser tells of it."""
    page.evaluate(
        """([selector, text, event]) => {
            const transfer = new DataTransfer();
            const content = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
            transfer.items.add(new File([content], "dropped.jpg", { type: "image/jpeg" }));
            const how = { bubbles: true, cancelable: true };
            document.querySelector(selector).dispatchEvent(event === "drop"
                ? new DragEvent("drop", { ...how, dataTransfer: transfer })
                : new ClipboardEvent("paste", { ...how, clipboardData: transfer }));
        }""",
        [selector, base64.b64encode(data).decode(), event],
    )


@pytest.mark.parametrize("way", ["choose", "drop", "paste"])
def test_detect_tells_of_every_face(visitor, way):
    page = visitor.open("detect")
    if way == "choose":
        visitor.give(photos.two_faces(), "two.png")
    else:
        dropped(page, ".drop" if way == "drop" else "body", jpeg(Image.open(io.BytesIO(photos.two_faces()))), way)
    visitor.sees("2 faces")
    cards = page.get_by_role("article")
    expect(cards).to_have_count(2)
    expect(page.locator(".stage .box")).to_have_count(2)
    text = cards.nth(1).inner_text()
    assert re.search(r"female, about \d+", text)
    assert "Quality" in text
    page.locator(".stage .box").nth(1).click()
    assert "chosen" in (cards.nth(1).get_attribute("class") or "")
    cards.nth(1).get_by_text("Parts of the quality").click()
    assert cards.nth(1).get_by_text("Sharpness").is_visible()
    # The box lies where the face is: a third from the left, at the top.
    box, stage = page.locator(".stage .box").nth(1).bounding_box(), page.locator(".stage").bounding_box()
    assert 0.1 < (box["x"] - stage["x"]) / stage["width"] < 0.25


def test_detect_takes_an_address(visitor):
    [address] = serve_pictures([photos.astronaut()])
    page = visitor.open("detect")
    page.get_by_label("Address of a photo").fill(address)
    page.keyboard.press("Enter")
    visitor.sees("One face")
    visitor.sees("this page loads nothing from other hosts")


def test_live_shows_who_is_in_sight(visitor):
    page = visitor.open("live")
    page.get_by_role("button", name="Start the camera").click()
    page.locator(".stage .box.known").wait_for()
    assert re.match(r"Sam Berry 0\.9\d", page.locator(".stage .tag").inner_text())
    page.get_by_role("link", name="Sam Berry").wait_for()
    visitor.sees("frames per second")
    page.get_by_role("button", name="Stop").click()
    visitor.sees("The camera is off")


def test_compare_puts_every_pair_on_the_scale(visitor):
    page = visitor.open("compare")
    visitor.give(photos.two_faces(), "two.png")
    visitor.give(photos.astronaut(), "one.png")
    visitor.sees("2 pairs were compared.")
    visitor.sees("The same person, by the default threshold")
    pairs = page.locator(".pairing")
    expect(pairs).to_have_count(2)
    assert "passes strict, as at most 1 in 100,000 strangers do" in pairs.nth(0).inner_text()
    first, second = (float(pairs.nth(number).locator("b").inner_text()) for number in (0, 1))
    assert first > 0.95
    assert second < 0.75
    page.get_by_text("What the thresholds mean").click()
    table = page.locator("table").inner_text()
    assert re.search(r"low\s+0\.569\s+1 in 10\b[\s\S]*default\s+0\.75\s+1 in 30,000[\s\S]*strict\s+0\.7834", table)


def test_search_leads_to_the_face_its_person_and_history(visitor):
    page = visitor.open("search")
    page.get_by_label("Gallery").select_option("guests")
    visitor.give(photos.two_faces(), "two.png")
    visitor.sees("All faces were searched: 1 of 1 search shards answered.")
    results = page.locator(".result-row")
    expect(results).to_have_count(2)
    expect(results.nth(0).locator(".face")).to_have_count(1)  # one of each person is a guest
    picture = results.nth(0).locator(".face img").first
    page.wait_for_function("(image) => image.naturalWidth === 160", arg=picture.element_handle())
    page.get_by_label("Gallery").select_option("default")
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator(".result-row .face >> nth=2").wait_for()
    page.locator(".result-row .face a").first.click()
    page.get_by_role("heading", name="Face").first.wait_for()
    page.locator(".kept .stage .box").wait_for()  # the photo that is kept, with the box
    page.get_by_role("link", name=re.compile("Person")).last.click()
    visitor.sees("3 faces")
    page.get_by_role("link", name="Where and when seen").click()
    expect(page.locator(".timeline .event")).to_have_count(3)


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


def test_persons_are_merged_and_faces_moved(browser, tmp_path, server):
    key, server.key = server.key, server.new_key()
    try:
        for data in (photos.astronaut(), photos.grace_hopper()):
            server.call("POST", "/v1/face", *form({"photo": data, "meta": "somebody"}))
        with Visitor(browser, server.url, server.key) as visitor:
            page = visitor.open("persons")
            page.locator(".face >> nth=1").wait_for()
            page.get_by_role("link", name="somebody").first.click()
            page.get_by_role("button", name="Merge with another person").click()
            page.get_by_role("dialog").get_by_role("button", name="Person 1").click()
            assert page.get_by_label("Number of the other person").input_value() == "1"
            page.get_by_role("dialog").get_by_role("button", name="Merge").click()
            visitor.sees("2 faces")
            assert [person["id"] for person in server.call("GET", "/v1/persons")[1]["results"]] == [2]
            page.get_by_role("button", name="Move to another person").first.click()
            page.get_by_label("Number of the other person").fill("1")
            page.get_by_role("dialog").get_by_role("button", name="Move").click()
            visitor.sees("one face")
            assert {person["id"] for person in server.call("GET", "/v1/persons")[1]["results"]} == {1, 2}
    finally:
        server.key = key


def test_a_choice_of_persons_that_is_closed_asks_for_no_more(visitor):
    page = visitor.open("person/1")
    page.locator(".face").first.wait_for()
    people = {"results": [{"id": number, "meta": ""} for number in range(2, 6)], "next_page": None, "prev_page": None}
    asked: list = []
    page.route("**/v1/persons?*", lambda route: route.fulfill(json=people))
    page.route("**/v1/person/id/*", lambda route: asked.append(route.request))  # without an answer
    page.get_by_role("button", name="Merge with another person").click()
    expect(page.locator(".people button")).to_have_count(4)
    page.wait_for_timeout(300)
    assert len(asked) == 1  # one after the other
    with page.expect_event("requestfailed"):
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.wait_for_timeout(300)
    assert len(asked) == 1


def test_cameras_are_added_changed_and_deleted(visitor, server):
    page = visitor.open("cameras")
    page.get_by_role("button", name="New camera").click()
    page.get_by_label("Name").fill("Garage")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Edit Garage").click()
    page.get_by_label("In use").uncheck()
    page.get_by_label("Region of interest").fill("640, 480, 10, 20")
    page.get_by_role("button", name="Save").click()
    visitor.sees("not in use")
    [camera] = [one for one in server.call("GET", "/v1/camera")[1] if one["meta"] == "Garage"]
    assert (camera["enabled"], camera["roi"]) == (False, [640, 480, 10, 20])
    page.get_by_role("button", name="Delete Garage").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_text("Garage", exact=True).wait_for(state="detached")


def test_history_updates_itself_and_filters(visitor, server):
    page = visitor.open("history")
    page.locator(".timeline .event").first.wait_for()
    before = page.locator(".timeline .event").count()
    fields = {"photo": photos.astronaut(), "meta": "just now", "cam_id": server.cameras[1]}
    server.call("POST", "/v1/face", *form(fields))
    page.get_by_role("link", name="just now").wait_for()
    expect(page.locator(".timeline .event")).to_have_count(before + 1)
    page.locator("select[name=camera]").select_option(label="Hall")
    page.wait_for_function("(before) => document.querySelectorAll('.event').length < before", arg=before)
    page.locator("select[name=friend]").select_option(label="friends only")
    visitor.sees("Nobody was seen")
    server.call("DELETE", "/v1/face/meta/just%20now")


def test_history_is_of_what_was_asked_and_late_answers_are_dropped(visitor, server):
    page = visitor.open("history")
    page.locator(".timeline .event").first.wait_for()
    held: list = []
    page.route("**/v1/history/search", lambda route: route.continue_() if held else held.append(route))
    fields = {"photo": photos.astronaut(), "meta": "too late", "cam_id": server.cameras[0]}
    server.call("POST", "/v1/face", *form(fields))
    page.locator("input[name=person]").press_sequentially("9")  # typed, and not asked for
    while not held:
        page.wait_for_timeout(100)
    assert "person_id" not in held[0].request.post_data_json
    page.locator("input[name=person]").fill("")
    with page.expect_response("**/v1/history/search"):
        page.locator("select[name=camera]").select_option(label="Hall")
    page.wait_for_selector("section:not([aria-busy]) > .timeline")
    with page.expect_response("**/v1/history/search"):
        held[0].continue_()
    page.wait_for_timeout(300)
    expect(page.locator(".timeline .event")).to_have_count(2)
    assert page.get_by_role("link", name="too late").count() == 0
    server.call("DELETE", "/v1/face/meta/too%20late")


def test_filters_can_be_opened_on_a_telephone_that_is_turned(browser, server):
    with Visitor(browser, server.url, server.key, size="phone") as visitor:
        page = visitor.open("history")
        expect(page.locator("select[name=camera]")).to_be_hidden()
        page.set_viewport_size({"width": 800, "height": 400})
        page.get_by_text("Filters", exact=True).click()
        expect(page.locator("select[name=camera]")).to_be_visible()
        expect(page.get_by_text("Filters", exact=True)).to_be_hidden()


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
