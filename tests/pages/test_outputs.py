"""Outputs: an answer is found by what people have at hand, and says where it came from, to whom it may."""

import pytest
from playwright.sync_api import expect

from tests.pages.conftest import Demo, Visit, signed_in
from tests.pages.listed import reported

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
