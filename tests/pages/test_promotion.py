"""A promotion in the browser: its life by keys alone, without scripts, and what must not get through."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from playwright.sync_api import expect

from accounts.actions.members import grant_break_glass
from accounts.sign_in import SIGNED_IN_AT
from promptforge.lib.ids import encode
from prompts.actions.promotions import open_promotion
from prompts.actions.releases import rollback
from prompts.actions.reviews import review
from prompts.actions.schedules import schedule
from prompts.actions.versions import save_version
from prompts.models import Channel, Head, Promotion, Prompt, Ratification, Release, Review, Schedule
from prompts.reading import find_version
from prompts.shapes import digest_text
from tests.pages.conftest import Demo, Visit, accessible, signed_in
from tests.pages.listed import promotion as address_of

GREETING, FORMS = "support/greeting", "docs/return-details"
LONG_REASON = "The reason has 2,001 characters; at most 2,000 are kept."


def live(name: str = GREETING) -> int:
    head = Head.objects.select_related("version").get(prompt__name=name, channel__name="stable")
    assert head.version is not None
    return head.version.number


def saved(demo: Demo, text: str, name: str = GREETING, by: str = "ada") -> int:
    prompt = Prompt.objects.get(name=name, project=demo.project)
    made = save_version(by=demo.principal(by), prompt=prompt, content=text, message="Shorter still")
    return made.version.number


def opened(demo: Demo, number: int, name: str = GREETING, by: str = "ada") -> Promotion:
    prompt = Prompt.objects.get(name=name, project=demo.project)
    stable = Channel.objects.get(project=demo.project, name="stable")
    version = find_version(prompt, number)
    return open_promotion(by=demo.principal(by), prompt=prompt, channel=stable, version=version)


def path_of(promotion: Promotion) -> str:
    return f"/p/demo/promotions/{encode('pro', promotion.pk)}/"


def of(demo: Demo, reference: str) -> str:
    return address_of(reference)(demo)


def promotion_at(path: str) -> Promotion:
    return next(each for each in Promotion.objects.all() if path_of(each) == path)


def form_of(client: Client, path: str) -> dict[str, str]:
    """What stands hidden in the review form."""
    html = client.get(path).content.decode()
    return {name: re.search(f'name="{name}" value="([^"]*)"', html)[1] for name in ("diff_digest", "seen")}  # type: ignore[index]


def roll_back(demo: Demo, name: str = GREETING) -> None:
    prompt = Prompt.objects.get(name=name, project=demo.project)
    stable = Channel.objects.select_related("policy").get(project=demo.project, name="stable")
    rollback(by=demo.principal("cleo"), prompt=prompt, channel=stable, reason="It greets twice.")


# --- Its life --------------------------------------------------------------------------------------------------------
def test_it_is_read_decided_and_carried_out_without_scripts(visit: Visit, demo: Demo) -> None:
    path = of(demo, "support/greeting@9")
    ben = visit("ben", path, scripts=False)
    ben.get_by_role("button", name="Send review").click()
    assert ben.locator(".banner.is-passed").count() == 0  # the browser asks for a decision first
    ben.get_by_label("Approve version 9").check()
    ben.get_by_label("Note").fill("Reads well on my phone.")
    ben.get_by_role("button", name="Send review").click()
    assert ben.locator(".said").inner_text().count("Reads well on my phone.") == 1
    cleo = visit("cleo", path, scripts=False)
    cleo.locator(".head").get_by_role("link", name="Promote version 9").click()
    cleo.locator("#confirming").get_by_role("button", name="Promote version 9").click()
    assert live() == 9


def test_what_happens_meanwhile_is_told_and_touches_nothing(visit: Visit, demo: Demo) -> None:
    path = of(demo, "support/greeting@9")
    page = visit("cleo", "/p/demo/")
    page.clock.install()
    page.goto(path)
    page.get_by_label("Note").fill("Half a")
    page.clock.fast_forward(11_000)
    assert page.locator("#news").is_hidden()
    asked = promotion_at(path)
    review(
        by=demo.principal("ben"),
        promotion=asked,
        decision="request_changes",
        diff_digest=digest_text(asked.diff_digest),
    )
    page.clock.fast_forward(11_000)
    expect(page.locator("#news")).to_contain_text("The newest word is by Ben Okafor, who asked for changes.")
    page.clock.fast_forward(1_000)
    expect(page.locator("#live")).to_contain_text("Something changed on this promotion.")
    expect(page.get_by_label("Note")).to_have_value("Half a")
    expect(page.get_by_label("Note")).to_be_focused()
    accessible(page)


def test_a_schedule_is_set_in_ones_own_zone_and_called_off(visit: Visit, demo: Demo) -> None:
    page = visit("cleo", f"{of(demo, f'{FORMS}@4')}?act=schedule")
    expect(page.get_by_label("Zone")).to_have_value("UTC")
    tomorrow = timezone.now().date() + timedelta(days=1)
    page.get_by_label("Date").fill(f"{tomorrow}")
    page.get_by_label("Time").fill("09:30")
    page.get_by_label("Zone").fill("Asia/Tokyo")
    page.get_by_role("button", name="Schedule version 4").click()
    expect(page.locator(".banner.is-passed")).to_contain_text("09:30 in Tokyo")
    at = Schedule.objects.latest("pk").apply_at
    assert at is not None
    assert (at.hour, at.minute, at.date()) == (0, 30, tomorrow)
    page.get_by_label("Other ways to promote").click()
    page.get_by_role("link", name="Call off the schedule").click()
    page.get_by_role("button", name="Call it off").click()
    expect(page.locator(".banner.is-passed")).to_contain_text("Nothing is scheduled any more.")
    assert Schedule.objects.standing().filter(promotion__prompt__name=FORMS).count() == 0


def test_a_schedule_is_called_off_although_something_lacks_by_now(visit: Visit, demo: Demo) -> None:
    path = of(demo, f"{FORMS}@4")
    asked, due = promotion_at(path), timezone.now() + timedelta(days=1)
    schedule(by=demo.principal("cleo"), promotion=asked, apply_at=due)
    review(
        by=demo.principal("ben"),
        promotion=asked,
        decision="request_changes",
        diff_digest=digest_text(asked.diff_digest),
    )
    page = visit("cleo", path, scripts=False)
    page.get_by_label("Other ways to promote").click()
    page.get_by_role("link", name="Call off the schedule").click()
    page.get_by_role("button", name="Call it off").click()
    expect(page.locator(".banner.is-passed")).to_contain_text("Nothing is scheduled any more.")
    assert not Schedule.objects.standing().filter(promotion=asked).exists()


def test_another_channel_shows_what_would_change_there(visit: Visit, demo: Demo) -> None:
    number = saved(demo, "Good day, {{customer_name}}. This is for staging.")
    page = visit("ada", f"/p/demo/promotions/new/?prompt={GREETING}&version={number}&channel=stable", scripts=False)
    expect(page.locator(".title")).to_contain_text(f"It would take the place of version {live()}.")
    page.get_by_role("navigation", name="Channel").get_by_role("link", name=re.compile("^staging")).click()
    staging = Head.objects.get(prompt__name=GREETING, channel__name="staging")
    assert staging.version is not None
    assert staging.version.number != live()
    expect(page.locator("h1")).to_have_text(f"Promote version {number} to staging?")
    expect(page.locator(".title")).to_contain_text(f"It would take the place of version {staging.version.number}.")
    expect(page.locator(".checking")).to_contain_text("Staging requires no approval.")
    page.get_by_role("button", name="Ask for the promotion").click()
    assert Promotion.objects.latest("pk").channel == staging.channel


def test_what_is_out_of_date_is_renewed(visit: Visit, demo: Demo) -> None:
    page = visit("ada", of(demo, "support/triage@7"))
    expect(page.locator("#stale")).to_contain_text("Stable moved from 5 to 6 since this was opened")
    page.locator("#stale").get_by_role("link", name="Renew it").click()
    page.locator("#confirming").get_by_role("button", name="Renew it").click()
    expect(page.locator(".banner.is-passed")).to_contain_text("The promotion is renewed.")
    assert Promotion.objects.latest("pk").base_version.number == 6  # type: ignore[union-attr]
    page.goto(path_of(Promotion.objects.get(successor__isnull=False)))
    page.get_by_role("link", name="Go there").click()
    expect(page.locator("h1")).to_have_text("Promote version 7 to stable")


def test_hidden_text_is_named_and_acknowledged(visit: Visit, demo: Demo) -> None:
    number = saved(demo, "Hello {{customer_name}}\u202e\U000e0068\U000e0069")
    asked = opened(demo, number)
    page = visit("ben", path_of(asked))
    expect(page.locator(".hidden-char").first).to_contain_text("right-to-left override U+202E")
    expect(page.locator(".hidden-char").last).to_contain_text("that spell “hi”")
    accessible(page)
    page.get_by_label(f"Approve version {number}").check()
    page.get_by_label("I have seen the hidden characters").check()
    page.get_by_role("button", name="Send review").click()
    expect(page.locator(".checking h2")).to_have_text("Ready to promote")


def test_a_new_variable_hides_nothing(demo: Demo) -> None:
    prompt, ada = Prompt.objects.get(name=GREETING, project=demo.project), demo.principal("ada")
    told = [{"name": "new", "default": "x", "description": "For\u202e phones", "enum": ["x", "y"], "type": "enum"}]
    made = save_version(by=ada, prompt=prompt, content="Hello {{new}}", variables=told).version
    html = signed_in(demo.people["ben"]).get(path_of(opened(demo, made.number))).content.decode()
    assert "right-to-left override U+202E" in html.partition('id="variables"')[2]
    assert "1 character of it does not show as stored" in html


# --- What must not get through ---------------------------------------------------------------------------------------
def refused(client: Client, path: str, sent: dict[str, Any], status: int, words: str) -> str:
    """The page again, with the sentence, and not one row more."""
    before = (Review.objects.count(), Release.objects.count(), Schedule.objects.count())
    answer = client.post(path, sent)
    html = answer.content.decode()
    told = re.search(r'class="banner is-failed".*?</div></div>|<main.*', html, re.DOTALL)
    assert (answer.status_code, words in html) == (status, True), told and told[0][:400]
    assert (Review.objects.count(), Release.objects.count(), Schedule.objects.count()) == before
    assert not re.search(r"Traceback|DomainError", html)
    return html


def test_a_dismissal_says_why_in_few_words(demo: Demo) -> None:
    given = Review.objects.filter(promotion__prompt__name=FORMS, promotion__state="OPEN").latest("pk")
    sent = {"act": "dismiss", "review": encode("rev", given.pk), "reason": "x" * 2_001}
    refused(signed_in(demo.people["cleo"]), path_of(given.promotion), sent, 400, LONG_REASON)


def test_nobody_approves_their_own(demo: Demo) -> None:
    path, emil = of(demo, "support/order-status@7"), signed_in(demo.people["emil"])
    page = emil.get(path).content.decode()
    assert 'value="approve"' not in page
    assert "You wrote support/order-status@7, so somebody else approves it." in page
    sent = {"act": "review", "decision": "approve", "body": "<b>Mine</b>", **form_of(emil, path)}
    html = refused(emil, path, sent, 403, "so somebody else approves it.")
    assert "&lt;b&gt;Mine&lt;/b&gt;</textarea>" in html
    ada = signed_in(demo.people["ada"])
    refused(ada, path, sent, 403, "does not let you review")


def test_a_page_that_grew_old_decides_nothing(demo: Demo) -> None:
    path, ben, cleo = of(demo, f"{FORMS}@4"), signed_in(demo.people["ben"]), signed_in(demo.people["cleo"])
    old = form_of(ben, path)
    roll_back(demo, FORMS)
    sent = {"act": "review", "decision": "request_changes", "body": "Not like this", **old}
    html = refused(ben, path, sent, 409, "Look at the promotion as it is now, then decide.")
    assert "Not like this</textarea>" in html
    assert re.search(r'value="request_changes" required checked', html)
    html = refused(cleo, path, {"act": "promote", "reason": "On <time>"}, 409, "Renew the promotion.")
    assert 'value="On &lt;time&gt;"' in html
    assert "See it" in html


def test_a_second_sending_changes_nothing(demo: Demo) -> None:
    path, ben, cleo = of(demo, "support/greeting@9"), signed_in(demo.people["ben"]), signed_in(demo.people["cleo"])
    sent = {"act": "review", "decision": "approve", **form_of(ben, path)}
    assert ben.post(path, sent).status_code == 302
    refused(ben, path, sent, 409, "a review of your own has changed")
    assert cleo.post(path, {"act": "promote"}).status_code == 302
    refused(cleo, path, {"act": "promote"}, 409, "The promotion is closed: it was applied.")
    assert live() == 9


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        ({"act": "review", "body": "Kept"}, 400, "Say what you decide"),
        ({"act": "review", "decision": "comment", "body": " "}, 400, "Write what you want to say."),
        ({"act": "reject", "reason": " "}, 422, "Say why you reject it"),
        ({"act": "schedule"}, 400, "Say on which day it goes live."),
        ({"act": "schedule", "date": "2020-01-01"}, 400, "has passed already"),
        ({"act": "schedule", "date": "tomorrow"}, 400, "is no day"),
        ({"act": "schedule", "date": "9999-12-31", "time": "23:00", "zone": "America/New_York"}, 400, "too far away"),
        ({"act": "schedule", "date": "2030-01-01", "zone": "Moon/Base"}, 400, "is no time zone"),
        ({"act": "review", "decision": "comment", "body": "x" * 10_001}, 400, "The body has 10,001 characters"),
        ({"act": "promote", "reason": "x" * 2_001}, 400, LONG_REASON),
        ({"act": "reject", "reason": "x" * 2_001}, 400, LONG_REASON),
        ({"act": "schedule", "date": "2030-01-01", "reason": "x" * 2_001}, 400, LONG_REASON),
        ({"act": "glass", "reason": "x" * 2_001, "revision": "9"}, 400, LONG_REASON),
        ({"act": "renew"}, 409, "there is nothing to renew"),
        ({"act": "glass", "reason": "x" * 30, "revision": "9"}, 409, ""),
        ({"act": "glass", "reason": "now"}, 422, "at least 20 characters"),
        ({"act": "dismiss", "review": "rev_1", "reason": "x"}, 404, ""),
        ({"act": "explode"}, 400, "does not say what to do"),
        ({}, 400, "does not say what to do"),
    ],
)
def test_what_cannot_be_done_is_said(demo: Demo, sent: dict[str, Any], status: int, words: str) -> None:
    refused(signed_in(demo.people["cleo"]), of(demo, f"{FORMS}@4"), sent, status, words)


def test_one_project_does_not_reach_into_another(demo: Demo) -> None:
    path = of(demo, "support/greeting@9")
    ben = signed_in(demo.people["ben"])
    assert ben.get("/p/demo/promotions/pro_1/").status_code == 404
    assert ben.get(path.replace("/p/demo/", "/p/other/")).status_code == 404
    guarded = Client(enforce_csrf_checks=True)
    guarded.force_login(demo.people["ben"], backend="django.contrib.auth.backends.ModelBackend")
    assert guarded.post(path, {"act": "review", "decision": "approve"}).status_code == 403
    assert Review.objects.filter(decision="approve", promotion=promotion_at(path)).count() == 0


def test_an_old_sign_in_is_renewed_and_the_form_waits(demo: Demo) -> None:
    path, ben = of(demo, "support/greeting@9"), signed_in(demo.people["ben"])
    sent = {"act": "review", "decision": "approve", "body": "Kept <here>", **form_of(ben, path)}
    session = ben.session
    session[SIGNED_IN_AT] = 0
    session.save()
    answer = ben.post(path, sent)
    assert (answer.status_code, "next=" in answer["Location"]) == (302, True)
    assert Review.objects.filter(decision="approve", promotion=promotion_at(path)).count() == 0
    html = ben.get(path).content.decode()
    assert "Kept &lt;here&gt;</textarea>" in html
    assert re.search(r'value="approve" required checked', html)


def test_a_promotion_is_asked_for_once(demo: Demo) -> None:
    ada, new = signed_in(demo.people["ada"]), "/p/demo/promotions/new/"
    sent = {"prompt": GREETING, "version": "9", "channel": "stable", "title": "Again <b>", "note": "For phones"}
    html = refused(ada, new, sent, 409, "A promotion of support/greeting@9 to stable is open already.")
    assert f'href="{of(demo, "support/greeting@9")}"' in html
    assert 'value="Again &lt;b&gt;"' in html
    assert "For phones</textarea>" in html
    refused(ada, new, sent | {"version": "8"}, 409, "is live on stable already")
    refused(ada, new, sent | {"title": "x" * 201}, 400, "The title has 201 characters; at most 200 are kept.")
    refused(ada, new, sent | {"note": "x" * 10_001}, 400, "The note has 10,001 characters; at most 10,000 are kept.")
    assert ada.post(new, sent | {"version": "99"}).status_code == 404
    refused(signed_in(demo.people["ben"]), new, sent | {"version": "7"}, 403, "does not let you")


def test_broken_glass_is_seen_by_all_until_a_second_person_ratifies(visit: Visit, demo: Demo) -> None:
    path = of(demo, "support/greeting@9")
    cleo = visit("cleo", path)
    assert cleo.get_by_role("link", name="Break glass").count() == 0
    grant_break_glass(project=demo.project, user=demo.people["cleo"], minutes=15, by=demo.principal("farah"))
    cleo.reload()
    cleo.get_by_role("link", name="Break glass").click()
    expect(cleo.get_by_label("Why this cannot wait")).to_be_focused()
    cleo.keyboard.type("It tells customers to type their card number.")
    cleo.get_by_role("button", name="Break glass").click()
    expect(cleo.locator(".banner.is-failed")).to_contain_text("Cleo broke the glass")
    assert live() == 9
    cleo.goto("/p/demo/")
    assert cleo.get_by_role("link", name="Ratify").count() == 0
    glass = {"act": "ratify", "release": encode("rel", Release.objects.get(kind="break_glass").pk)}
    refused(signed_in(demo.people["emil"]), "/p/demo/", glass | {"note": "x" * 2_001}, 400, "The note has 2,001")
    emil = visit("emil", "/p/demo/")
    emil.get_by_role("link", name="Ratify").click()
    emil.get_by_role("button", name="It was right").click()
    expect(emil.locator(".banner.is-passed")).to_contain_text("You ratified version 9")
    assert Ratification.objects.count() == 1
    assert emil.get_by_text("broke the glass").count() == 0
    assert signed_in(demo.people["emil"]).post("/p/demo/", glass).status_code == 404


# --- Its cost --------------------------------------------------------------------------------------------------------
def queries(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    return len(asked)


def test_the_number_of_queries_does_not_grow(demo: Demo) -> None:
    path, cleo = of(demo, "support/greeting@9"), signed_in(demo.people["cleo"])
    before = {each: queries(cleo, each) for each in (path, "/p/demo/")}
    asked = promotion_at(path)
    for number in range(12):
        who = demo.principal(("ben", "cleo", "noor")[number % 3])
        review(by=who, promotion=asked, decision="comment", body=f"Word {number}")
        opened(demo, saved(demo, f"Hello {number} {{{{customer_name}}}}"))
        opened(demo, saved(demo, f"Sizes {number}", name="shop/size-advice", by="emil"), "shop/size-advice", by="emil")
    assert {each: queries(cleo, each) for each in before} == before
    assert max(before.values()) <= 42, before
