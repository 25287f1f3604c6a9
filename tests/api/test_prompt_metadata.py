"""PATCH /api/v1/prompts/{name}: description, tags, archived."""

from prompts.models import Prompt
from tests.api.conftest import Caller, body_of, problem_of, release, written
from tests.api.people import events_of, last_event, person, refused
from tests.personas import Team

NAME = "support/greeting"


def patch(caller: Caller, body: object, name: str = NAME):
    return caller.send("PATCH", f"prompts/{name}", body)


def test_what_is_named_changes_and_the_rest_stays(team: Team, api: Caller) -> None:
    team.prompt(description="Says hello", tags=["mail"])
    newest = last_event()
    made = body_of(api.get("prompts"))["data"][0]
    assert body_of(patch(api, {"tags": ["chat", "b", "chat"]})) == made | {"tags": ["chat", "b"]}
    assert body_of(patch(api, {"description": " é\r\n"})) == made | {"tags": ["chat", "b"], "description": " é\r\n"}
    assert body_of(patch(api, {"tags": [], "description": ""})) == made | {"tags": [], "description": ""}
    assert body_of(patch(api, {})) == made | {"tags": [], "description": ""}
    assert events_of(team, newest) == ["prompt.changed"] * 3
    assert body_of(api.get("prompts"))["data"][0]["description"] == ""


def test_an_archived_prompt_is_served_and_goes_no_further(team: Team, api: Caller) -> None:
    prompt = team.prompt(versions=3)
    release(team, prompt, 1)
    release(team, prompt, 2)
    newest = last_event()
    assert body_of(patch(api, {"archived": True}))["archived"] is True
    assert body_of(patch(api, {"archived": True}))["archived"] is True  # again changes nothing
    assert events_of(team, newest) == ["prompt.archived"]

    assert body_of(api.fetch(NAME))["version"] == 2
    assert body_of(api.post(f"prompts/{NAME}", {"variables": {"customer_name": "Noor"}}))["version"] == 2
    assert body_of(api.get("prompts"))["data"][0]["archived"] is True
    before = written()
    refused(api.post("versions", {"prompt": NAME, "content": "New"}), 409, "archived", before)
    refused(api.post("releases", {"kind": "promote", "prompt": NAME, "version": 3}), 409, "archived", before)
    moved = body_of(api.post("releases", {"kind": "rollback", "prompt": NAME, "reason": "Worse"}), 201)
    assert moved["version"] == 1

    assert body_of(patch(api, {"archived": False}))["archived"] is False
    assert body_of(api.post("versions", {"prompt": NAME, "content": "New"}), 201)["number"] == 4
    assert body_of(api.post("releases", {"kind": "promote", "prompt": NAME, "version": 3}), 201)["version"] == 3
    assert events_of(team, newest) == [
        "prompt.archived",
        "release.made",
        "prompt.restored",
        "version.saved",
        "release.made",
    ]


def test_glass_is_not_broken_for_an_archived_prompt_by_a_key(team: Team, api: Caller) -> None:
    team.prompt()
    body_of(patch(api, {"archived": True}))
    before = written()
    breaking = {"kind": "break_glass", "prompt": NAME, "version": 1, "reason": "The live answer is dangerous"}
    refused(api.post("releases", breaking), 403, "forbidden", before)


def test_fields_that_cannot_be(team: Team, api: Caller) -> None:
    team.prompt(description="Says hello", tags=["mail"])
    before = written()
    for body, code, pointer in (
        ({"description": 5}, "string_expected", "/description"),
        ({"description": None}, "bad_value", "/description"),
        ({"description": "d" * 10_001}, "bad_value", "/description"),
        ({"tags": "mail"}, "list_expected", "/tags"),
        ({"tags": None}, "bad_value", "/tags"),
        ({"tags": [5]}, "string_expected", "/tags/0"),
        ({"tags": ["a", "t" * 51]}, "bad_value", "/tags/1"),
        ({"tags": ["t"] * 51}, "bad_value", "/tags"),
        ({"archived": "true"}, "bad_value", "/archived"),
        ({"archived": 1}, "bad_value", "/archived"),
        ({"archived": None}, "bad_value", "/archived"),
        ({"name": "other"}, "read_only_field", "/name"),
        ({"type": "chat"}, "read_only_field", "/type"),
        ({"latest": 7}, "read_only_field", "/latest"),
        ({"channels": {}}, "read_only_field", "/channels"),
        ({"created_at": "2020-01-01T00:00:00Z"}, "read_only_field", "/created_at"),
        ({"archived_at": "2020-01-01T00:00:00Z"}, "unknown_field", "/archived_at"),
        ({"content": "x"}, "unknown_field", "/content"),
        ({"project": 1}, "unknown_field", "/project"),
    ):
        answer = refused(patch(api, body), 400, code, before)
        assert [fault["pointer"] for fault in answer["errors"]] == [pointer]
    prompt = Prompt.objects.get()
    assert (prompt.description, prompt.tags, prompt.archived_at) == ("Says hello", ["mail"], None)


def test_prompts_out_of_reach(team: Team, foreign: Team, api: Caller) -> None:
    team.prompt()
    narrow = Caller(team.key("versions:write", prompts=["billing/*"]))
    before = written()
    for name in ("secret/plan", "secret/none", "x" * 300, "support"):
        refused(patch(api, {"archived": True}, name), 404, "prompt_not_found", before)
    refused(patch(narrow, {"archived": True}), 404, "prompt_not_found", before)
    assert Prompt.objects.filter(archived_at=None).count() == 2


def test_who_may(team: Team, reader: Caller) -> None:
    team.prompt()
    before = written()
    for name in ("ben", "noor"):
        refused(patch(person(team, name), {"archived": True}), 403, "forbidden", before)
    refused(patch(reader, {"archived": True}), 403, "key_scope", before)
    refused(patch(Caller(None), {"archived": True}), 401, "not_authenticated", before)
    for name in ("ada", "cleo", "farah"):
        assert body_of(patch(person(team, name), {"tags": [name]}))["tags"] == [name]
    problem_of(person(team, "ada").send("PATCH", f"prompts/{NAME}?archived=1", {}), 400, "unknown_parameter")
