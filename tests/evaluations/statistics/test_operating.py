"""How often each verdict comes, measured through `decide` itself with every guardrail on.

The ordinary run draws few runs and allows for what chance does to few; `full` measures each row on thousands.
"""

import math

import pytest

from evaluations.statistics import plan_for
from tests.evaluations.statistics.simulation import Arm, Table, lowered, operate, usual_mix

# cases, points lost, how often at most or at least.
ROWS = [
    (10, 0, "FAIL", "<=", 0.03),
    (10, 0, "PASS", ">=", 0.80),
    (10, 10, "PASS", "<=", 0.05),
    (10, 20, "FAIL", ">=", 0.98),
    (30, 0, "PASS", ">=", 0.95),
    (500, 0, "FAIL", "<=", 0.05),
]
PAIRS = sorted({row[:2] for row in ROWS})
FULL = 2000
FEW = {10: 60, 30: 20, 500: 2}


def measured(cases: int, points: float, runs: int) -> Table:
    baseline = Arm(usual_mix(cases))
    return operate(plan_for(cases), Arm(lowered(baseline.rates, points)), baseline, runs, seed=cases + round(points))


def misses(table: Table, cases: int, points: float, slack: float) -> list[str]:
    """The rows that do not hold, allowing for `slack` standard errors."""
    found = []
    for n, lost, outcome, sign, limit in ROWS:
        if (n, lost) != (cases, points):
            continue
        room = slack * math.sqrt(limit * (1 - limit) / table.outcomes.total())
        share = table.share(outcome)
        if (share > limit + room) if sign == "<=" else (share < limit - room):
            found.append(f"{outcome} {share:.3f}, not {sign} {limit}")
    return found


@pytest.mark.parametrize(("cases", "points"), PAIRS)
def test_a_few_runs(cases: int, points: float) -> None:
    assert misses(measured(cases, points, FEW[cases]), cases, points, slack=2.5) == []


@pytest.mark.full
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("cases", "points"), PAIRS)
def test_thousands_of_runs(cases: int, points: float) -> None:
    table = measured(cases, points, FULL)
    print(cases, -points, dict(table.outcomes), round(table.calls), table.cases_blocked)
    assert misses(table, cases, points, slack=0) == []


def test_one_dead_case_among_fifty_is_caught() -> None:
    baseline = Arm(usual_mix(50))
    table = operate(plan_for(50), Arm([0.0, *baseline.rates[1:]]), baseline, 12, seed=50)
    assert table.share("FAIL") >= 0.9


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_one_dead_case_among_fifty_in_thousands_of_runs() -> None:
    baseline = Arm(usual_mix(50))
    caught = operate(plan_for(50), Arm([0.0, *baseline.rates[1:]]), baseline, FULL, seed=50)
    quiet = operate(plan_for(50), baseline, baseline, FULL, seed=51)
    print("dead", dict(caught.outcomes), round(caught.calls), "no change", dict(quiet.outcomes), quiet.cases_blocked)
    assert caught.share("FAIL") >= 0.97
    assert quiet.cases_blocked <= 0.01
