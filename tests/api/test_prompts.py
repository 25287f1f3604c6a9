"""POST /api/v1/prompts: a new prompt and its version 1."""

from promptforge.lib.instants import format_instant
from prompts.models import Prompt
from tests.api.conftest import Caller, body_of, problem_of, written
from tests.personas import Team

GOOD = {"name": "support/greeting", "content": "Hello {{customer_name}}"}


def test_a_prompt_is_made_with_its_first_version(team: Team, api: Caller) -> None:
    asked = GOOD | {
        "type": "text",
        "config": {"z": 1, "a": [1.0, {"y": None}]},
        "variables": [{"name": "customer_name", "max_length": 40}],
        "message": "Begin",
        "tags": ["mail"],
        "description": "Says hello",
    }
    answer = api.post("prompts", asked)
    prompt = Prompt.objects.get()
    assert body_of(answer, 201) == {
        "name": "support/greeting",
        "type": "text",
        "description": "Says hello",
        "tags": ["mail"],
        "latest": 1,
        "channels": {},
        "archived": False,
        "created_at": format_instant(prompt.created_at),
    }
    version = body_of(api.get("versions/support/greeting@1"))
    assert (version["message"], version["config"]) == ("Begin", asked["config"])
    assert list(version["config"]) == ["z", "a"]
    assert version["variables"][0]["max_length"] == 40


def test_a_list_of_messages_makes_a_chat(api: Caller) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    assert body_of(api.post("prompts", {"name": "chat", "content": messages}), 201)["type"] == "chat"
    assert body_of(api.post("prompts", {"name": "chat-2", "content": messages, "type": "chat"}), 201)["type"] == "chat"


def test_text_is_kept_byte_for_byte(api: Caller) -> None:
    for number, text in enumerate(
        [
            "  a\r\nb\t",
            "\ufeffx",
            "e\u0301 é",
            "\u202e\U000e0041🙂",
            "\u2028\x85\x0ba",
            "\\{{ raw }} {{ x }}",
            "{a} {% b %}",
        ]
    ):
        body_of(api.post("prompts", {"name": f"p{number}", "content": text}), 201)
        assert body_of(api.fetch(f"p{number}", _version="1"))["content"] == text


def test_a_name_is_taken_once_whatever_its_case(team: Team, foreign: Team, api: Caller) -> None:
    body_of(api.post("prompts", GOOD), 201)
    before = written()
    for name in ("support/greeting", "Support/GREETING"):
        problem_of(api.post("prompts", GOOD | {"name": name}), 409, "name_taken")
    assert written() == before
    body_of(api.post("prompts", GOOD | {"name": "secret/plan"}), 201)  # taken in another project only


def test_what_is_no_name(api: Caller) -> None:
    before = written()
    for name in (
        "",
        " ",
        "/a",
        "a/",
        "a//b",
        "-a",
        "a b",
        "ü",
        "a\n",
        "a@1",
        "..",
        "a/../b",
        "x" * 201,
        "a\u200b",
        "%00",
    ):
        problem_of(api.post("prompts", GOOD | {"name": name}), 400, "bad_name")
    assert written() == before
    body_of(api.post("prompts", GOOD | {"name": "x" * 200}), 201)


def test_fields_of_the_wrong_type_are_named(api: Caller) -> None:
    before = written()
    for field, value, code in (
        ("name", 5, "string_expected"),
        ("name", None, "bad_value"),
        ("content", 5, "string_expected"),
        ("content", None, "bad_value"),
        ("content", {"a": 1}, "string_expected"),
        ("type", 5, "string_expected"),
        ("config", [], "object_expected"),
        ("config", "x", "object_expected"),
        ("variables", {}, "list_expected"),
        ("variables", "x", "list_expected"),
        ("tags", "x", "list_expected"),
        ("message", 5, "string_expected"),
        ("message", "m" * 2001, "bad_value"),
        ("description", "d" * 10_001, "bad_value"),
        ("is_admin", True, "unknown_field"),
        ("number", 7, "read_only_field"),
        ("latest", 7, "read_only_field"),
        ("created_at", "2020-01-01T00:00:00Z", "read_only_field"),
    ):
        body = problem_of(api.post("prompts", GOOD | {field: value}), 400, code)
        assert [fault["pointer"] for fault in body["errors"]] == [f"/{field}"], field
    body = problem_of(api.post("prompts", GOOD | {"tags": ["a", 5]}), 400, "string_expected")
    assert [fault["pointer"] for fault in body["errors"]] == ["/tags/1"]
    body = problem_of(api.post("prompts", {}), 400, "field_required")
    assert {fault["pointer"] for fault in body["errors"]} == {"/content", "/name"}
    body = problem_of(api.post("prompts", GOOD | {"a/b~c": 1, "id": "x"}), 400, "unknown_field")
    assert [(f["pointer"], f["code"]) for f in body["errors"]] == [
        ("/a~1b~0c", "unknown_field"),
        ("/id", "read_only_field"),
    ]
    assert written() == before


def test_content_that_means_nothing(api: Caller) -> None:
    before = written()
    for content, status, code in (
        ("", 422, "empty_prompt"),
        (" \n\t", 422, "empty_prompt"),
        ([], 422, "empty_messages"),
        ([{"role": "root", "content": "x"}], 422, "bad_role"),
        ([{"role": "user"}], 400, "field_required"),
        ([{"role": "user", "content": 5}], 400, "string_expected"),
        ([5], 400, "object_expected"),
        ("Hi {{name", 422, "unclosed_tag"),
        ("{{a.b}}", 422, "bad_variable_name"),
        ("{{a|f}}", 422, "bad_variable_name"),
        ("{{__class__}}", 422, "reserved_name"),
        ("{{Name}} {{name}}", 422, "confusable_variable"),
        ("{{> nothing }}", 422, "include_not_found"),
        (" ".join(f"{{{{v{n}}}}}" for n in range(201)), 422, "too_many_variables"),
        ("x" * 262_145, 413, "content_too_large"),
    ):
        problem_of(api.post("prompts", GOOD | {"content": content}), status, code)
    problem_of(api.post("prompts", GOOD | {"type": "image"}), 422, "bad_type")
    problem_of(api.post("prompts", GOOD | {"type": "chat"}), 400, "list_expected")
    problem_of(api.post("prompts", GOOD | {"config": {"a": "x" * 65_536}}), 413, "config_too_large")
    problem_of(api.post("prompts", GOOD | {"variables": [{"name": "none"}]}), 422, "bad_variable")
    assert written() == before
    body_of(api.post("prompts", GOOD | {"content": "x" * 262_144}), 201)


def test_who_may_make_prompts(team: Team, reader: Caller) -> None:
    narrow = Caller(team.key("versions:write", prompts=["billing/*"]))
    before = written()
    problem_of(reader.post("prompts", GOOD), 403, "key_scope")
    problem_of(reader.post("prompts", {"nonsense": 1}), 403, "key_scope")  # what may not is told before what is wrong
    problem_of(Caller(None).post("prompts", GOOD), 401, "not_authenticated")
    problem_of(narrow.post("prompts", GOOD), 403, "key_scope")
    assert written() == before
    body_of(narrow.post("prompts", GOOD | {"name": "billing/x"}), 201)


def test_a_query_parameter_is_not_known(api: Caller) -> None:
    problem_of(api.post("prompts?dry_run=1", GOOD), 400, "unknown_parameter")
