"""A run's plan as it is stored, and the cells that it needs: which, and in which order they are asked."""

import dataclasses
import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection

from evaluations.models import Arm, Case, Cell, EvaluationRun, EvaluationSet, SetRevision
from evaluations.statistics import Plan, plan_for
from promptforge.lib.errors import DomainError, wrong

# Outputs that a judge is asked about a second time in each run, to see how often it contradicts itself.
TWICE_JUDGED = 20
# Beyond the calls that the plan needs at most: for those that fail and are made again.
SPARE_SHARE, SPARE_LEAST = 0.25, 20


def cases_of(owner: EvaluationSet) -> tuple[SetRevision, list[Case]]:
    """What a run of the set asks: its newest revision and the cases of it, which are not none."""
    revision = SetRevision.objects.filter(set=owner).order_by("-number").first()
    cases = [] if revision is None else list(revision.cases)
    if revision is None or not cases:
        raise DomainError("set_empty", f"The set {owner} has no cases yet. Add the first ones, then run it.")
    return revision, cases


def plan_of_cases(cases: int, margin: float | None, repeats: int | None) -> Plan:
    """The usual plan, with what was asked for otherwise; refused by its field."""
    try:
        return plan_for(cases, margin, repeats)
    except ValueError as error:
        raise wrong("repeats" if "repeats" in str(error) else "margin", str(error)) from None


def plan_json(plan: Plan, advisory: Sequence[str]) -> dict[str, Any]:
    return {**dataclasses.asdict(plan), "looks": list(plan.looks), "advisory": sorted(advisory)}


def plan_of(run: EvaluationRun) -> Plan:
    stored = json.loads(run.plan)
    known = {field.name: stored[field.name] for field in dataclasses.fields(Plan) if field.name in stored}
    return Plan(**known | {"looks": tuple(known["looks"])})


def advisory_of(run: EvaluationRun) -> tuple[str, ...]:
    return tuple(json.loads(run.plan).get("advisory", ()))


def arms_of(run: EvaluationRun) -> tuple[Arm, ...]:
    return (Arm.CANDIDATE,) if run.baseline_id is None else (Arm.CANDIDATE, Arm.BASELINE)


def calls_of(plan: Plan, arms: int, judged: Sequence[int]) -> tuple[int, int]:
    """How many calls a run makes: when its first look settles it, and at most.

    `judged` counts the judged criteria of each case.
    """
    cells, once = arms * len(judged), arms * (len(judged) + sum(judged))
    # The first outputs are judged twice by each of their criteria; which cases they are of is chance.
    first, last = (min(TWICE_JUDGED, look * cells) * max(judged) for look in (plan.looks[0], plan.looks[-1]))
    return plan.looks[0] * once + first, (plan.looks[-1] + plan.confirm_repeats) * once + last


def most_calls(most: int) -> int:
    return most + max(SPARE_LEAST, round(SPARE_SHARE * most))


def insert_repeats(run: EvaluationRun, cases: Iterable[Case], first: int, upto: int) -> int:
    """The cells of the repeats `first` … `upto` - 1 of every case; returns how many were new."""
    return _insert(run, list(cases), range(first, upto), confirms=False)


def insert_confirming(run: EvaluationRun, cases: Iterable[Case]) -> int:
    """Fresh cells of the cases under suspicion, numbered behind every repeat that the plan could ask for."""
    plan = plan_of(run)
    last = plan.looks[-1]
    return _insert(run, list(cases), range(last, last + plan.confirm_repeats), confirms=True)


def _insert(run: EvaluationRun, cases: list[Case], repeats: range, *, confirms: bool) -> int:
    """Every case with its arms side by side in one window, cases and arms in random order that the seed decides."""
    order = random.Random(f"{run.seed}:{repeats.start}:{confirms}")  # noqa: S311 - an order, no secret
    position = Cell.objects.filter(run=run).count()
    rows: list[Cell] = []
    for repeat in repeats:
        for case in order.sample(cases, len(cases)):
            arms = arms_of(run)
            for arm in order.sample(arms, len(arms)):
                rows.append(
                    Cell(run=run, case=case, arm=arm, repeat=repeat, confirms=confirms, position=position + len(rows))
                )
    return len(Cell.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000))


def seed_of(run: EvaluationRun, case: Case, arm: str, repeat: int) -> int:
    """A cell's own seed: another for each arm, so that two equal prompts are still two samples."""
    text = f"{run.seed}:{bytes(case.digest).hex()}:{arm}:{repeat}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) & 0x7FFF_FFFF


def usual_seed(run_settings: str, set_digest: bytes) -> int:
    """The same for the same set asked of the same model: so a repeated run finds what was answered before, and running
    again until luck has it is no way to pass."""
    return int.from_bytes(hashlib.sha256(run_settings.encode() + set_digest).digest()[:7])


def set_digest(revision_id: int) -> bytes:
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.promptforge_set_digest(%s)", [revision_id])
        return bytes(cursor.fetchone()[0])
