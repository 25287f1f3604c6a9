"""Exports of Langfuse and stored prompts of OpenAI."""
# ruff: noqa: E501  tables of bad inputs have one a line

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prompts.actions.promotions import open_promotion
from prompts.actions.releases import promote
from prompts.actions.reviews import may_approve
from prompts.formats.composing import Composer
from prompts.formats.gathering import gather
from prompts.models import Channel, Head
from tests.guards.attacks import contents
from tests.personas import Team
from tests.transfer.conftest import (
    BEGINNING,
    Files,
    assert_adds_up,
    day,
    ledger,
    refused_import,
    run_import,
    versions,
)

type Make = Callable[[Files], Path]


def item(number: int, prompt: Any = "Text {{a}}", **fields: Any) -> dict[str, Any]:
    """One version as Langfuse's API gives it."""
    return {
        "id": f"c{number}", "projectId": "p", "name": "support/greeting", "version": number,
        "type": "chat" if isinstance(prompt, list) else "text", "prompt": prompt, "config": {}, "labels": [],
        "tags": ["old"], "commitMessage": None, "createdBy": "API", "createdAt": day(number), "updatedAt": day(number),
        "isActive": None, "resolutionGraph": None,
    } | fields  # fmt: skip


HISTORY = [
    item(3, "Three {{a}}", labels=["latest", "staging"], updatedAt=day(9), tags=["x", "y"], config={"z": 1, "a": 2}),
    item(1, "One\r\n {{a}}", createdBy="ada@shop.example", commitMessage="First"),
    item(2, "Two {{a}}", labels=["production"], createdBy="Zoe", commitMessage="Second", updatedAt=day(5.5)),
]


def why(report: dict[str, Any]) -> dict[str, str]:
    return {left["where"]: left["why"] for left in report["left"]}


@pytest.mark.parametrize("form", ["list", "data", "lines", "lines in json", "files"])
def test_a_langfuse_export_in_every_wrapping(team: Team, folder: Make, form: str) -> None:
    lines = "\n".join(json.dumps(version) for version in HISTORY)
    files: dict[str, Files] = {
        "list": {"export.json": json.dumps(HISTORY)},
        "data": {"export.json": json.dumps({"data": HISTORY, "meta": {"page": 1}})},
        "lines": {"export.jsonl": lines + "\n\n"},
        "lines in json": {"export.json": lines},
        "files": {f"v{place}.json": json.dumps(version) for place, version in enumerate(HISTORY)},
    }
    path = folder(files[form])
    report = run_import(path if form == "files" else path / next(iter(files[form])))
    assert (report["left"], report["notes"], report["exit"]) == ([], [], 0)
    assert report["taken"] == [{"name": "support/greeting", "new": True, "versions": 3, "releases": 2}]
    assert report["channels"] == ["staging"]
    found = versions("support/greeting")
    assert [version.source for version in found] == ["One\r\n {{a}}", "Two {{a}}", "Three {{a}}"]
    assert [version.created_at for version in found] == [BEGINNING + timedelta(days=n) for n in (1, 2, 3)]
    assert [version.author for version in found] == [team.ada.user, team.emil.user, team.emil.user]
    assert [version.message for version in found] == ["First", "Second (written by Zoe)", ""]
    assert found[2].config == '{"z":1,"a":2}'
    assert (found[0].prompt.tags, found[0].prompt.created_at) == (["x", "y"], BEGINNING + timedelta(days=1))
    assert ledger("support/greeting") == [(2, "import", (BEGINNING + timedelta(days=5.5)).isoformat())]
    assert ledger("support/greeting", "staging") == [(3, "import", (BEGINNING + timedelta(days=9)).isoformat())]
    assert_adds_up()
    before = contents()
    assert run_import(path)["unchanged"] == ["support/greeting"]
    assert contents() == before


def test_a_chat_from_langfuse(team: Team, folder: Make) -> None:
    messages = [
        {"type": "chatmessage", "role": "system", "content": "Be {{mood}}"},
        {"type": "placeholder", "name": "history"},
        {"role": "user", "content": "{{q}}"},
    ]
    assert run_import(folder({"e.json": json.dumps(item(1, messages))}))["left"] == []
    assert versions("support/greeting")[0].typed_source == [
        {"role": "system", "content": "Be {{mood}}"}, {"placeholder": "history"}, {"role": "user", "content": "{{q}}"},
    ]  # fmt: skip


def test_new_versions_and_a_moved_label_are_added(team: Team, folder: Make) -> None:
    run_import(folder({"e.json": json.dumps(HISTORY[1:])}))
    moved = [{**version, "labels": []} for version in HISTORY[1:]]
    report = run_import(folder({"e.json": json.dumps([*moved, {**HISTORY[0], "labels": ["production"]}])}))
    assert report["taken"] == [{"name": "support/greeting", "new": False, "versions": 1, "releases": 1}]
    assert [version for version, _, _ in ledger("support/greeting")] == [2, 3]
    back = [{**moved[0], "labels": ["production"]}, moved[1]]
    report = run_import(folder({"e.json": json.dumps(back)}))
    assert why(report) == {
        "support/greeting on stable": "It moved to version 3 later than the import knows; left as it is."
    }
    assert report["notes"] == [{"where": "support/greeting", "why": "The project has 1 later versions of its own."}]
    assert_adds_up()


def test_whoever_imports_approves_nothing_of_it(careful_team: Team, folder: Make) -> None:
    """Whomever the file names as the author; and what brings no date is the importer's own."""
    team, ada = careful_team, {"createdBy": "ada@shop.example"}
    given = [item(1, **ada), item(1, name="undated", createdAt=None, updatedAt=None, **ada)]
    assert run_import(folder({"e.json": json.dumps(given)}), "shop", "--as", "emil@shop.example")["left"] == []
    [dated], [undated] = versions("support/greeting"), versions("undated")
    assert (dated.author, undated.author, undated.message) == (
        team.ada.user, team.emil.user, "Written by ada@shop.example",
    )  # fmt: skip
    promotion = open_promotion(by=team.ada, prompt=dated.prompt, channel=team.stable, version=dated)
    verdict = may_approve(team.emil, promotion)
    assert verdict.sentence == "You imported support/greeting@1, so somebody else approves it."
    assert_adds_up()


def test_after_the_first_release_versions_come_as_new_ones(team: Team, folder: Make) -> None:
    own = team.prompt("own")
    promote(by=team.cleo, prompt=own, channel=team.stable, version=team.version(own, 1))
    started = datetime.now(UTC) - timedelta(seconds=5)
    report = run_import(folder({"e.json": json.dumps(HISTORY)}), "shop", "--as", "ada@shop.example")
    assert (report["history"], report["channels"], report["taken"][0]["versions"]) == (False, [], 3)
    assert [note["why"] for note in report["notes"]] == [
        f"{channel} was not moved: the project has releases of its own." for channel in ("stable", "staging")
    ]
    found = versions("support/greeting")
    assert all(version.created_at > started and version.author == team.ada.user for version in found)
    assert [version.message for version in found] == ["First", "Second (written by Zoe)", ""]
    assert Head.objects.filter(prompt__name="support/greeting").values_list("version", flat=True)[0] is None
    before = contents()
    assert run_import(folder({}), "shop", "--as", "ada@shop.example")["taken"] == []
    assert contents() == before
    assert_adds_up()


def test_compositions_become_includes_where_they_are_exact(team: Team, folder: Make) -> None:
    given = [
        item(2, "Kind", name="style"),
        item(5, "Kinder {{a}}", name="style"),
        item(1, "@@@langfusePrompt:name=style|version=5@@@ Hello", name="exact"),
        item(1, "@@@langfusePrompt:name=style|label=production@@@ Hello", name="by-label"),
        item(1, "@@@langfusePrompt:name=style|version=4@@@ Hello", name="lost"),
        item(1, [{"role": "user", "content": "@@@langfusePrompt:name=exact|version=1@@@"}], name="chat"),
    ]
    report = run_import(folder({"e.json": json.dumps(given)}))
    assert why(report) == {
        "e.json, item 4": "@@@langfusePrompt:name=style|label=production@@@ follows a label: what it stands for changes "
        "without a new version. Name a version in it.",
        "e.json, item 5": "@@@langfusePrompt:name=style|version=4@@@ names a version that the export does not hold.",
    }
    assert report["notes"] == [
        {"where": "e.json, item 1", "why": "style has 2 versions numbered up to 5: they are counted again."}
    ]
    [exact] = versions("exact")
    assert (exact.source, exact.content) == ("{{> style@2 }} Hello", "Kinder {{a}} Hello")
    assert versions("chat")[0].served_content == [{"role": "user", "content": "Kinder {{a}} Hello"}]
    assert_adds_up()


@pytest.mark.parametrize(
    ("given", "where", "sentence"),
    [
        ([item(1, "{{a.b}}")], "e.json, item 1", "Line 1, column 1: a.b is not a name"),
        ([item(1), item(2, "{{ x")], "e.json, item 2", "Line 1, column 1: {{ opens a tag"),
        ([item(0)], "e.json, item 1", "version is 0; a whole number from 1 is expected."),
        ([item(1, version="1")], "e.json, item 1", "version is 1; a whole number from 1 is expected."),
        ([item(1, version=True)], "e.json, item 1", "version is True; a whole number from 1 is expected."),
        ([item(1), item(1)], "e.json, item 2", "Version 1 stands twice, also at e.json, item 1."),
        ([item(1), item(2, [])], "e.json, item 2", "support/greeting is text in one version and chat in another."),
        ([item(1, 5)], "e.json, item 1", "prompt is a number; a string or a list of messages is expected."),
        ([item(1, ["x"])], "e.json, item 1", "Message 1 is a string; an object is expected."),
        ([item(1, [{"role": "r", "content": ""}])], "e.json, item 1", "Message 1: r is not a role"),
        ([item(1, [{"role": "user", "content": "", "tool_calls": []}])], "e.json, item 1", "Message 1 has the field"),
        ([item(1, name=7)], "e.json, item 1", "name is a number; a string is expected."),
        ([item(1, name="a b")], "e.json, item 1", "a b is no prompt name"),
        ([item(1, type=5)], "support/greeting", "type is a number; a string is expected."),
        ([item(1, type="song")], "e.json, item 1", "song is not a prompt type"),
        ([item(1, type=["x"])], "support/greeting", "type is a list; a string is expected."),
        ([item(1, config=[])], "e.json, item 1", "The config is a list; send a JSON object."),
        ([item(1, labels="x")], "e.json, item 1", "labels is a string; a list of strings is expected."),
        ([item(1, labels=["a"]), item(2, labels=["a"])], "e.json, item 2", "The label a stands on two versions"),
        ([item(1, createdAt="yesterday")], "e.json, item 1", "createdAt is yesterday; write an instant"),
        ([item(1, createdAt=5)], "e.json, item 1", "createdAt is a number; a string is expected."),
        ([item(1, labels=["a"], updatedAt="2999-01-01T00:00:00Z")], "e.json, item 1", "The releases on a are not in"),
        ([item(1, tags=[1])], "support/greeting", "a tag is a number; a string is expected."),
        ([item(1, commitMessage=5)], "e.json, item 1", "commitMessage is a number; a string is expected."),
        ([item(1), 7], "e.json, item 2", "It is a number that is no version of a prompt."),
        ([{"name": "x", "versions": [1], "labels": []}], "e.json, item 1", "x is an entry of the list, without texts"),
    ],
)
def test_what_is_not_taken_from_langfuse(team: Team, folder: Make, given: Any, where: str, sentence: str) -> None:
    before = contents()
    report = run_import(folder({"e.json": json.dumps(given)}), "shop", "--dry-run")
    assert [left["where"] for left in report["left"]] == [where]
    assert report["left"][0]["why"].startswith(sentence)
    assert contents() == before


def test_odd_labels_and_dates_are_told(team: Team, folder: Make) -> None:
    given = [
        item(1, createdAt=day(5), labels=["V1.2", "pinned", 7]),
        item(2, "B", createdAt=day(4)),
        item(3, "C", createdAt="2999-01-01T00:00:00Z"),
    ]
    report = run_import(folder({"e.json": json.dumps(given)}))
    assert report["notes"] == [
        {"where": "e.json, item 1", "why": "The label V1.2 is no channel's name and was not taken."},
        {"where": "e.json, item 1", "why": "The label pinned is no channel's name and was not taken."},
        {"where": "e.json, item 1", "why": "The label 7 is no channel's name and was not taken."},
        {"where": "e.json, item 2", "why": "Its date lies before the version before it; it takes that one's date."},
        {"where": "e.json, item 3", "why": "Its date lies in the future; it is dated when it is imported."},
    ]
    first, second, third = versions("support/greeting")
    assert first.created_at == second.created_at == BEGINNING + timedelta(days=5)
    assert third.created_at == third.recorded_at
    assert_adds_up()


def test_one_bad_line_leaves_all_lines(team: Team, folder: Make) -> None:
    lines = [json.dumps(version) for version in HISTORY]
    report = run_import(folder({"e.jsonl": "\n".join([lines[0], "{oops", lines[1], '{"a": 1, "a": 2}', lines[2]])}))
    assert [(left["where"], left["why"][:20]) for left in report["left"]] == [
        ("e.jsonl, line 2", "Not valid JSON at 1:"),
        ("e.jsonl, line 4", "The key a stands twi"),
        ("e.jsonl", "2 of its lines are n"),
    ]
    assert report["taken"] == []


def test_history_of_channels_takes_the_right_to_configure(
    team: Team, folder: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder({"e.json": json.dumps(HISTORY)})
    before = contents()
    assert "does not let you change channels" in refused_import(root, capsys, "--as", "ada@shop.example")
    assert contents() == before
    assert run_import(root, "shop", "--as", "cleo@shop.example")["exit"] == 0
    assert Channel.objects.get(name="staging").policy.required_approvals == 0  # type: ignore[union-attr]


def test_the_report_for_people(team: Team, folder: Make, capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import call_command

    root = folder({"e.json": json.dumps([*HISTORY, item(1, "{{a.b}}", name="bad")])})
    with pytest.raises(SystemExit):
        call_command("import_prompts", str(root), "--project", "shop", "--dry-run")
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "new        support/greeting: 3 versions, 2 releases"
    assert said[1] == "channel    staging was made, unprotected"
    assert said[2].startswith("not taken  e.json, item 4: Line 1, column 1: a.b is not a name")
    assert said[3:] == [
        "1 prompts with 3 versions, 2 releases; 0 unchanged, 1 not taken. By Emil.",
        "This was a dry run: nothing was written.",
    ]


# --- OpenAI ----------------------------------------------------------------------------------------------------------
def test_stored_prompts_of_openai(team: Team, folder: Make) -> None:
    given = [
        {
            "id": "pmpt_1", "object": "prompt", "version": "2", "created_at": 1767600000, "model": "gpt-5",
            "instructions": "Be {{mood}}.", "temperature": 0.3,
            "messages": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "In {{city}}"}]}],
            "variables": {"city": "Paris", "mood": {"type": "string", "default": "kind"}},
        },
        {"id": "pmpt_1", "version": "1", "created_at": 1767500000, "messages": [{"role": "user", "content": "Hi"}]},
        {"id": "pmpt_2", "name": "weather", "instructions": "Weather in {{city}}", "variables": ["city"]},
    ]  # fmt: skip
    report = run_import(folder({"openai.json": json.dumps({"data": given})}))
    assert report["left"] == []
    assert report["notes"] == [
        {"where": "openai.json, item 1", "why": "The value given for city belongs to a call and was not taken."}
    ]
    first, second = versions("pmpt_1")
    assert first.created_at == datetime.fromtimestamp(1767500000, UTC)
    assert second.typed_source == [
        {"role": "developer", "content": "Be {{mood}}."}, {"role": "user", "content": "In {{city}}"},
    ]  # fmt: skip
    assert second.config == '{"model":"gpt-5","temperature":0.3}'
    assert [(v["name"], v["default"]) for v in second.variable_list] == [("mood", "kind"), ("city", None)]
    assert versions("weather")[0].source == "Weather in {{city}}"
    assert run_import(folder({}))["unchanged"] == ["pmpt_1", "weather"]
    assert_adds_up()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"prompt": {"id": "pmpt_1", "version": "2"}}, "It names the stored prompt pmpt_1 without its text."),
        ({"id": 7, "instructions": "x"}, "name is a number; a string is expected."),
        ({"id": "a", "instructions": "x", "version": "two"}, "version is two; a whole number from 1 is expected."),
        ({"id": "a", "instructions": 5}, "instructions is a number; a string is expected."),
        ({"id": "a", "messages": "x"}, "messages is a string; a list is expected."),
        ({"id": "a", "messages": []}, "The chat has no message; write at least one."),
        (
            {"id": "a", "messages": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "The content of message 1 is",
        ),
        ({"id": "a", "instructions": "x", "variables": 5}, "variables is a number; an object or a list of names"),
        ({"id": "a", "instructions": "x", "variables": ["y"]}, "y is declared but does not occur in the content"),
        ({"id": "a", "instructions": "x", "variables": [5]}, "A declaration is a number; an object is expected."),
        ({"id": "a", "instructions": "x", "created_at": "now"}, "created_at is no time in seconds since 1970."),
        ({"id": "a", "instructions": "{{a.b}}"}, "Line 1, column 1: a.b is not a name"),
    ],
)
def test_what_is_not_taken_from_openai(team: Team, folder: Make, given: Any, sentence: str) -> None:
    report = run_import(folder({"e.json": json.dumps(given)}))
    assert [left["where"] for left in report["left"]] == ["e.json"]
    assert report["left"][0]["why"].startswith(sentence)


# --- Anything --------------------------------------------------------------------------------------------------------
KEYS = st.sampled_from(
    [
        "name",
        "version",
        "prompt",
        "type",
        "config",
        "labels",
        "tags",
        "createdAt",
        "id",
        "messages",
        "instructions",
        "variables",
        "content",
        "role",
        "data",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-2, 3) | st.floats(allow_nan=False) | st.sampled_from(
    ["", "a", "text", "chat", "user", "{{a}}", "{{", "@@@langfusePrompt:name=a|version=1@@@", day(1), "x" * 201]
)  # fmt: skip
ANYTHING = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(KEYS, v, max_size=6), max_leaves=15
)
VERSIONS = st.lists(
    st.fixed_dictionaries({"name": st.just("a") | ANYTHING, "version": st.integers(1, 3) | ANYTHING, "prompt": ANYTHING},
    optional=dict.fromkeys(("type", "config", "labels", "tags", "createdAt", "updatedAt", "createdBy"), ANYTHING)),
    max_size=3,
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(value=ANYTHING | VERSIONS, raw=st.binary(max_size=40), ending=st.sampled_from(["json", "jsonl", "md", "prompt"]))
def test_nothing_that_can_be_written_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, value: Any, raw: bytes, ending: str
) -> None:
    root = tmp_path_factory.mktemp("given")
    (root / "a.json").write_text(json.dumps(value))
    (root / f"b.{ending}").write_bytes(b"---\n" + raw + b"\n---\n" if ending in ("md", "prompt") else raw)
    batch = gather(root)
    read = len(batch.prompts)
    plans = Composer(batch, {}, lambda name, number: None, now=datetime.now(UTC), escape=True).compose()
    assert all(said.why.endswith((".", "…")) and "\n" not in said.why for said in batch.left)
    assert read or batch.left or value in ([], {}) or isinstance(value, dict)
    assert len(plans) <= read
