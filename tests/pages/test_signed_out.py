"""Who is signed out while a page is open: the page stays as it is, says so, and can be gone on with."""

import re

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import Membership
from prompts.models import Draft, Review
from tests.conftest import _point_at
from tests.pages.conftest import Demo, Visit, accessible, signed_in
from tests.pages.test_edit import GREETING, KEPT, newest, written
from tests.pages.test_promotion import of, promotion_at

PASSWORD = "a long enough secret"
AROUND = {"HX-Request": "true", "HX-Current-URL": "http://testserver/p/demo/prompts/?find=a%26b"}
PARTS = ("/p/demo/promotions/pro_none/news/", "/p/demo/evaluations/runs/run_none/progress/", "/p/demo/tried/a/b/")


def sign_out(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")


# --- What a page asks by itself --------------------------------------------------------------------------------------
def test_the_sign_in_is_not_drawn_into_an_open_page(visit: Visit, demo: Demo) -> None:
    path = of(demo, "support/greeting@9")
    page = visit("cleo", "/p/demo/")
    page.clock.install()
    page.goto(path)
    page.get_by_label("Note").fill("Half a")
    sign_out(page)
    page.clock.fast_forward(11_000)
    told = page.locator(".banner", has_text="You are signed out")
    expect(told).to_be_visible()
    page.clock.fast_forward(1_000)
    expect(page.locator("#live")).to_contain_text("You are signed out.")
    link = told.get_by_role("link", name="Sign in again")
    expect(link).to_have_attribute("href", f"/accounts/sign-in/?next={path}")
    assert page.locator("h1").count() == 1
    expect(page.get_by_label("Note")).to_have_value("Half a")
    expect(page.get_by_label("Note")).to_be_focused()
    accessible(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.fast_forward(60_000)
    with page.context.expect_page():
        link.click()
    assert [url for url in asked if "news" in url] == []


@pytest.mark.parametrize("path", PARTS)
def test_a_part_is_answered_by_a_part(demo: Demo, path: str) -> None:
    answer = Client().get(path, headers=AROUND)
    assert answer.status_code == 286
    assert 'href="/accounts/sign-in/?next=/p/demo/prompts/%3Ffind%3Da%2526b"' in answer.content.decode()
    Membership.objects.filter(user=demo.people["noor"]).delete()
    ada, stranger = signed_in(demo.people["ada"]), signed_in(demo.people["noor"])
    answers = [answer, ada.get(path, headers=AROUND), stranger.get(path, headers=AROUND)]
    for each in answers:
        assert each.status_code == 286
        assert each["Cache-Control"] == "no-store"
        assert "<html" not in each.content.decode()
    assert answers[1].content == answers[2].content
    assert Client().get(path).status_code == 302
    assert ada.get(path).status_code == 404


def test_without_a_database_a_part_is_asked_for_again(demo: Demo) -> None:
    client, name = signed_in(demo.people["ada"]), connection.settings_dict["NAME"]
    client.raise_request_exception = False
    _point_at("nowhere")
    try:
        assert client.get(PARTS[0], headers=AROUND).status_code == 503
    finally:
        _point_at(name)


def test_only_what_a_person_asked_for_is_told_when_it_fails(visit: Visit, demo: Demo) -> None:
    page = visit("cleo", "/p/demo/")
    page.clock.install()
    page.goto(of(demo, "support/greeting@9"))
    page.evaluate("() => { console.error = () => {}; }")  # where htmx writes each failure
    page.route("**/news/**", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(11_000)
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(11_000)
    assert page.locator(".toast").count() == 0
    page.goto("/p/demo/prompts/support/greeting/")
    page.evaluate("() => { console.error = () => {}; }")
    page.route("**/*show=*", lambda route: route.abort())
    page.locator("a[hx-get]").last.click()
    expect(page.locator(".toast")).to_contain_text("PromptForge did not answer.")


# --- Going on after a sign-in in another window ----------------------------------------------------------------------
def sign_in(demo: Demo, page: Page, person: str) -> None:
    """By the form that the page shows."""
    user = demo.people[person]
    user.set_password(PASSWORD)
    user.save()
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")


def sign_in_elsewhere(demo: Demo, page: Page, person: str) -> None:
    """In a second window of the same browser."""
    second = page.context.new_page()
    second.goto("/accounts/sign-in/?next=/p/demo/prompts/")
    sign_in(demo, second, person)
    expect(second).to_have_url(re.compile("/p/demo/prompts/$"))


def test_the_editor_goes_on_after_a_sign_in_elsewhere(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    expect(page.locator(".cm-content")).to_be_visible()
    sign_out(page)
    written(page).fill("Still here")
    expect(page.locator("#kept")).to_contain_text("Sign in again in another window")
    sign_in_elsewhere(demo, page, "ada")
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_have_text(KEPT)
    assert Draft.objects.get().source == "Still here"
    # What waited for the sign-in is out of date by that, and comes back nowhere.
    written(page).fill("Newer")
    expect(page.locator("#kept")).to_have_text(KEPT)
    page.get_by_role("button", name="Save version").last.click()
    expect(page.locator(".banner.is-passed")).to_be_visible()
    assert newest().source == "Newer"
    page.goto(GREETING)
    expect(written(page)).to_have_text("Newer")


def test_a_form_goes_on_after_a_sign_in_elsewhere(visit: Visit, demo: Demo) -> None:
    path = of(demo, "support/greeting@9")
    page = visit("cleo", path)
    page.get_by_label("Note").fill("Said before, sent after")
    sign_out(page)
    sign_in_elsewhere(demo, page, "cleo")
    page.get_by_label("Comment only").check()
    page.get_by_role("button", name="Send review").click()
    expect(page.locator(".banner.is-passed")).to_be_visible()
    assert Review.objects.filter(body="Said before, sent after", promotion=promotion_at(path)).exists()


def test_what_waited_for_a_sign_in_in_the_editor_is_not_taken_for_saved(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    asked: list[str] = []
    written(page).fill("Not sent yet")
    expect(page.locator("#kept")).to_have_text(KEPT)
    sign_out(page)
    page.get_by_role("button", name="Save version").last.click()
    expect(page.locator("h1")).to_have_text("Sign in")
    sign_in(demo, page, "ada")
    expect(page.locator(".banner.is-failed")).to_contain_text("Your form was not sent yet")
    expect(written(page)).to_have_text("Not sent yet")
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Draft on top")
    assert asked == ["beforeunload"]
