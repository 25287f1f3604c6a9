"""What evaluations may cost: no statement counts a call past the budget of a day, or takes one back."""

from datetime import date
from typing import Any

import pytest

from evaluations.models import Budget, DaySpending
from tests.guards.attacks import refused, run
from tests.personas import Team

TODAY = date(2026, 11, 26)


@pytest.mark.parametrize("column", ["calls", "usd"])
@pytest.mark.parametrize("made", ["updated", "inserted"])
def test_a_budget_holds_against_raw_sql(team: Team, column: str, made: str) -> None:
    Budget.objects.create(project=team.project, **{f"{column}_per_day": 10})
    if made == "inserted":
        with refused("spending_within_budget"):
            run(
                "INSERT INTO evaluations_dayspending (project_id, day, calls, usd) VALUES (%s, %s, 11, 11)",
                [team.project.pk, TODAY],
            )
        return
    spent = DaySpending.objects.create(project=team.project, day=TODAY, calls=10, usd=10)
    with refused("spending_within_budget"):
        run("UPDATE evaluations_dayspending SET calls = calls + 1, usd = usd + 1 WHERE id = %s", [spent.pk])


def test_what_a_call_did_cost_is_told_past_the_budget(team: Team) -> None:
    Budget.objects.create(project=team.project, usd_per_day=1)
    spent = DaySpending.objects.create(project=team.project, day=TODAY, calls=1, usd=1)
    DaySpending.objects.filter(pk=spent.pk).update(usd=2)
    with refused("spending_within_budget"):
        DaySpending.objects.filter(pk=spent.pk).update(calls=2)


@pytest.mark.parametrize("column", ["calls", "usd", "day"])
def test_a_day_s_calls_are_not_taken_back(team: Team, column: str) -> None:
    spent = DaySpending.objects.create(project=team.project, day=TODAY, calls=10, usd=10)
    other: dict[str, Any] = {"calls": 9, "usd": -1, "day": date(2026, 11, 25)}
    with refused("spending_counts"):
        DaySpending.objects.filter(pk=spent.pk).update(**{column: other[column]})
