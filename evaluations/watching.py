"""The drift watch at work: references of what went live, runs that are due, and what the nights come to.

Every step finds its work in rows and takes it under the watch's lock, so it may be killed anywhere and run twice.
"""

import dataclasses
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.policies import Principal
from evaluations.actions.runs import drop_paused
from evaluations.actions.watches import begin_night, begin_reference, locked_watch, settle_on
from evaluations.models import DriftFinding, DriftNight, DriftWatch, EvaluationRun
from evaluations.night_figures import memory_of, night_of, remembered
from evaluations.running.containing import LOGGED, contained
from evaluations.statistics.drift_words import sentence
from evaluations.statistics.ladder import climb
from events.actions import SYSTEM, record
from events.fence import is_fenced
from events.kinds import EventKind
from promptforge.lib.errors import DomainError
from promptforge.lib.json import canonical_json
from prompts.actions.channels import freeze_channel

# Fresh samples for a suspicion come later: a bad hour of the provider's is no drift.
CONFIRM_AFTER = timedelta(hours=1)
FROZEN_FOR = timedelta(days=7)
MOST = 50  # steps of each kind in one sweep; the next finds the rest
KINDS = {
    "notice": EventKind.DRIFT_NOTICED,
    "suspect": EventKind.DRIFT_SUSPECTED,
    "drift": EventKind.DRIFT_FOUND,
    "cleared": EventKind.DRIFT_CLEARED,
}
_LIVE = """
    SELECT u.id, h.prompt_id, h.version_id FROM evaluations_evaluationrule u
    JOIN evaluations_evaluationset s ON s.id = u.set_id
    JOIN prompts_head h ON h.channel_id = u.channel_id AND h.version_id IS NOT NULL
        AND coalesce(u.prompt_id, h.prompt_id) = h.prompt_id AND coalesce(s.prompt_id, h.prompt_id) = h.prompt_id
    JOIN prompts_prompt p ON p.id = h.prompt_id AND p.archived_at IS NULL
    WHERE u.removed_at IS NULL AND NOT EXISTS (SELECT FROM evaluations_driftwatch w
        WHERE w.rule_id = u.id AND w.prompt_id = h.prompt_id AND (NOT w.enabled
            OR w.version_id = h.version_id AND (w.reference_id IS NOT NULL OR w.why_not <> '')))
    ORDER BY u.id, h.prompt_id LIMIT %s"""
_DUE = """
    SELECT w.id FROM evaluations_driftwatch w JOIN evaluations_evaluationrule u ON u.id = w.rule_id
    JOIN evaluations_evaluationrun r ON r.id = w.reference_id
    WHERE w.enabled AND u.removed_at IS NULL AND r.status = 'done' AND r.outcome IN ('PASS', 'FAIL')
        AND coalesce(w.next_at, r.finished_at + w.every_hours * interval '1 hour') <= %s
        AND NOT EXISTS (SELECT FROM evaluations_driftnight n WHERE n.watch_id = w.id AND n.figures = 'null')
    ORDER BY w.id LIMIT %s"""

# Nights that nobody resumed until the next one, or that no reference is held against any more.
_LEFT = """
    SELECT n.run_id FROM evaluations_driftnight n JOIN evaluations_driftwatch w ON w.id = n.watch_id
    JOIN evaluations_evaluationrun r ON r.id = n.run_id
    WHERE n.figures = 'null' AND r.status = 'paused'
        AND (n.reference_id IS DISTINCT FROM w.reference_id OR coalesce(w.next_at <= %s, true))
    ORDER BY n.id LIMIT %s"""


def sweep(now: datetime | None = None) -> None:
    """Everything that a drift watch has to do now; nothing behind a restore that waits to be confirmed."""
    if is_fenced():
        return
    now = now or timezone.now()
    for (run,) in _asked(_LEFT, [now, MOST]):
        drop_paused(run)
    ended = DriftNight.objects.filter(figures="null", run__status__in=["done", "cancelled"]).order_by("pk")
    ended = ended.exclude(Q(watch__next_at__gt=now) & ~Q(watch__why_not=""))  # what was put off
    for pk, watch in ended.values_list("pk", "watch")[:MOST]:
        with contained(f"drift night {pk}", partial(_put_off, watch, now)):
            judge(pk, now)
    for rule, prompt, version in _asked(_LIVE, [MOST]):
        with contained(f"the watch of prompt {prompt}", partial(_leave, rule, prompt, version)):
            _follow(rule, prompt, version)
    for (pk,) in _asked(_DUE, [now, MOST]):
        with contained(f"drift watch {pk}", partial(_put_off, pk, now)):
            _begin(pk, now)


def _put_off(pk: int, now: datetime, fault: str) -> None:
    """Try a watch whose night could not be begun or judged again in its own time, not in each sweep."""
    with transaction.atomic():
        watch = locked_watch(pk)
        watch.next_at = now + timedelta(hours=watch.every_hours)
        watch.why_not = (
            f"The newest run could not be worked on: {fault}. {LOGGED} It is tried again when the next is due."
        )
        watch.save(update_fields=["next_at", "why_not"])


def _leave(rule: int, prompt: int, version: int, fault: str) -> None:
    """Wait for a person where no reference could be begun, as where one was refused."""
    DriftWatch.objects.filter(rule=rule, prompt=prompt).update(
        version=version,
        reference=None,
        state=DriftWatch.State.QUIET,
        next_at=None,
        why_not=f"No reference could be begun: {fault}. {LOGGED} Take a reference when that is mended.",
    )


# --- References ------------------------------------------------------------------------------------------------------
def _follow(rule: int, prompt: int, version: int) -> None:
    """Watch what went live: by the reference that this version had before, else by a new one."""
    with transaction.atomic():
        DriftWatch.objects.get_or_create(rule_id=rule, prompt_id=prompt, defaults={"version_id": version})
    with transaction.atomic():
        watch = locked_watch(DriftWatch.objects.get(rule=rule, prompt=prompt).pk)
        if not watch.enabled or (watch.version_id == version and (watch.reference_id or watch.why_not)):
            return  # somebody else did, or wants none
        watch.version_id, watch.reference = version, None
        before = _earlier(watch)
        if before is not None:
            settle_on(watch, before)
            return
        try:
            with transaction.atomic():
                begin_reference(watch)
        except DomainError as refusal:
            watch.state, watch.next_at = DriftWatch.State.QUIET, None
            watch.why_not = refusal.detail
            watch.save(update_fields=["version", "reference", "state", "next_at", "why_not"])


def _earlier(watch: DriftWatch) -> EvaluationRun | None:
    """The newest reference of this version under the rule: a rollback goes back to it, and renews nothing."""
    rule = watch.rule
    return (
        EvaluationRun.objects.filter(
            purpose=EvaluationRun.Purpose.REFERENCE,
            candidate=watch.version_id,
            channel=rule.channel_id,
            set_revision__set=rule.set_id,
            connection=rule.connection_id,
            settings=canonical_json(rule.connection.snapshot),
            outcome__in=["PASS", "FAIL"],
        )
        .order_by("-pk")
        .first()
    )


# --- Nights ----------------------------------------------------------------------------------------------------------
def _begin(pk: int, now: datetime) -> None:
    with transaction.atomic():
        watch = locked_watch(pk)
        is_due = watch.next_at is None or watch.next_at <= now
        if not watch.enabled or not is_due or watch.nights.filter(figures="null").exists():
            return
        try:
            with transaction.atomic():
                begin_night(watch, now)
        except DomainError as refusal:
            watch.next_at, watch.why_not = now + timedelta(hours=watch.every_hours), refusal.detail
            watch.save(update_fields=["next_at", "why_not"])


def judge(pk: int, now: datetime) -> None:
    """Write what a night came to, and tell it; in one transaction, once."""
    with transaction.atomic():
        watch = locked_watch(DriftNight.objects.values_list("watch_id", flat=True).get(pk=pk))
        night = DriftNight.objects.select_related("run", "reference").get(pk=pk)
        if night.figures != "null":
            return
        before = memory_of(night)
        measured = night_of(night)
        step = climb(before, measured.night)
        night.figures = canonical_json(
            {
                "levels": list(step.levels),
                "changes": [dataclasses.asdict(change) for change in step.changes],
                "moved": list(step.moved),
                "differs": list(measured.night.differs),
                "canary": None if measured.canary is None else dataclasses.asdict(measured.canary),
                "means": measured.means,
                "memory": remembered(step.memory),
            }
        )
        night.save(update_fields=["figures"])
        if night.reference_id != watch.reference_id:
            return  # another version went live, or another reference was blessed, while it ran
        for level in step.levels:
            told = sentence(level, step.changes, step.moved, measured.night.differs, measured.canary)
            if level == "drift":
                told = f"{told} {_freeze(watch, told, now)}".strip()
            _tell(watch, night, level, told, measured.night.differs)
        watch.state, watch.why_not = step.memory.state, ""
        if "suspect" in step.levels:
            watch.next_at = now + CONFIRM_AFTER
        watch.save(update_fields=["state", "next_at", "why_not"])


def _tell(watch: DriftWatch, night: DriftNight, level: str, told: str, differs: tuple[str, ...]) -> None:
    DriftFinding.objects.create(watch=watch, night=night, level=level, differs=list(differs), sentence=told)
    record(
        KINDS[level],
        project_id=night.run.project_id,
        actor=SYSTEM,
        subject=("watch", watch.pk),
        run=night.run_id,
        differs=list(differs),
        finding=told,
    )


def _freeze(watch: DriftWatch, why: str, now: datetime) -> str:
    """Freeze the channel in the name of whoever asked for that, while they may; says what came of it."""
    if watch.freezes_for is None:
        return ""
    by, channel = Principal(watch.freezes_for, watch.prompt.project), watch.rule.channel
    try:
        with transaction.atomic():
            freeze_channel(
                by=by, channel=channel, starts_at=now, ends_at=now + FROZEN_FOR, reason=f"{watch.prompt}: {why}"
            )
    except DomainError as refusal:
        return f"{channel} was not frozen: {refusal.detail}"
    return f"{channel} is frozen for {FROZEN_FOR.days} days, or until somebody lifts it."


def _asked(sql: str, params: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
