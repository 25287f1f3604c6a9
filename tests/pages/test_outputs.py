"""Outputs: an answer is found by what people have at hand, and says where it came from, to whom it may."""

from uuid import uuid4

import pytest
from django.utils.html import escape
from playwright.sync_api import expect

from delivery.models import Observation
from evaluations.models import Case
from tests.pages.conftest import Demo, Visit, signed_in
from tests.pages.listed import kept_set, reported

OUTPUTS = "/p/demo/outputs/"


def test_by_keyboard_from_words_to_the_approver(visit: Visit, demo: Demo) -> None:
    reported(demo)
    page = visit("ben", OUTPUTS)
    page.keyboard.press("/")
    page.keyboard.type("photo of each")
    page.keyboard.press("Enter")
    expect(page.locator("#found tbody tr")).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Version 8 wrote this")
    expect(page.get_by_role("complementary")).to_contain_text("Cleo Marchetti")


@pytest.mark.parametrize("words", ["trace-77", "customer-48213", "0198c0de-1111-7000-8000-00000000a11c", "PHOTO OF"])
def test_it_is_found_by(demo: Demo, words: str) -> None:
    reported(demo)
    assert b"1 answer<" in signed_in(demo.people["ben"]).get(OUTPUTS, {"q": words}).content
    assert b"No answer fits" in signed_in(demo.people["ben"]).get(OUTPUTS, {"q": f"{words}x"}).content


def test_who_may_not_read_answers_sees_where_they_came_from_alone(demo: Demo) -> None:
    uid, ada = reported(demo), signed_in(demo.people["ada"])
    for path in (OUTPUTS, f"{OUTPUTS}{uid}/", f"{OUTPUTS}?q=trace-77"):
        shown = ada.get(path).content.decode()
        assert "support/refund-answer" in shown
        assert "photo" not in shown
        assert "came broken" not in shown
    # Nor can it be guessed word by word.
    assert b"No answer fits" in ada.get(OUTPUTS, {"q": "photo"}).content


def test_a_foreign_answer_is_as_an_absent_one(demo: Demo) -> None:
    client = signed_in(demo.people["ben"])
    for uid in ("0198c0de-1111-7000-8000-00000000a11c", "nothing"):
        assert client.get(f"{OUTPUTS}{uid}/").status_code == 404


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("42", ["42"]),
        ("true", ["true"]),
        ("null", ["null"]),
        ('{"question":"Where is it?"}', ['{"question":"Where is it?"}']),
        ('["Where is it?","Hello?"]', ['["Where is it?","Hello?"]']),
        ('[{"question":"Where is it?"}]', ['[{"question":"Where is it?"}]']),
        ('[{"content":"Hi","role":null}]', ["Hi"]),
        (
            '[{"content":[{"text":"This one"}],"role":"user"},{"content":null,"role":"assistant","tool":1}]',
            ['[{"text":"This one"}]', '{"content":null,"role":"assistant","tool":1}'],
        ),
    ],
)
def test_whatever_json_was_asked_is_shown_and_guesses_no_case(demo: Demo, given: str, shown: list[str]) -> None:
    address, emil = kept_set(demo), signed_in(demo.people["emil"])
    row = Observation.objects.get(uid=reported(demo))
    row.pk, row.uid, row.input = None, uuid4(), given
    row.save(force_insert=True)
    page = emil.get(f"{OUTPUTS}{row.uid}/")
    assert page.status_code == 200
    assert [each["content"] for each in page.context["asked"]] == shown
    assert all(escape(text) in page.content.decode() for text in shown)
    assert emil.post(f"{OUTPUTS}{row.uid}/", {"set": address.split("/")[-2]}).status_code == 400


def test_in_two_clicks_an_answer_is_a_case(visit: Visit, demo: Demo) -> None:
    kept_set(demo)
    row = Observation.objects.get(uid=reported(demo))
    row.pk, row.uid, row.variables = None, uuid4(), '{"customer_message":"Both came broken"}'
    row.save(force_insert=True)
    page = visit("emil", f"{OUTPUTS}{row.uid}/", scripts=False)
    page.get_by_label("The answer was good").check()
    page.get_by_role("button", name="Make it a case").click()
    expect(page.locator(".banner")).to_contain_text("The output is the case case-5.")
    made = Case.objects.get(key="case-5")
    assert made.variable_values == {"customer_message": "Both came broken"}
    assert made.expected is not None
    assert made.expected.startswith("I’m so sorry")
    assert made.tags == ["from-output"]


def test_what_nobody_reported_is_not_guessed(demo: Demo) -> None:
    address, uid, emil = kept_set(demo), reported(demo), signed_in(demo.people["emil"])
    answer = emil.post(f"{OUTPUTS}{uid}/", {"set": address.split("/")[-2]})
    assert answer.status_code == 400
    assert "Nobody reported what the prompt was filled with." in answer.content.decode()
    assert not Case.objects.filter(tags__contains=["from-output"]).exists()
    assert "Make it a case" not in signed_in(demo.people["ada"]).get(f"{OUTPUTS}{uid}/").content.decode()
