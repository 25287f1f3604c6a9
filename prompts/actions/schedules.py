"""Applying a promotion at a time: somebody says when, and a sweeper acts as that person when it has come."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction

from accounts.policies import Principal
from accounts.roles import Permission
from events.fence import is_fenced
from events.kinds import EventKind
from promptforge.lib.errors import DomainError
from promptforge.lib.instants import format_instant
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import require
from prompts.actions.lengths import LONGEST_REASON, check_length
from prompts.actions.promotions import locked_promotion, locked_standing, release_of, require_ready
from prompts.actions.releases import may_move
from prompts.actions.telling import call_off, tell
from prompts.models import Promotion, Release, Schedule
from prompts.standing import database_now

log = logging.getLogger("promptforge.schedules")
LATEST = timedelta(minutes=15)


def schedule(*, by: Principal, promotion: Promotion, apply_at: datetime, reason: str = "") -> Schedule:
    """Have a promotion applied at an instant, as the person who says so: it lacks nothing now, and will not then.

    Saying the same again changes nothing.
    """
    if by.key is not None:
        raise DomainError("forbidden", "A key never schedules: a person does, signed in. A key applies now.")
    require(may_move(by, Permission.RELEASE, promotion.prompt, promotion.channel))
    check_length("reason", reason, LONGEST_REASON)
    with refusals(), transaction.atomic():
        now = locked_standing(promotion)
        if apply_at <= now.now:
            raise DomainError("bad_timestamp", "That moment has passed already. Name one in the future.")
        require_ready(replace(now, now=apply_at))
        if now.schedule is not None and (now.schedule.apply_at, now.schedule.actor_id) == (apply_at, by.user.pk):
            return now.schedule
        made = Schedule.objects.create(promotion=now.promotion, apply_at=apply_at, actor=by.user, reason=reason)
        tell(EventKind.PROMOTION_SCHEDULED, now.promotion, by.actor, apply_at=format_instant(apply_at))
    return made


def unschedule(*, by: Principal, promotion: Promotion) -> Promotion:
    """Call off what was scheduled; where nothing is, nothing happens."""
    require(may_move(by, Permission.RELEASE, promotion.prompt, promotion.channel))
    with refusals(), transaction.atomic():
        locked = locked_promotion(promotion)
        for standing in Schedule.objects.standing().filter(promotion=locked):
            call_off(standing, EventKind.PROMOTION_UNSCHEDULED, by.user, "Called off.")
    return locked


def apply_what_is_due() -> list[Release]:
    """Carry out every schedule whose time has come, each in its own transaction; while a restore waits, none."""
    if is_fenced():
        return []
    due = Schedule.objects.standing().filter(apply_at__lte=database_now()).order_by("apply_at", "pk")
    return [release for pk in list(due.values_list("pk", flat=True)) if (release := carry_out(schedule_id=pk))]


def carry_out(*, schedule_id: int) -> Release | None:
    """Apply one scheduled promotion as the person who scheduled it, who must still hold the right.

    Refused, or more than 15 minutes late, it is called off with the reason and an event. What another worker did
    meanwhile is left alone; when rows cannot be locked now, the next sweep tries again.
    """
    due = Schedule.objects.select_related("actor", "promotion__prompt__project", "promotion__channel").get(
        pk=schedule_id
    )
    try:
        with refusals(), transaction.atomic():
            return _apply(due)
    except DomainError as refusal:
        if refusal.code == "unavailable":
            return None
        _miss(due, [fault.code for fault in refusal.faults] or [refusal.code])
    except Exception:
        log.exception("schedule %s failed", schedule_id)  # the others are carried out all the same
    return None


def _apply(due: Schedule) -> Release | None:
    now = locked_standing(due.promotion)
    if now.schedule is None or now.schedule.pk != due.pk or due.apply_at is None:
        return None
    if now.now - due.apply_at > LATEST:
        minutes = LATEST.seconds // 60
        raise DomainError("expired", f"Nothing could apply it until {minutes} minutes after {due.apply_at:%H:%M} UTC.")
    by = Principal(due.actor, due.promotion.prompt.project)
    require(may_move(by, Permission.RELEASE, now.promotion.prompt, now.promotion.channel))
    return release_of(by, now, due.reason)


def _miss(due: Schedule, codes: list[str]) -> None:
    """Call it off for these reasons: by code, since sentences name people and the row stays for ever."""
    with transaction.atomic():
        # Whoever comes second finds it called off, or closed, and says nothing.
        Promotion.objects.select_for_update(no_key=True).get(pk=due.promotion_id)
        for standing in Schedule.objects.standing().filter(pk=due.pk):
            call_off(standing, EventKind.PROMOTION_MISSED, due.actor, ", ".join(codes), codes=codes)
