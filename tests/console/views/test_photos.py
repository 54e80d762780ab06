"""What is done with one photo or two, as a person would, with real networks and faces."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support import photos
from tests.support.live import jpeg
from tests.support.pictures_server import serve_pictures

pytestmark = pytest.mark.slow


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
    page.get_by_role("button", name="Start the camera").click()
    page.locator(".stage .box.known").wait_for()
    pulled_out = "document.querySelector('video').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"
    page.evaluate(pulled_out)
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
