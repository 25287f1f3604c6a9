"""GET /api/v1/diff: what changed between two versions."""

from tests.api.conftest import Caller, body_of, problem_of, release
from tests.personas import Team

NAME = "support/greeting"


def test_a_diff_names_both_ends_and_what_changed(team: Team, reader: Caller, api: Caller) -> None:
    prompt = team.prompt(content="Be very kind, {{tone}}.", config={"model": "small"})
    new = {"prompt": NAME, "content": "Be kind,\u200b {{mood}}.", "config": {"model": "large\u202e"}}
    body_of(api.post("versions", new), 201)
    release(team, prompt, 1)
    body = body_of(reader.get("diff", {"from": f"{NAME}@stable", "to": f"{NAME}@latest"}))
    assert (body["from"], body["to"], body["same"]) == (f"{NAME}@1", f"{NAME}@2", False)
    assert set(body) == {"from", "to", "content", "variables", "config", "includes", "words", "same", "hidden"}
    told = [(each["message"], each["where"], each["name"]) for each in body["hidden"]]
    assert told == [(1, "the text", "ZERO WIDTH SPACE"), (None, "the config", "RIGHT-TO-LEFT OVERRIDE")]
    assert body == body_of(reader.get("diff", {"from": f"{NAME}@1", "to": f"{NAME}@2"}))
    back = body_of(reader.get("diff", {"from": f"{NAME}@2", "to": f"{NAME}@1"}))
    assert back["hidden"] == []


def test_a_version_does_not_differ_from_itself(team: Team, reader: Caller) -> None:
    team.prompt()
    body = body_of(reader.get("diff", {"from": f"{NAME}@1", "to": f"{NAME}@1"}))
    assert (body["same"], body["config"], body["includes"]) == (True, [], [])


def test_ends_that_are_missing_or_out_of_reach(team: Team, foreign: Team, reader: Caller) -> None:
    team.prompt()
    good = f"{NAME}@1"
    problem_of(reader.get("diff"), 400, "field_required")
    problem_of(reader.get("diff", {"from": good}), 400, "field_required")
    problem_of(reader.get("diff", {"from": good, "to": good, "words": 1}), 400, "unknown_parameter")
    problem_of(reader.get("diff", {"from": good, "to": f"{NAME}@0"}), 400, "bad_version")
    problem_of(reader.get("diff", {"from": good, "to": f"{NAME}@2"}), 404, "version_not_found")
    problem_of(reader.get("diff", {"from": good, "to": NAME}), 400, "bad_version")
    problem_of(reader.get("diff", {"from": "secret/plan@1", "to": good}), 404, "prompt_not_found")
    problem_of(Caller(team.key("versions:write")).get("diff", {"from": good, "to": good}), 403, "key_scope")
