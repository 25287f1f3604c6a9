"""Prompts and Prompt: finding, reading, promoting and rolling back; by keyboard, without scripts, and refused."""

import re

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import Page, expect

from prompts.actions.prompts import change_prompt
from prompts.actions.releases import promote
from prompts.actions.versions import save_version
from prompts.models import Channel, Head, Promotion, Prompt, PromptVersion
from prompts.pages import listing
from prompts.reading import find_version
from tests.pages.conftest import Demo, Visit, signed_in

GREETING = "/p/demo/prompts/support/greeting/"


def live(name: str = "support/greeting", channel: str = "stable") -> int:
    head = Head.objects.select_related("version").get(prompt__name=name, channel__name=channel)
    assert head.version is not None
    return head.version.number


def stepped_to(page: Page, text: str) -> None:
    """Tab until something with this text has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if text in page.evaluate(
            "document.activeElement.matches('a, button') ? document.activeElement.textContent : ''"
        ):
            return
    raise AssertionError(f"no key leads to {text}")


def test_by_keyboard_from_the_list_to_a_rollback(visit: Visit, demo: Demo) -> None:
    was = live()
    page = visit("cleo", "/p/demo/prompts/")
    page.keyboard.press("/")
    page.keyboard.type("support/greeting")
    expect(page.locator("#found tbody tr")).to_have_count(1)
    expect(page.locator("#live")).to_have_text("1 prompt found.")
    page.keyboard.press("Escape")
    stepped_to(page, "support/greeting")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("support/greeting")
    stepped_to(page, "Roll back to")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Reason for rolling back")).to_be_focused()
    page.keyboard.type("It greets twice.")
    page.keyboard.press("Enter")
    banner = page.locator(".banner.is-passed")
    expect(banner).to_be_focused()
    expect(banner).to_contain_text("is live in stable again.")
    assert live() != was


def test_without_scripts_a_version_goes_to_staging(visit: Visit, demo: Demo) -> None:
    page = visit("cleo", "/p/demo/prompts/support/order-status/", scripts=False)
    page.get_by_role("link", name=re.compile("Promote .* to staging")).click()
    page.get_by_label("Why").fill("For the tests.")
    page.get_by_role("button", name=re.compile("Promote version")).click()
    expect(page.locator(".banner.is-passed")).to_be_visible()
    assert live("support/order-status", "staging") == 7


def test_a_refusal_keeps_what_was_typed_and_moves_nothing(visit: Visit, demo: Demo) -> None:
    was = live()
    page = visit("cleo", f"{GREETING}?act=roll-back&channel=stable")
    page.get_by_label("Reason for rolling back").fill("It greets twice.")
    # As if somebody else had moved the channel meanwhile.
    page.evaluate("document.querySelector('[name=revision]').value = '1'")
    page.get_by_role("button", name=re.compile("Roll back to")).click()
    expect(page.locator(".banner.is-failed")).to_be_focused()
    expect(page.locator(".banner.is-failed")).to_contain_text("Look at it and decide again.")
    expect(page.get_by_label("Reason for rolling back")).to_have_value("It greets twice.")
    assert live() == was


def test_a_reason_stays_readable(demo: Demo) -> None:
    was, cleo = live(), signed_in(demo.people["cleo"])
    sent = {"channel": "stable", "version": "7", "reason": "x" * 2_001}
    for act in ("promote", "roll-back"):
        answer = cleo.post(GREETING, sent | {"act": act})
        assert answer.status_code == 400
        assert "The reason has 2,001 characters; at most 2,000 are kept." in answer.content.decode()
    assert live() == was


def test_an_editor_sees_no_button_that_would_be_refused(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    assert page.get_by_role("link", name=re.compile("^Roll back")).count() == 0
    answer = signed_in(demo.people["ada"]).post(
        GREETING, {"act": "roll-back", "channel": "stable", "version": "1", "reason": "Just so."}
    )
    assert answer.status_code == 403
    assert "Your role in demo does not let you" in answer.content.decode()


def test_a_tab_changes_the_text_alone_and_keeps_its_address(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    page.get_by_role("link", name="Use it").click()
    expect(page.locator("#shown-title")).to_have_text("Use it")
    expect(page.locator("#live")).to_contain_text("Use it of version")
    assert page.url.endswith("?show=use")
    tab = page.get_by_role("navigation", name="About this prompt").locator("[aria-current]")
    expect(tab).to_have_text("Use it")
    expect(tab).to_be_focused()
    page.go_back()
    expect(page.locator("#shown-title")).to_contain_text("Version")


def test_the_open_tab_stays_when_another_version_is_looked_at(visit: Visit, demo: Demo) -> None:
    page = visit("ada", f"{GREETING}?show=config")
    page.get_by_role("link", name=re.compile("^Variables")).click()
    expect(page).to_have_url(re.compile("show=variables"))
    page.locator(".timeline a.version", has_text="5").click()
    expect(page.locator("#shown-title")).to_have_text("Version 5")
    tab = page.get_by_role("navigation", name="About this prompt").locator("[aria-current]")
    expect(tab).to_contain_text("Variables")


def test_one_tick_is_compared_with_what_is_live(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    page.get_by_label("Compare version 5").check()
    page.get_by_role("button", name="Compare two").click()
    expect(page.locator("h1")).to_have_text(f"Version {live()} beside version 5")


def test_a_filter_keeps_the_words_that_were_searched_for(visit: Visit, demo: Demo) -> None:
    page = visit("ada", "/p/demo/prompts/")
    page.get_by_label("Name, purpose or text").press_sequentially("refund")
    expect(page.locator("#live")).to_contain_text("found.")
    for name in ("All prompts", "support", "by name"):
        expect(page.locator("main").get_by_role("link", name=re.compile(f"^{name}")).first).to_have_attribute(
            "href", re.compile("q=refund")
        )
    expect(page.get_by_label("Name, purpose or text")).to_be_focused()
    page.locator("#filters").get_by_role("link", name="Stable behind newest").click()
    expect(page.get_by_label("Name, purpose or text")).to_have_value("refund")


def queries(demo: Demo, path: str) -> int:
    client = signed_in(demo.people["cleo"])
    client.get(path)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    return len(asked)


def test_the_number_of_queries_does_not_grow(demo: Demo) -> None:
    before = {path: queries(demo, path) for path in ("/p/demo/prompts/", GREETING)}
    ada, prompt = demo.principal("ada"), Prompt.objects.get(name="support/greeting")
    staging = Channel.objects.select_related("policy").get(project=demo.project, name="staging")
    for number in range(30):
        saved = save_version(by=ada, prompt=prompt, content=f"Hello {number}", variables=[], message=f"Try {number}")
        promote(
            by=demo.principal("cleo"),
            prompt=prompt,
            channel=staging,
            version=find_version(prompt, saved.version.number),
        )
    assert {path: queries(demo, path) for path in before} == before
    assert max(before.values()) <= 30


def test_the_filters_leave_what_they_say(demo: Demo) -> None:
    change_prompt(by=demo.principal("ada"), prompt=Prompt.objects.get(name="support/house-style"), archived=True)
    client, live_now = signed_in(demo.people["ada"]), dict(
        Head.objects.filter(channel__name="stable", version__isnull=False).values_list("prompt", "version__number")
    )  # fmt: skip
    working = list(Prompt.objects.filter(archived_at=None))
    opened = set(Promotion.objects.filter(state="OPEN").values_list("prompt", flat=True))
    expected = {
        "": working,
        "open": [prompt for prompt in working if prompt.pk in opened],
        "behind": [
            prompt for prompt in working if live_now.get(prompt.pk, prompt.next_number) < prompt.next_number - 1
        ],
        "never": [prompt for prompt in working if prompt.pk not in live_now],
        "archived": [Prompt.objects.get(name="support/house-style")],
    }
    for state, prompts in expected.items():
        answer = client.get("/p/demo/prompts/", {"state": state})
        assert {row.prompt.name for row in answer.context["rows"]} == {prompt.name for prompt in prompts}, state
        counted = {name: count for name, _, count in answer.context["filters"]}
        assert counted == {name: len(prompts) for name, prompts in expected.items() if name}
    changes = [row.changed_at for row in client.get("/p/demo/prompts/").context["rows"]]
    assert changes == sorted(changes, reverse=True)
    texts = {
        row.prompt.name
        for row in client.get("/p/demo/prompts/", {"q": "ALDER & finch", "tag": "internal"}).context["rows"]
    }
    assert texts == {
        version.prompt.name
        for version in PromptVersion.objects.filter(
            prompt__tags__contains=["internal"], number=F("prompt__next_number") - 1
        )
        if "alder & finch" in version.content.lower()
    }


def test_the_first_pages_of_many_are_the_same_as_when_all_are_asked(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What indexes find of the newest is the beginning of the whole order, whatever is looked at."""
    visible = Prompt.objects.filter(project=demo.project)
    stable = listing.filtered(visible, demo.project, "behind")
    for prompts in (visible, visible.filter(archived_at=None), stable, visible.filter(name__startswith="support/")):
        names = [prompt.name for prompt in listing.ByLastChange(prompts, prompts.count())[0:100]]
        assert len(names) == prompts.count() > 1
        monkeypatch.setattr(listing.ByLastChange, "FEW", len(names) - 1)
        for most in range(1, len(names)):
            first = [prompt.name for prompt in listing.ByLastChange(prompts, len(names))[0:most]]
            assert first == names[:most]
        monkeypatch.undo()
