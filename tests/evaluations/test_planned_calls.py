"""The calls that a run is planned with are enough for all that it would ask."""

import json
from typing import Any

import pytest
from django.db import transaction

from accounts.policies import Principal
from evaluations.estimating import estimate_run
from evaluations.models import Cell, EvaluationRun, SetRevision
from evaluations.planning import insert_repeats, plan_of
from evaluations.running.facts import Facts, read_run
from evaluations.running.taking import next_judging
from tests.evaluations.rows import add_case
from tests.evaluations.running import HELLO, Bench, make_bench
from tests.evaluations.stub_provider import Provider
from tests.personas import Team


def rubrics(number: int, of: str = "all") -> list[dict[str, Any]]:
    return [{"type": "llm-rubric", "value": "It greets", "name": f"{of} {each}"} for each in range(number)]


def asked(run: EvaluationRun) -> int:
    """How many calls the engine would make for the run's cells, were each of them answered and graded at once."""
    facts, calls = Facts(read_run(run.pk)), 0
    for cell in Cell.objects.filter(run=run):
        calls, said = calls + 1, dict[str, dict[str, Any]]()
        while (following := next_judging(cell, facts)) is not None:
            name, again = following
            said.setdefault(name, {"criterion": name, "passed": True}).update({"again": True} if again else {})
            cell.scores, calls = json.dumps(list(said.values())), calls + 1
    return calls


def with_own_case(bench: Bench, judged: int) -> None:
    """One case more, which alone has criteria of its own."""
    number, own = bench.owner.revision + 1, json.dumps(rubrics(judged, of="own"))
    with transaction.atomic():
        before = bench.owner.revisions.latest("number")
        SetRevision.objects.create(set=bench.owner, number=number, author=bench.team.ada.user, criteria=before.criteria)
        add_case(bench.owner, number, key="own", position=99, criteria=own)
    bench.owner.refresh_from_db()


@pytest.mark.parametrize("arms", [1, 2])
@pytest.mark.parametrize(
    ("cases", "judged", "own", "repeats"),
    [(2, 2, 0, 10), (1, 1, 0, 2), (1, 3, 0, 50), (3, 0, 4, 10), (5, 1, 2, 3), (30, 2, 0, 3), (4, 0, 0, 3)],
)
def test_as_many_calls_are_planned_as_are_asked(
    team: Team, provider: Provider, cases: int, judged: int, own: int, repeats: int, arms: int
) -> None:
    bench = make_bench(team, provider, cases=cases, criteria=[*HELLO, *rubrics(judged)])
    bench.owner.refresh_from_db()
    if own:
        with_own_case(bench, own)
    baseline = {} if arms == 2 else {"baseline": None}
    run = bench.start(repeats=repeats, **baseline)
    plan = plan_of(run)
    by: Principal = team.ada
    found = estimate_run(
        by=by, candidate=run.candidate, baseline=run.baseline, owner=bench.owner, connection=bench.connection,
        repeats=repeats,
    )  # fmt: skip
    confirming = plan.confirm_repeats * arms * (cases * (1 + judged) + (1 + judged + own if own else 0))
    least = asked(run)
    insert_repeats(run, run.set_revision.cases, plan.looks[0], plan.looks[-1])
    needed = [least, asked(run) + confirming]
    planned = [found["least_calls"], found["most_calls"]]
    assert needed == planned if not own else all(a <= b for a, b in zip(needed, planned, strict=True))
    assert run.max_calls >= needed[1]
