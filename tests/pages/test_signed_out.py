"""Who is signed out while a page is open: the page stays as it is, says so, and can be gone on with."""

import pytest
from django.db import connection
from django.test import Client
from playwright.sync_api import Page, expect

from accounts.models import Membership
from tests.conftest import _point_at
from tests.pages.conftest import Demo, Visit, accessible, signed_in
from tests.pages.test_promotion import of

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
