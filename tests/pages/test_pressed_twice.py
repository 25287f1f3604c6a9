"""Forms that cost something when they are sent twice: a second press, while the first is on its way, sends nothing."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.pages.conftest import Demo, Visit
from tests.pages.evaluated import evaluated
from tests.pages.test_edit import GREETING, newest, written

NEW_RUN = "/p/demo/evaluations/runs/new/?prompt=shop/size-advice&set=Rug+sizes"


def on_their_way(page: Page) -> list[Any]:
    """What the page posts is held back, until somebody lets it through or breaks it off."""
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route) if route.request.method == "POST" else route.continue_()

    page.route("**/p/demo/**", hold)
    return held


def press(page: Page, place: Any) -> None:
    """By the mouse, which does not wait for the page that the press asks for."""
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)


def pressed_twice(page: Page, name: str) -> tuple[list[Any], Any]:
    button = page.get_by_role("button", name=name).last
    button.scroll_into_view_if_needed()
    held, place = on_their_way(page), button.bounding_box()
    with page.expect_request(lambda request: request.method == "POST"):
        press(page, place)
    press(page, place)
    return held, place


@pytest.mark.parametrize(
    ("person", "path", "field", "button"),
    [
        ("farah", "/p/demo/settings/keys/?act=make", "Name", "Make the key"),
        ("ada", "/p/demo/evaluations/new/?prompt=support/greeting", "Name", "Make the set"),
        ("emil", NEW_RUN, "", "Start the run"),
    ],
)
def test_a_form_is_sent_once(visit: Visit, demo: Demo, person: str, path: str, field: str, button: str) -> None:
    if path == NEW_RUN:
        evaluated(demo, "FAIL")
    page = visit(person, path)
    if field:
        page.get_by_label(field, exact=True).fill("till")
    held, _ = pressed_twice(page, button)
    held[0].fulfill(status=200, body="<h1>Arrived</h1>", content_type="text/html")
    expect(page.locator("h1")).to_have_text("Arrived")
    assert len(held) == 1


def test_a_version_is_saved_once_and_again_when_the_page_comes_back(visit: Visit, demo: Demo) -> None:
    number = newest().number
    page = visit("ada", GREETING)
    written(page).fill("Saved once")
    expect(page.locator("#kept")).to_contain_text("Draft saved")
    held, place = pressed_twice(page, "Save version")
    held[0].fulfill(status=204)
    assert len(held) == 1
    # As when the browser shows the page from its memory.
    page.evaluate("() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    page.unroute_all()
    press(page, place)
    expect(page.locator(".banner.is-passed")).to_contain_text(f"Version {number + 1} is saved.")
