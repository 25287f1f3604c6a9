"""Whole ways through the pages: by keys alone, and by somebody who reads no guide; several people, a browser each."""

import pytest
from playwright.sync_api import Page, expect

from accounts.actions.members import set_roles
from prompts.models import Draft, Prompt
from tests.pages.conftest import Demo, Visit, accessible
from tests.pages.test_promotion import GREETING, live


def tab_to(page: Page, text: str, kind: str = "a, button") -> None:
    """Tab until something of this kind with this text has the focus."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if page.evaluate(
            "([kind, text], at = document.activeElement) => at.matches(kind) && at.textContent.includes(text)",
            [kind, text],
        ):
            return
    raise AssertionError(f"no key leads to {text} on {page.url}")


def follow(page: Page, text: str) -> None:
    if page.evaluate("document.activeElement === document.body"):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # past the navigation
    tab_to(page, text)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def decide(page: Page, upwards: int, note: str) -> None:
    """Write in the review form, choose, and send, by keys: the last choice is to comment, the first to approve."""
    page.keyboard.press("c")
    page.keyboard.type(note)
    page.keyboard.press("Shift+Tab")
    for _ in range(upwards):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    follow(page, "Send review")


def write(page: Page, text: str, why: str) -> int:
    """In the editor, by keys: another text and why, kept as a draft, then saved as a version. Its number."""
    expect(page.locator(".cm-content")).to_be_visible()
    tab_to(page, "", ".cm-content")
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.keyboard.press("Escape")  # so that Tab leaves the text
    tab_to(page, "", "[name=message]")
    page.keyboard.press("Control+a")
    page.keyboard.type(why)
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_contain_text("Draft saved")
    expect(page.locator("#titled")).to_contain_text("Draft on top of version")
    assert Draft.objects.get().source == text
    if page.locator("#state .banner").count():  # the text that is live is not the newest: that is said, and agreed to
        tab_to(page, "Go on on top of", "button")
        page.keyboard.press("Enter")
        expect(page.locator("#state .banner")).to_have_count(0)
    tab_to(page, "Save version", "button")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    expect(page.locator(".banner.is-passed")).to_contain_text("is saved.")
    assert not Draft.objects.exists()
    return int(Prompt.objects.get(name=GREETING).next_number) - 1


def propose(page: Page, number: int) -> None:
    """From the comparison that a saved version leads to, to the promotion."""
    follow(page, "Propose promotion")
    expect(page.locator("h1")).to_have_text(f"Promote version {number} to stable?")
    follow(page, "Ask for the promotion")
    expect(page.locator(".banner.is-passed")).to_be_focused()
    expect(page.locator("h1")).to_have_text(f"Promote version {number} to stable")


@pytest.mark.timeout(300)
def test_three_people_bring_a_version_live_and_back_by_keyboard(visit: Visit, demo: Demo) -> None:
    ada = visit("ada", "/p/demo/prompts/support/greeting/")
    ada.keyboard.press("e")
    first = write(ada, "Hello {{customer_name}}, how can we help?", "Half as long")
    propose(ada, first)

    ben = visit("ben", "/p/demo/")
    expect(ben.locator("h1")).to_have_text("Three promotions wait for you")
    follow(ben, f"Review support/greeting version {first}")
    assert ben.locator("[name=decision]:checked").count() == 0
    decide(ben, 1, "It does not say good day.")
    expect(ben.locator(".banner.is-passed")).to_contain_text("You asked for changes.")
    accessible(ben)

    ada.keyboard.press("g")
    ada.keyboard.press("i")
    expect(ada.locator("section", has=ada.locator("#back"))).to_contain_text("It does not say good day.")
    follow(ada, f"Edit from version {first}")
    second = write(ada, "Good day {{customer_name}}, how can we help?", "Says good day")
    assert second == first + 1
    propose(ada, second)

    ben.goto("/p/demo/")
    follow(ben, f"Review support/greeting version {second}")
    decide(ben, 2, "Good day indeed.")
    expect(ben.locator(".banner.is-passed")).to_contain_text("You approved it.")
    assert live() == 8

    cleo = visit("cleo", "/p/demo/")
    follow(cleo, f"Promote support/greeting version {second}")
    expect(cleo.get_by_label("Why")).to_be_focused()
    cleo.keyboard.type("Ben likes it.")
    with cleo.expect_navigation():
        cleo.keyboard.press("Enter")
    expect(cleo.locator(".banner.is-passed")).to_contain_text(f"Version {second} is live in stable.")
    expect(cleo.locator("h1")).to_have_text(f"Version {second} is live in stable")
    assert live() == second

    promotion = cleo.url
    follow(cleo, "Rolling back")
    follow(cleo, "Roll back to")
    cleo.keyboard.type("Customers miss the hours.")
    with cleo.expect_navigation():
        cleo.keyboard.press("Enter")
    assert live() == 8
    cleo.goto(promotion)
    expect(cleo.locator("h1")).to_have_text(f"Version {second} was live in stable")


class Newcomer:
    """Somebody who reads no guide: presses what the page shows as the thing to press, and is counted."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed: list[str] = []

    def press(self, name: str, kind: str = "a, button", within: str = "main") -> None:
        shown = self.page.locator(within).locator(kind).filter(has_text=name).first
        expect(shown).to_be_visible()
        self.pressed.append(name)
        shown.click()

    def press_the_hot_one(self, name: str) -> None:
        """The one primary action of the page."""
        self.press(name, ".button.primary")


def test_a_newcomer_is_five_clicks_from_the_inbox_to_approved_and_live(visit: Visit, demo: Demo) -> None:
    """The admin of the demo, who wrote none of it, needs no colleague; Ben and Cleo need as many between them."""
    set_roles(project=demo.project, user=demo.people["root"], roles=["admin", "release-manager"], by=None)
    admin = Newcomer(visit("root", "/p/demo/"))
    admin.press_the_hot_one("Open the oldest review")
    admin.press("Approve version 9", "label")
    admin.press_the_hot_one("Send review")
    admin.press_the_hot_one("Promote version 9")
    admin.press_the_hot_one("Promote version 9")
    expect(admin.page.locator("h1")).to_have_text("Version 9 is live in stable")
    assert live() == 9
    assert len(admin.pressed) == 5


def test_a_reviewer_and_a_release_manager_need_five_clicks_between_them(visit: Visit, demo: Demo) -> None:
    ben = Newcomer(visit("ben", "/p/demo/"))
    ben.press_the_hot_one("Open the oldest review")
    ben.press("Approve version 9", "label")
    ben.press_the_hot_one("Send review")
    cleo = Newcomer(visit("cleo", "/p/demo/"))
    cleo.press("Promote support/greeting version 9")
    cleo.press_the_hot_one("Promote version 9")
    expect(cleo.page.locator("h1")).to_have_text("Version 9 is live in stable")
    assert live() == 9
    assert len(ben.pressed) + len(cleo.pressed) == 5
