"""Writing down what calls brought, each in a transaction of its own, and only for who still holds the cell."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from evaluations import rates, spending
from evaluations.actions.runs import pause_run
from evaluations.asked_of import entries, entry
from evaluations.judging import Judged, read_reply
from evaluations.models import Arm, Cell
from evaluations.providers import FREE, Completion, Failure
from evaluations.providers.retrying import wait_before_retry
from evaluations.running import caching
from evaluations.running.calls import Call, Outcome, cost_of
from evaluations.running.containing import LOGGED
from evaluations.running.facts import Facts
from evaluations.running.scoring_cells import scored
from evaluations.running.taking import next_judging
from evaluations.scoring import Answer
from promptforge.lib.json import canonical_json

LONGEST_DETAIL = 500


def settle(facts: Facts, call: Call, outcome: Outcome, since_first: float) -> None:
    """Store what came of a call. Who lost the cell meanwhile keeps nothing, but what was spent is told."""
    with transaction.atomic():
        cell = _held(call)
        if outcome.completion is not None:
            _answered(facts, call, cell, outcome.completion)
        elif outcome.failed is not None:
            _failed(facts, call, cell, outcome, since_first)
    # Apart from the above: who takes cells holds the rate before the day, and here it would be the other way round.
    failed = outcome.failed
    if failed is None:
        rates.note_answer(call.line.connection_id)
    elif failed.kind is Failure.RATE_LIMITED:
        rates.note_refusal(call.line.connection_id, began_at=call.began_at, retry_after=failed.retry_after)
    elif outcome.pauses:
        pause_run(facts.run_id, failed.sentence)


def leave_unscored(call: Call, fault: str) -> None:
    """Give up a cell whose answer could not be kept: it would be paid again, and fail again. It counts at its most."""
    why = f"What came could not be kept: {fault}. {LOGGED}"
    with transaction.atomic():
        if (cell := _held(call)) is not None:
            _write(cell, state=Cell.State.UNSCORED, error="not_kept", error_detail=why)


def serve(facts: Facts, call: Call, completion: Completion) -> None:
    """Store what the cache answered."""
    with transaction.atomic():
        if (cell := _held(call)) is not None:
            _keep(facts, call, cell, completion, cost=Decimal(0), cached=True)


def _held(call: Call) -> Cell | None:
    """The cell, locked, if this call's taker is still the newest."""
    return (
        Cell.objects.select_for_update(no_key=True)
        .filter(pk=call.cell_id, fence=call.fence, state__in=[Cell.State.CALLING, Cell.State.ANSWERED])
        .first()
    )


def _answered(facts: Facts, call: Call, cell: Cell | None, completion: Completion) -> None:
    cost = cost_of(call, completion)
    if cell is not None:
        _keep(facts, call, cell, completion, cost=cost, cached=False)
    if call.reservation is not None:
        spending.settle(call.reservation, cost)
    if call.key is not None:
        caching.keep(facts.project_id, call.key, completion)


def _keep(facts: Facts, call: Call, cell: Cell, completion: Completion, *, cost: Decimal | None, cached: bool) -> None:
    if call.judging is not None:
        _judged(facts, call, cell, completion)
        return
    answer = {
        "output": completion.text,
        "finish_reason": completion.finish_reason[:32],
        "latency_ms": completion.latency_ms,
        "input_tokens": completion.input_tokens,
        "output_tokens": completion.output_tokens,
        "cost_usd": cost,
        "model": completion.model[:200],
        "fingerprint": completion.fingerprint[:200],
        "request_id": completion.request_id[:200],
        "cached": cached,
    }
    demands = facts.demands[cell.case_id]
    for name, value in answer.items():
        setattr(cell, name, value)
    if demands.judged:
        _write(cell, state=Cell.State.ANSWERED, measures=canonical_json({"judging": {"tries": 0}}), **answer)
    elif demands.needs_baseline:
        _write(cell, state=Cell.State.ANSWERED, **answer)
    else:
        _score(facts, cell, None, **answer)


def _judged(facts: Facts, call: Call, cell: Cell, completion: Completion) -> None:
    found = read_reply(completion.text)
    if isinstance(found, Judged):
        _note_judgement(facts, call, cell, found.passed, found.explanation)
    else:
        _note_judgement(facts, call, cell, None, found.sentence)


def _note_judgement(facts: Facts, call: Call, cell: Cell, passed: bool | None, explanation: str) -> None:  # noqa: FBT001
    """Keep one grade; with the last one the cell is scored, or waits for the other arm's answers."""
    lines = entries(cell.scores)
    if call.again:
        lines = [line | {"again": passed} if line["criterion"] == call.judging else line for line in lines]
    else:
        [criterion] = [each for each in facts.demands[cell.case_id].judged if each.name == call.judging]
        lines.append(entry(criterion, None if passed is None else float(passed), passed, explanation))
    cell.scores = canonical_json(lines)
    if next_judging(cell, facts) is not None:
        _write(cell, scores=cell.scores, measures=canonical_json({"judging": {"tries": 0}}))
    elif facts.demands[cell.case_id].needs_baseline:
        _write(cell, scores=cell.scores, measures="{}")
    else:
        _score(facts, cell, None)


def _failed(facts: Facts, call: Call, cell: Cell | None, outcome: Outcome, since_first: float) -> None:
    failed = outcome.failed
    assert failed is not None
    if call.reservation is not None and failed.kind in FREE:
        spending.settle(call.reservation, Decimal(0))
    if cell is None:
        return
    wait = wait_before_retry(failed, tries=call.tries, since_first=since_first)
    again = 0.0 if outcome.pauses else wait
    if call.judging is not None:
        if again is None:
            _note_judgement(
                facts, call, cell, None, f"The judge could not be asked: {failed.sentence}"[:LONGEST_DETAIL]
            )
        else:
            tries = 0 if outcome.pauses else call.tries
            _write(cell, measures=canonical_json({"judging": {"tries": tries}}), next_at=_in(again))
    elif again is None:
        _write(cell, state=Cell.State.UNSCORED, error=failed.kind.value, error_detail=failed.sentence[:LONGEST_DETAIL])
    else:
        _write(cell, state=Cell.State.PENDING, next_at=_in(again))


def score_waiting(facts: Facts) -> int:
    """Score the cells that wait for the live version's answers to their case, where these have come."""
    if not facts.compares_length:
        return 0
    live = Cell.objects.filter(run=facts.run_id, arm=Arm.BASELINE, confirms=False)
    missing = live.filter(case=OuterRef("case"), state__in=[Cell.State.PENDING, Cell.State.CALLING])
    waiting = Cell.objects.filter(run=facts.run_id, state=Cell.State.ANSWERED, measures="{}").exclude(Exists(missing))
    done, means = 0, {}
    for pk, case_id in list(waiting.values_list("pk", "case")):
        if case_id not in means:
            outputs = live.filter(case=case_id).exclude(output=None).values_list("output", flat=True)
            words = [len((output or "").split()) for output in outputs]
            means[case_id] = sum(words) / len(words) if words else None
        with transaction.atomic():
            cell = Cell.objects.select_for_update(no_key=True).filter(pk=pk, state=Cell.State.ANSWERED).first()
            if cell is not None:
                _score(facts, cell, means[case_id])
                done += 1
    return done


def _score(facts: Facts, cell: Cell, baseline_words: float | None, **answer: Any) -> None:
    """The end of a cell: its score, or why it has none."""
    demands = facts.demands[cell.case_id]
    names = {criterion.name for criterion in demands.judged}
    judgements = {line["criterion"]: line for line in entries(cell.scores) if line["criterion"] in names}
    found = scored(
        demands,
        facts.cases[cell.case_id],
        Answer(
            cell.output or "",
            cell.finish_reason or None,
            cell.latency_ms,
            None if cell.cost_usd is None else float(cell.cost_usd),
            baseline_words,
        ),
        judgements,
    )
    stored = {"scores": canonical_json(found.scores), "measures": canonical_json(found.measures)} | answer
    if found.value is None or found.passed is None:
        kind = "judge" if _is_judges(judgements.values()) else "unmeasured"
        _write(cell, state=Cell.State.UNSCORED, error=kind, error_detail=found.why[:LONGEST_DETAIL], **stored)
    else:
        _write(cell, state=Cell.State.DONE, score=found.value, passed=found.passed, **stored)


def _is_judges(lines: Any) -> bool:
    return any(line["passed"] is None and line["weight"] > 0 for line in lines)


def _write(cell: Cell, **values: Any) -> None:
    """Let go of the cell with these values."""
    values = {"leased_until": None, "next_at": None} | values
    Cell.objects.filter(pk=cell.pk, fence=cell.fence).update(**values)


def _in(seconds: float) -> Any:
    return timezone.now() + timedelta(seconds=seconds)


def release(calls: Sequence[Call]) -> None:
    """Let go of cells whose calls were never begun, so that the next worker takes them at once."""
    for call in calls:
        with transaction.atomic():
            cell = _held(call)
            if cell is not None and cell.state == Cell.State.CALLING:
                _write(cell, state=Cell.State.PENDING)
            elif cell is not None:
                _write(cell)
            if call.reservation is not None:
                spending.settle(call.reservation, Decimal(0))
