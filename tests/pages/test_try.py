"""Trying a draft in the editor: by keyboard, without scripts, in words when it cannot be, and seen by nobody else."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from evaluations.models import DaySpending, Trial, TrialAnswer
from evaluations.running.engine import work
from prompts.actions.versions import create_prompt
from prompts.models import Draft, SampleValues
from tests.evaluations.stub_provider import Provider
from tests.pages.conftest import Demo, Visit, accessible, fits, signed_in
from tests.pages.evaluated import asking, connected
from tests.pages.test_edit import GREETING, form_of, written
from tests.pages.test_prompt import stepped_to

TRY, TRIED = "/p/demo/try/support/greeting/", "/p/demo/tried/support/greeting/"
BAD = "<img src=x onerror=alert(1)> **bold**"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with asking() as one:
        one.behave(texts={"A draft for": f"From the draft {BAD}", "": "From what is live"})
        yield one


def said(client: Client, path: str, **headers: str) -> str:
    text = re.sub(r"<[^>]+>", " ", client.get(path, headers=headers).content.decode())
    return re.sub(r"\s+", " ", text)


def announced(page: Page, text: str) -> None:
    expect(page.locator("#live")).to_have_text(text)


def test_by_keyboard_from_a_draft_to_both_answers(visit: Visit, demo: Demo, provider: Provider) -> None:
    connected(demo, provider)
    page = visit("ada", GREETING)
    expect(page.locator(".cm-content")).to_be_visible()
    written(page).fill("A draft for {{ customer_name }}")
    page.get_by_label("customer_name, sample value").fill("Ada")
    expect(page.locator("#kept")).to_have_text(re.compile(r"Draft saved \d\d"))
    # What only the live version asks for has its place in the card.
    page.get_by_label("opening_hours, sample value for version").fill("8 to 18")
    stepped_to(page, "Try it")
    page.keyboard.press("Enter")
    expect(page.locator("#try-answers")).to_contain_text("It waits for its turn")
    expect(page.locator("#try-button")).to_be_focused()
    expect(page.locator("#try-button")).to_have_text("Try again")
    assert provider.calls() == []
    work(60)
    expect(page.locator("#try-answers .said")).to_have_text(["From what is live", f"From the draft {BAD}"])
    announced(page, "The answers are there.")
    assert page.locator("#try-answers img").count() == 0
    expect(page.locator("#try-button")).to_be_focused()
    expect(page.locator("#try-answers")).to_contain_text(
        re.compile(r"\d\.\d s, 4 words, \$0\.\d+ for 1,000 such calls")
    )
    assert page.locator("#try-answers [hx-trigger]").count() + page.locator("#try-answers[hx-trigger]").count() == 0
    asked = {call["messages"][0]["content"] for call in provider.calls()}
    assert "A draft for Ada" in asked
    assert len(asked) == 2
    accessible(page)
    written(page).fill("Another draft for {{ customer_name }}")
    expect(page.locator("#try-notes")).to_contain_text("These answers are from before your newest changes.")
    expect(page.locator("#size")).to_contain_text("Cost per 1,000")
    page.set_viewport_size({"width": 390, "height": 900})
    fits(page)


def test_a_refused_try_says_why_keeps_the_draft_and_one_can_go_on(visit: Visit, demo: Demo, provider: Provider) -> None:
    connected(demo, provider)
    page = visit("ada", GREETING)
    expect(page.locator(".cm-content")).to_be_visible()
    written(page).fill("A draft for {{ customer_name }}")
    page.locator("#try-button").click()
    expect(page.locator("#try-notes .is-failed")).to_contain_text("customer_name")
    expect(page.locator("#try-notes .is-failed")).to_contain_text("Nothing was asked")
    assert Draft.objects.get().source == "A draft for {{ customer_name }}"
    assert not Trial.objects.exists()
    # The page knows the draft that was kept: going on is no other window.
    written(page).fill("A draft for {{ customer_name }}, longer")
    expect(page.locator("#kept")).to_have_text(re.compile(r"Draft saved \d\d"))
    assert page.locator("#two-windows").count() == 0
    page.keyboard.press("Control+s")
    assert Draft.objects.get().source.endswith("longer")


def test_without_scripts_the_answers_are_there_when_the_page_is_loaded_again(
    visit: Visit, demo: Demo, provider: Provider
) -> None:
    connected(demo, provider)
    page = visit("ada", GREETING, scripts=False)
    page.locator("textarea[name=text]").fill("A draft for {{ customer_name }} {{ opening_hours }}")
    page.locator("#try-button").click()
    assert "Nothing was asked" in page.locator(".banner.is-failed").inner_text()
    page.get_by_label("customer_name, sample value").fill("Ada")
    page.get_by_label("opening_hours, sample value").fill("8 to 18")
    page.locator("#try-button").click()
    expect(page).to_have_url(re.compile("#try$"))
    work(60)
    page.get_by_role("link", name="load the page again").click()
    expect(page.locator("#try-answers .said")).to_have_text(["From what is live", f"From the draft {BAD}"])
    assert SampleValues.objects.get().given == {"customer_name": "Ada", "opening_hours": "8 to 18"}


def test_what_the_card_says(demo: Demo, provider: Provider) -> None:
    ada, emil = signed_in(demo.people["ada"]), signed_in(demo.people["emil"])
    assert "No model can be asked yet: an administrator" in said(ada, GREETING)
    row = connected(demo, provider)
    assert "customer_name has no value that fits: give one first." in said(ada, GREETING)
    sent: dict[str, Any] = form_of(ada, GREETING) | {"act": "try", "connection": "small-chat", "sample": "First sample"}
    sent |= {"s-name": ["customer_name", "opening_hours"], "s-value": ["Ada", "8 to 18"]}
    sent |= {"text": ["A draft for {{customer_name}}"]}
    assert ada.post(TRY, sent | {"connection": "nobody"}).status_code == 400
    sent["seen"] = form_of(ada, GREETING)["seen"]
    answer = ada.post(TRY, sent)
    assert (answer.status_code, answer["Location"]) == (
        302, "/p/demo/edit/support/greeting/?sample=First+sample&connection=small-chat#try",
    )  # fmt: skip
    assert "1 sample, 2 answers, at most about $0.00" in said(ada, GREETING)
    assert ada.post(TRY, sent | {"act": "save"}).status_code == 400
    # Nobody else sees what a person tries.
    for other in (emil, signed_in(demo.people["farah"])):
        assert "A draft for" not in other.get(GREETING).content.decode()
        assert "The try is gone" in said(other, TRIED) or other.get(TRIED).status_code == 403
    waits = ada.get(TRIED).content.decode()
    assert 'hx-trigger="every 1s"' in waits
    assert "data-says" not in waits
    Trial.objects.update(at=timezone.now() - timedelta(seconds=20))
    assert "No worker has taken it up for 20 s" in said(ada, TRIED)
    Trial.objects.update(at=timezone.now() - timedelta(seconds=130))
    assert "No worker took it up within 2 min, so nothing was asked." in said(ada, TRIED)
    assert "hx-trigger" not in ada.get(TRIED).content.decode()
    TrialAnswer.objects.update(leased_until=timezone.now() + timedelta(seconds=9))
    assert "small-chat is asked …" in said(ada, TRIED)
    sent["seen"] = form_of(ada, GREETING)["seen"]
    assert ada.post(TRY, sent).status_code == 409
    TrialAnswer.objects.update(leased_until=timezone.now() - timedelta(seconds=9))
    assert "The worker that asked ended before the answer came. Try again." in said(ada, TRIED)
    provider.behave(fault="bad_key")
    sent["seen"] = form_of(ada, GREETING)["seen"]
    assert ada.post(TRY, sent).status_code == 302
    work(60)
    told = ada.get(TRIED).content.decode() + ada.get(GREETING).content.decode()
    assert "The provider refuses the key (401)." in told
    assert "sk-good" not in told
    assert "There is no answer." in told
    provider.behave(text="")
    row.price = "null"
    row.save()
    sent["seen"] = form_of(ada, GREETING)["seen"]
    ada.post(TRY, sent)
    work(60)
    assert "The model answered nothing at all." in said(ada, TRIED)
    assert "0 words, price unknown" in said(ada, TRIED)
    assert "2 answers; what they cost is told with them" in said(ada, GREETING)
    assert DaySpending.objects.get().calls == 4
    # Where nothing is live, the draft is asked alone.
    create_prompt(by=demo.principal("ada"), name="test/first", content="Hi")
    assert "so the draft alone is asked" in said(ada, "/p/demo/edit/test/first/")
    assert "1 sample, 1 answer;" in said(ada, "/p/demo/edit/test/first/")
