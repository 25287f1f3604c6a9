"""The gate: nothing goes live without the evaluation that its channel demands, on exactly this."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from evaluations.models import EvaluationRule, EvaluationRun, ModelConnection
from prompts.models import Promotion
from tests.evaluations.rows import PLAN, fill, finish, new_connection, new_run, new_set, revise
from tests.guards.attacks import (
    apply,
    forge_release,
    let_time_pass,
    open_promotion,
    passed_checks,
    refused,
    review,
    set_policy,
)
from tests.personas import Team, make_team


class Gate:
    """A careful project whose `stable` demands that version 2 passes `core` against version 1, which is live."""

    def __init__(self, team: Team) -> None:
        self.team = team
        self.prompt = team.prompt(versions=3)
        first = self.approved(1)
        apply(team, first)
        self.set = new_set(team, self.prompt)
        self.connection = new_connection(team)
        self.rule = self.demand()
        self.promotion = self.approved(2)

    def demand(self, **fields: Any) -> EvaluationRule:
        row = {"channel": self.team.stable, "set": self.set, "connection": self.connection, "margin": 0.1}
        return EvaluationRule.objects.create(**row | {"created_by": self.team.cleo.user} | fields)

    def approved(self, number: int) -> Promotion:
        promotion = open_promotion(self.team, self.prompt, number)
        passed_checks(promotion)
        review(promotion, self.team.ben)
        return promotion

    def run(self, outcome: str = "PASS", **fields: Any) -> EvaluationRun:
        """A finished run of version 2 against version 1, with the cells that its outcome needs."""
        made = new_run(self.team, fields.pop("set", self.set), self.prompt, connection=self.connection, **fields)
        worse = 0.0 if outcome == "FAIL" else 1.0
        fill(made, candidate=worse)
        finish(made, outcome, None if made.baseline_id is None else worse - 1.0)
        return made


@pytest.fixture
def gate(careful_team: Team) -> Gate:
    return Gate(careful_team)


def test_what_passed_goes_live(gate: Gate) -> None:
    gate.run()
    apply(gate.team, gate.promotion)


def test_nothing_goes_live_unevaluated(gate: Gate) -> None:
    with refused("evaluation_passed"):
        apply(gate.team, gate.promotion)


@pytest.mark.parametrize("outcome", ["FAIL", "INCONCLUSIVE", "NOT_COMPARABLE", "INCOMPLETE"])
def test_only_a_pass_passes(gate: Gate, outcome: str) -> None:
    gate.run(outcome)
    with refused("evaluation_passed"):
        apply(gate.team, gate.promotion)


def demand_five_repeats(gate: Gate) -> None:
    row = EvaluationRule.objects.filter(pk=gate.rule.pk)
    row.update(removal_asked_by=gate.team.cleo.user)
    row.update(removed_by=gate.team.emil.user)
    gate.demand(repeats=5)


def judged(gate: Gate) -> EvaluationRun:
    other = new_connection(gate.team, name="judge")
    return gate.run(judge=other, judge_settings=json.dumps(other.snapshot))


def elsewhere(gate: Gate) -> EvaluationRun:
    gate.connection = new_connection(gate.team, name="other")
    return gate.run()


def change_connection(gate: Gate, **fields: Any) -> None:
    ModelConnection.objects.filter(pk=gate.connection.pk).update(**fields)


# What was evaluated instead, or became of it since.
OTHERWISE: dict[str, Callable[[Gate], Any]] = {
    "version": lambda gate: gate.run(candidate=gate.team.version(gate.prompt, 3)),
    "baseline": lambda gate: gate.run(baseline=gate.team.version(gate.prompt, 3)),
    "no baseline": lambda gate: gate.run(baseline=None),
    "set": lambda gate: gate.run(set=new_set(gate.team, name="easy")),
    "revision": lambda gate: (gate.run(), revise(gate.team, gate.set, "a harder case")),
    "connection": elsewhere,
    "model": lambda gate: (gate.run(), change_connection(gate, model="another")),
    "parameters": lambda gate: (gate.run(), change_connection(gate, parameters='{"temperature":0}')),
    "connection gone": lambda gate: (gate.run(), change_connection(gate, removed_at=gate.promotion.opened_at)),
    "judge": judged,
    "margin": lambda gate: gate.run(plan=json.dumps(PLAN | {"margin": 0.4})),
    "repeats": lambda gate: (demand_five_repeats(gate), gate.run()),
    "purpose": lambda gate: gate.run(purpose="drift"),
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_evidence_of_something_else_counts_for_nothing(gate: Gate, what: str) -> None:
    OTHERWISE[what](gate)
    with refused("evaluation_passed"):
        apply(gate.team, gate.promotion)


def test_evidence_grows_old(gate: Gate) -> None:
    """The policy's days for evidence, fewer than those for approvals."""
    gate.run()
    let_time_pass(days=8)
    passed_checks(gate.promotion)
    with refused("evaluation_passed"):
        apply(gate.team, gate.promotion)


def test_asking_again_until_it_passes_settles_nothing(gate: Gate) -> None:
    gate.run("FAIL")
    gate.run()
    with refused("evaluation_passed"):
        apply(gate.team, gate.promotion)


@pytest.mark.parametrize("lack", ["one approval", "no word", "no acknowledgement"])
def test_what_settles_nothing_takes_one_more_approver_who_says_why(gate: Gate, lack: str) -> None:
    gate.run("INCONCLUSIVE")
    said = {"body": " " if lack == "no word" else "Read all forty answers.", "acknowledged": ["evaluation"]}
    if lack == "no acknowledgement":
        said["acknowledged"] = []
    review(gate.promotion, gate.team.ben if lack == "one approval" else gate.team.emil, **said)
    with refused("evaluation_passed"):
        apply(gate.team, gate.promotion)
    review(gate.promotion, gate.team.emil, body="Read all forty answers.", acknowledged=["evaluation"])
    apply(gate.team, gate.promotion)


def test_a_demanded_evaluation_without_a_rule_is_failed(careful_team: Team) -> None:
    team = careful_team
    set_policy(team, required_checks=["evaluation"])
    prompt = team.prompt(versions=2)
    promotion = open_promotion(team, prompt, 1)
    review(promotion, team.ben)
    with refused("evaluation_has_rule"):
        apply(team, promotion)


def test_a_direct_release_takes_the_evaluation_too(team: Team) -> None:
    """On a channel without any other demand."""
    prompt = team.prompt(versions=2)
    forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)
    EvaluationRule.objects.create(
        channel=team.stable, set=new_set(team), connection=new_connection(team), margin=0.1, created_by=team.cleo.user
    )
    with refused("evaluation_passed"):
        forge_release(prompt, team.stable, team.version(prompt, 2), team.cleo)


def test_a_rollback_waits_for_no_evaluation(gate: Gate) -> None:
    gate.run()
    apply(gate.team, gate.promotion)
    first = gate.team.version(gate.prompt, 1)
    forge_release(gate.prompt, gate.team.stable, first, gate.team.cleo, kind="rollback", reason="Worse in the evening.")


# --- Rules -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("field", ["set", "connection", "judge", "prompt", "set of another prompt"])
def test_a_rule_joins_things_of_one_project(gate: Gate, field: str) -> None:
    rival = make_team("rival", preset="solo")
    forged: dict[str, dict[str, Any]] = {
        "set": {"set": new_set(rival)},
        "connection": {"connection": new_connection(rival)},
        "judge": {"judge": new_connection(rival, name="judge")},
        "prompt": {"prompt": rival.prompt()},
        "set of another prompt": {"prompt": gate.team.prompt("support/farewell")},
    }
    with refused("rule_of_project"):
        gate.demand(**forged[field])


@pytest.mark.parametrize("who", ["ada", "ben", "noor", "outsider"])
def test_a_rule_is_made_by_who_may(gate: Gate, who: str) -> None:
    person = getattr(gate.team, who)
    other = new_set(gate.team, name="other")
    with refused("rule_right"):
        gate.demand(set=other, created_by=getattr(person, "user", person))


@pytest.mark.parametrize("forged", [{"margin": 0.4}, {"repeats": 1}, {"created_by_id": 1}])
def test_a_rule_is_not_weakened(gate: Gate, forged: dict[str, Any]) -> None:
    with refused("rule_kept"):
        EvaluationRule.objects.filter(pk=gate.rule.pk).update(removal_asked_by=gate.team.cleo.user, **forged)


@pytest.mark.parametrize("who", ["ada", "noor"])
def test_who_may_not_change_the_channel_asks_for_no_removal(gate: Gate, who: str) -> None:
    with refused("rule_removal_right"):
        EvaluationRule.objects.filter(pk=gate.rule.pk).update(removal_asked_by=getattr(gate.team, who).user)


@pytest.mark.parametrize("trick", ["alone", "at once", "both names"])
def test_a_rule_of_a_protected_channel_takes_two_to_remove(gate: Gate, trick: str) -> None:
    row, cleo, emil = EvaluationRule.objects.filter(pk=gate.rule.pk), gate.team.cleo.user, gate.team.emil.user
    if trick == "alone":
        row.update(removal_asked_by=cleo)
    with refused("rule_removed_by_two"):
        names = {"removal_asked_by": emil} if trick == "both names" else {}
        row.update(removed_by=cleo, **names)
    row.update(removal_asked_by=cleo)
    row.update(removed_by=emil)
    apply(gate.team, gate.promotion)


def test_on_an_unprotected_channel_one_removes_it(team: Team) -> None:
    prompt = team.prompt(versions=2)
    rule = EvaluationRule.objects.create(
        channel=team.stable, set=new_set(team), connection=new_connection(team), margin=0.1, created_by=team.cleo.user
    )
    EvaluationRule.objects.filter(pk=rule.pk).update(removed_by=team.cleo.user)
    forge_release(prompt, team.stable, team.version(prompt, 1), team.cleo)
