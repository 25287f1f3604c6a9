"""Judges in runs: they advise until people have labelled enough, and agreed."""

import json
from collections.abc import Callable

import pytest
from django.db import transaction

from evaluations.actions.runs import label_answer
from evaluations.calibrating import calibration, judged_criterion
from evaluations.models import Cell, EvaluationRun
from evaluations.statistics.calibration import Calibration
from promptforge.lib.errors import DomainError
from tests.evaluations.conftest import Make
from tests.evaluations.rows import add_case, new_set, revise
from tests.evaluations.running import HELLO, Bench, finished
from tests.evaluations.stub_provider import Provider
from tests.evaluations.test_runs import ONE_LOOK, RUBRIC
from tests.personas import Team

# Of two answers the judge takes one: whoever labels as it does agrees with it.
ANSWERS = {"Text": ["Hello Ada!", "Hello you!"]}
JUDGE = {
    "Does the answer fulfil && Hello you!": "It greets.\nGRADE: PASS",
    "Does the answer fulfil": "It does not greet.\nGRADE: FAIL",
}


def advises(run: EvaluationRun) -> list[str]:
    found: list[str] = json.loads(run.plan)["advisory"]
    return found


def labelled(bench: Bench, says: Callable[[int, bool], bool]) -> EvaluationRun:
    """A run with thirty answers that were judged, each labelled with `says` of its place and the judge's word."""
    bench.provider.behave(texts=JUDGE | ANSWERS)
    run = finished(bench.start(**ONE_LOOK))
    for number, cell in enumerate(Cell.objects.filter(run=run, state="done").order_by("position")[:30]):
        [line] = [line for line in json.loads(cell.scores) if line["criterion"] == "greets"]
        assert line["weight"] == 0
        label_answer(by=bench.team.ada, cell=cell, criterion="greets", passed=says(number, line["passed"]))
    return run


def calibrated(run: EvaluationRun) -> Calibration:
    criterion = judged_criterion(Cell.objects.filter(run=run)[0], "greets")
    assert criterion is not None
    return calibration(run.project_id, run.judge_settings, criterion)


def test_a_judge_advises_until_people_have_labelled_thirty_answers(make: Make) -> None:
    bench = make(criteria=RUBRIC)
    run = labelled(bench, lambda _, judged: judged)
    assert run.outcome == "PASS", "what a judge says counts for nothing before it is calibrated"
    assert advises(run) == ["greets"]
    verdict = run.verdict_object or {}
    assert (verdict["judge_flips"]["of"], verdict["judge_flips"]["hits"]) == (20, 0)
    assert calibrated(run).enough
    counted = bench.start(**ONE_LOOK, seed=9)
    assert advises(counted) == []
    finished(counted)
    for output, passed in Cell.objects.filter(run=counted, state="done").values_list("output", "passed"):
        assert passed is ("you" in output)


def test_a_judge_that_does_not_agree_with_people_never_counts(make: Make) -> None:
    bench = make(criteria=RUBRIC)
    run = labelled(bench, lambda number, judged: judged is (number % 2 > 0))
    assert calibrated(run).labels == 30
    assert "may be chance" in calibrated(run).sentence
    assert advises(bench.start(**ONE_LOOK, seed=9)) == ["greets"]


def test_a_rubric_that_is_rewritten_under_its_name_is_calibrated_anew(make: Make, team: Team) -> None:
    bench = make(criteria=RUBRIC)
    labelled(bench, lambda _, judged: judged)
    other = [*HELLO, RUBRIC[1] | {"value": "The answer is a text"}]
    revise(team, bench.owner, criteria=json.dumps(other))
    run = bench.start(**ONE_LOOK)
    assert advises(run) == ["greets"]
    assert calibrated(run).labels == 0
    # The same question counts in another set too, however much it weighs there.
    again = new_set(team, bench.prompt, name="other")
    revise(team, again, criteria=json.dumps([*HELLO, RUBRIC[1] | {"weight": 3}]))
    assert advises(bench.start(**ONE_LOOK, owner=again)) == []
    # One name may stand for both questions: then what is not calibrated decides.
    revise(team, again, criteria=json.dumps(HELLO))
    for key, criterion in (("as ever", RUBRIC[1]), ("rewritten", other[1])):
        with transaction.atomic():
            number = revise(team, again, criteria=json.dumps(HELLO)).number
            add_case(again, number, key=key, criteria=json.dumps([criterion]))
    assert advises(bench.start(**ONE_LOOK, owner=again)) == ["greets"]


def test_a_judge_that_gives_no_grade_leaves_unscored(make: Make, provider: Provider) -> None:
    bench = make(criteria=RUBRIC)
    labelled(bench, lambda _, judged: judged)
    provider.behave(texts={"Does the answer fulfil": "10/10!!!"} | ANSWERS)
    run = finished(bench.start(**ONE_LOOK, seed=9))
    assert run.outcome == "INCONCLUSIVE"
    assert set(Cell.objects.filter(run=run).values_list("state", "error", "passed")) == {("unscored", "judge", None)}


def test_what_a_judge_alone_asks_is_refused_while_it_advises(make: Make) -> None:
    bench = make(criteria=RUBRIC[1:])
    with pytest.raises(DomainError) as refused:
        bench.start(**ONE_LOOK)
    assert refused.value.code == "nothing_counts"
