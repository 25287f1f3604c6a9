"""Every text that a version may hold goes through the editor byte for byte, and is never markup."""

import re

import pytest
from playwright.sync_api import expect

from prompts.actions.versions import create_prompt
from prompts.reading import find_version
from tests.pages.conftest import Demo, Visit, signed_in
from tests.pages.test_edit import BAD, GREETING, form_of, newest, written

ODD = {
    "every plane": "".join(chr(plane * 0x10000 + 0x0100) for plane in range(17)) + " e\u0301 \u05d0\u05d1 👩‍👩‍👧",
    "blanks": "  two before\ttab \n\n trailing  \n\n",
    "leading line ends": "\n\nThird line",
    "crlf": "One\r\nTwo\r\n\r\nFour\r\n",
    "mixed": "One\r\nTwo\nThree\rFour",
    "separators": "a\u2028b\u2029c\u0085d\x0be\x0cf\u00a0g\ufeffh",
    "braces": "\\{{ literal }} {x} }} <b>&amp;</b>",
    "200 kB": "0123456789 abcdefghij\n" * 9_300,
}


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "plain"])
def test_every_text_arrives_byte_for_byte(visit: Visit, demo: Demo, scripts: bool) -> None:
    """Each text is opened, another message is changed beside it, and the version holds it as it was."""
    content = [{"role": "user", "content": text} for text in ODD.values()]
    prompt, _ = create_prompt(by=demo.principal("ada"), name="test/odd", content=content)
    page = visit("ada", "/p/demo/edit/test/odd/", scripts=scripts)
    if scripts:
        expect(page.locator(".cm-content")).to_have_count(len(content))
    page.get_by_label("Role of message 2").select_option("assistant")
    # Not by the mouse: once 200 kB come into sight they are measured, and everything below moves.
    page.get_by_role("button", name=re.compile("Save version")).last.press("Enter")
    expect(page.locator(".banner.is-passed")).to_be_visible()
    saved = find_version(prompt, 2).typed_source
    assert saved[1]["role"] == "assistant"
    assert {key: each["content"] for key, each in zip(ODD, saved, strict=True)} == ODD


@pytest.mark.full
def test_typed_text_arrives_byte_for_byte(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    for name in ("every plane", "blanks", "leading line ends", "separators", "braces", "200 kB"):
        page.goto(GREETING)
        expect(page.locator(".cm-content")).to_be_visible()
        page.evaluate(
            """(text) => {
                const content = document.querySelector(".cm-content");
                const view = content.cmTile?.view ?? content.cmView.view;
                view.dispatch({changes: {from: 0, to: view.state.doc.length, insert: text}});
            }""",
            ODD[name],
        )
        page.get_by_role("button", name=re.compile("Save version")).last.press("Enter")
        expect(page.locator(".banner.is-passed")).to_be_visible()
        assert newest().source == ODD[name], name


def test_changed_lines_of_a_windows_text_keep_its_line_ends(visit: Visit, demo: Demo) -> None:
    prompt, _ = create_prompt(by=demo.principal("ada"), name="test/crlf", content="One\r\nTwo\r\n")
    for scripts in (True, False):
        page = visit("ada", "/p/demo/edit/test/crlf/", scripts=scripts)
        box = written(page) if scripts else page.locator("textarea[name=text]")
        box.fill(f"One\nTwo\nThree {scripts}\n")
        page.get_by_role("button", name=re.compile("Save version")).last.click()
        expect(page.locator(".banner.is-passed")).to_be_visible()
        assert find_version(prompt, None).source == f"One\r\nTwo\r\nThree {scripts}\r\n"


def test_what_people_wrote_is_never_markup(visit: Visit, demo: Demo) -> None:
    ada = demo.principal("ada")
    create_prompt(by=ada, name="test/markup", content=f"{BAD} {{{{ v }}}}", config={"x": BAD})
    client = signed_in(demo.people["ada"])
    sent = form_of(client, "/p/demo/edit/test/markup/")
    sent |= {
        "text": [f"{BAD} {{{{ v }}}} {{{{ {BAD} }}}}</textarea>{BAD}"],
        "message": BAD,
        "config": BAD,
        "sample": BAD,
    }
    sent |= {"v-default": [BAD], "v-description": [BAD], "v-enum": [BAD], "s-name": ["v"], "s-value": [BAD]}
    assert client.post("/p/demo/edit/test/markup/", sent | {"act": "draft"}).status_code == 302
    page = visit("ada", "/p/demo/edit/test/markup/")
    expect(page.locator(".cm-content")).to_be_visible()
    assert page.locator("img").count() == 0
    assert BAD in page.locator("#previewed").inner_text()
    assert page.get_by_label("What changed, in one line").input_value() == BAD
    page.get_by_role("button", name=re.compile("Save version")).last.click()
    expect(page.locator(".banner.is-failed")).to_be_visible()
    assert page.locator("img").count() == 0
