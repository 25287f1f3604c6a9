"""The inbox: what waits for whom, and what everybody should know; each list says what the promotions' pages say."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts.actions.members import set_roles
from events.models import WebhookEndpoint
from promptforge.lib.ids import encode
from prompts.actions.channels import freeze_channel
from prompts.actions.drafts import keep_draft
from prompts.actions.promotions import renew, withdraw
from prompts.actions.reviews import dismiss_review, review
from prompts.actions.schedules import apply_what_is_due, schedule
from prompts.models import Channel, Promotion, Prompt
from prompts.pages.waiting import Waiting, waits_for
from prompts.reading import find_version
from prompts.shapes import digest_text
from tests.guards.attacks import let_time_pass
from tests.pages.conftest import Demo, Visit, signed_in

INBOX = "/p/demo/"


def names(demo: Demo, who: str) -> tuple[list[str], list[str]]:
    """The versions that need this person's review, and those that came back to them."""
    found: Waiting = waits_for(demo.principal(who))
    told = {each.pk: f"{each.prompt.name}@{each.version.number}" for each in Promotion.objects.all()}
    return [told[pk] for pk in found.reviews], [told[pk] for pk in found.sent_back]


def open_one(name: str) -> Promotion:
    return Promotion.objects.get(prompt__name=name, state="OPEN")


def decide(demo: Demo, who: str, name: str, decision: str) -> Any:
    promotion = open_one(name)
    seen = digest_text(promotion.diff_digest)
    return review(by=demo.principal(who), promotion=promotion, decision=decision, diff_digest=seen)


def test_what_waits_for_whom(demo: Demo) -> None:
    waiting = ["support/greeting@9", "support/order-status@7"]
    assert names(demo, "ben") == (waiting, [])
    assert names(demo, "cleo") == (waiting, [])
    # Emil may review as a release manager, but wrote one of them.
    assert names(demo, "emil") == (["support/greeting@9"], [])
    assert names(demo, "ada") == ([], ["docs/summariser@5"])
    assert names(demo, "farah") == names(demo, "noor") == ([], [])


def test_it_waits_no_longer_once_it_is_decided_or_out_of_date(demo: Demo) -> None:
    decide(demo, "ben", "support/greeting", "comment")
    assert "support/greeting@9" in names(demo, "ben")[0]
    given = decide(demo, "ben", "support/greeting", "approve")
    # One approval is enough, so nobody else is asked.
    assert "support/greeting@9" not in names(demo, "ben")[0] + names(demo, "cleo")[0]
    dismiss_review(by=demo.principal("cleo"), review=given, reason="Too quick")
    assert "support/greeting@9" in names(demo, "ben")[0]
    decide(demo, "ben", "support/greeting", "approve")
    objection = decide(demo, "ben", "support/greeting", "request_changes")
    assert "support/greeting@9" not in names(demo, "cleo")[0]
    assert names(demo, "ada")[1] == ["docs/summariser@5", "support/greeting@9"]
    # His approval stays replaced, so he is asked anew.
    dismiss_review(by=demo.principal("cleo"), review=objection, reason="Settled by mail")
    assert "support/greeting@9" in names(demo, "ben")[0]
    withdraw(by=demo.principal("ada"), promotion=open_one("support/greeting"))
    assert names(demo, "ada")[1] == ["docs/summariser@5"]
    # What is out of date waits to be renewed, and then for a review.
    assert "support/triage@7" not in names(demo, "ben")[0]
    renew(by=demo.principal("ada"), promotion=open_one("support/triage"))
    assert "support/triage@7" in names(demo, "ben")[0]
    set_roles(project=demo.project, user=demo.people["ben"], roles=["viewer"], by=None)
    assert names(demo, "ben") == ([], [])


def test_only_words_of_those_who_may_still_review_count(demo: Demo) -> None:
    decide(demo, "ben", "support/greeting", "approve")
    decide(demo, "ben", "support/order-status", "request_changes")
    assert names(demo, "cleo") == ([], [])
    set_roles(project=demo.project, user=demo.people["ben"], roles=["viewer"], by=None)
    # The approval is missing again, and whoever left holds nothing back.
    assert {"support/greeting@9", "support/order-status@7"} <= set(names(demo, "cleo")[0])
    assert names(demo, "ada") == ([], [])


@pytest.mark.parametrize(
    ("who", "title", "lists"),
    [
        ("ben", "Two promotions wait for you", ["Needs my review 2", "Live now"]),
        ("ada", "One promotion waits for you", ["My open promotions 2", "Sent back to me 1", "Live now"]),
        ("farah", "Nothing waits for you", ["Reviews arrive here", "Live now"]),
    ],
)
def test_it_says_what_waits(visit: Visit, demo: Demo, who: str, title: str, lists: list[str]) -> None:
    page = visit(who, "/", scripts=False)
    assert page.url.endswith(INBOX)
    assert page.locator("h1").inner_text() == title
    assert [heading.split(" what")[0] for heading in page.locator("main h2").all_inner_texts()] == lists
    count = page.locator("[data-place=inbox] .count")
    assert count.count() == (0 if who == "farah" else 1)


def test_every_list_says_what_its_promotion_says(visit: Visit, demo: Demo) -> None:
    page = visit("cleo", INBOX)
    page.get_by_role("link", name="Open the oldest review").click()
    expect(page.locator(".crumbs")).to_contain_text("support/greeting")
    page.go_back()
    page.get_by_role("link", name="Promote docs/return-details version 4").click()
    expect(page.locator(".checking h2")).to_have_text("Ready to promote")


def test_incidents_stand_on_top_for_those_who_can_mend_them(demo: Demo) -> None:
    now = timezone.now()
    stable = Channel.objects.get(project=demo.project, name="stable")
    freeze_channel(
        by=demo.principal("farah"), channel=stable, starts_at=now, ends_at=now + timedelta(hours=2), reason="The <sale>"
    )
    WebhookEndpoint.objects.create(
        project_id=demo.project.pk, url="https://hooks.example.com/x?token=hunter2", events=["*"], secret=b"", cursor=0
    )
    WebhookEndpoint.objects.update(failing_since=now)
    manager, viewer = (signed_in(demo.people[who]).get(INBOX).content.decode() for who in ("cleo", "noor"))
    assert "Stable is frozen until" in manager
    assert "The &lt;sale&gt;" in viewer
    assert "A webhook fails: hooks.example.com" in manager
    [log] = re.findall(r'href="([^"]*act=log[^"]*)"', manager)
    assert "hooks.example.com" in signed_in(demo.people["cleo"]).get(html.unescape(log)).content.decode()
    assert "webhook fails" not in viewer
    assert "hunter2" not in manager


def test_a_missed_schedule_is_an_incident_until_it_is_scheduled_anew(demo: Demo) -> None:
    promotion, cleo, says = open_one("docs/return-details"), demo.principal("cleo"), "did not go live in stable"
    due = timezone.now() + timedelta(hours=1)
    schedule(by=cleo, promotion=promotion, apply_at=due)
    shown = signed_in(demo.people["noor"])
    assert says not in shown.get(INBOX).content.decode()
    decide(demo, "ben", "docs/return-details", "request_changes")
    let_time_pass(hours=1, seconds=1)
    assert apply_what_is_due() == []
    page = shown.get(INBOX).content.decode()
    assert f"docs/return-details version 4 {says}" in page
    decide(demo, "ben", "docs/return-details", "approve")
    schedule(by=cleo, promotion=promotion, apply_at=due + timedelta(days=1))
    assert says not in shown.get(INBOX).content.decode()


def test_a_draft_is_listed_also_where_nothing_is_asked_for(demo: Demo) -> None:
    prompt = Prompt.objects.get(name="support/greeting")
    columns = {"source": "Half a thought", "variables": "[]", "config": "", "message": ""}
    farah = demo.principal("farah")
    keep_draft(by=farah, prompt=prompt, columns=columns, base=find_version(prompt, None), seen=None)
    page = signed_in(farah.user).get(INBOX)
    assert (page.context["mine"], page.context["sent_back"]) == ([], [])
    assert "Your draft of" in page.content.decode()
    assert "Your draft of" not in signed_in(demo.people["ben"]).get(INBOX).content.decode()


def test_a_release_that_is_none_is_not_ratified(demo: Demo) -> None:
    cleo = signed_in(demo.people["cleo"])
    assert cleo.post(INBOX, {"act": "ratify", "release": encode("rel", 1)}).status_code == 404
    assert cleo.post(INBOX, {"act": "ratify"}).status_code == 404
    assert cleo.post(INBOX, {}).status_code == 400
