"""Asking for drafts that people try: taken up before the cells of runs, for somebody waits; each call is made once."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from evaluations import rates, spending
from evaluations.connecting import key_of, pricing
from evaluations.models import TrialAnswer
from evaluations.prices import most
from evaluations.providers import FREE, CallFailed, Connection, Failure, Kind, Message
from evaluations.running.calls import SECONDS, Line, Outcome, cost_of
from evaluations.running.containing import LOGGED, contained
from evaluations.running.settling import LONGEST_DETAIL
from evaluations.running.taking import free_room
from evaluations.spending import Reservation


@dataclass(frozen=True, slots=True)
class TrialCall:
    """One call that was counted, and taken up for a try."""

    answer_id: int
    began_at: datetime
    line: Line
    messages: list[Message]
    seed: int
    reservation: Reservation


def take_trials(limit: int) -> list[TrialCall]:
    """What may be asked now: at most `limit` calls, the longest waiting first."""
    due = list(TrialAnswer.objects.due().order_by("pk").values_list("pk", flat=True)[:limit])
    calls = []
    for pk in due:
        with contained(f"try {pk}", partial(fail_trial, pk)):
            calls.append(_taken(pk))
    return [call for call in calls if call is not None]


def _taken(pk: int) -> TrialCall | None:
    """The call for one answer, leased; None when it has to wait, or is settled here with why it is not asked."""
    with transaction.atomic():
        answer = (
            TrialAnswer.objects.due()
            .select_related("trial__connection")
            .select_for_update(of=("self",), skip_locked=True, no_key=True)
            .filter(pk=pk)
            .first()
        )
        if answer is None or free_room(answer.trial.connection_id) <= 0:
            return None
        try:
            line = _line(answer)
            reserved = _reserved(line, answer)
        except _NotAsked as refused:
            TrialAnswer.objects.filter(pk=pk).update(error=refused.kind, error_detail=refused.sentence[:LONGEST_DETAIL])
            return None
        TrialAnswer.objects.filter(pk=pk).update(leased_until=Now() + timedelta(seconds=line.lease))
    seed = random.getrandbits(31)  # a fresh sample each time
    return TrialCall(pk, timezone.now(), line, answer.message_list, seed, reserved)


class _NotAsked(Exception):
    def __init__(self, kind: str, sentence: str) -> None:
        super().__init__(sentence)
        self.kind, self.sentence = kind, sentence


def _line(answer: TrialAnswer) -> Line:
    row = answer.trial.connection
    if row.removed_at is not None:
        raise _NotAsked("removed", f"The connection {row} was removed. Choose another one.")
    try:
        key = key_of(row)
    except CallFailed as failed:
        raise _NotAsked(failed.kind.value, failed.sentence) from None
    connection = Connection(Kind(row.kind), row.base_url, row.model, key, answer.parameter_values, SECONDS)
    return Line(row.pk, connection, pricing(row))


def _reserved(line: Line, answer: TrialAnswer) -> Reservation:
    usd = most(line.pricing, answer.message_list, line.most_tokens)
    found = spending.reserve(project_id=answer.trial.connection.project_id, usd=usd)
    if isinstance(found, spending.Refused):
        raise _NotAsked(found.ceiling, found.sentence)
    return found


def settle_trial(call: TrialCall, outcome: Outcome) -> None:
    """Store what came of a call, if somebody still has the try; what was spent is counted in any case."""
    completion, failed = outcome.completion, outcome.failed
    held = TrialAnswer.objects.filter(pk=call.answer_id, output=None, error="")
    with transaction.atomic():
        if completion is not None:
            cost = cost_of(call, completion)
            held.update(
                leased_until=None,
                output=completion.text,
                finish_reason=completion.finish_reason[:32],
                latency_ms=completion.latency_ms,
                cost_usd=cost,
            )
            spending.settle(call.reservation, cost)
        elif failed is not None:
            held.update(leased_until=None, error=failed.kind.value, error_detail=failed.sentence[:LONGEST_DETAIL])
            if failed.kind in FREE:
                spending.settle(call.reservation, Decimal(0))
    # Apart from the above, as for the cells of runs: who takes calls holds the rate before the day.
    if failed is None:
        rates.note_answer(call.line.connection_id)
    elif failed.kind is Failure.RATE_LIMITED:
        rates.note_refusal(call.line.connection_id, began_at=call.began_at, retry_after=failed.retry_after)


def release_trial(call: TrialCall) -> None:
    """Let go of a call that was never begun, so that the next worker makes it."""
    with transaction.atomic():
        TrialAnswer.objects.filter(pk=call.answer_id, output=None, error="").update(leased_until=None)
        spending.settle(call.reservation, Decimal(0))


def fail_trial(pk: int, fault: str) -> None:
    """Say that it could not be asked or its answer not kept. What was counted stays counted."""
    TrialAnswer.objects.filter(pk=pk, output=None, error="").update(
        leased_until=None, error="not_kept", error_detail=f"This try could not be worked on: {fault}. {LOGGED}"
    )


def give_up_trial(call: TrialCall) -> None:
    """This worker ends before the answer is there; whoever waits is told at once. It stays counted at its most."""
    TrialAnswer.objects.filter(pk=call.answer_id, output=None, error="").update(
        leased_until=None, error="worker_ended", error_detail="The worker was told to end before the answer came."
    )
