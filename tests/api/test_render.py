"""POST /api/v1/prompts/{name}: rendering with JSON values."""

from datetime import timedelta
from typing import Any

import pytest

from promptforge.lib.instants import format_instant
from prompts.models import Prompt, Release
from tests.api.conftest import Caller, body_of, problem_of, release
from tests.personas import Team

NAME = "support/greeting"
PATH = f"prompts/{NAME}"


@pytest.fixture
def prompt(team: Team) -> Prompt:
    prompt = team.prompt(versions=2)
    release(team, prompt, 1)
    release(team, prompt, 2)
    return prompt


def test_a_rendering_by_body_is_the_rendering_by_query(prompt: Prompt, reader: Caller) -> None:
    by_body = reader.post(PATH, {"variables": {"customer_name": "Noor"}})
    by_query = reader.fetch(NAME, customer_name="Noor")
    assert by_body.content == by_query.content
    assert body_of(by_body)["content"] == "Text 2 for Noor"
    for header in ("ETag", "Cache-Control", "PromptForge-Version", "PromptForge-Channel", "PromptForge-Revision"):
        assert by_body[header] == by_query[header]


def test_version_instant_user_and_strictness_are_fields(prompt: Prompt, reader: Caller) -> None:
    values: dict[str, Any] = {"customer_name": "Noor"}
    assert body_of(reader.post(PATH, {"version": "latest", "variables": values}))["channel"] is None
    assert body_of(reader.post(PATH, {"version": "1", "variables": values, "user": "u-17"}))["version"] == 1
    first = Release.objects.get(revision=1)
    assert body_of(reader.post(PATH, {"at": format_instant(first.at), "variables": values}))["version"] == 1
    early = format_instant(first.at - timedelta(microseconds=1))
    problem_of(reader.post(PATH, {"at": early, "variables": values}), 404, "not_yet_released")
    problem_of(reader.post(PATH, {"at": "yesterday", "variables": values}), 400, "bad_timestamp")
    problem_of(reader.post(PATH, {"version": "0", "variables": values}), 400, "bad_version")
    assert body_of(reader.post(PATH, {"variables": values | {"x": None, "y": 1}}))["unused"] == ["y"]
    problem_of(reader.post(PATH, {"variables": values | {"y": 1}, "strict": True}), 422, "unknown_variable")


def test_values_keep_their_type(team: Team, reader: Caller) -> None:
    kinds = {"s": "string", "n": "number", "i": "integer", "b": "boolean", "j": "json"}
    team.prompt(content="{{s}}|{{n}}|{{i}}|{{b}}|{{j}}", variables=[{"name": n, "type": k} for n, k in kinds.items()])
    good = {"s": "{{n}}", "n": 1.0, "i": 7, "b": True, "j": {"b": 1, "a": [1.0, None]}}
    body = body_of(reader.post(PATH, {"version": "1", "variables": good}))
    assert body["content"] == '{{n}}|1.0|7|true|{"b":1,"a":[1.0,null]}'
    for name, value in (("s", 1), ("n", "1"), ("n", True), ("i", 1.0), ("i", "7"), ("b", 1), ("b", "true")):
        body = problem_of(reader.post(PATH, {"version": "1", "variables": good | {name: value}}), 422, "bad_variable")
        assert [fault["pointer"] for fault in body["errors"]] == [f"/variables/{name}"]


def test_null_is_not_given(prompt: Prompt, reader: Caller) -> None:
    body = problem_of(reader.post(PATH, {"variables": {"customer_name": None}}), 422, "missing_variable")
    assert [fault["pointer"] for fault in body["errors"]] == ["/variables/customer_name"]


def test_message_lists_take_their_place_in_a_chat(team: Team, reader: Caller) -> None:
    team.prompt("chat", content=[{"role": "system", "content": "Be {{tone}}."}, {"placeholder": "history"}])
    said = [{"role": "user", "content": "{{tone}}"}, {"role": "assistant", "content": ""}]
    asked = {"version": "1", "variables": {"tone": "brief"}, "messages": {"history": said}}
    assert body_of(reader.post("prompts/chat", asked))["content"] == [{"role": "system", "content": "Be brief."}, *said]
    body = problem_of(reader.post("prompts/chat", {"version": "1"}), 422, "missing_variable")
    assert [fault["pointer"] for fault in body["errors"]] == ["/variables/tone", "/messages/history"]
    wrong = asked | {"messages": {"history": [{"role": "root", "content": "x"}]}}
    problem_of(reader.post("prompts/chat", wrong), 422, "bad_role")
    problem_of(reader.post("prompts/chat", asked | {"messages": {"history": "x"}}), 400, "list_expected")


def test_fields_of_the_wrong_type(prompt: Prompt, reader: Caller) -> None:
    for field, value, code in (
        ("version", 1, "string_expected"),
        ("version", None, "bad_value"),
        ("user", 5, "string_expected"),
        ("user", "u" * 257, "bad_value"),
        ("at", 5, "string_expected"),
        ("variables", [], "object_expected"),
        ("variables", None, "bad_value"),
        ("messages", "x", "object_expected"),
        ("strict", "true", "bad_value"),
        ("strict", 1, "bad_value"),
        ("colour", 1, "unknown_field"),
    ):
        body = problem_of(reader.post(PATH, {"variables": {"customer_name": "x"}, field: value}), 400, code)
        assert [fault["pointer"] for fault in body["errors"]] == [f"/{field}"], field


def test_a_rendering_is_bounded(team: Team, reader: Caller) -> None:
    team.prompt(content="{{a}}" * 20)
    problem_of(reader.post(PATH, {"version": "1", "variables": {"a": "x" * 60_000}}), 413, "content_too_large")


def test_the_address_takes_no_parameters(prompt: Prompt, reader: Caller) -> None:
    problem_of(reader.post(PATH + "?customer_name=x", {"variables": {}}), 400, "unknown_parameter")


def test_narrowing_and_scope_hold_for_rendering_too(team: Team, prompt: Prompt) -> None:
    values = {"variables": {"customer_name": "x"}}
    problem_of(Caller(team.key("versions:write")).post(PATH, values), 403, "key_scope")
    problem_of(Caller(team.key(channels=["stable"])).post(PATH, values | {"version": "1"}), 403, "key_scope")
    problem_of(Caller(team.key(prompts=["x/*"])).post(PATH, values), 404, "prompt_not_found")
