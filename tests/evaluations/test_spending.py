"""Money: a call is counted before it is made, and no ceiling is ever passed, however many ask at once."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from evaluations.models import Budget, DaySpending, EvaluationRun
from evaluations.running.engine import Engine
from evaluations.spending import MOST_USD, Refused, Reservation, reserve, settle
from tests.evaluations.rows import new_run, new_set
from tests.evaluations.running import make_bench
from tests.evaluations.stub_provider import Provider
from tests.personas import Team
from tests.races.conftest import at_once

PRICE = Decimal("0.01")


def started(team: Team, **fields: Any) -> EvaluationRun:
    prompt = team.prompt(versions=2)
    return new_run(team, new_set(team, prompt), prompt, **fields)


def take(run: EvaluationRun, usd: Decimal | None = PRICE) -> Reservation | Refused:
    return reserve(project_id=run.project_id, run_id=run.pk, usd=usd)


def spent(team: Team) -> tuple[int, Decimal]:
    day = DaySpending.objects.filter(project=team.project).first()
    return (day.calls, day.usd) if day else (0, Decimal(0))


CAPS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("run_calls", {"max_calls": 10}, {}),
    ("run_usd", {"max_cost_usd": Decimal("0.105")}, {}),
    ("day_calls", {}, {"calls_per_day": 10}),
    ("day_usd", {}, {"usd_per_day": Decimal("0.109999")}),
]


@pytest.mark.parametrize(("ceiling", "run", "budget"), CAPS, ids=[cap[0] for cap in CAPS])
def test_fifty_workers_and_a_cap_for_ten_calls(
    team: Team, ceiling: str, run: dict[str, Any], budget: dict[str, Any]
) -> None:
    one = started(team, **run)
    if budget:
        Budget.objects.create(project=team.project, **budget)
    answers = at_once(50, lambda _: take(one))
    got = [answer for answer in answers if isinstance(answer, Reservation)]
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert (len(got), len(refused)) == (10, 40), [a for a in answers if isinstance(a, BaseException)]
    assert {answer.ceiling for answer in refused} == {ceiling}
    one.refresh_from_db()
    assert (one.calls, one.cost_usd) == (10, 10 * PRICE)
    assert spent(team) == (10, 10 * PRICE)


@pytest.mark.parametrize(
    ("engines", "ceiling"),
    [(12, "run_calls"), *(pytest.param(50, each, marks=pytest.mark.full) for each in ("run_calls", "day_calls"))],
)
def test_many_engines_at_once_and_a_cap_for_ten_calls(
    team: Team, provider: Provider, engines: int, ceiling: str
) -> None:
    """Past even the right of one worker among many: all take from one run, and together make ten calls."""
    provider.behave(text="Hello Ada!", delay=0.05)
    bench = make_bench(team, provider, cases=10, max_concurrency=200)
    one = bench.start()
    if ceiling == "run_calls":
        EvaluationRun.objects.filter(pk=one.pk).update(max_calls=10)
    else:
        Budget.objects.create(project=team.project, calls_per_day=10)
    ended = at_once(engines, lambda _: Engine(one.pk).work(20))
    assert [each for each in ended if isinstance(each, BaseException)] == []
    one.refresh_from_db()
    assert (len(provider.calls()), one.calls, spent(team)) == (10, 10, (10, 0))
    assert (one.status, one.outcome) == (("done", "INCOMPLETE") if ceiling == "run_calls" else ("paused", ""))


def test_a_refusal_counts_nothing(team: Team) -> None:
    one = started(team, max_calls=5)
    Budget.objects.create(project=team.project, calls_per_day=1)
    assert isinstance(take(one), Reservation)
    refused = take(one)
    assert isinstance(refused, Refused)
    assert "1 calls of today are made. Resume the run after midnight UTC, or with another budget." in refused.sentence
    one.refresh_from_db()
    assert (one.calls, one.cost_usd, spent(team)) == (1, PRICE, (1, PRICE))


def test_what_it_did_cost_takes_the_place_of_the_most_it_could(team: Team) -> None:
    one = started(team, max_cost_usd=Decimal("0.015"))
    first = take(one)
    assert isinstance(first, Reservation)
    assert isinstance(take(one), Refused)
    settle(first, Decimal("0.0000004"))
    one.refresh_from_db()
    assert (one.cost_usd, spent(team)) == (0, (1, 0))
    second = take(one)
    assert isinstance(second, Reservation)
    # More than it could: the run's ceiling stands, and the day tells the truth.
    settle(second, Decimal("0.5"))
    one.refresh_from_db()
    assert (one.calls, one.cost_usd, spent(team)) == (2, Decimal("0.015"), (2, Decimal("0.5")))


def test_no_price_is_too_high_to_be_counted(team: Team) -> None:
    """The columns hold less than a million dollars: the next call is refused, and what is spent stays at most that."""
    one = started(team)
    taken = [take(one, Decimal(100_000)) for _ in range(10)]
    assert [type(each) for each in taken] == [Reservation] * 9 + [Refused]
    assert isinstance(taken[-1], Refused)
    assert (taken[-1].ceiling, "Correct the connection's price" in taken[-1].sentence) == ("price", True)
    assert isinstance(reserve(project_id=team.project.pk, usd=Decimal(2_000_000)), Refused)
    assert isinstance(taken[0], Reservation)
    settle(taken[0], Decimal(5_000_000))
    one.refresh_from_db()
    assert (one.calls, one.cost_usd, spent(team)) == (9, MOST_USD, (9, MOST_USD))


def test_a_killed_worker_s_call_stays_counted_at_its_most(team: Team) -> None:
    one = started(team, max_calls=2)
    for _ in range(2):
        take(one)
    refused = take(one)
    assert isinstance(refused, Refused)
    assert refused.ceiling == "run_calls"


def test_a_settlement_that_is_rolled_back_is_none(team: Team) -> None:
    one = started(team)
    taken = take(one)
    assert isinstance(taken, Reservation)
    with transaction.atomic():
        settle(taken, Decimal(0))
        transaction.set_rollback(True)
    assert spent(team) == (1, PRICE)


@pytest.mark.parametrize("where", ["run", "project"])
def test_an_unknown_price_is_refused_where_dollars_are_counted(team: Team, where: str) -> None:
    one = started(team, **({"max_cost_usd": 5} if where == "run" else {}))
    if where == "project":
        Budget.objects.create(project=team.project, usd_per_day=5)
    refused = take(one, None)
    assert isinstance(refused, Refused)
    assert refused.ceiling == "price"
    assert "Give the connection its price" in refused.sentence
    one.refresh_from_db()
    assert (one.calls, spent(team)) == (0, (0, 0))


def test_an_unknown_price_is_counted_as_unknown(team: Team) -> None:
    one = started(team)
    taken = take(one, None)
    assert isinstance(taken, Reservation)
    assert taken.usd is None
    settle(taken, None)
    one.refresh_from_db()
    assert (one.calls, one.cost_usd, one.unpriced_calls) == (1, 0, 1)


@pytest.mark.parametrize("status", ["paused", "cancelled"])
def test_a_run_that_stands_still_makes_no_call(team: Team, status: str) -> None:
    one = started(team)
    EvaluationRun.objects.filter(pk=one.pk).update(status=status)
    refused = take(one)
    assert isinstance(refused, Refused)
    assert (refused.ceiling, spent(team)) == ("run", (0, 0))


def test_yesterday_s_calls_are_not_today_s(team: Team) -> None:
    Budget.objects.create(project=team.project, calls_per_day=1)
    yesterday = (timezone.now() - timedelta(days=1)).date()
    DaySpending.objects.create(project=team.project, day=yesterday, calls=1)
    assert isinstance(reserve(project_id=team.project.pk, usd=PRICE), Reservation)
    refused = reserve(project_id=team.project.pk, usd=PRICE)
    assert isinstance(refused, Refused)
    assert "Calls are made again after midnight UTC" in refused.sentence
