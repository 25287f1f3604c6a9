"""What calls may cost: each is counted, at the most that it can cost, before it is made.

The promise is the database's: the run's constraints and the day's rule refuse whoever counts past a ceiling. A call
whose maker is killed stays counted at its most, so a ceiling holds whatever dies.
"""

from dataclasses import dataclass
from datetime import UTC, date
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from typing import Any

import psycopg
from django.db import DataError, IntegrityError, connection, transaction
from django.utils import timezone

from accounts.models import Project
from evaluations.models import Budget, DaySpending, EvaluationRun

CENT_OF_A_CENT = Decimal("0.000001")  # what a price is kept to
MOST_USD = Decimal("999999.999999")  # what the columns hold

_TAKE_FROM_RUN = """
    UPDATE evaluations_evaluationrun SET calls = calls + 1, cost_usd = cost_usd + %(usd)s
    WHERE id = %(run)s AND status IN ('queued', 'running') AND calls < max_calls
        AND (max_cost_usd IS NULL OR cost_usd + %(usd)s <= max_cost_usd)"""
_TAKE_FROM_DAY = """
    INSERT INTO evaluations_dayspending AS spent (project_id, day, calls, usd)
    VALUES (%(project)s, (public.promptforge_now() AT TIME ZONE 'UTC')::date, 1, %(usd)s)
    ON CONFLICT (project_id, day) DO UPDATE SET calls = spent.calls + 1, usd = spent.usd + excluded.usd
    RETURNING day"""
# A run's ceiling is a constraint: what a call cost beyond its bound is told by its cell.
_SETTLE_RUN = """
    UPDATE evaluations_evaluationrun
    SET cost_usd = greatest(0, least(cost_usd + %(change)s, coalesce(max_cost_usd, %(most)s))),
        unpriced_calls = unpriced_calls + %(unpriced)s
    WHERE id = %(run)s"""
_SETTLE_DAY = """
    UPDATE evaluations_dayspending SET usd = greatest(0, least(usd + %(change)s, %(most)s))
    WHERE project_id = %(project)s AND day = %(day)s"""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A call that was counted and may be made; `usd` is the most that it can cost, None when nobody knows."""

    project_id: int
    run_id: int | None
    day: date
    usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why no further call may be made: which ceiling was met, and one sentence."""

    ceiling: str  # "run_calls", "run_usd", "day_calls", "day_usd", "price", "run"
    sentence: str


def reserve(*, project_id: int, run_id: int | None = None, usd: Decimal | None) -> Reservation | Refused:
    """Count one call before it is made. `usd` is the most that it can cost; None when its price is not known."""
    if usd is None and (refused := _needs_a_price(project_id, run_id)):
        return refused
    bound = None if usd is None else _rounded(usd, ROUND_UP)
    values = {"project": project_id, "run": run_id, "usd": bound or Decimal(0)}
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if run_id is not None:
                cursor.execute(_TAKE_FROM_RUN, values)
                if not cursor.rowcount:
                    return _met_by_run(run_id)
            cursor.execute(_TAKE_FROM_DAY, values)
            ((day,),) = cursor.fetchall()
    except DataError:
        return _beyond_counting(bound or Decimal(0))
    except IntegrityError as error:
        cause = error.__cause__
        if not isinstance(cause, psycopg.Error) or cause.diag.constraint_name != "spending_within_budget":
            raise
        return _met_by_day(project_id, run_id)
    return Reservation(project_id, run_id, day, bound)


def settle(reservation: Reservation, usd: Decimal | None) -> None:
    """Put what the call did cost in the place of the most that it could; None when nobody knows.

    Do it once for each reservation, in the transaction that stores what the call brought.
    """
    change = _rounded(usd, ROUND_HALF_UP) - (reservation.usd or Decimal(0)) if usd is not None else Decimal(0)
    values: dict[str, Any] = {
        "project": reservation.project_id,
        "run": reservation.run_id,
        "day": reservation.day,
        "change": change,
        "most": MOST_USD,
        "unpriced": int(usd is None),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        if reservation.run_id is not None and (change or usd is None):
            cursor.execute(_SETTLE_RUN, values)
        if change:
            cursor.execute(_SETTLE_DAY, values)


def today(project: Project) -> tuple[Budget, DaySpending]:
    """The project's budget, and what its calls of this day cost; blank ones where there are none."""
    day = timezone.now().astimezone(UTC).date()
    budget = Budget.objects.filter(project=project).first() or Budget(project=project)
    return budget, DaySpending.objects.filter(project=project, day=day).first() or DaySpending(project=project, day=day)


def _rounded(usd: Decimal, how: str) -> Decimal:
    return usd.quantize(CENT_OF_A_CENT, rounding=how)


# --- Why not ---------------------------------------------------------------------------------------------------------
def _needs_a_price(project_id: int, run_id: int | None) -> Refused | None:
    capped = Budget.objects.filter(project_id=project_id, usd_per_day__isnull=False).exists()
    where = "the project's budget" if capped else ""
    if not capped and run_id is not None:
        capped = EvaluationRun.objects.filter(pk=run_id, max_cost_usd__isnull=False).exists()
        where = "the run"
    if not capped:
        return None
    return Refused(
        "price",
        f"Nobody knows what a call of this model costs, and {where} has a ceiling in dollars. "
        "Give the connection its price, or set a ceiling in calls instead.",
    )


def _beyond_counting(usd: Decimal) -> Refused:
    return Refused(
        "price",
        f"One call could cost ${usd:,f}, and that is more than can be counted beside what is spent already. "
        "Correct the connection's price, or lower its max_tokens.",
    )


def _met_by_run(run_id: int) -> Refused:
    run = EvaluationRun.objects.get(pk=run_id)
    if run.status not in (EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING):
        return Refused("run", f"The run is {run.status}: it makes no further call.")
    if run.calls >= run.max_calls:
        return Refused("run_calls", f"The run may make {run.max_calls:,} calls, and has made them.")
    return Refused(
        "run_usd",
        f"The run may cost ${run.max_cost_usd:f}, and its calls so far cost ${run.cost_usd:f}: "
        "the next one could cost more than what is left.",
    )


def _met_by_day(project_id: int, run_id: int | None) -> Refused:
    budget = Budget.objects.get(project_id=project_id)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT calls, usd FROM evaluations_dayspending"
            " WHERE project_id = %s AND day = (public.promptforge_now() AT TIME ZONE 'UTC')::date",
            [project_id],
        )
        calls, usd = cursor.fetchone() or (0, Decimal(0))
    again = "Calls are made again" if run_id is None else "Resume the run"  # no run goes on by itself
    until = f"{again} after midnight UTC, or with another budget."
    if budget.calls_per_day is not None and calls >= budget.calls_per_day:
        return Refused("day_calls", f"The project's {budget.calls_per_day:,} calls of today are made. {until}")
    return Refused(
        "day_usd",
        f"The project may spend ${budget.usd_per_day:f} a day, and has spent ${usd:f}: "
        f"the next call could cost more than what is left. {until}",
    )
