"""GET and POST /api/v1/versions: the immutable texts of a prompt."""

from django.utils import timezone

from accounts.models import ApiKey
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from prompts.models import Prompt, PromptVersion
from tests.api.conftest import Caller, body_of, problem_of, release, written
from tests.personas import Team

NAME = "support/greeting"


def test_saving_answers_201_with_the_whole_version(team: Team, api: Caller) -> None:
    team.prompt("house-style", content="Be kind, {{tone}}.")
    team.prompt()
    answer = api.post(
        "versions", {"prompt": NAME, "content": "{{> house-style }} Hi {{customer_name}}", "message": "Kinder"}
    )
    version = PromptVersion.objects.get(prompt__name=NAME, number=2)
    bare = {"type": "string", "required": True, "default": None, "description": "", "max_length": None, "enum": None}
    key = ApiKey.objects.get()
    assert body_of(answer, 201) == {
        "id": encode("ver", version.pk),
        "ref": f"{NAME}@2",
        "prompt": NAME,
        "number": 2,
        "type": "text",
        "content": "Be kind, {{tone}}. Hi {{customer_name}}",
        "source": "{{> house-style }} Hi {{customer_name}}",
        "variables": [{"name": "tone"} | bare, {"name": "customer_name"} | bare],
        "config": {},
        "includes": [{"prompt": "house-style", "version": 1}],
        "message": "Kinder",
        "author": {"key": key.public_id, "name": "test"},
        "created_at": format_instant(version.created_at),
        "digest": f"sha256:{bytes(version.digest).hex()}",
    }


def test_saving_the_same_again_answers_200_and_makes_nothing(team: Team, api: Caller) -> None:
    team.prompt(versions=2, config={"a": 1})
    before = written()
    body = body_of(api.post("versions", {"prompt": NAME, "content": "Text 2 for {{customer_name}}", "message": "?"}))
    assert (body["number"], body["message"]) == (2, "Change 2")
    assert written() == before
    back = body_of(api.post("versions", {"prompt": NAME, "content": "Text 1 for {{customer_name}}"}), 201)
    assert back["number"] == 3


def test_what_is_left_out_is_inherited(team: Team, api: Caller) -> None:
    team.prompt(
        content="{{a}} {{b}}",
        config={"model": "small"},
        variables=[{"name": "a", "type": "integer"}, {"name": "b", "description": "B"}],
    )
    body = body_of(api.post("versions", {"prompt": NAME, "content": "{{b}} {{c}}"}), 201)
    assert body["config"] == {"model": "small"}
    assert [(v["name"], v["description"]) for v in body["variables"]] == [("b", "B"), ("c", "")]
    body = body_of(api.post("versions", {"prompt": NAME, "content": "{{b}}", "config": {}, "variables": []}), 201)
    assert (body["config"], body["variables"][0]["description"]) == ({}, "")


def test_a_stale_base_is_refused(team: Team, api: Caller) -> None:
    team.prompt(versions=3)
    before = written()
    for base in (2, 0, 4):
        body = problem_of(
            api.post("versions", {"prompt": NAME, "content": "New", "base_version": base}), 409, "stale_base"
        )
        assert body["latest"] == 3
    assert written() == before
    assert body_of(api.post("versions", {"prompt": NAME, "content": "New", "base_version": 3}), 201)["number"] == 4


def test_fields_that_are_not_known_or_of_the_wrong_type(team: Team, api: Caller) -> None:
    team.prompt()
    before = written()
    for field, value, code in (
        ("prompt", 5, "string_expected"),
        ("content", 5, "string_expected"),
        ("content", True, "string_expected"),
        ("config", "x", "object_expected"),
        ("variables", {}, "list_expected"),
        ("variables", [5], "object_expected"),
        ("message", [], "string_expected"),
        ("base_version", "1", "bad_value"),
        ("base_version", 1.0, "bad_value"),
        ("base_version", True, "bad_value"),
        ("base_version", None, "bad_value"),
        ("base_version", -1, "bad_value"),
        ("is_admin", True, "unknown_field"),
        ("number", 7, "read_only_field"),
        ("author", "x", "read_only_field"),
        ("digest", "x", "read_only_field"),
        ("type", "chat", "read_only_field"),
    ):
        body = problem_of(api.post("versions", {"prompt": NAME, "content": "New", field: value}), 400, code)
        assert [fault["pointer"].removesuffix("/0") for fault in body["errors"]] == [f"/{field}"], field
    problem_of(api.post("versions", {"content": "New"}), 400, "field_required")
    problem_of(api.post("versions", {"prompt": NAME, "content": "New", "base_version": 2**63}), 409, "stale_base")
    problem_of(
        api.post("versions", {"prompt": NAME, "content": [{"role": "user", "content": "x"}]}), 400, "string_expected"
    )
    problem_of(api.post(f"versions?prompt={NAME}", {"prompt": NAME, "content": "New"}), 400, "unknown_parameter")
    assert written() == before


def test_an_archived_prompt_takes_no_versions(team: Team, api: Caller) -> None:
    prompt = team.prompt()
    Prompt.objects.filter(pk=prompt.pk).update(archived_at=timezone.now())
    before = written()
    problem_of(api.post("versions", {"prompt": NAME, "content": "New"}), 409, "archived")
    assert written() == before


def test_who_may_save(team: Team, foreign: Team, reader: Caller, api: Caller) -> None:
    team.prompt()
    narrow = Caller(team.key("versions:write", prompts=["billing/*"]))
    before = written()
    new = {"prompt": NAME, "content": "New"}
    problem_of(reader.post("versions", new), 403, "key_scope")
    problem_of(api.post("versions", new | {"prompt": "secret/plan"}), 404, "prompt_not_found")
    problem_of(api.post("versions", new | {"prompt": "secret/none"}), 404, "prompt_not_found")
    problem_of(narrow.post("versions", new), 404, "prompt_not_found")
    assert written() == before
    body_of(Caller(team.key("versions:write")).post("versions", new), 201)


def test_versions_are_listed_newest_first_in_pages(team: Team, reader: Caller) -> None:
    team.prompt(versions=5)
    first = body_of(reader.get("versions", {"prompt": NAME, "limit": 2}))
    second = body_of(reader.get("versions", {"prompt": NAME, "limit": 3, "cursor": first["next"]}))
    assert [v["number"] for v in first["data"] + second["data"]] == [5, 4, 3, 2, 1]
    assert second["next"] is None
    assert first["data"][0]["author"] == {"email": "ada@shop.example", "name": "Ada"}
    assert first["data"][0] == body_of(reader.get(f"versions/{NAME}@5"))
    problem_of(reader.get("versions"), 400, "field_required")
    problem_of(reader.get("versions", {"prompt": "none"}), 404, "prompt_not_found")
    problem_of(reader.get("versions", {"prompt": NAME, "x": 1}), 400, "unknown_parameter")


def test_a_version_by_reference_or_id(team: Team, foreign: Team, reader: Caller) -> None:
    prompt = team.prompt(versions=3)
    release(team, prompt, 2)
    one = body_of(reader.get(f"versions/{NAME}@1"))
    assert one["number"] == 1
    assert body_of(reader.get(f"versions/{one['id']}")) == one
    assert body_of(reader.get("versions/support%2Fgreeting%401")) == one
    assert body_of(reader.get(f"versions/{NAME}@stable"))["number"] == 2
    assert body_of(reader.get(f"versions/{NAME}@latest"))["number"] == 3
    problem_of(reader.get(f"versions/{NAME}@4"), 404, "version_not_found")
    problem_of(reader.get(f"versions/{NAME}@0"), 400, "bad_version")
    problem_of(reader.get(f"versions/{NAME}@beta"), 404, "channel_not_found")
    problem_of(reader.get("versions/none@1"), 404, "prompt_not_found")
    secret = PromptVersion.objects.get(prompt__name="secret/plan")
    for reference in (
        encode("ver", secret.pk),
        encode("ver", 2**62),
        "ver_",
        "ver_ü",
        "ver_" + "z" * 11,
    ):
        problem_of(reader.get(f"versions/{reference}"), 404, "version_not_found")
    for reference in (encode("rel", 1), "x", NAME):
        problem_of(reader.get(f"versions/{reference}"), 400, "bad_version")
    problem_of(reader.get("versions/secret/plan@1"), 404, "prompt_not_found")
    problem_of(reader.get(f"versions/{NAME}@1?x=1"), 400, "unknown_parameter")
