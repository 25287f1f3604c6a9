"""The editor: from a draft to a version, by keyboard, without scripts, and with everything that a text may hold."""

import gzip
import json
import re
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import Page, expect

from accounts.actions.members import set_roles
from prompts.actions.drafts import keep_draft
from prompts.actions.versions import create_prompt, save_version
from prompts.models import Draft, Prompt, PromptVersion, SampleValues
from prompts.pages.typed import Typed
from prompts.reading import find_version
from tests.pages.conftest import Demo, Visit, accessible, fits, signed_in
from tests.pages.test_prompt import stepped_to
from tests.plugin import ROOT

GREETING = "/p/demo/edit/support/greeting/"
REFUND = "/p/demo/edit/support/refund-answer/"
BAD = "<img src=x onerror=alert(1)>"
KEPT = re.compile(r"Draft saved \d\d:\d\d\.")


def newest(name: str = "support/greeting") -> PromptVersion:
    return find_version(Prompt.objects.get(name=name), None)


def form_of(client: Client, path: str) -> dict[str, Any]:
    """What a browser without scripts would send of the form as it was drawn."""
    context = client.get(path).context
    typed: Typed = context["work"]
    rows = {f"v-{name}": [getattr(row, name) for row in typed.rows] for name in
            ("name", "type", "required", "default", "max_length", "enum", "description")}  # fmt: skip
    return rows | {
        "base": context["base"],
        "seen": context["last_kept"],
        "role": [each.role for each in typed.texts],
        "text": [each.text.replace("\n", "\r\n") for each in typed.texts],
        "ends": [each.ends for each in typed.texts],
        "config": typed.config,
        "message": typed.message,
    }


def written(page: Page) -> Any:
    """The text of the first message, once the editor stands in the place of the plain field."""
    expect(page.locator(".cm-content").first).to_be_visible()
    return page.locator(".message").first.get_by_role("textbox", name="Text")


def test_by_keyboard_from_a_draft_to_a_version(visit: Visit, demo: Demo) -> None:
    before = newest()
    page = visit("ada", f"/p/demo/prompts/support/greeting/?version={before.number}")
    page.keyboard.press("e")
    expect(page.locator(".cm-content")).to_be_visible()
    written(page).focus()
    page.keyboard.press("Control+End")
    page.keyboard.type("\nAsk for {{ order_number }}.")
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_have_text(KEPT)
    expect(page.locator("#titled")).to_contain_text("Draft on top of version")
    expect(page.locator("#mends-0")).to_contain_text("order_number is not declared")
    # The keyboard leaves the text by Tab, as it leaves every field.
    page.keyboard.press("Escape")
    stepped_to(page, "Declare it")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Type of order_number")).to_be_focused()
    expect(page.locator("#mends-0")).to_be_empty()
    accessible(page)
    page.get_by_label("What changed, in one line").focus()
    page.keyboard.type("Asks for the order")
    stepped_to(page, f"Save version {before.number + 1}")
    page.keyboard.press("Enter")
    expect(page.locator(".banner.is-passed")).to_be_focused()
    expect(page.locator(".banner.is-passed")).to_contain_text(f"Version {before.number + 1} is saved.")
    saved = newest()
    assert saved.source == before.source + "\nAsk for {{ order_number }}."
    assert saved.message == "Asks for the order"
    assert saved.variable_list[-1]["name"] == "order_number"
    assert saved.config == before.config
    assert not Draft.objects.exists()


def test_without_scripts_messages_are_added_moved_removed_and_saved(visit: Visit, demo: Demo) -> None:
    page = visit("ada", REFUND, scripts=False, width=390)
    page.get_by_role("button", name="Add message").click()
    page.locator("textarea[name=text]").nth(2).fill("Which order do you mean?")
    page.get_by_role("button", name="Move message 3 up").click()
    assert page.locator("textarea[name=text]").nth(1).input_value() == "Which order do you mean?"
    page.get_by_role("button", name="Remove message 3").click()
    page.get_by_label("What changed, in one line").fill("Asks first")
    fits(page)
    page.get_by_role("button", name=re.compile("Save version")).last.click()
    expect(page.locator(".banner.is-passed")).to_be_visible()
    saved = newest("support/refund-answer")
    assert [each["role"] for each in saved.typed_source] == ["system", "assistant"]
    assert saved.typed_source[1]["content"] == "Which order do you mean?"
    # What the text no longer names is no longer declared.
    assert "customer_message" not in [each["name"] for each in saved.variable_list]


def test_a_version_that_appeared_meanwhile_is_told_and_nothing_is_lost(visit: Visit, demo: Demo) -> None:
    before = newest()
    page = visit("ada", GREETING)
    save_version(by=demo.principal("farah"), prompt=before.prompt, content="By somebody else", variables=[])
    written(page).fill("Mine, with care")
    page.keyboard.press("Control+s")
    banner = page.locator("#state .banner")
    expect(banner).to_contain_text(f"Version {before.number + 1} came after {before.number}, which you began with")
    assert page.get_by_role("link", name=re.compile(f"Compare {before.number} with")).is_visible()
    page.get_by_role("button", name=re.compile("Save version")).last.click()
    expect(page.locator(".banner.is-failed")).to_contain_text("which you began with")
    expect(written(page)).to_have_text("Mine, with care")
    page.get_by_role("button", name=re.compile("Go on on top of")).click()
    expect(page.locator("#state .banner")).to_have_count(0)
    page.get_by_role("button", name=re.compile("Save version")).last.click()
    expect(page.locator(".banner.is-passed")).to_be_visible()
    assert newest().source == "Mine, with care"
    assert newest().number == before.number + 2


def test_refusals_stand_at_their_field_and_everything_is_kept(visit: Visit, demo: Demo) -> None:
    before = newest("support/refund-answer")
    page = visit("ada", REFUND, scripts=False)
    page.locator("textarea[name=text]").nth(1).fill("Order {{ number")
    page.get_by_label("Model, temperature").fill('{"temperature": }')
    page.get_by_label("What changed, in one line").fill("Half done")
    page.get_by_role("button", name=re.compile("Save version")).last.click()
    expect(page.locator(".banner.is-failed")).to_be_visible()
    assert "does not close" in page.locator("#mends-1").inner_text()
    assert "Not valid JSON at 1:17" in page.locator("#config-says.error").inner_text()
    assert page.locator("textarea[name=text]").nth(1).input_value() == "Order {{ number"
    assert page.get_by_label("What changed, in one line").input_value() == "Half done"
    assert newest("support/refund-answer").pk == before.pk
    assert Draft.objects.get().message == "Half done"


def test_declarations_are_refused_at_their_row(demo: Demo) -> None:
    client = signed_in(demo.people["ada"])
    sent = form_of(client, REFUND)
    place = sent["v-name"].index("refund_days")
    for column, value in (("v-default", "thirty"), ("v-max_length", "x")):
        wrong = sent | {column: [value if at == place else old for at, old in enumerate(sent[column])], "act": "save"}
        wrong["seen"] = form_of(client, REFUND)["seen"]
        answer = client.post(REFUND, wrong)
        assert answer.status_code == 422, column
        assert [bool(error) for _, error in answer.context["rows"]] == [
            at == place for at in range(len(sent["v-name"]))
        ]


def test_a_message_that_is_too_long_stands_in_the_draft_alone(demo: Demo) -> None:
    client = signed_in(demo.people["ada"])
    answer = client.post(REFUND, form_of(client, REFUND) | {"act": "save", "message": "x" * 2_001})
    assert answer.status_code == 400
    assert "The message has 2,001 characters; at most 2,000 are kept." in answer.content.decode()
    new = {"act": "save", "type": "text", "name": "test/new", "role": "", "text": "Hello"}
    for field, limit in (("message", 2_000), ("description", 10_000)):
        answer = client.post("/p/demo/prompts/new/", new | {field: "x" * (limit + 1)})
        assert (answer.status_code, f"at most {limit:,} are kept" in answer.content.decode()) == (400, True)
    assert not Prompt.objects.filter(name="test/new").exists()


def test_a_form_as_it_was_drawn_saves_nothing(demo: Demo) -> None:
    """Every declaration, default and setting of the demo goes through the form and comes back as it was."""
    client = signed_in(demo.people["ada"])
    for prompt in Prompt.objects.filter(project=demo.project, archived_at=None):
        path, before = f"/p/demo/edit/{prompt.name}/", prompt.next_number
        assert client.post(path, form_of(client, path) | {"act": "save"}).status_code == 302, prompt.name
        prompt.refresh_from_db()
        assert prompt.next_number == before, prompt.name


def test_a_draft_is_shown_to_nobody_else(demo: Demo) -> None:
    prompt = Prompt.objects.get(name="support/greeting")
    columns = {"source": "Secret thought", "variables": "[]", "config": "", "message": "Secret message"}
    keep_draft(by=demo.principal("ada"), prompt=prompt, columns=columns, base=newest(), seen=None)
    other = signed_in(demo.people["farah"])
    for path in (GREETING, "/p/demo/compare/support/greeting/", "/p/demo/prompts/support/greeting/"):
        shown = other.get(path).content.decode()
        assert "Secret" not in shown
    assert "Ada has a draft of this prompt too." in other.get(GREETING).content.decode()
    assert other.get("/p/demo/compare/support/greeting/?from=live&to=draft").status_code == 404
    mine = signed_in(demo.people["ada"]).get("/p/demo/compare/support/greeting/?from=live&to=draft")
    assert "Secret" in mine.content.decode()
    other.post(GREETING, {"act": "throw-away"})
    assert Draft.objects.get().source == "Secret thought"


def test_who_may_not_write_cannot(demo: Demo) -> None:
    before = newest().pk
    set_roles(project=demo.project, user=demo.people["noor"], roles=["viewer"], by=None)
    client = signed_in(demo.people["noor"])
    for path in (GREETING, "/p/demo/prompts/new/"):
        assert client.get(path).status_code == 403
        for act in ("draft", "save", "throw-away", "add"):
            sent = {"act": act, "text": ["x"], "ends": ["lf"], "name": "test/mine", "type": "text", "base": "1"}
            assert client.post(path, sent).status_code == 403, (path, act)
    assert newest().pk == before
    assert not Draft.objects.exists()
    assert not Prompt.objects.filter(name="test/mine").exists()
    assert "Edit</a>" not in client.get("/p/demo/prompts/support/greeting/").content.decode()


def test_a_new_prompt_by_keyboard_and_without_scripts(visit: Visit, demo: Demo) -> None:
    page = visit("ada", "/p/demo/prompts/new/?type=text", scripts=False)
    page.get_by_label("Name", exact=True).fill("support/greeting")
    page.get_by_role("textbox", name="Text").fill("Hello {{ name }}")
    page.get_by_role("button", name="Save version 1").last.click()
    assert "taken" in page.locator("#name-says").inner_text() + page.locator(".banner.is-failed").inner_text()
    assert page.get_by_role("textbox", name="Text").input_value() == "Hello {{ name }}"
    page.get_by_label("Name", exact=True).fill("test/hello")
    page.get_by_role("button", name="Save version 1").last.click()
    expect(page.locator(".banner.is-passed")).to_be_visible()
    assert newest("test/hello").source == "Hello {{ name }}"
    page = visit("ada", "/p/demo/prompts/new/")
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.type("test/chat")
    stepped_to(page, "Add message")
    page.keyboard.press("Enter")
    expect(page.locator(".message")).to_have_count(3)
    expect(page.locator(".cm-content").nth(2)).to_be_focused()
    page.keyboard.type("I am glad to help.")
    written(page).fill("Be kind.")
    page.get_by_role("button", name="Remove message 2").press("Enter")
    expect(page.locator(".message")).to_have_count(2)
    page.get_by_role("button", name="Save version 1").last.press("Enter")
    expect(page.locator("h1")).to_have_text("test/chat")
    assert [each["content"] for each in newest("test/chat").typed_source] == ["Be kind.", "I am glad to help."]


def test_plain_fields_hold_what_was_written(visit: Visit, demo: Demo) -> None:
    page = visit("ada", GREETING)
    expect(page.locator(".cm-content")).to_be_visible()
    written(page).fill("Written in the editor")
    page.get_by_label("Plain text fields").check()
    expect(page.locator("textarea[name=text]")).to_have_value("Written in the editor")
    page.locator("textarea[name=text]").fill("Written in a field")
    page.get_by_label("Plain text fields").uncheck()
    expect(page.locator(".cm-content")).to_have_text("Written in a field")
    page.keyboard.press("Control+s")
    expect(page.locator("#kept")).to_have_text(KEPT)
    assert Draft.objects.get().source == "Written in a field"


def test_sample_values_are_kept_under_their_name_and_fill_the_preview(visit: Visit, demo: Demo) -> None:
    page = visit("ada", REFUND)
    page.get_by_label("customer_message, sample value").fill("Both came broken")
    expect(page.locator("#previewed")).to_contain_text("Both came broken")
    page.locator("#samples summary").click()
    page.get_by_label("Keep these values as").fill("two orders")
    page.get_by_role("button", name="Keep", exact=True).click()
    expect(page.locator("#samples summary")).to_have_text("Sample: two orders")
    assert {each.name for each in SampleValues.objects.all()} == {"First sample", "two orders"}
    assert json.loads(SampleValues.objects.get(name="two orders").values) == {"customer_message": "Both came broken"}
    other = signed_in(demo.people["farah"]).get(REFUND).content.decode()
    assert "Both came broken" not in other


def test_what_looks_wrong_is_told_and_mended(demo: Demo) -> None:
    client = signed_in(demo.people["ada"])
    sent = form_of(client, GREETING)
    text = "Hi\u200b there, key AKIAIOSFODNN7EXAMPLQ {{ firstname }}"
    client.post(GREETING, sent | {"text": [text], "act": "draft"})
    notes = {note.title: note for note in client.get(GREETING).context["notes"]}
    assert "1 hidden character" in notes
    assert "This looks like a secret" in notes
    assert any("not used" in title for title in notes)
    assert any("no longer used" in title for title in notes)
    again = form_of(client, GREETING)
    client.post(GREETING, again | {"act": "clean"})
    assert Draft.objects.get().source == text.replace("\u200b", "")


ODD_FORMS: tuple[dict[str, Any], ...] = (
    {},
    {"text": []},
    {"text": ["x"], "role": ["system"], "ends": []},
    {"act": "up:99", "text": ["x"], "role": ["no role"]},
    {"act": "remove:0"},
    {"act": "use:"},
    {"act": "declare:{{x}}", "seen": "never", "base": "-1"},
    {"act": "save", "base": "9" * 30, "text": ["x"], "role": ["user"]},
    {"v-name": ["x"] * 3, "v-type": ["evil"] * 3, "s-name": ["x"], "text": ["\ud7ff"], "config": "[" * 5000},
    {"text": ["a\0b"], "role": ["user"]},
    {"message": "x" * 2_000_000, "text": ["x"], "role": ["user"]},
)


def test_a_form_that_no_page_sends_breaks_nothing(demo: Demo) -> None:
    client, before = signed_in(demo.people["ada"]), newest("support/refund-answer").number
    for odd in ODD_FORMS:
        Draft.objects.all().delete()
        for path in (REFUND, GREETING, "/p/demo/prompts/new/"):
            answer = client.post(path, odd)
            assert answer.status_code in (200, 302, 400, 403, 409, 413, 422), (path, odd)
            assert client.get(path).status_code == 200, (path, odd)
    assert newest("support/refund-answer").number == before


def test_the_number_of_queries_does_not_grow(demo: Demo) -> None:
    ada, client, asked = demo.principal("ada"), signed_in(demo.people["ada"]), []
    prompt, _ = create_prompt(by=ada, name="test/many", content=[{"role": "user", "content": "x"}])
    for _ in range(2):
        client.get("/p/demo/edit/test/many/")
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/p/demo/edit/test/many/").status_code == 200
        asked.append(len(queries))
        content = [{"role": "user", "content": f"{number} {{{{ v{number} }}}}"} for number in range(40)]
        for number in range(10):
            save_version(by=ada, prompt=prompt, content=[*content, {"role": "user", "content": f"{number}"}])
    assert asked[0] == asked[1] <= 16


def test_two_hundred_variables_go_through_the_form(demo: Demo) -> None:
    ada, client = demo.principal("ada"), signed_in(demo.people["ada"])
    create_prompt(by=ada, name="test/wide", content=" ".join(f"{{{{ v{number} }}}}" for number in range(200)))
    sent = form_of(client, "/p/demo/edit/test/wide/")
    sent |= {"s-name": sent["v-name"], "s-value": ["x"] * 200, "v-description": ["One of many"] * 200, "act": "save"}
    assert client.post("/p/demo/edit/test/wide/", sent).status_code == 302
    assert {each["description"] for each in newest("test/wide").variable_list} == {"One of many"}


def test_the_bundle_is_apart_and_the_page_is_small(demo: Demo) -> None:
    page = signed_in(demo.people["ada"]).get(GREETING).content.decode()
    files = re.findall(r'<(?:script|link)[^>]+(?:src|href)="/static/([^"]+\.(?:js|css))"', page)
    assert "js/edit.js" in files
    assert not any("codemirror" in name for name in files)
    assert sum(len(gzip.compress((ROOT / "static" / name).read_bytes())) for name in files) < 60_000
