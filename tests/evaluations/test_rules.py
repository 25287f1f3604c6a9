"""Gate rules: who adds one, what is refused, and that a protected channel loses one to two people alone."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.policies import Principal
from evaluations.actions.rules import add_rule, agree_to_removal, remove_rule
from evaluations.actions.sets import change_set, create_set
from evaluations.models import EvaluationRule, EvaluationSet, ModelConnection
from events.models import Event
from promptforge.lib.errors import DomainError
from promptforge.lib.ids import encode
from tests.api.conftest import Caller, body_of, problem_of
from tests.api.people import signed_in
from tests.api.promised import fits
from tests.evaluations.rows import new_connection, new_set
from tests.personas import Team, make_team


class Rules:
    """A careful project with a set and a model, and what a rule is made of."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.prompt = team.prompt(versions=2)
        self.set: EvaluationSet = new_set(team, self.prompt)
        self.model: ModelConnection = new_connection(team)

    def add(self, by: Principal | None = None, **fields: Any) -> EvaluationRule:
        given = {"channel": self.team.stable, "evaluation_set": self.set, "connection": self.model}
        return add_rule(by=by or self.team.cleo, **given | fields)


@pytest.fixture
def rules(careful_team: Team) -> Rules:
    return Rules(careful_team)


def refused(act: Callable[[], Any], code: str, says: str = "") -> None:
    before = (EvaluationRule.objects.count(), EvaluationRule.objects.filter(removed_at=None).count())
    events = Event.objects.count()
    with pytest.raises(DomainError) as told:
        act()
    assert told.value.code == code
    assert says in told.value.detail
    assert (EvaluationRule.objects.count(), EvaluationRule.objects.filter(removed_at=None).count()) == before
    assert Event.objects.count() == events


def test_one_person_adds_and_two_take_away(rules: Rules) -> None:
    team, rule = rules.team, rules.add()
    asked = remove_rule(by=team.cleo, rule=rule)
    assert asked.removed_at is None
    assert asked.removal_asked_by == team.cleo.user
    refused(lambda: agree_to_removal(by=team.cleo, rule=rule), "four_eyes", "somebody else agrees")
    assert remove_rule(by=team.farah, rule=rule).removed_at is None, "asking again is no agreeing"
    gone = agree_to_removal(by=team.farah, rule=rule)
    assert gone.removed_at is not None
    assert (gone.removal_asked_by, gone.removed_by) == (team.cleo.user, team.farah.user)
    kinds = Event.objects.filter(kind__startswith="rule.").order_by("id").values_list("kind", flat=True)
    assert list(kinds) == ["rule.added", "rule.questioned", "rule.removed"]
    assert rules.add().pk != rule.pk, "it may be demanded again"


def test_nobody_agrees_to_what_nobody_asked(rules: Rules) -> None:
    rule = rules.add()
    refused(lambda: agree_to_removal(by=rules.team.farah, rule=rule), "not_found", "Nobody asks")


@pytest.mark.parametrize("who", ["ada", "ben", "noor"])
def test_others_neither_add_nor_take_away(rules: Rules, who: str) -> None:
    by, rule = getattr(rules.team, who), rules.add()
    other = new_set(rules.team, rules.prompt, name="other")
    refused(lambda: rules.add(by, evaluation_set=other), "forbidden")
    refused(lambda: remove_rule(by=by, rule=rule), "forbidden")
    remove_rule(by=rules.team.cleo, rule=rule)
    refused(lambda: agree_to_removal(by=by, rule=rule), "forbidden")


def test_what_a_rule_may_not_say(rules: Rules) -> None:
    team, other = rules.team, make_team("other", preset="team")
    elsewhere = team.prompt("support/other")
    refused(lambda: rules.add(margin=0), "bad_value", "above 0")
    refused(lambda: rules.add(margin=0.51), "bad_value", "at most 0.5")
    refused(lambda: rules.add(margin=float("nan")), "bad_value", "above 0")
    refused(lambda: rules.add(repeats=0), "bad_value", "1 to 50")
    refused(lambda: rules.add(repeats=51), "bad_value", "1 to 50")
    refused(lambda: rules.add(prompt=elsewhere), "bad_value", "for another prompt")
    foreign = create_set(by=other.ada, name="theirs", cases=[{"key": "one"}])
    for fields in (
        {"evaluation_set": foreign},
        {"connection": new_connection(other)},
        {"judge": new_connection(other, name="judge")},
        {"prompt": other.prompt(), "evaluation_set": create_set(by=team.ada, name="shared")},
    ):
        refused(lambda fields=fields: rules.add(**fields), "bad_value")
    rules.add()
    refused(lambda: rules.add(margin=0.2), "name_taken")
    archived = change_set(by=team.ada, owner=create_set(by=team.ada, name="old"), archived=True)
    refused(lambda: rules.add(evaluation_set=archived), "archived")


def test_an_open_channel_loses_a_rule_to_one(team: Team) -> None:
    rules = Rules(team)
    rule = rules.add(team.cleo)
    assert remove_rule(by=team.cleo, rule=rule).removed_by == team.cleo.user


# --- By REST ---------------------------------------------------------------------------------------------------------
def test_by_rest_a_rule_waits_for_a_second_person(rules: Rules) -> None:
    team = rules.team
    cleo, farah = signed_in(team.cleo.user, team.project), signed_in(team.farah.user, team.project)
    asked = {"channel": "stable", "set": "core", "connection": "local", "margin": 0.05, "repeats": 10}
    answer = cleo.post("evaluation-rules", asked)
    fits(answer, "evaluation-rules", "post")
    made = body_of(answer, 201)
    assert {name: made[name] for name in asked} == asked
    assert (made["prompt"], made["judge"], made["removal_asked_by"]) == (None, None, None)
    path = f"evaluation-rules/{made['id']}"
    listed = cleo.get("evaluation-rules", {"channel": "stable"})
    fits(listed, "evaluation-rules", "get")
    assert body_of(listed)["data"] == [made]
    waiting = cleo.send("DELETE", path)
    fits(waiting, "evaluation-rules/{rule_id}", "delete")
    assert body_of(waiting, 202)["removal_asked_by"]["name"] == "Cleo"
    problem_of(cleo.send("POST", f"{path}/agree"), 403, "four_eyes")
    key = Caller(team.key("manage"))
    problem_of(key.send("POST", f"{path}/agree"), 403, "forbidden")
    assert farah.send("POST", f"{path}/agree").status_code == 204
    problem_of(cleo.get(path), 404, "not_found")
    assert body_of(cleo.get("evaluation-rules"))["data"] == []


def test_by_rest_an_open_channel_loses_it_at_once(team: Team) -> None:
    rule = Rules(team).add(team.cleo)
    answer = signed_in(team.cleo.user, team.project).send("DELETE", f"evaluation-rules/{encode('rul', rule.pk)}")
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"margin": 0.6}, 400, "bad_value"),
        ({"margin": "much"}, 400, "bad_value"),
        ({"repeats": 51}, 400, "bad_value"),
        ({"channel": "nowhere"}, 404, "channel_not_found"),
        ({"set": "nothing"}, 404, "not_found"),
        ({"connection": "nothing"}, 404, "not_found"),
        ({"prompt": "no/such"}, 404, "prompt_not_found"),
        ({"id": "rul_1"}, 400, "read_only_field"),
        ({"margins": 1}, 400, "unknown_field"),
    ],
)
def test_by_rest_it_is_refused(rules: Rules, fields: dict[str, Any], status: int, code: str) -> None:
    caller = signed_in(rules.team.cleo.user, rules.team.project)
    answer = caller.post("evaluation-rules", {"channel": "stable", "set": "core", "connection": "local"} | fields)
    problem_of(answer, status, code)
    assert EvaluationRule.objects.count() == 0
