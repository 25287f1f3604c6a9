"""Evaluation sets in the browser: made, filled by hand and from files that are looked at first, and asked in words."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from playwright.sync_api import expect

from evaluations.actions.sets import add_case, change_set, create_set
from evaluations.formats.records import MAX_BYTES
from evaluations.models import Case, EvaluationRule, EvaluationSet, StagedFile
from promptforge.lib.ids import encode
from prompts.models import Prompt
from tests.pages.conftest import Demo, Visit, signed_in
from tests.pages.listed import kept_set
from tests.pages.test_settings import banner
from tests.personas import make_team

EVALUATIONS = "/p/demo/evaluations/"


def owner(name: str = "Refund questions") -> EvaluationSet:
    return EvaluationSet.objects.get(name=name)


def upload(client: Client, address: str, name: str, body: bytes) -> Any:
    return client.post(f"{address}import/", {"act": "choose", "file": SimpleUploadedFile(name, body)})


def test_by_keyboard_from_nothing_to_a_set_with_a_case_and_a_criterion(visit: Visit, demo: Demo) -> None:
    page = visit("ada", EVALUATIONS)
    page.get_by_role("link", name="New set").press("Enter")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("Order questions")
    page.get_by_label("For which prompt").fill("support/order-status")
    page.keyboard.press("Enter")
    expect(banner(page)).to_contain_text("Order questions is there.")
    expect(page.get_by_text("A set without cases sees nothing.")).to_be_visible()
    page.get_by_role("link", name="Add a case").press("Enter")
    first = page.locator("textarea[name=v-value]").first
    expect(first).to_be_focused()
    page.keyboard.type("Where is it?")
    page.get_by_label("It must pass").press("Space")
    page.get_by_role("button", name="Add the case").press("Enter")
    expect(banner(page)).to_contain_text("The case case-1 is in the set.")
    page.get_by_role("link", name="Ask something more").press("Enter")
    page.get_by_role("link", name="Contains one of several").press("Enter")
    page.keyboard.type("tracking\ncarrier")
    page.get_by_role("button", name="Ask it of every answer").press("Enter")
    expect(page.locator("#criteria")).to_contain_text("must contain, in capitals or not, one of")
    made = owner("Order questions")
    assert made.prompt == Prompt.objects.get(name="support/order-status")
    [case] = Case.objects.standing_in(made.pk, made.revision)
    assert case.critical
    assert list(case.variable_values.values()) == ["Where is it?"]
    assert made.revision == 3


def test_a_filter_keeps_the_words_that_were_searched_for(visit: Visit, demo: Demo) -> None:
    kept_set(demo)
    change_set(by=demo.principal("ada"), owner=owner(), archived=True)
    create_set(by=demo.principal("ada"), name="Refunds of today")
    page = visit("ada", EVALUATIONS)
    page.get_by_label("Name of a set").press_sequentially("refund")
    expect(page.locator("#live")).to_have_text("1 set found.")
    page.get_by_role("link", name="Archived 1").click()
    expect(page.get_by_label("Name of a set")).to_have_value("refund")
    expect(page.locator("#found tbody tr")).to_contain_text("Refund questions")


def test_without_scripts_a_table_is_mapped_looked_at_and_saved(visit: Visit, demo: Demo) -> None:
    address = kept_set(demo)
    page, before = visit("ada", f"{address}import/", scripts=False), owner().revision
    rows = b"Question,Good,must\nWhere?,carrier,yes\nWhen?,date,perhaps\nHow?,so,\n"
    page.get_by_label("File").set_input_files({"name": "q.csv", "mimeType": "text/csv", "buffer": rows})
    page.get_by_role("button", name="Look at it").click()
    expect(page.locator("h1")).to_contain_text("3 cases can be taken from q.csv")
    page.get_by_label("Name of the variable that Question becomes").fill("customer_message")
    page.get_by_label("What Good becomes").select_option("expected")
    page.get_by_label("What must becomes").select_option("critical")
    page.get_by_role("button", name="Look again").click()
    expect(page.locator("h1")).to_contain_text("2 cases can be taken")
    expect(page.locator("#preview tr.is-wrong")).to_contain_text("yes or no is expected")
    expect(page.locator(".told").first).to_contain_text("Line 3.")
    assert owner().revision == before, "nothing was saved yet"
    page.get_by_role("button", name="Save 2 cases").click()
    expect(page.locator(".banner")).to_contain_text("2 cases came from q.csv.")
    expect(page.locator(".banner")).to_contain_text("1 line was left out.")
    made = Case.objects.filter(set=owner(), added_in=before + 1).order_by("position")
    assert [(c.variable_values, c.expected, c.critical) for c in made] == [
        ({"customer_message": "Where?"}, "carrier", True),
        ({"customer_message": "How?"}, "so", False),
    ]
    assert not StagedFile.objects.exists()


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("cases.jsonl", b'{"variables": {"q": "a"}}\nrubbish\n', "<b>Line 2.</b>"),
        ("config.yaml", b"tests:\n  - vars: {q: a}\n    assert: [{type: javascript, value: x}]\n", "javascript"),
        ("config.json", b'{"tests": [{"vars": {"q": "a"}, "assert": [{"type": "python", "value": "x"}]}]}', "python"),
        ("p.csv", b"q,__expected\na,javascript: process.exit()\n", "javascript"),
    ],
)  # fmt: skip
def test_what_is_not_taken_is_told_and_nothing_is_executed(demo: Demo, name: str, body: bytes, says: str) -> None:
    address, ada = kept_set(demo), signed_in(demo.people["ada"])
    assert upload(ada, address, name, body).status_code == 302
    shown = ada.get(f"{address}import/").content.decode()
    assert "1 case can be taken" in shown
    assert says in shown


@pytest.mark.parametrize(
    ("name", "body", "says"),
    [
        ("evil.exe", b"MZ", "none of the files that are read"),
        ("empty.csv", b"", "empty"),
        ("latin.csv", "q\ngrün".encode("latin-1"), "no UTF-8"),
        ("twice.csv", b"q,q\n1,2\n", "stands twice"),
        ("other.json", b'{"hello": 1}', "neither a set exported here"),
        ("broken.yaml", b"tests: [\n", ""),
        ("large.csv", b"q\n" + b"x" * MAX_BYTES, "they are the most"),
    ],
)
def test_a_file_that_cannot_be_read_is_not_kept(demo: Demo, name: str, body: bytes, says: str) -> None:
    address, ada = kept_set(demo), signed_in(demo.people["ada"])
    answer = upload(ada, address, name, body)
    assert 400 <= answer.status_code < 500
    assert says in answer.content.decode()
    assert not StagedFile.objects.exists()


def test_a_file_is_saved_once_and_by_its_own_person_alone(demo: Demo) -> None:
    address, ada, emil = kept_set(demo), signed_in(demo.people["ada"]), signed_in(demo.people["emil"])
    upload(ada, address, "q.csv", b"q\n1\n")
    assert emil.post(f"{address}import/", {"act": "take"}).status_code == 404
    assert ada.post(f"{address}import/", {"act": "take"}).status_code == 302
    assert ada.post(f"{address}import/", {"act": "take"}).status_code == 404
    assert Case.objects.filter(set=owner(), variables='{"q":"1"}').count() == 1


def test_a_case_keeps_what_was_no_text(demo: Demo) -> None:
    ada = demo.principal("ada")
    case = {"key": "one", "variables": {"count": 3, "items": [1, "two"], "name": "Mia"}, "messages": {}}
    made = create_set(by=ada, name="typed", cases=[case])
    address, client = f"{EVALUATIONS}sets/{encode('set', made.pk)}/", signed_in(demo.people["ada"])
    sent = {
        "act": "change",
        "case": "one",
        "v-name": ["count", "items", "name"],
        "v-value": ["3", '[1,"two"]', "Ada\r\nLovelace"],
    }
    assert client.post(address, sent).status_code == 302
    [found] = Case.objects.standing_in(made.pk, 2)
    assert found.variable_values == {"count": 3, "items": [1, "two"], "name": "Ada\nLovelace"}
    assert client.post(address, sent).status_code == 302
    made.refresh_from_db()
    assert made.revision == 2, "the same again is no revision"


def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(demo: Demo) -> None:
    address, ada = kept_set(demo), signed_in(demo.people["ada"])
    before = owner().revision
    sent = {"act": "add", "key": "two orders", "v-name": "customer_message", "v-value": "Keep <me>"}
    answer = ada.post(address, sent)
    assert answer.status_code == 400
    assert "The set has a case two orders already" in answer.content.decode()
    assert "Keep &lt;me&gt;" in answer.content.decode()
    for field, value in (("messages", "{"), ("v-name", "not a name"), ("tags", "x" * 51)):
        assert ada.post(address, {"act": "add", "v-value": "x"} | {field: value}).status_code in (400, 422)
    wrong = ada.post(address, {"act": "ask", "type": "regex", "value": "(?=x)"})
    assert wrong.status_code in (400, 422)
    assert 'aria-invalid="true"' in wrong.content.decode()
    assert ada.post(address, {"act": "unask", "of": "what nobody asks"}).status_code == 404
    assert owner().revision == before


def test_two_who_ask_something_more_at_once_both_are_heard(demo: Demo) -> None:
    address, ada, emil = kept_set(demo), signed_in(demo.people["ada"]), signed_in(demo.people["emil"])
    first = owner().revisions.latest("number").criteria_list
    for who, word in ((ada, "sorry"), (emil, "photo")):  # each from the page as it was before
        assert who.post(address, {"act": "ask", "type": "icontains", "value": word}).status_code == 302
    newest = owner().revisions.latest("number").criteria_list
    assert [each["value"] for each in newest[len(first) :]] == ["sorry", "photo"]


def test_a_foreign_set_is_as_an_absent_one(demo: Demo) -> None:
    address, other = kept_set(demo), make_team("other", preset="solo")
    stranger, elsewhere = signed_in(other.emil.user), address.replace("/p/demo/", "/p/other/")
    for path in ("", "import/", "export/"):
        assert stranger.get(f"{elsewhere}{path}").status_code == 404
    assert stranger.post(elsewhere, {"act": "rename", "name": "mine"}).status_code == 404
    assert upload(stranger, elsewhere, "q.csv", b"q\n1\n").status_code == 404


def test_an_export_comes_back_unchanged_and_no_cell_is_a_formula(demo: Demo) -> None:
    address, ada = kept_set(demo), signed_in(demo.people["ada"])
    ada.post(address, {"act": "add", "key": "=1+1", "v-name": "q", "v-value": "@SUM(A1)"})
    whole = ada.get(f"{address}export/?format=json").content
    table = ada.get(f"{address}export/?format=csv").content.decode("utf-8-sig")
    assert not any(cell.startswith(("=", "@", "+", "-")) for row in table.splitlines() for cell in row.split(","))
    assert ada.get(f"{address}export/?format=exe").status_code == 400
    fresh = create_set(by=demo.principal("ada"), name="copy")
    copy = f"{EVALUATIONS}sets/{encode('set', fresh.pk)}/"
    upload(ada, copy, "set.json", whole)
    assert ada.post(f"{copy}import/", {"act": "take"}).status_code == 302
    again = ada.get(f"{copy}export/?format=json").json()
    assert (again["cases"], again["criteria"]) == (ada.get(f"{address}export/").json()["cases"], again["criteria"])


def test_a_thousand_cases_take_as_many_queries_as_three(demo: Demo) -> None:
    ada, client = demo.principal("ada"), signed_in(demo.people["ada"])
    small = create_set(by=ada, name="small", cases=[{"variables": {"q": str(n)}} for n in range(3)])
    many = [{"variables": {"q": f"question {n}"}, "tags": ["a"], "group": f"g{n % 9}"} for n in range(1_000)]
    large = create_set(by=ada, name="large", cases=many)

    def asked(path: str) -> int:
        client.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(path).status_code == 200
        return len(queries)

    few, much = (f"{EVALUATIONS}sets/{encode('set', each.pk)}/" for each in (small, large))
    assert asked(f"{much}?page=7") <= asked(few)
    assert client.get(much).content.decode().count("<tr data-stop") == 50
    for number in range(1_001, 1_010):
        add_case(by=ada, owner=small, case={"key": f"{number}"})
    assert '<a href="?revision=1">revision 1</a>' in client.get(few).content.decode()
    alone = asked(EVALUATIONS)
    for number in range(12):
        create_set(by=ada, name=f"set {number}", criteria=[{"type": "contains", "value": "x"}], cases=[{"key": "a"}])
    assert asked(EVALUATIONS) <= alone


# --- Gate rules ------------------------------------------------------------------------------------------------------
def test_one_adds_a_rule_and_two_take_it_away(visit: Visit, demo: Demo) -> None:
    kept_set(demo)
    cleo, farah = visit("cleo", "/p/demo/settings/rules/"), visit("farah", "/p/demo/settings/rules/")
    cleo.get_by_role("link", name="Add a rule").press("Enter")
    expect(cleo.get_by_label("On which channel")).to_be_focused()
    cleo.get_by_label("On which channel").select_option("stable")
    cleo.get_by_label("By which set").select_option("Refund questions")
    cleo.get_by_label("Asking which model").select_option("shop-chat")
    cleo.get_by_label("How many points").fill("99")
    cleo.get_by_role("button", name="Add the rule").press("Enter")
    expect(cleo.locator("#margin-says")).to_contain_text("A whole number from 1 to 50.")
    cleo.get_by_label("How many points").fill("5")
    cleo.get_by_role("button", name="Add the rule").press("Enter")
    expect(banner(cleo)).to_contain_text("Stable demands that Refund questions passes.")
    expect(cleo.get_by_text("at most 5 points worse")).to_be_visible()
    cleo.get_by_role("link", name="Take away Refund questions on stable").press("Enter")
    cleo.get_by_role("button", name="Ask for it").press("Enter")
    expect(banner(cleo)).to_contain_text("It stands until a second person agrees.")
    expect(cleo.get_by_text("You asked, so somebody else agrees.")).to_be_visible()
    farah.reload()
    farah.get_by_role("button", name="Agree").press("Enter")
    expect(banner(farah)).to_contain_text("Refund questions is demanded no more.")
    rule = EvaluationRule.objects.get(channel__name="stable")
    assert (rule.removal_asked_by, rule.removed_by) == (demo.people["cleo"], demo.people["farah"])
