"""Drafts in the browser: what one writes is kept, by nobody else's window changed, and saved with one click."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from prompts.actions.versions import save_version
from prompts.models import Draft
from tests.pages.conftest import Demo, Visit, signed_in
from tests.pages.test_edit import GREETING, KEPT, form_of, newest, written


def test_a_draft_outlives_the_browser(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    written(page).fill("Half a thought")
    expect(page.locator("#kept")).to_have_text(KEPT)
    page.context.close()
    again = visit("ada", GREETING)
    expect(written(again)).to_have_text("Half a thought")
    expect(again.locator("h1")).to_contain_text("Draft on top of version")


def test_two_windows_lose_nothing(visit: Visit, demo: Demo) -> None:
    one = visit("ada", GREETING)
    two = one.context.new_page()
    two.goto(GREETING)
    written(one).fill("From window one")
    expect(one.locator("#kept")).to_have_text(KEPT)
    written(two).fill("From window two")
    expect(two.locator("#two-windows")).to_be_visible()
    assert Draft.objects.get().source == "From window one"
    expect(written(two)).to_have_text("From window two")
    two.get_by_role("button", name="Keep what stands here").click()
    expect(two.locator("#two-windows")).to_have_count(0)
    assert Draft.objects.get().source == "From window two"
    written(two).fill("Two again")
    expect(two.locator("#kept")).to_have_text(KEPT)
    # Saving from the window that was left behind is held back too.
    one.get_by_role("button", name=re.compile("Save version")).last.click()
    expect(one.locator("#two-windows")).to_be_visible()
    expect(written(one)).to_have_text("From window one")
    assert Draft.objects.get().source == "Two again"


def test_an_edit_of_what_is_live_drops_no_newer_work_unseen(visit: Visit, demo: Demo) -> None:
    """The page of a prompt shows what is live; somebody else may be two versions further."""
    before = newest()
    farah, prompt = demo.principal("farah"), before.prompt
    for text in ("By somebody else", "By somebody else, again"):
        save_version(by=farah, prompt=prompt, content=text, variables=[])
    page = visit("ada", f"{GREETING}?from={before.number}")
    banner = page.locator("#state .banner")
    expect(banner).to_contain_text(f"the text of version {before.number}, and {before.number + 2} is the newest")
    written(page).fill("Mine, from what is live")
    expect(page.locator("#kept")).to_have_text(KEPT)
    expect(page.locator("#titled")).to_have_text(f"Draft on top of version {before.number}")
    expect(banner).to_contain_text(f"Version {before.number + 2} came after {before.number}, which you began with")
    assert Draft.objects.get().base_version == before
    page.get_by_role("button", name=re.compile("Save version")).last.click()
    expect(page.locator(".banner.is-failed")).to_contain_text(f"save on top of {before.number + 2}")
    assert newest().number == before.number + 2
    page.get_by_role("button", name=re.compile("Go on on top of")).click()
    expect(banner).to_have_count(0)
    page.get_by_role("button", name=re.compile("Save version")).last.click()
    expect(page.locator(".banner.is-passed")).to_be_visible()
    assert newest().source == "Mine, from what is live"


def test_line_ends_that_no_form_holds_are_those_of_the_version_that_it_began_with(demo: Demo) -> None:
    farah, prompt, mixed = demo.principal("farah"), newest().prompt, "One\r\ntwo\nthree"
    for text in (mixed, "By somebody else"):
        save_version(by=farah, prompt=prompt, content=text, variables=[])
    client, path = signed_in(demo.people["ada"]), f"{GREETING}?from={newest().number - 1}"
    sent = form_of(client, path) | {"act": "draft", "text": ["One\r\ntwo\r\nthree"]}
    client.post(GREETING, sent)
    assert Draft.objects.get().source == mixed


def test_a_text_outlives_the_session(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    expect(page.locator(".cm-content")).to_be_visible()
    cookies = page.context.cookies()
    page.context.clear_cookies()
    written(page).fill("Still here")
    expect(page.locator("#kept")).to_contain_text("still here")
    assert not Draft.objects.exists()
    page.context.add_cookies(cookies)
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_have_text(KEPT)
    assert Draft.objects.get().source == "Still here"


def test_leaving_with_unsaved_text_warns(visit: Visit, demo: Demo) -> None:
    page = visit("ada", "/p/demo/prompts/new/")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_label("Name", exact=True).fill("test/unsaved")
    page.get_by_role("link", name="History").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("test/unsaved")
    assert asked == ["beforeunload"]


def test_leaving_with_a_new_prompt_that_was_refused_warns(visit: Visit, demo: Demo) -> None:
    page = visit("ada", "/p/demo/prompts/new/?type=text")
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_label("Name", exact=True).fill("support/greeting")
    written(page).fill("Hello")
    page.get_by_role("button", name="Save version 1").last.click()
    expect(page.locator(".banner.is-failed")).to_be_visible()
    page.get_by_role("link", name="History").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("support/greeting")
    assert asked == ["beforeunload"]


def held(page: Page) -> list[Any]:
    """The answer to what the editor sends next waits on the way until it is let through, or lost."""
    waiting: list[Any] = []

    def hold(route: Any) -> None:
        if waiting or route.request.headers.get("hx-request") is None:
            route.continue_()
        else:
            answer = route.fetch()
            waiting.append(lambda: route.fulfill(response=answer))

    page.route("**/edit/**", hold)
    return waiting


def kept_slowly(page: Page) -> list[Any]:
    """The server keeps the next draft, and its answer waits on the way."""
    waiting = held(page)
    with page.expect_request(lambda request: request.method == "POST"):
        written(page).fill("\n".join(["Write to {{ nobody_declared_this }}"] * 12))
    arrived(page, waiting)
    assert Draft.objects.exists()
    return waiting


def arrived(page: Page, waiting: list[Any]) -> None:
    for _ in range(100):
        if waiting:
            return
        page.wait_for_timeout(50)


def test_whoever_saves_while_the_draft_is_being_kept_saves_what_stands_there(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    waiting = kept_slowly(page)
    written(page).fill("With more")
    page.get_by_role("button", name="Save version").last.click()
    waiting[0]()
    expect(page.locator(".banner.is-passed")).to_be_visible()
    assert newest().source == "With more"
    assert not Draft.objects.exists()


def test_what_is_being_pressed_does_not_move_away(visit: Visit, demo: Demo) -> None:
    """The answer to a draft draws advice above the button: a click that has begun must still end on it."""
    page = visit("ada", GREETING)
    before = page.locator("#seen").input_value()
    waiting = kept_slowly(page)
    button = page.get_by_role("button", name="Save version").last
    button.scroll_into_view_if_needed()
    place = button.bounding_box()
    assert place
    page.mouse.move(place["x"] + 20, place["y"] + 10)
    page.mouse.down()
    waiting[0]()
    expect(page.locator("#seen")).not_to_have_value(before)
    page.mouse.up()
    expect(page.locator(".banner.is-passed")).to_be_visible()
    assert newest().source.endswith("{{ nobody_declared_this }}")


def test_what_a_button_will_replace_is_not_written_on_meanwhile(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    written(page).fill("Before")
    expect(page.locator("#kept")).to_have_text(KEPT)
    page.get_by_label("Declare a variable").fill("order_number")
    waiting = held(page)
    button = page.get_by_role("button", name="Declare", exact=True)
    button.click()
    arrived(page, waiting)
    page.locator(".cm-content").first.evaluate("(text) => text.focus()")
    page.keyboard.type("Lost. ")
    assert page.locator(".cm-content").first.inner_text() == "Before"
    waiting[0]()
    expect(page.get_by_label("Type of order_number")).to_be_focused()
    # Where no answer comes, one goes on with what stands there.
    page.route("**/edit/**", lambda route: route.abort())
    page.get_by_label("Declare a variable").fill("shop")
    button.click()
    expect(page.locator("#kept")).to_contain_text("did not answer")
    expect(button).to_be_focused()
    page.unroute_all()
    written(page).fill("After")
    expect(page.locator("#kept")).to_have_text(KEPT)
    assert Draft.objects.get().source == "After"
