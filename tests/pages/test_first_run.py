"""The first start in the browser: for whoever knows the code, once, and for one of two; and a further project."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, expect

from accounts.models import Membership, Project, User
from accounts.setup_code import setup_code
from tests.pages.conftest import Demo, Visit, _watch, accessible, fits, signed_in
from tests.pages.test_screens import SCREENS

SENT = {
    "called": "Cleo Marchetti",
    "email": "cleo@example.com",
    "password": "a long enough secret",
    "again": "a long enough secret",
    "name": "customer-care",
    "preset": "team",
    "examples": "no",
}


def form(**other: str) -> dict[str, str]:
    return SENT | {"code": setup_code()} | other


@pytest.fixture
def empty(committed_db: str) -> str:
    assert not User.objects.exists()
    return committed_db


@pytest.fixture
def fresh_page(empty: str, chromium: Browser, origin: str) -> Iterator[Any]:
    wrong: list[str] = []
    context = chromium.new_context(base_url=origin, viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(10_000)
    page = context.new_page()
    _watch(page, origin, wrong)
    yield page
    context.close()
    assert wrong == []


def test_by_keyboard_to_a_project_of_one_s_own(fresh_page: Any) -> None:
    page = fresh_page
    page.goto("/")
    expect(page.locator("h1:visible")).to_have_text("Who are you?")
    accessible(page)
    expect(page.get_by_label("Set-up code")).to_be_focused()
    page.keyboard.type(setup_code().lower().replace("-", " "))
    for text in ("Cleo Marchetti", "cleo@example.com", SENT["password"], SENT["again"]):
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Enter")
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type("customer-care")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="How careful should stable be?")).to_be_visible()
    assert page.locator("[name=preset]:checked").count() == 0
    page.keyboard.press("Enter")  # nothing is chosen, so it does not go on
    expect(page.locator("#rules")).to_be_visible()
    accessible(page)
    page.emulate_media(color_scheme="dark")
    accessible(page, "color-contrast")
    page.set_viewport_size({"width": 360, "height": 800})
    fits(page)
    page.get_by_role("radio", name="Team").press("Space")
    expect(page.locator("#onward")).to_have_text("Continue with Team")
    page.locator("#onward").press("Enter")
    page.get_by_role("radio", name="Without").press("Space")
    page.locator("#finish").press("Enter")
    expect(page.locator(".banner.is-passed")).to_contain_text("customer-care is yours.")
    expect(page.locator(".me")).to_contain_text("Cleo Marchetti")
    cleo = User.objects.get()
    assert cleo.is_superuser
    assert cleo.check_password(SENT["password"])
    membership = Membership.objects.get()
    assert (membership.project.name, membership.roles) == ("customer-care", ["admin", "release-manager"])
    assert page.goto("/welcome/").status == 404


@pytest.mark.screens
def test_pictures(fresh_page: Any) -> None:
    page = fresh_page
    SCREENS.mkdir(parents=True, exist_ok=True)
    page.goto("/welcome/")
    for field in ("called", "email", "password", "again", "name"):
        page.locator(f"#{field}").evaluate("(input, text) => { input.value = text; }", SENT[field])
    page.locator("#code").fill(setup_code())
    for step in ("you", "project", "rules", "examples"):
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for width in (390, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                page.screenshot(path=SCREENS / f"welcome-{step}-{theme}-{width}.png", full_page=True)
        if step == "rules":
            page.get_by_role("radio", name="Team").check()
        if step != "examples":
            page.locator("#onward").click()


def test_with_examples_and_without_scripts(empty: str) -> None:
    client = Client()
    assert client.get("/").headers["Location"] == "/welcome/"
    assert SENT["password"] not in client.get("/welcome/").content.decode()
    assert client.post("/welcome/", form(examples="yes")).status_code == 302
    assert sorted(Project.objects.values_list("name", flat=True)) == ["customer-care", "demo"]
    assert client.get("/p/demo/prompts/support/greeting/").status_code == 200
    assert client.get("/p/customer-care/settings/members/").status_code == 200
    absent = [client.get("/welcome/").status_code, Client().get("/welcome/").status_code]
    assert [*absent, Client().post("/welcome/", form(email="second@example.com")).status_code] == [404] * 3


@pytest.mark.parametrize(
    ("sent", "status", "field"),
    [
        ({"code": "AAAA-AAAA-AAAA-AAAA"}, 403, "code"),
        ({"code": ""}, 403, "code"),
        ({"called": " "}, 400, "called"),
        ({"email": "cleo"}, 400, "email"),
        ({"password": "short", "again": "short"}, 400, "password"),
        ({"again": "another long secret"}, 400, "again"),
        ({"name": "Customer care"}, 400, "name"),
        ({"preset": "lax"}, 400, "preset"),
        ({"preset": ""}, 400, "preset"),
        ({"examples": ""}, 400, "examples"),
        ({"examples": "yes", "name": "demo"}, 400, "name"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_made(
    empty: str, sent: dict[str, str], status: int, field: str
) -> None:
    answer = Client().post("/welcome/", form(**sent))
    body = answer.content.decode()
    assert answer.status_code == status
    assert f'id="{field}-says" class="error"' in body
    assert SENT["password"] not in body
    assert "cleo" in body
    assert not User.objects.exists()
    assert not Project.objects.exists()


def test_of_two_at_once_one_is_the_first(empty: str) -> None:
    def begin(number: int) -> int:
        try:
            sent = form(email=f"p{number}@example.com", name=f"project-{number}")
            return Client().post("/welcome/", sent).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(begin, range(4)))
    assert said == [302, 404, 404, 404]
    assert User.objects.count() == Project.objects.count() == 1


def test_a_form_from_elsewhere_is_refused(empty: str) -> None:
    assert Client(enforce_csrf_checks=True).post("/welcome/", form()).status_code == 403
    assert not User.objects.exists()


def test_the_code_is_told_until_there_is_an_account(empty: str, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("setup_code")
    assert capsys.readouterr().out.endswith(f"/welcome/  code {setup_code()}\n")
    Client().post("/welcome/", form())
    call_command("setup_code")
    assert capsys.readouterr().out == ""


# --- A further project -----------------------------------------------------------------------------------------------
def test_a_further_project_is_made_and_switched_to(visit: Visit, demo: Demo) -> None:
    page = visit("noor", "/p/demo/prompts/")
    page.locator(".switch-project > summary").press("Enter")
    page.get_by_role("link", name="New project").press("Enter")
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill("Not so")
    page.get_by_role("radio", name="Solo").press("Space")
    page.keyboard.press("Enter")
    expect(page.locator("#name-says")).to_contain_text("is no project name")
    expect(page.get_by_role("radio", name="Solo")).to_be_checked()
    page.get_by_label("Name").fill("of-noor")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("1 person works in of-noor")
    page.locator(".switch-project > summary").press("Enter")
    page.locator(".switch-project .list").get_by_role("link", name="demo").press("Enter")
    expect(page).to_have_url(re.compile("/p/demo/"))


def test_whoever_has_no_project_is_offered_one_and_the_admin_where_it_opens(demo: Demo) -> None:
    for is_staff in (False, True):
        user = User.objects.create_user(f"{is_staff}@example.com".lower(), name="Nobody Yet", is_staff=is_staff)
        shown = signed_in(user).get("/").content.decode()
        assert 'href="/projects/new/"' in shown
        assert ("Open the admin" in shown) is is_staff


def test_a_project_takes_a_sign_in_and_a_free_name(demo: Demo) -> None:
    assert Client().get("/projects/new/").status_code == 302
    noor = signed_in(demo.people["noor"])
    taken = noor.post("/projects/new/", {"name": "demo", "preset": "solo"})
    assert taken.status_code == 409
    assert "The name is taken already." in taken.content.decode()
    assert Project.objects.count() == 1
