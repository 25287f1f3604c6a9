"""The gate from above: what a promotion's check says of its evaluation, and the runs that start by themselves."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from evaluations.actions.gate import evaluate_promotion, start_what_is_demanded
from evaluations.actions.rules import add_rule, agree_to_removal, remove_rule
from evaluations.actions.runs import cancel_run
from evaluations.evidence import of_promotions
from evaluations.models import Cell, EvaluationRun, EvaluationSet, GateRefusal, ModelConnection
from promptforge.lib.errors import DomainError
from prompts.actions.promotions import apply_promotion, open_promotion
from prompts.actions.reviews import review
from prompts.checks import Line, lines, status, to_acknowledge
from prompts.models import Promotion, Prompt
from prompts.models.channels import CheckName
from prompts.pages.waiting import waits_for
from prompts.shapes import digest_text
from prompts.standing import standing
from tests.evaluations.rows import answer, fill, finish, new_connection, new_run, new_set, revise
from tests.personas import Team

EQUALS = json.dumps([{"type": "contains", "value": "Ada"}])


@pytest.fixture
def prompt(careful_team: Team) -> Prompt:
    return careful_team.prompt(versions=2)


@pytest.fixture
def core(careful_team: Team, prompt: Prompt) -> EvaluationSet:
    owner = EvaluationSet.objects.create(project=careful_team.project, prompt=prompt, name="core")
    revise(careful_team, owner, "case 1", "case 2", criteria=EQUALS)
    owner.refresh_from_db()
    return owner


@pytest.fixture
def local(careful_team: Team) -> ModelConnection:
    return new_connection(careful_team)


def demand(team: Team, core: EvaluationSet, local: ModelConnection, **fields: Any) -> Any:
    return add_rule(by=team.cleo, channel=team.stable, evaluation_set=core, connection=local, **fields)


def asked(team: Team, prompt: Prompt) -> Promotion:
    promotion = open_promotion(by=team.ada, prompt=prompt, channel=team.stable, version=team.version(prompt, 2))
    digest = digest_text(promotion.diff_digest)
    review(by=team.ben, promotion=promotion, decision="approve", diff_digest=digest)
    return promotion


def line(promotion: Promotion) -> Line:
    return next(each for each in lines(standing(promotion)) if each.name == CheckName.EVALUATION)


def says(promotion: Promotion) -> tuple[str, str, bool]:
    now = standing(promotion)
    found = line(promotion)
    return status(now, lines(now)), found.conclusion, found.required


def test_opening_a_promotion_starts_what_it_waits_for(
    careful_team: Team, prompt: Prompt, core: EvaluationSet, local: ModelConnection
) -> None:
    demand(careful_team, core, local, margin=0.2, repeats=3)
    promotion = asked(careful_team, prompt)
    assert says(promotion) == ("in_review", "waiting", True)
    assert start_what_is_demanded() == 1
    run = EvaluationRun.objects.get()
    assert (run.candidate, run.baseline, run.set_revision.number) == (promotion.version, None, 1)
    assert (run.created_by, json.loads(run.plan)["margin"]) == (careful_team.ada.user, 0.2)
    assert says(promotion) == ("evaluating", "running", True)
    assert (start_what_is_demanded(), EvaluationRun.objects.count()) == (0, 1)


def test_two_workers_start_one_run(
    careful_team: Team, prompt: Prompt, core: EvaluationSet, local: ModelConnection
) -> None:
    demand(careful_team, core, local)
    asked(careful_team, prompt)

    def turn(_: int) -> int:
        try:
            return start_what_is_demanded()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(turn, range(8))) == 1
    assert EvaluationRun.objects.count() == 1


def test_what_cannot_be_started_says_why_once(careful_team: Team, prompt: Prompt, local: ModelConnection) -> None:
    team = careful_team
    empty = EvaluationSet.objects.create(project=team.project, name="without values")
    revise(team, empty, criteria=EQUALS)
    empty.refresh_from_db()
    demand(team, empty, local)
    promotion = asked(team, prompt)
    assert (start_what_is_demanded(), start_what_is_demanded(), GateRefusal.objects.count()) == (0, 0, 1)
    assert line(promotion).conclusion == "failed"
    assert "without values was not run: The set without values has no cases yet." in line(promotion).summary
    with pytest.raises(DomainError, match="has no cases yet"):
        evaluate_promotion(by=team.ada, promotion=promotion)
    revise(team, empty, "case 1", criteria=EQUALS)
    assert start_what_is_demanded() == 1


def test_what_failed_is_run_again_by_who_may(
    careful_team: Team, prompt: Prompt, core: EvaluationSet, local: ModelConnection
) -> None:
    team = careful_team
    demand(team, core, local)
    promotion = asked(team, prompt)
    run = new_run(team, core, prompt, candidate=promotion.version, baseline=None, connection=local)
    fill(run)
    finish(run, "FAIL", None)
    assert says(promotion) == ("blocked", "failed", True)
    assert start_what_is_demanded() == 0
    [again] = evaluate_promotion(by=team.ada, promotion=promotion)
    assert again.status == "queued"
    with pytest.raises(DomainError) as refused:
        evaluate_promotion(by=team.noor, promotion=promotion)
    assert refused.value.code == "forbidden"


def test_what_was_cancelled_starts_again_when_somebody_asks(
    careful_team: Team, prompt: Prompt, core: EvaluationSet, local: ModelConnection
) -> None:
    team = careful_team
    demand(team, core, local)
    promotion = asked(team, prompt)
    assert start_what_is_demanded() == 1
    for _ in range(2):
        run = EvaluationRun.objects.latest("pk")
        cancel_run(by=team.emil, run=run)
        assert start_what_is_demanded() == 0
        assert line(promotion).conclusion == "failed"
        assert f"core was not run: {team.emil.user} cancelled the evaluation." in line(promotion).summary
        [again] = evaluate_promotion(by=team.ada, promotion=promotion)
        assert says(promotion) == ("evaluating", "running", True)
    for cell in Cell.objects.filter(run=again):
        answer(cell)
    finish(again, "PASS", None)
    assert line(promotion).conclusion == "passed"


def test_whoever_reads_a_verdict_knows_of_the_runs_that_were_given_up(
    careful_team: Team, prompt: Prompt, core: EvaluationSet, local: ModelConnection
) -> None:
    """Those whose answers could be seen, of exactly the same: not the one that nothing was known of, nor of another."""
    team = careful_team
    demand(team, core, local)
    promotion = asked(team, prompt)
    about: dict[str, Any] = {"candidate": promotion.version, "baseline": None, "connection": local}
    cancel_run(by=team.ada, run=new_run(team, core, prompt, **about))
    other = new_run(team, core, prompt, connection=local)
    fill(other)
    cancel_run(by=team.ada, run=other)
    passed = new_run(team, core, prompt, **about)
    fill(passed)
    finish(passed, "PASS", None)
    assert line(promotion).summary == "core: PASS"
    for by, said in (
        (team.ada, "One run of exactly the same was cancelled before its verdict, by Ada on"),
        (team.emil, "2 runs of exactly the same were cancelled before their verdict, the newest by Emil on"),
    ):
        seen = new_run(team, core, prompt, **about)
        fill(seen)
        cancel_run(by=by, run=seen)
        assert line(promotion).summary == f"core: PASS {said} {timezone.now():%Y-%m-%d}."
        assert line(promotion).conclusion == "passed"


def test_what_the_gate_did_not_ask_for_is_cancelled_without_a_word(
    careful_team: Team, prompt: Prompt, core: EvaluationSet, local: ModelConnection
) -> None:
    """Runs against another version, and of a set that was revised since: the promotion waits for neither."""
    team = careful_team
    demand(team, core, local)
    asked(team, prompt)
    other = new_run(team, core, prompt, connection=local)
    start_what_is_demanded()
    revise(team, core, "case 3", criteria=EQUALS)
    for run in (other, EvaluationRun.objects.latest("pk")):
        cancel_run(by=team.ada, run=run)
    assert (GateRefusal.objects.count(), start_what_is_demanded()) == (0, 1)


@pytest.mark.parametrize("purpose", ["reference", "drift"])
def test_what_the_drift_watch_asks_is_no_evaluation_under_way(
    careful_team: Team, prompt: Prompt, core: EvaluationSet, local: ModelConnection, purpose: str
) -> None:
    team = careful_team
    demand(team, core, local)
    promotion = asked(team, prompt)
    new_run(team, core, prompt, candidate=promotion.version, baseline=None, connection=local, purpose=purpose)
    assert says(promotion) == ("in_review", "waiting", True)
    assert start_what_is_demanded() == 1
    assert EvaluationRun.objects.filter(purpose="comparison").count() == 1


def test_what_settles_nothing_is_taken_on_in_writing(
    careful_team: Team, prompt: Prompt, core: EvaluationSet, local: ModelConnection
) -> None:
    team = careful_team
    demand(team, core, local)
    promotion = asked(team, prompt)
    run = new_run(team, core, prompt, candidate=promotion.version, baseline=None, connection=local)
    fill(run)
    finish(run, "INCONCLUSIVE", None)
    assert [each.name for each in to_acknowledge(standing(promotion))] == [CheckName.EVALUATION]
    assert [waits_for(person).reviews for person in (team.ben, team.emil)] == [[], [promotion.pk]]
    digest = digest_text(promotion.diff_digest)
    about: dict[str, Any] = {"promotion": promotion, "decision": "approve", "diff_digest": digest}
    with pytest.raises(DomainError) as refused:
        review(by=team.emil, acknowledged=["evaluation"], **about)
    assert refused.value.code == "reason_required"
    with pytest.raises(DomainError) as refused:
        apply_promotion(by=team.cleo, promotion=promotion)
    assert "evaluation_not_passed" in {fault.code for fault in refused.value.faults}
    review(by=team.emil, acknowledged=["evaluation"], body="I read every answer.", **about)
    assert line(promotion).conclusion == "waived"
    assert waits_for(team.cleo).reviews == []
    assert apply_promotion(by=team.cleo, promotion=promotion).version == promotion.version


def test_a_rule_goes_when_two_agree(
    careful_team: Team, prompt: Prompt, core: EvaluationSet, local: ModelConnection
) -> None:
    team = careful_team
    rule = demand(team, core, local)
    with pytest.raises(DomainError) as refused:
        demand(team, core, local)
    assert refused.value.code == "name_taken"
    assert remove_rule(by=team.cleo, rule=rule).removed_at is None
    with pytest.raises(DomainError) as refused:
        agree_to_removal(by=team.cleo, rule=rule)
    assert refused.value.code == "four_eyes"
    assert says(asked(team, prompt))[2] is True
    assert agree_to_removal(by=team.farah, rule=rule).removed_at is not None
    assert says(Promotion.objects.get())[2] is False


def test_many_promotions_take_as_many_queries_as_one(
    careful_team: Team, core: EvaluationSet, local: ModelConnection, django_assert_num_queries: Any
) -> None:
    team = careful_team
    shared = new_set(team, name="shared")
    demand(team, shared, local)
    promotions = [asked(team, team.prompt(f"p/{number}", versions=2)) for number in range(4)]
    with django_assert_num_queries(1):
        assert len(of_promotions([each.pk for each in promotions])) == 4
