"""Runs without a live version: what the documented rule passes, the database lets pass; what falls short, not."""

import json
from typing import Any

import pytest
from django.db import transaction

from evaluations.models import EvaluationRun
from tests.evaluations.rows import add_case
from tests.evaluations.running import HELLO, finished, make_bench
from tests.evaluations.stub_provider import Provider
from tests.personas import Team

# A text that must be there would take no single failure.
EQUALS = [{"type": "equals", "value": "Hello Ada!"}]


def first_run(team: Team, provider: Provider, right: int, cases: int, criteria: Any = EQUALS) -> EvaluationRun:
    """One whose cases are always answered right, or never."""
    bench = make_bench(team, provider, cases=0)
    with transaction.atomic():
        bench.owner.revisions.create(number=3, author=team.ada.user, criteria=json.dumps(criteria))
        for number in range(cases):
            name = f"{'Right' if number < right else 'Wrong'} {number}"
            add_case(bench.owner, 3, key=name, position=number, variables=json.dumps({"customer_name": name}))
    return finished(bench.start(baseline=None, channel=None))


@pytest.mark.parametrize(("right", "cases", "outcome"), [(16, 20, "PASS"), (14, 18, "PASS"), (14, 20, "FAIL")])
def test_the_score_is_held_against_the_pass_rate_less_the_margin(
    team: Team, provider: Provider, right: int, cases: int, outcome: str
) -> None:
    provider.behave(texts={"Wrong": "Bonjour", "Right": "Hello Ada!"})
    run = first_run(team, provider, right, cases)
    verdict = run.verdict_object or {}
    assert (run.status, run.outcome) == ("done", outcome), run.pause_reason
    assert verdict["candidate"]["score"] == pytest.approx(right / cases)


def test_what_meets_one_of_two_criteria_has_half_a_score(team: Team, provider: Provider) -> None:
    """Three answers in four pass; the mean score of .875 does what it says."""
    provider.behave(texts={"Wrong": "Hello", "Right": "Hello Ada!"})
    run = first_run(team, provider, 15, 20, [*HELLO, *EQUALS])
    verdict = run.verdict_object or {}
    assert (run.status, run.outcome) == ("done", "PASS"), run.pause_reason
    assert verdict["candidate"]["score"] == pytest.approx(0.875)
