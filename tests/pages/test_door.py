"""What every page of a project does at its door: signing in, foreign and absent, and what was typed meanwhile."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from accounts.models import Membership, Session
from accounts.pages.door import AUTHOR, TYPED
from promptforge.pages import urlpatterns
from tests.conftest import _point_at
from tests.pages.conftest import Demo, Visit, accessible, signed_in
from tests.pages.listed import PAGES

OF_A_PROJECT = [shown for shown in PAGES if not isinstance(shown.path, str) or shown.path.startswith("/p/")]


def test_nobody_sees_it_who_is_not_a_member(demo: Demo) -> None:
    paths = [shown.address(demo) for shown in OF_A_PROJECT]
    Membership.objects.filter(user=demo.people["noor"]).delete()
    stranger = signed_in(demo.people["noor"])
    for path in paths:
        answer = Client().get(path)
        assert answer.status_code == 302, path
        assert "next=" in answer["Location"]
        foreign, absent = stranger.get(path), stranger.get(path.replace("/p/demo/", "/p/none/"))
        assert foreign.status_code == absent.status_code == 404, path
        blotted = [re.sub(rb"<code>\w+</code>", b"", answer.content) for answer in (foreign, absent)]
        assert blotted[0] == blotted[1], path


def test_every_page_of_a_project_is_listed() -> None:
    def names(patterns: list) -> set[str]:
        found: set[str] = set()
        for pattern in patterns:
            found |= names(pattern.url_patterns) if hasattr(pattern, "url_patterns") else {pattern.name}
        return found

    listed = {shown.name.partition("-")[0] for shown in PAGES}
    assert {name.partition("-")[0] for name in names(urlpatterns)} <= listed


def test_pages_answer_only_what_they_do(demo: Demo) -> None:
    client = signed_in(demo.people["ada"])
    assert client.delete("/p/demo/prompts/").status_code == 405
    assert client.post("/p/demo/prompts/").status_code == 405


def test_a_form_needs_its_token(demo: Demo) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(demo.people["cleo"], backend="django.contrib.auth.backends.ModelBackend")
    answer = client.post("/p/demo/prompts/support/greeting/", {"act": "roll-back"})
    assert answer.status_code == 403
    assert "Load the page again" in answer.content.decode()


def ended(demo: Demo, name: str) -> Client:
    """The browser of somebody who was shown a page, and whose session has ended since."""
    client = signed_in(demo.people[name])
    assert client.get("/p/demo/prompts/").status_code == 200
    Session.objects.all().delete()
    del client.cookies["sessionid"]  # as a browser does when its time is over
    return client


def test_what_was_typed_waits_behind_the_sign_in(demo: Demo) -> None:
    client = ended(demo, "cleo")
    path = "/p/demo/prompts/support/greeting/"
    typed = {"act": "roll-back", "channel": "stable", "version": "8", "reason": "It greets <twice>."}
    answer = client.post(path, typed)
    assert answer.status_code == 302
    assert Session.objects.get().expire_date < timezone.now() + timedelta(minutes=31)
    client.force_login(demo.people["cleo"], backend="django.contrib.auth.backends.ModelBackend")
    again = client.get(path).content.decode()
    assert "It greets &lt;twice&gt;." in again
    assert "Your form was not sent yet" in again
    after = client.get(path).content.decode()
    assert "It greets" not in after
    assert "not sent yet" not in after


def test_nothing_is_kept_of_what_a_stranger_sends(demo: Demo) -> None:
    ada, noor = ended(demo, "ada"), ended(demo, "noor")
    Membership.objects.filter(user=demo.people["noor"]).delete()
    forged = Client()
    forged.cookies[AUTHOR] = str(demo.people["ada"].pk)
    for client, project in ((Client(), "demo"), (Client(), "none"), (forged, "demo"), (noor, "demo"), (ada, "none")):
        path = f"/p/{project}/prompts/support/greeting/"
        answer = client.post(path, {"act": "roll-back", "reason": "x" * 10_000})
        assert answer["Location"].startswith("/accounts/sign-in/?next="), path
    assert not Session.objects.exists()


def test_a_sign_in_lasts_as_long_as_any_although_something_waited(demo: Demo) -> None:
    client = ended(demo, "ada")
    demo.people["ada"].set_password("a long enough secret")
    demo.people["ada"].save()
    client.post("/p/demo/edit/support/greeting/", {"act": "draft", "text": "Typed", "config": "{}"})
    client.post("/accounts/sign-in/", {"login": demo.people["ada"].email, "password": "a long enough secret"})
    session = Session.objects.get()
    assert session.user == demo.people["ada"]
    assert session.expire_date > timezone.now() + timedelta(hours=11)
    assert TYPED in client.session


def test_what_waited_is_dropped_when_the_form_is_sent_meanwhile(demo: Demo) -> None:
    client, path = ended(demo, "ada"), "/p/demo/edit/support/greeting/"
    client.post(path, {"act": "draft", "text": "Older", "config": "{}"})
    client.force_login(demo.people["ada"], backend="django.contrib.auth.backends.ModelBackend")
    client.post(path, {"act": "draft", "text": "Newer", "config": "{}"})
    again = client.get(path).content.decode()
    assert "Newer</textarea>" in again
    assert "not sent yet" not in again


@pytest.mark.parametrize("path", ["/", "/p/demo/prompts/"])
def test_without_a_database_it_says_so(demo: Demo, path: str) -> None:
    client, name = signed_in(demo.people["ada"]), connection.settings_dict["NAME"]
    client.raise_request_exception = False
    _point_at("nowhere")
    try:
        answer = client.get(path)
    finally:
        _point_at(name)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "1"
    assert "PromptForge cannot answer just now" in answer.content.decode()
    assert client.get("/p/demo/prompts/").status_code == 200


def test_the_theme_is_kept_in_the_browser(visit: Visit, demo: Demo) -> None:
    page = visit("ada", "/p/demo/prompts/", theme="light")
    page.locator(".me").click()
    page.get_by_role("button", name="Dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    accessible(page)


def test_the_keys_are_told_and_can_be_turned_off(visit: Visit, demo: Demo) -> None:
    page = visit("ada", "/p/demo/prompts/")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    accessible(page)
    page.locator("#single-keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()


def test_the_navigation_opens_on_a_phone(visit: Visit, demo: Demo) -> None:
    page = visit("ada", "/p/demo/prompts/", width=390)
    assert not page.locator("#side").is_visible()
    page.get_by_role("link", name="Navigation").click()
    expect(page.locator("#side")).to_be_visible()
    accessible(page)
