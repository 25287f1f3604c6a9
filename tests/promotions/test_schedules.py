"""Applying at a time: as the person who said so, with everything asked again, or not at all and with an event."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.actions.members import remove_member, set_roles
from accounts.models import Membership
from events import fence
from events.models import Event, RestoreFence
from promptforge.lib.errors import DomainError
from prompts.actions import schedules
from prompts.actions.channels import freeze_channel
from prompts.actions.promotions import apply_promotion, withdraw
from prompts.actions.releases import rollback
from prompts.actions.reviews import review
from prompts.actions.schedules import apply_what_is_due, carry_out, schedule, unschedule
from prompts.models import Head, Promotion, Release, Schedule
from prompts.shapes import digest_text
from prompts.standing import standing
from prompts.tasks import apply_what_is_due as task
from tests.api.conftest import body_of
from tests.api.people import events_of, last_event, person
from tests.authorization.world import everything
from tests.guards.attacks import let_time_pass, set_policy
from tests.personas import Team
from tests.promotions.steps import applied, approved, requested
from tests.promotions.test_refusals import path_of
from tests.races.conftest import at_once

HOUR = timedelta(hours=1)


@pytest.fixture
def due(careful_team: Team) -> Schedule:
    """An approved promotion that Cleo scheduled in an hour."""
    promotion = approved(careful_team, careful_team.prompt(versions=2), 1)
    return schedule(by=careful_team.cleo, promotion=promotion, apply_at=timezone.now() + HOUR)


def told() -> tuple[str, Any]:
    """Kind and data of the newest event."""
    event = Event.objects.latest("pk")
    return event.kind, json.loads(event.data)


def missed(due: Schedule, code: str) -> None:
    """That the sweep applies nothing, calls the schedule off and says why; the promotion stays open."""
    assert apply_what_is_due() == []
    kind, data = told()
    assert (kind, data["codes"]) == ("promotion.missed", [code])
    row = Schedule.objects.latest("pk")
    assert row.reason == code
    assert (row.promotion_id, row.apply_at, row.actor_id) == (due.promotion_id, None, due.actor_id)
    assert Promotion.objects.get(pk=due.promotion_id).state == "OPEN"
    assert standing(due.promotion).schedule is None
    before = everything()
    assert apply_what_is_due() == []  # it is over, and not told twice
    assert everything() == before


def test_it_is_applied_in_time(careful_team: Team, due: Schedule) -> None:
    task()
    assert not Release.objects.exists()
    let_time_pass(hours=1, seconds=1)
    task()
    assert Release.objects.get().actor == careful_team.cleo.user
    before = everything()
    task()
    assert everything() == before


def test_the_sweeper_looks_every_five_seconds() -> None:
    [entry] = [entry for entry in settings.CELERY_BEAT_SCHEDULE.values() if entry["task"] == task.name]
    assert entry["schedule"] <= 5


def test_late_by_more_than_a_quarter_of_an_hour(careful_team: Team, due: Schedule) -> None:
    let_time_pass(hours=1, minutes=16)
    missed(due, "expired")


def test_late_by_less(careful_team: Team, due: Schedule) -> None:
    let_time_pass(hours=1, minutes=14)
    assert len(apply_what_is_due()) == 1


@pytest.mark.parametrize("lose", ["role", "membership", "activity"])
def test_whoever_scheduled_must_still_hold_the_right(careful_team: Team, due: Schedule, lose: str) -> None:
    team = careful_team
    if lose == "role":
        set_roles(project=team.project, user=team.cleo.user, roles=["editor"], by=None)
    elif lose == "membership":
        remove_member(membership=Membership.objects.get(project=team.project, user=team.cleo.user), by=None)
    else:
        team.cleo.user.is_active = False
        team.cleo.user.save()
    let_time_pass(hours=1, seconds=1)
    missed(due, "forbidden")


@pytest.mark.parametrize("change", ["objection", "policy", "freeze", "base", "approver"])
def test_everything_is_asked_again(careful_team: Team, due: Schedule, change: str) -> None:
    team, promotion, now = careful_team, due.promotion, timezone.now()
    if change == "objection":
        digest = digest_text(promotion.diff_digest)
        review(by=team.emil, promotion=promotion, decision="request_changes", diff_digest=digest)
    elif change == "policy":
        set_policy(team, required_approvals=1, required_checks=["secrets"])
    elif change == "freeze":
        freeze_channel(by=team.farah, channel=team.stable, starts_at=now, ends_at=now + 2 * HOUR, reason="Sale")
    elif change == "base":
        applied(team, promotion.prompt, 2)
    else:
        remove_member(membership=Membership.objects.get(project=team.project, user=team.ben.user), by=None)
    let_time_pass(hours=1, seconds=1)
    said = {
        "objection": "changes_requested",
        "policy": "policy_changed",
        "freeze": "freeze",
        "base": "stale_base",
        "approver": "review_missing",
    }
    missed(due, said[change])


def test_a_rollback_calls_off_what_is_scheduled(careful_team: Team) -> None:
    """Also when the rollback brings back the very version that was compared against."""
    team = careful_team
    prompt = team.prompt(versions=3)
    applied(team, prompt, 1)
    promotion, other = approved(team, prompt, 3), team.prompt("support/other")
    elsewhere = schedule(by=team.cleo, promotion=approved(team, other, 1), apply_at=timezone.now() + HOUR)
    schedule(by=team.cleo, promotion=promotion, apply_at=timezone.now() + HOUR)
    applied(team, prompt, 2)
    since = last_event()
    rollback(by=team.cleo, prompt=prompt, channel=team.stable, reason="Complaints")
    assert events_of(team, since) == ["release.made", "promotion.unscheduled"]
    now = standing(promotion)
    assert (now.schedule, now.base_moved) == (None, False)
    let_time_pass(hours=1, seconds=1)
    assert [release.prompt for release in apply_what_is_due()] == [other]
    assert elsewhere.promotion.releases.exists()
    assert Head.objects.get(prompt=prompt, channel=team.stable).version == team.version(prompt, 1)


@pytest.mark.parametrize("end", ["withdraw", "apply"])
def test_what_is_closed_is_not_due(careful_team: Team, due: Schedule, end: str) -> None:
    team = careful_team
    if end == "withdraw":
        withdraw(by=team.ada, promotion=due.promotion)
    else:
        apply_promotion(by=team.cleo, promotion=due.promotion)
    let_time_pass(hours=1, seconds=1)
    before = everything()
    assert apply_what_is_due() == []
    assert carry_out(schedule_id=due.pk) is None
    assert everything() == before


def test_called_off_and_set_anew(careful_team: Team, due: Schedule) -> None:
    team = careful_team
    cleo, path = person(team, "cleo"), path_of(due.promotion, "/unschedule")
    since = last_event()
    assert body_of(cleo.post(path, None))["status"] == "ready"
    assert body_of(cleo.post(path, None))["scheduled_at"] is None
    assert events_of(team, since) == ["promotion.unscheduled"]
    for hours in (3, 2):
        at = (timezone.now() + hours * HOUR).isoformat()
        body_of(cleo.post(path_of(due.promotion, "/apply"), {"at": at}))
    let_time_pass(hours=1, seconds=1)
    assert apply_what_is_due() == []
    let_time_pass(hours=2, seconds=1)  # the newest row counts, not the latest time
    assert len(apply_what_is_due()) == 1


def test_only_who_may_release_schedules_and_calls_off(careful_team: Team, due: Schedule) -> None:
    team = careful_team
    before = everything()
    for who in (team.ada, team.ben, team.farah, team.noor):
        for act in (
            lambda by=who: schedule(by=by, promotion=due.promotion, apply_at=timezone.now() + HOUR),
            lambda by=who: unschedule(by=by, promotion=due.promotion),
        ):
            with pytest.raises(DomainError) as refusal:
                act()
            assert refusal.value.code == "forbidden"
    assert everything() == before


@pytest.mark.parametrize("why", ["not approved", "frozen then", "expired then", "approval too old then"])
def test_what_would_be_missing_then_is_not_scheduled(careful_team: Team, why: str) -> None:
    team, now = careful_team, timezone.now()
    prompt, at = team.prompt(), now + HOUR
    promotion = approved(team, prompt, 1)
    if why == "not approved":
        withdraw(by=team.ada, promotion=promotion)
        promotion = requested(team, prompt, 1)
    elif why == "frozen then":
        freeze_channel(
            by=team.farah, channel=team.stable, starts_at=now + HOUR / 2, ends_at=now + 2 * HOUR, reason="Sale"
        )
    else:
        at = now + timedelta(days=20)
    before = everything()
    with pytest.raises(DomainError) as refusal:
        schedule(by=team.cleo, promotion=promotion, apply_at=at)
    assert refusal.value.code == "promotion_not_ready"
    wanted = {"not approved": ["review_missing"], "frozen then": ["freeze"]}
    assert [fault.code for fault in refusal.value.faults] == wanted.get(why, ["review_missing", "expired"])
    assert everything() == before
    if why == "frozen then":  # over again by then
        assert schedule(by=team.cleo, promotion=promotion, apply_at=now + 3 * HOUR).pk


def test_while_a_restore_waits_nothing_is_applied(careful_team: Team, due: Schedule) -> None:
    let_time_pass(hours=1, seconds=1)
    RestoreFence.objects.using("owner").create(archive_digest="0" * 64)
    before = everything()
    assert apply_what_is_due() == []
    assert everything() == before
    fence.confirm()
    assert len(apply_what_is_due()) == 1


def test_many_sweepers_apply_it_once(careful_team: Team, due: Schedule) -> None:
    let_time_pass(hours=1, seconds=1)
    answers = at_once(4, lambda _: apply_what_is_due())
    assert sorted(len(answer) for answer in answers) == [0, 0, 0, 1]
    assert Release.objects.count() == 1
    assert not Event.objects.filter(kind="promotion.missed").exists()


def test_many_sweepers_tell_once_that_it_was_missed(careful_team: Team, due: Schedule) -> None:
    let_time_pass(hours=1, minutes=16)
    assert at_once(4, lambda _: apply_what_is_due()) == [[]] * 4
    assert Event.objects.filter(kind="promotion.missed").count() == 1


def test_what_cannot_be_locked_waits_for_the_next_sweep(careful_team: Team, due: Schedule) -> None:
    let_time_pass(hours=1, seconds=1)
    with transaction.atomic():
        Promotion.objects.select_for_update().get(pk=due.promotion_id)
        assert at_once(1, lambda _: apply_what_is_due()) == [[]]
    assert not Event.objects.filter(kind="promotion.missed").exists()
    assert len(apply_what_is_due()) == 1


def test_one_that_fails_holds_no_other_back(careful_team: Team, due: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    team = careful_team
    other = approved(team, team.prompt("support/other"), 1)
    schedule(by=team.cleo, promotion=other, apply_at=timezone.now() + HOUR)
    let_time_pass(hours=1, seconds=5)
    real = schedules.release_of

    def fails(by: Any, now: Any, reason: str) -> Any:
        if now.promotion.pk == due.promotion_id:
            raise RuntimeError("a fault of ours")
        return real(by, now, reason)

    monkeypatch.setattr(schedules, "release_of", fails)
    assert [release.promotion_id for release in apply_what_is_due()] == [other.pk]
