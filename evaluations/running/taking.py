"""Taking cells: counted, leased and fenced in one short transaction, so that no two workers call for the same one."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from evaluations import rates, spending
from evaluations.actions.runs import cannot_call
from evaluations.asked_of import entries
from evaluations.judging import judge_messages
from evaluations.models import Cell, EvaluationRun
from evaluations.planning import TWICE_JUDGED, seed_of
from evaluations.prices import most
from evaluations.providers import CallFailed, Completion, Message
from evaluations.running import caching
from evaluations.running.calls import Call, Line, lines_of
from evaluations.running.canaries import stored_answers
from evaluations.running.facts import Facts, whole_runs

OPEN = [Cell.State.PENDING, Cell.State.CALLING, Cell.State.ANSWERED]
_UNDER_WAY = """
    SELECT (SELECT count(*) FROM evaluations_cell c JOIN evaluations_evaluationrun r ON r.id = c.run_id
        WHERE c.leased_until > public.promptforge_now() AND
            (c.state = 'calling' AND r.connection_id = %(connection)s
                OR c.state = 'answered' AND r.judge_id = %(connection)s))
    + (SELECT count(*) FROM evaluations_trialanswer a JOIN evaluations_trial t ON t.id = a.trial_id
        WHERE a.leased_until > public.promptforge_now() AND t.connection_id = %(connection)s)"""
# What is answered waits for its judge while `measures` says so; without, it waits for the other arm's answers.
_DUE = {
    "answer": """
        SELECT id FROM evaluations_cell WHERE run_id = %(run)s AND (
            state = 'pending' AND coalesce(next_at <= public.promptforge_now(), true)
            OR state = 'calling' AND leased_until <= public.promptforge_now())
        ORDER BY position LIMIT %(limit)s FOR UPDATE SKIP LOCKED""",
    "judge": """
        SELECT id FROM evaluations_cell WHERE run_id = %(run)s AND state = 'answered' AND measures <> '{}'
            AND coalesce(next_at <= public.promptforge_now(), true)
            AND coalesce(leased_until <= public.promptforge_now(), true)
        ORDER BY position LIMIT %(limit)s FOR UPDATE SKIP LOCKED""",
}
_LEASE = """
    UPDATE evaluations_cell SET fence = fence + 1, next_at = NULL,
        leased_until = public.promptforge_now() + %(lease)s * interval '1 second',
        state = CASE state WHEN 'answered' THEN state ELSE 'calling' END,
        tries = tries + CASE state WHEN 'answered' THEN 0 ELSE 1 END
    WHERE id = %(cell)s RETURNING fence, tries"""


@dataclass
class Taken:
    """`served` came from the cache; `pause` says why the run cannot go on, `spent` that its calls are used up."""

    calls: list[Call] = field(default_factory=list)
    served: list[tuple[Call, Completion]] = field(default_factory=list)
    pause: str = ""
    spent: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one cell asks next."""

    cell: Cell
    line: Line
    messages: list[Message]
    seed: int
    key: bytes | None
    judging: str | None = None
    again: bool = False


def take(facts: Facts, limit: int) -> Taken:
    """What may be called now of a run: at most `limit` calls."""
    taken = Taken()
    with transaction.atomic():
        run = (
            whole_runs().select_for_update(skip_locked=True, no_key=True, of=("self",)).filter(pk=facts.run_id).first()
        )
        if run is None or run.status not in (EvaluationRun.Status.QUEUED, EvaluationRun.Status.RUNNING):
            return taken
        taken.pause = cannot_call(run) or ""
        if taken.pause:
            return taken
        try:
            lines = lines_of(run)
        except CallFailed as failed:
            taken.pause = failed.sentence
            return taken
        if run.status == EvaluationRun.Status.QUEUED:
            EvaluationRun.objects.filter(pk=run.pk).update(
                status=EvaluationRun.Status.RUNNING, started_at=timezone.now()
            )
        for kind in ("judge", "answer"):
            if kind in lines and not taken.pause:
                _take_kind(kind, lines[kind], run, facts, limit - len(taken.calls), taken)
    return taken


def free_room(connection_id: int) -> int:
    """How many calls of a connection may begin now; its row stays locked until the caller's transaction ends."""
    allowed = rates.room(connection_id).calls
    with connection.cursor() as cursor:
        cursor.execute(_UNDER_WAY, {"connection": connection_id})
        ((under_way,),) = cursor.fetchall()
    return allowed - int(under_way)


def _take_kind(kind: str, line: Line, run: EvaluationRun, facts: Facts, limit: int, taken: Taken) -> None:
    room = min(limit, free_room(line.connection_id))
    if room <= 0:
        return
    with connection.cursor() as cursor:
        cursor.execute(_DUE[kind], {"run": run.pk, "limit": room})
        ids = [row[0] for row in cursor.fetchall()]
    if not ids:
        return
    wanted = list(_wanted(kind, line, run, facts, Cell.objects.filter(pk__in=ids).order_by("position")))
    known = caching.find(run.project_id, [each.key for each in wanted if each.key])
    stored = stored_answers(run, [each.cell for each in wanted if each.judging is None])
    for each in wanted:
        completion = known.get(each.key) if each.key else stored.get(each.cell.pk)
        if completion is not None:
            taken.served.append((_leased(each, None), completion))
            continue
        usd = most(each.line.pricing, each.messages, each.line.most_tokens)
        reservation = spending.reserve(project_id=run.project_id, run_id=run.pk, usd=usd)
        if isinstance(reservation, spending.Refused):
            if reservation.ceiling == "run_calls":
                taken.spent = reservation.sentence
            else:
                taken.pause = reservation.sentence
            return
        taken.calls.append(_leased(each, reservation))


def _wanted(kind: str, line: Line, run: EvaluationRun, facts: Facts, cells: QuerySet[Cell]) -> Iterator[Wanted]:
    for cell in cells:
        case = facts.cases[cell.case_id]
        if kind == "answer":
            own = line.asking_with(facts.parameters[cell.arm])
            messages, seed = facts.messages(case.pk, cell.arm), seed_of(run, case, cell.arm, cell.repeat)
            yield Wanted(cell, own, messages, seed, _cache_key(run, cell, own, messages, seed, cell.repeat, "answer"))
            continue
        following = next_judging(cell, facts)
        if following is None:
            continue
        name, again = following
        [criterion] = [each for each in facts.demands[case.pk].judged if each.name == name]
        about = {
            "variables": case.variable_values,
            "messages": case.placeholder_messages,
            "expected": case.expected,
        }
        asked: list[Message] = [
            {"role": each["role"], "content": each["content"]}
            for each in judge_messages(criterion, about, cell.output or "")
        ]
        seed = seed_of(run, case, f"judge {again}", cell.repeat)
        key = _cache_key(run, cell, line, asked, seed, int(again), "judge")
        yield Wanted(cell, line, asked, seed, key, name, again)


def _cache_key(
    run: EvaluationRun, cell: Cell, line: Line, messages: list[Message], seed: int, repeat: int, purpose: str
) -> bytes | None:
    """None for what has to be fresh."""
    if cell.confirms or run.purpose != EvaluationRun.Purpose.COMPARISON:
        return None
    return caching.key_of(line.connection, messages, seed=seed, repeat=repeat, purpose=purpose)


def next_judging(cell: Cell, facts: Facts) -> tuple[str, bool] | None:
    """Which criterion a judge is asked about next, and whether for the second time; None when all is said."""
    said = {line["criterion"]: line for line in entries(cell.scores)}
    twice = not cell.confirms and cell.position < TWICE_JUDGED
    for criterion in facts.demands[cell.case_id].judged:
        line = said.get(criterion.name)
        if line is None:
            return criterion.name, False
        if twice and line["passed"] is not None and "again" not in line:
            return criterion.name, True
    return None


def _leased(wanted: Wanted, reservation: spending.Reservation | None) -> Call:
    with connection.cursor() as cursor:
        cursor.execute(_LEASE, {"cell": wanted.cell.pk, "lease": wanted.line.lease})
        ((fence, tries),) = cursor.fetchall()
    if wanted.judging is not None:
        tries = judging_tries(wanted.cell.measures) + 1
    return Call(
        cell_id=wanted.cell.pk,
        fence=fence,
        tries=tries,
        began_at=timezone.now(),
        line=wanted.line,
        messages=wanted.messages,
        seed=wanted.seed,
        key=wanted.key,
        reservation=reservation,
        judging=wanted.judging,
        again=wanted.again,
    )


def judging_tries(measures: str) -> int:
    """How often the judge was asked in vain about what it is asked now."""
    stored: dict[str, Any] = json.loads(measures)
    tries: int = stored.get("judging", {}).get("tries", 0)
    return tries


def open_cells(run_id: int) -> int:
    return Cell.objects.filter(run=run_id, state__in=OPEN).count()
