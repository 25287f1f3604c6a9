"""/api/v1/evaluation-sets: made, filled by hand and by file, changed in revisions that stay, and exported."""

import json
import time
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction

from evaluations.actions import sets as verbs
from evaluations.formats.records import MAX_CASES
from evaluations.models import Case, EvaluationSet, SetRevision
from promptforge.lib.errors import DomainError
from promptforge.lib.refusals import refusals
from tests.api.conftest import Caller, body_of, problem_of, written
from tests.api.people import events_of, last_event, person, refused
from tests.api.promised import fits
from tests.evaluations.rows import new_run
from tests.evaluations.test_promptfoo import EXAMPLES
from tests.personas import Team

KIND = {"type": "contains", "value": "refund"}
WHOLE = {"type": "contains", "value": "refund", "threshold": None, "weight": 1.0, "not": False}
CSV, LINES, YAML = "text/csv", "application/x-ndjson", "application/yaml"


@pytest.fixture
def keeper(team: Team) -> Caller:
    return Caller(team.key("evaluations:run"))


def make(caller: Caller, **fields: Any) -> dict[str, Any]:
    return body_of(caller.post("evaluation-sets", {"name": "core", "criteria": [KIND]} | fields), 201)


def send_file(caller: Caller, owner: dict[str, Any], kind: str, body: bytes | str, query: str = "") -> Any:
    data = body.encode() if isinstance(body, str) else body
    return caller.send("POST", f"evaluation-sets/{owner['id']}/cases{query}", data, content_type=kind)


def keys(caller: Caller, owner: dict[str, Any], **parameters: Any) -> list[str]:
    answer = caller.get(f"evaluation-sets/{owner['id']}/cases", parameters)
    return [case["key"] for case in body_of(answer)["data"]]


def test_a_set_is_made_shown_listed_and_changed(team: Team, keeper: Caller) -> None:
    prompt = team.prompt("support/greeting")
    newest = last_event()
    answer = keeper.post(
        "evaluation-sets",
        {"name": "core", "prompt": prompt.name, "criteria": [KIND], "cases": [{"variables": {"q": 1}}, {"key": "b"}]},
    )
    fits(answer, "evaluation-sets", "post")
    made = body_of(answer, 201)
    assert made | {"id": "", "created_at": ""} == {
        "id": "", "name": "core", "prompt": prompt.name, "description": "", "criteria": [WHOLE], "cases": 2,
        "revision": 1, "archived": False, "created_at": "",
    }  # fmt: skip
    path = f"evaluation-sets/{made['id']}"
    shown = keeper.get(path)
    fits(shown, "evaluation-sets/{set_id}", "get")
    power = "Your 2 cases can see a drop of 37 points at 5 repeats each, of 19 points at 20 repeats."
    assert body_of(shown) == made | {"advice": [power]}
    assert body_of(keeper.get("evaluation-sets")) == {"data": [made], "next": None}
    assert body_of(keeper.get("evaluation-sets", {"prompt": "other"}))["data"] == []
    changed = body_of(
        keeper.send("PATCH", path, {"name": "main", "criteria": [KIND, KIND | {"not": True}], "message": "m"})
    )
    assert (changed["name"], changed["revision"], len(changed["criteria"]), changed["cases"]) == ("main", 2, 2, 2)
    assert body_of(keeper.send("PATCH", path, {"criteria": changed["criteria"]}))["revision"] == 2, "nothing changed"
    revisions = keeper.get(f"{path}/revisions")
    fits(revisions, "evaluation-sets/{set_id}/revisions", "get")
    assert [(r["number"], r["message"], r["cases"]) for r in body_of(revisions)["data"]] == [(2, "m", 2), (1, "", 2)]
    assert events_of(team, newest) == ["set.created", "set.changed", "set.revised"]


def test_cases_change_in_revisions_and_earlier_ones_keep_them(team: Team, keeper: Caller) -> None:
    owner = make(keeper, cases=[{"key": "a"}, {"key": "b"}])
    path = f"evaluation-sets/{owner['id']}/cases"
    answer = keeper.post(path, {"variables": {"q": "x"}, "criteria": [KIND], "critical": True, "tags": ["t"]})
    fits(answer, "evaluation-sets/{set_id}/cases", "post")
    added = body_of(answer, 201)
    assert added == {
        "key": "case-3", "variables": {"q": "x"}, "messages": {}, "expected": None, "tags": ["t"], "group": "",
        "critical": True, "criteria": [WHOLE], "revision": 2,
    }  # fmt: skip
    changed = keeper.send("PATCH", f"{path}/a", {"expected": "y", "key": "a/1 ü"})
    fits(changed, "evaluation-sets/{set_id}/cases/{key}", "patch")
    assert body_of(changed)["revision"] == 3
    assert body_of(keeper.get(f"{path}/a/1%20%C3%BC"))["expected"] == "y"
    assert body_of(keeper.send("PATCH", f"{path}/b", {"expected": None}))["revision"] == 1, "nothing changed"
    assert keeper.send("DELETE", f"{path}/b").status_code == 204
    assert [keys(keeper, owner, revision=n) for n in (1, 2, 3, 4)] == [
        ["a", "b"], ["a", "b", "case-3"], ["a/1 ü", "b", "case-3"], ["a/1 ü", "case-3"],
    ]  # fmt: skip
    assert keys(keeper, owner) == keys(keeper, owner, revision=4)
    problem_of(keeper.send("DELETE", f"{path}/b"), 404, "not_found")
    problem_of(keeper.get(path, {"revision": 5}), 404, "not_found")
    problem_of(keeper.get(path, {"revision": "1²"}), 400, "bad_value")


def test_a_table_is_previewed_mapped_and_taken(team: Team, keeper: Caller) -> None:
    owner = make(keeper)
    table = "Customer asks,expected,critical\nHow?,So.,yes\nWhy?,Because.\nHow?,So.,no\n"
    mapping = "?mapping=" + json.dumps({"Customer asks": "variable:q"}).replace('"', "%22").replace(" ", "%20")
    dry = body_of(send_file(keeper, owner, CSV, table, f"{mapping}&dry_run=1"))
    assert (dry["revision"], dry["cases"], dry["duplicates"]) == (1, 2, 1)
    assert dry["problems"] == [{"line": 3, "detail": "The row has 2 cells, the header 3."}]
    answer = send_file(keeper, owner, CSV, table, mapping)
    fits(answer, "evaluation-sets/{set_id}/cases", "post")
    assert body_of(answer)["revision"] == 2
    shown = body_of(keeper.get(f"evaluation-sets/{owner['id']}"))
    assert shown["advice"][1:] == ["2 cases ask the same: case-1, case-2. Keep one of them."]
    problem_of(send_file(keeper, owner, CSV, table, "?mapping=[]"), 400, "bad_value")
    problem_of(send_file(keeper, owner, CSV, ""), 400, "body_required")


def test_a_real_promptfoo_config_is_taken_and_what_is_left_is_told(team: Team, keeper: Caller) -> None:
    owner = make(keeper, criteria=[])
    told = body_of(send_file(keeper, owner, YAML, (EXAMPLES / "init-compare.yaml").read_bytes()))
    assert (told["cases"], told["revision"]) == (3, 2)
    assert ["javascript is code" in problem["detail"] for problem in told["problems"]] == [True]
    whole = body_of(send_file(keeper, owner, YAML, (EXAMPLES / "every-assertion.yaml").read_bytes()))
    assert whole["criteria"] == 2
    assert [c["type"] for c in body_of(keeper.get(f"evaluation-sets/{owner['id']}"))["criteria"]] == [
        "cost",
        "llm-rubric",
    ]
    again = body_of(send_file(keeper, owner, YAML, (EXAMPLES / "every-assertion.yaml").read_bytes()))
    assert len(body_of(keeper.get(f"evaluation-sets/{owner['id']}"))["criteria"]) == 2, "criteria are not doubled"
    assert again["revision"] == 4


@pytest.mark.parametrize(
    ("form", "kind"), [("json", "application/json"), ("jsonl", LINES), ("promptfoo", YAML), ("csv", CSV)]
)
def test_an_export_is_imported_again(team: Team, keeper: Caller, form: str, kind: str) -> None:
    cases = [
        {"key": "a", "variables": {"q": "Wie?\n", "n": "5"}, "expected": "So.", "tags": ["x", "y"], "group": "g"},
        {"key": "b", "variables": {"q": "x", "n": ""}, "critical": True},
    ]
    plain = form == "csv"
    owner = make(keeper, criteria=[] if plain else [KIND, {"type": "no-pii"}], cases=cases)
    answer = keeper.get(f"evaluation-sets/{owner['id']}/export", {"format": form})
    assert answer["Content-Type"].startswith(kind)
    assert answer["Content-Disposition"].startswith("attachment")
    other = make(keeper, name="copy", criteria=[])
    told = body_of(send_file(keeper, other, kind, answer.content))
    assert told["problems"] == []
    first, second = (
        [case | {"revision": 0} for case in body_of(keeper.get(f"evaluation-sets/{each['id']}/cases"))["data"]]
        for each in (owner, other)
    )
    assert first == second
    if form in ("json", "promptfoo"):
        assert body_of(keeper.get(f"evaluation-sets/{other['id']}"))["criteria"] == owner["criteria"]


def test_an_export_of_an_earlier_revision_stays_the_same_bytes(team: Team, keeper: Caller) -> None:
    owner = make(keeper, cases=[{"key": "a"}])
    path = f"evaluation-sets/{owner['id']}"
    before = keeper.get(f"{path}/export").content
    keeper.send("PATCH", f"{path}/cases/a", {"expected": "y"})
    keeper.send("PATCH", path, {"criteria": []})
    assert keeper.get(f"{path}/export", {"revision": 1}).content == before
    assert keeper.get(f"{path}/export").content != before
    problem_of(keeper.get(f"{path}/export", {"format": "xlsx"}), 400, "bad_value")


BAD: list[tuple[Any, int, str, str]] = [
    ({"variables": {"_q": 1}}, 422, "reserved_name", "/variables/_q"),
    ({"variables": []}, 400, "object_expected", "/variables"),
    ({"expected": 5}, 400, "string_expected", "/expected"),
    ({"tags": "a"}, 400, "list_expected", "/tags"),
    ({"tags": ["a"] * 21}, 400, "bad_value", "/tags"),
    ({"critical": "yes"}, 400, "bad_value", "/critical"),
    ({"key": "a"}, 400, "bad_value", "/key"),
    ({"key": "x" * 101}, 400, "bad_value", "/key"),
    ({"key": "a\nb"}, 400, "bad_value", "/key"),
    ({"criteria": [{"type": "python", "value": "1"}]}, 422, "bad_criterion", "/criteria/0/type"),
    ({"criteria": [{"type": "regex", "value": "(?=a)"}]}, 422, "bad_criterion", "/criteria/0/value"),
    ({"messages": {"h": [{"role": "boss", "content": ""}]}}, 422, "bad_role", "/messages/h/0/role"),
    ({"variables": {"q": "x" * 300_000}}, 400, "bad_value", "/variables/q"),
    ({"variables": {f"q{n}": "x" * 200_000 for n in range(2)}}, 400, "bad_value", "/variables"),
    ({"nope": 1}, 400, "unknown_field", "/nope"),
]


def test_a_bad_case_is_refused_with_its_place_and_changes_nothing(team: Team, keeper: Caller) -> None:
    owner = make(keeper, cases=[{"key": "a"}])
    path = f"evaluation-sets/{owner['id']}/cases"
    for body, status, code, pointer in BAD:
        refusal = problem_of(keeper.post(path, body), status, code)
        assert refusal["errors"][0]["pointer"] == pointer
    problem_of(keeper.post(path, [1]), 400, "object_expected")
    problem_of(keeper.send("POST", path, b"{}", content_type="text/plain"), 415, "unsupported_media_type")
    problem_of(keeper.send("POST", path, b"x" * (10 * 1024 * 1024 + 1), content_type=CSV), 413, "body_too_large")
    problem_of(keeper.post("evaluation-sets", {"name": "core"}), 409, "name_taken")
    problem_of(keeper.post("evaluation-sets", {"name": " "}), 400, "bad_value")
    problem_of(keeper.post("evaluation-sets", {"name": "x", "prompt": "none"}), 404, "prompt_not_found")
    assert (SetRevision.objects.count(), Case.objects.count(), EvaluationSet.objects.count()) == (1, 1, 1)


def test_an_archived_set_takes_nothing_until_it_is_restored(team: Team, keeper: Caller) -> None:
    owner = make(keeper)
    path = f"evaluation-sets/{owner['id']}"
    assert body_of(keeper.send("PATCH", path, {"archived": True}))["archived"] is True
    problem_of(keeper.post(f"{path}/cases", {}), 409, "archived")
    problem_of(keeper.send("PATCH", path, {"criteria": []}), 409, "archived")
    assert body_of(keeper.send("PATCH", path, {"archived": False}))["archived"] is False
    body_of(keeper.post(f"{path}/cases", {}), 201)


def test_a_repeated_call_adds_its_case_once(team: Team, keeper: Caller) -> None:
    owner = make(keeper)
    path = f"evaluation-sets/{owner['id']}/cases"
    first = keeper.post(path, {"key": "a"}, Idempotency_Key="one")
    again = keeper.post(path, {"key": "a"}, Idempotency_Key="one")
    assert (first.content, again["Idempotent-Replayed"]) == (again.content, "true")
    table = keeper.send("POST", path, b"q\nx\n", content_type=CSV, Idempotency_Key="two")
    assert keeper.send("POST", path, b"q\nx\n", content_type=CSV, Idempotency_Key="two").content == table.content
    assert keys(keeper, owner) == ["a", "case-1"]


def test_who_may_not_edit_changes_nothing(team: Team, keeper: Caller) -> None:
    owner = make(keeper, cases=[{"key": "a"}])
    path = f"evaluation-sets/{owner['id']}"
    viewer, editor = person(team, "noor"), person(team, "ada")
    before = written()
    for method, where, body in (
        ("PATCH", path, {"name": "x"}), ("POST", f"{path}/cases", {}), ("PATCH", f"{path}/cases/a", {"expected": "x"}),
        ("DELETE", f"{path}/cases/a", None),
    ):  # fmt: skip
        refused(viewer.send(method, where, body), 403, "forbidden", before)
    assert keys(viewer, owner) == ["a"]
    body_of(editor.send("PATCH", f"{path}/cases/a", {"expected": "x"}))
    stranger = Caller(team.key("prompts:read", "versions:write", "manage"))
    problem_of(stranger.get(path), 403, "key_scope")
    narrow = Caller(team.key("evaluations:run", prompts=["billing/*"]))
    hidden = make(keeper, name="hidden", prompt=team.prompt("support/greeting").name)
    problem_of(narrow.get(f"evaluation-sets/{hidden['id']}"), 404, "not_found")
    assert [each["id"] for each in body_of(narrow.get("evaluation-sets"))["data"]] == [owner["id"]]


def test_no_more_cases_than_a_set_holds(team: Team, keeper: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "MAX_CASES", 3)
    owner = make(keeper, cases=[{"key": "a"}])
    assert problem_of(send_file(keeper, owner, CSV, "q\n1\n2\n3\n"), 400, "bad_value")["detail"].startswith(
        "The set would"
    )
    assert keys(keeper, owner) == ["a"]
    assert MAX_CASES == 10_000


def test_five_hundred_rows_are_stored_in_less_than_two_seconds(team: Team, keeper: Caller) -> None:
    owner = make(keeper)
    table = "question,expected\n" + "".join(f'"What is {n}, please?",{n}\n' for n in range(500))
    started = time.process_time()
    assert body_of(send_file(keeper, owner, CSV, table))["cases"] == 500
    assert time.process_time() - started < 2
    assert body_of(keeper.get(f"evaluation-sets/{owner['id']}"))["cases"] == 500


ATTACKS = {
    "a case into an old revision": (
        'INSERT INTO evaluations_case (set_id, key, position, added_in, variables, messages, tags, "group", critical, '
        "criteria, digest) VALUES (%(set)s, 'x', 9, 1, '{}', '{}', '{}', '', false, '[]', '')"
    ),
    "other words in a case": "UPDATE evaluations_case SET expected = 'what it says' WHERE set_id = %(set)s",
    "a case gone": "DELETE FROM evaluations_case WHERE set_id = %(set)s",
    "a case taken out of a revision that stands": "UPDATE evaluations_case SET removed_in = 2 WHERE set_id = %(set)s",
    "a case back again": "UPDATE evaluations_case SET removed_in = NULL WHERE removed_in = 2",
    "a case that was never in it": "UPDATE evaluations_case SET added_in = 2 WHERE set_id = %(set)s",
    "other criteria": "UPDATE evaluations_setrevision SET criteria = '[]' WHERE set_id = %(set)s",
    "a revision gone": "DELETE FROM evaluations_setrevision WHERE set_id = %(set)s",
    "the set gone": "DELETE FROM evaluations_evaluationset WHERE id = %(set)s",
    "an older newest": "UPDATE evaluations_evaluationset SET revision = 1 WHERE id = %(set)s",
    "cases emptied": "TRUNCATE evaluations_case CASCADE",
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_no_sql_changes_a_revision(team: Team, keeper: Caller, name: str) -> None:
    owner = make(keeper, cases=[{"key": "a"}, {"key": "b"}])
    assert keeper.send("DELETE", f"evaluation-sets/{owner['id']}/cases/b").status_code == 204
    pk = EvaluationSet.objects.get().pk
    exported = [keeper.get(f"evaluation-sets/{owner['id']}/export", {"revision": n}).content for n in (1, 2)]
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ATTACKS[name], {"set": pk})
    assert isinstance(refusal.value.__cause__, psycopg.Error)
    assert [keeper.get(f"evaluation-sets/{owner['id']}/export", {"revision": n}).content for n in (1, 2)] == exported


def test_a_run_keeps_the_revision_that_it_began_with(team: Team, keeper: Caller) -> None:
    prompt = team.prompt("support/greeting", versions=2)
    made = make(keeper, prompt=prompt.name, cases=[{"key": "a"}])
    run = new_run(team, EvaluationSet.objects.get(), prompt)
    keeper.send("PATCH", f"evaluation-sets/{made['id']}/cases/a", {"expected": "other"})
    assert [case.expected for case in run.set_revision.cases] == [None]


def test_two_at_once_make_two_revisions(team: Team, keeper: Caller) -> None:
    """The second finds what the first has written: no key stands twice, and no number is skipped."""
    make(keeper)
    owner = EvaluationSet.objects.get()
    stale = EvaluationSet.objects.get()
    first = verbs.add_case(by=team.ada, owner=owner, case={})
    second = verbs.add_case(by=team.ada, owner=stale, case={})
    assert (first.key, first.added_in, second.key, second.added_in) == ("case-1", 2, "case-2", 3)
    with pytest.raises(DomainError), refusals():
        verbs.add_case(by=team.ada, owner=stale, case={"key": "case-1"})
