"""Compare: any two versions or one's draft, in words, by keyboard, and without scripts."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import expect

from prompts.actions.drafts import keep_draft
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Prompt
from prompts.reading import find_version
from tests.pages.conftest import Demo, Visit, accessible, fits, signed_in

COMPARE = "/p/demo/compare/support/refund-answer/"
BAD = "<img src=x onerror=alert(1)>"


def page_of(demo: Demo, path: str, person: str = "ada") -> str:
    answer = signed_in(demo.people[person]).get(path)
    assert answer.status_code == 200, answer.content.decode()
    return answer.content.decode()


def new_prompt(demo: Demo, *contents: str, name: str = "test/compared") -> str:
    ada = demo.principal("ada")
    prompt, _ = create_prompt(by=ada, name=name, content=contents[0])
    for content in contents[1:]:
        save_version(by=ada, prompt=prompt, content=content, variables=[])
    return f"/p/demo/compare/{name}/"


def test_by_keyboard_from_the_timeline_through_the_changes(visit: Visit, demo: Demo) -> None:
    page = visit("ada", "/p/demo/prompts/support/refund-answer/")
    for number in (5, 8):
        page.get_by_label(f"Compare version {number}").focus()
        page.keyboard.press("Space")
    page.get_by_role("button", name="Compare 5 with 8").focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Version 5 beside version 8")
    page.wait_for_load_state()  # the keys are heard once the scripts have run
    page.keyboard.press("j")
    expect(page.locator("[data-stop]").first).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("[data-stop]").nth(1)).to_be_focused()
    page.keyboard.press("v")
    expect(page.get_by_role("link", name="Side by side")).to_have_attribute("aria-current", "true")
    page.locator("summary.fold").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.folding").first).to_have_attribute("open", "")
    accessible(page)


def test_without_scripts_another_version_is_chosen_and_a_fold_opened(visit: Visit, demo: Demo) -> None:
    page = visit("ada", COMPARE, scripts=False, width=390)
    page.locator(".side-choice summary").first.click()
    page.locator(".side-choice").first.get_by_role("link", name="3, by").click()
    assert page.locator("h1").inner_text() == "Version 3 beside version 8"
    page.locator("summary.fold").first.click()
    expect(page.locator("details.folding .line").first).to_be_visible()
    fits(page)


def test_everything_that_differs_is_told(demo: Demo) -> None:
    ada = demo.principal("ada")
    texts = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Order {{ number }}, {{ old }}"}]
    prompt, _ = create_prompt(by=ada, name="test/all", content=texts, config={"temperature": 0.2, "model": "m"})
    save_version(
        by=ada,
        prompt=prompt,
        content=[{"role": "user", "content": "Order {{ number }}"}, {"role": "system", "content": "Be very kind."}],
        config={"temperature": 0.4, "model": "m"},
        variables=[{"name": "number", "type": "integer"}],
    )
    shown = page_of(demo, "/p/demo/compare/test/all/?from=1&to=2")
    assert "1 message moved" in shown
    assert "1 variable removed, 1 changed" in shown
    assert "1 setting changed" in shown
    assert "<code>old</code> is no longer used" in shown
    assert "moved from place" in shown
    for row in ("string, required", "integer, required", "0.2", "0.4"):
        assert row in shown


def test_hidden_characters_are_chips_and_are_told_on_top(demo: Demo) -> None:
    path = new_prompt(demo, "Open it.", "Op\u200ben\u202e it.", "Op\u200ben it.")
    shown = page_of(demo, f"{path}?from=1&to=2")
    assert "2 hidden characters came in with version 2" in shown
    assert "zero width space <code>U+200B</code>" in shown
    assert "right-to-left override <code>U+202E</code>" in shown
    assert "came in with" not in page_of(demo, f"{path}?from=2&to=3")


def test_line_ends_blanks_and_equal_versions(demo: Demo) -> None:
    path = new_prompt(demo, "One\nTwo", "One\r\nTwo ", "One\nTwo")
    ends = page_of(demo, f"{path}?from=1&to=2")
    assert "carriage return <code>U+000D</code>" in ends
    assert "Only line ends, blanks or signs differ." in ends
    assert "Nothing differs:" in page_of(demo, f"{path}?from=1&to=3")
    assert "added: </span>·<wbr></ins>" in page_of(demo, f"{path}?from=1&to=2&spaces=shown")


def test_roles_and_whole_messages_are_counted(demo: Demo) -> None:
    ada = demo.principal("ada")
    first = [{"role": "user", "content": "Be kind to them."}]
    prompt, _ = create_prompt(by=ada, name="test/roles", content=first)
    content = [{"role": "system", "content": "Be kind to them."}, {"role": "user", "content": "One order"}]
    save_version(by=ada, prompt=prompt, content=content)
    shown = page_of(demo, "/p/demo/compare/test/roles/?from=1&to=2")
    assert "2 words added, 1 message added, 1 role changed." in shown


def test_a_draft_that_cannot_be_saved_yet_is_compared_as_it_is_typed(demo: Demo) -> None:
    prompt = Prompt.objects.get(name="support/greeting")
    columns = {"source": "Hello {{ unfinished", "variables": "[]", "config": "", "message": ""}
    keep_draft(by=demo.principal("ada"), prompt=prompt, columns=columns, base=find_version(prompt, None), seen=None)
    shown = page_of(demo, "/p/demo/compare/support/greeting/?from=live&to=draft")
    assert "Your draft cannot be saved yet" in shown
    assert "unfinished" in shown
    assert "no longer used" not in shown


def test_what_people_wrote_is_never_markup(visit: Visit, demo: Demo) -> None:
    ada = demo.principal("ada")
    content = [{"role": "user", "content": f"{BAD}\n{{{{ v }}}}"}]
    prompt, _ = create_prompt(by=ada, name="test/markup", content=content, config={BAD: BAD})
    save_version(
        by=ada,
        prompt=prompt,
        content=[{"role": "user", "content": f"{BAD}{BAD}\n{{{{ v }}}}"}],
        config={BAD: {BAD: BAD}},
        variables=[{"name": "v", "description": BAD, "default": BAD}],
    )
    for view in ("", "&view=beside&spaces=shown"):
        page = visit("ada", f"/p/demo/compare/test/markup/?from=1&to=2{view}")
        assert page.locator("img").count() == 0
        assert BAD in page.locator("main").inner_text().replace("·", " ").replace("\n", "")


@pytest.mark.parametrize("query", ["from=99&to=1", "from=1&to=x", "from=draft&to=1", "to=" + "9" * 40, "from=dev"])
def test_what_is_not_there_is_not_found(demo: Demo, query: str) -> None:
    assert signed_in(demo.people["ada"]).get(f"{COMPARE}?{query}").status_code == 404


def test_a_tick_that_is_no_version_counts_for_none(demo: Demo) -> None:
    assert "beside version 7" in page_of(demo, f"{COMPARE}?v=7&v={'9' * 4400}")


def test_channels_and_words_name_versions(demo: Demo) -> None:
    assert "Version 8 beside version 8" in page_of(demo, f"{COMPARE}?from=live&to=stable")
    assert "beside version 8" in page_of(demo, f"{COMPARE}?to=latest")
    assert "Version 3 beside version 7" in page_of(demo, f"{COMPARE}?v=7&v=3")


def test_the_number_of_queries_does_not_grow(demo: Demo) -> None:
    client, asked = signed_in(demo.people["ada"]), []
    prompt = Prompt.objects.get(name="support/refund-answer")
    for round_ in range(2):
        client.get(COMPARE)
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{COMPARE}?from=2&to=8")
        asked.append(len(queries))
        for number in range(12 * (1 - round_)):
            save_version(
                by=demo.principal("ada"), prompt=prompt, content=[{"role": "user", "content": f"{number}"}] * 9
            )
    assert asked[0] == asked[1] <= 16
