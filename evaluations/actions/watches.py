"""Drift watches: taking references, beginning the nightly runs, and how a watch is set."""

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.policies import Principal
from accounts.roles import Permission
from evaluations.actions.runs import queue_run
from evaluations.models import DriftNight, DriftWatch, EvaluationRun
from evaluations.running.canaries import insert_canaries
from evaluations.statistics import plan_for
from events.actions import SYSTEM, record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.models import PromptVersion

REFERENCE_REPEATS, NIGHT_REPEATS, CONFIRM_REPEATS = 10, 3, 6
MOST_HOURS = 720
CHANGEABLE = ("enabled", "freezes_channel", "every_hours")


def change_watch(*, by: Principal, watch: DriftWatch, fields: dict[str, Any]) -> DriftWatch:
    """Switch a watch on or off, set how often it looks, or let a drift freeze the channel in one's own name."""
    require(by.may(Permission.CONFIGURE))
    hours = fields.get("every_hours", watch.every_hours)
    if not 1 <= hours <= MOST_HOURS:
        raise wrong("every_hours", f"A whole number of hours from 1 to {MOST_HOURS}.", "bad_value")
    if fields.get("freezes_channel") and by.key is not None:
        raise DomainError("forbidden", "A channel is frozen in the name of a person: set this signed in.")
    with refusals(), transaction.atomic():
        locked = locked_watch(watch.pk)
        if "every_hours" in fields and locked.next_at is not None:
            locked.next_at += timedelta(hours=hours - locked.every_hours)
        locked.every_hours = hours
        locked.enabled = fields.get("enabled", locked.enabled)
        if "freezes_channel" in fields:
            locked.freezes_for = by.user if fields["freezes_channel"] else None
        locked.save(update_fields=["every_hours", "next_at", "enabled", "freezes_for"])
        record(
            EventKind.WATCH_CHANGED,
            project_id=by.project.pk,
            actor=by.actor,
            subject=("watch", locked.pk),
            **{name: fields[name] for name in CHANGEABLE if name in fields},
        )
    return locked


def take_reference(*, by: Principal, watch: DriftWatch, reason: str) -> DriftWatch:
    """Bless what the model answers now as the reference from here on; the old one stays in the history."""
    require(by.may(Permission.CONFIGURE))
    if by.key is not None:
        raise DomainError("forbidden", "A key blesses nothing: a person does, who has read the answers.")
    if not reason.strip():
        raise wrong("reason", "Say why what the model answers now is right.", "reason_required")
    with refusals(), transaction.atomic():
        locked = locked_watch(watch.pk)
        if locked.reference is not None and locked.reference.status not in ("done", "cancelled"):
            raise DomainError("bad_value", "A reference is being taken already. Cancel its run, or wait for it.")
        begin_reference(locked, actor=by.actor, user=by.user, reason=reason)
    return locked


def begin_reference(
    watch: DriftWatch, *, actor: tuple[str, int] = SYSTEM, user: User | None = None, reason: str = ""
) -> None:
    """Queue ten repeats of every case; the watch, which the caller holds, begins anew with them."""
    run = _queue(watch, EvaluationRun.Purpose.REFERENCE, REFERENCE_REPEATS, user)
    settle_on(watch, run)
    record(
        EventKind.REFERENCE_TAKEN,
        project_id=run.project_id,
        actor=actor,
        subject=("watch", watch.pk),
        run=run.pk,
        reason=reason,
    )


def settle_on(watch: DriftWatch, reference: EvaluationRun) -> None:
    """Hold what comes against this reference from now on."""
    watch.reference, watch.state, watch.next_at, watch.why_not = reference, DriftWatch.State.QUIET, None, ""
    watch.save(update_fields=["version", "reference", "state", "next_at", "why_not"])


def begin_night(watch: DriftWatch, now: datetime) -> DriftNight:
    """Queue a run against the reference; with a suspicion it brings more, and fresh, samples."""
    assert watch.reference is not None
    confirms = watch.state == DriftWatch.State.SUSPECTED
    run = _queue(watch, EvaluationRun.Purpose.DRIFT, CONFIRM_REPEATS if confirms else NIGHT_REPEATS, None)
    night = DriftNight.objects.create(watch=watch, reference=watch.reference, run=run, confirms=confirms)
    insert_canaries(run, watch.reference)
    watch.next_at, watch.why_not = now + timedelta(hours=watch.every_hours), ""
    watch.save(update_fields=["next_at", "why_not"])
    return night


def locked_watch(pk: int) -> DriftWatch:
    DriftWatch.objects.select_for_update(no_key=True).get(pk=pk)
    return DriftWatch.objects.select_related(
        "rule__set", "rule__channel__project", "rule__connection", "rule__judge", "prompt__project", "version__prompt",
        "reference", "freezes_for",
    ).get(pk=pk)  # fmt: skip


def _queue(watch: DriftWatch, purpose: str, repeats: int, user: User | None) -> EvaluationRun:
    rule, version = watch.rule, PromptVersion.objects.select_related("prompt__project").get(pk=watch.version_id)
    run = EvaluationRun(
        project=version.prompt.project,
        purpose=purpose,
        candidate=version,
        channel=rule.channel,
        connection=rule.connection,
        created_by=user or rule.created_by,
    )
    return queue_run(
        run,
        rule.set,
        rule.judge,
        plan=lambda cases: replace(plan_for(cases), looks=(repeats,), confirm_repeats=0),
        seed=secrets.randbits(62),  # fresh samples: none of another night's
        actor=SYSTEM,
    )
