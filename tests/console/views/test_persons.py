"""Persons, cameras and history, as a person would use their views."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.console.browser import Visitor
from tests.support import photos
from tests.support.live import form

pytestmark = pytest.mark.slow


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


def test_a_history_that_is_left_open_begins_anew_before_it_is_too_long(visitor, server):
    page = visitor.open("history")
    page.locator(".timeline .event").first.wait_for()
    event = server.call("POST", "/v1/history/search", b'{"limit": 1}')[1]["results"][0]
    newer = [event | {"id": event["id"] + 1 + number} for number in range(1001)]
    answers = [newer, newer[:3]]
    page.route("**/v1/history/search", lambda route: route.fulfill(json={"results": answers.pop(0)}), times=2)
    expect(page.locator(".timeline .event")).to_have_count(3)
    assert answers == []


def test_filters_can_be_opened_on_a_telephone_that_is_turned(browser, server):
    with Visitor(browser, server.url, server.key, size="phone") as visitor:
        page = visitor.open("history")
        expect(page.locator("select[name=camera]")).to_be_hidden()
        page.set_viewport_size({"width": 800, "height": 400})
        page.get_by_text("Filters", exact=True).click()
        expect(page.locator("select[name=camera]")).to_be_visible()
        expect(page.get_by_text("Filters", exact=True)).to_be_hidden()
