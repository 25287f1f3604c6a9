"""Invariant 5: nothing goes live on a protected channel but a promotion that satisfies every rule."""

from datetime import timedelta

import pytest
from django.utils import timezone

from prompts.actions.projects import create_channel
from prompts.models import Channel, Check, FreezeWindow, Promotion, Release, Review, ReviewDismissal, Schedule
from tests.guards.attacks import (
    apply,
    check,
    enact,
    forge_release,
    head,
    held,
    open_promotion,
    propose,
    refused,
    review,
    run,
    set_policy,
)
from tests.guards.promoting import close, half_ready, make_live
from tests.personas import Team


def test_what_satisfies_every_rule_goes_live(careful_team: Team, ready: Promotion) -> None:
    """Without this, every refusal below would prove nothing."""
    release = apply(careful_team, ready)
    ready.refresh_from_db()
    assert head(ready.prompt, ready.channel).version_id == ready.version_id
    held(ready.state, "APPLIED", "a promotion is closed by its release")
    assert (ready.closed_by_id, Release.objects.get().pk) == (careful_team.cleo.user.pk, release.pk)


def test_a_protected_channel_takes_no_direct_release(careful_team: Team) -> None:
    prompt = careful_team.prompt()
    with refused("promotion_required"):
        forge_release(prompt, careful_team.stable, careful_team.version(prompt, 1), careful_team.cleo)


def test_a_channel_without_a_policy_takes_no_direct_release(team: Team) -> None:
    channel = Channel.objects.create(project=team.project, name="beta")
    prompt = team.prompt()
    with refused("promotion_required"):
        forge_release(prompt, channel, team.version(prompt, 1), team.cleo)


def test_a_channel_with_a_borrowed_policy_takes_no_promotion(team: Team) -> None:
    channel = Channel.objects.create(project=team.project, name="beta", policy=team.stable.policy)
    promotion = open_promotion(team, team.prompt(), 1, channel=channel)
    with refused("promotion_policy"):
        apply(team, promotion)


def test_a_check_alone_protects(careful_team: Team) -> None:
    set_policy(careful_team, required_approvals=0, required_checks=["secrets"])
    prompt = careful_team.prompt()
    with refused("promotion_required"):
        forge_release(prompt, careful_team.stable, careful_team.version(prompt, 1), careful_team.cleo)


# --- What a promotion is bound to -------------------------------------------------------------------------------------
def test_an_approved_version_is_not_swapped(careful_team: Team, ready: Promotion) -> None:
    team = careful_team
    with refused("promotion_matches"):
        forge_release(ready.prompt, team.stable, team.version(ready.prompt, 1), team.cleo, promotion=ready)


def test_an_approval_for_one_channel_is_none_for_another(careful_team: Team, ready: Promotion) -> None:
    """Both channels share their policy's row, so that nothing but the channel differs."""
    team = careful_team
    beta = Channel.objects.create(project=team.project, name="beta")
    run("ALTER TABLE public.prompts_channelpolicy DISABLE TRIGGER policy_insert")
    run("ALTER TABLE public.prompts_channelpolicy DISABLE TRIGGER policy_frozen")
    run("ALTER TABLE public.prompts_channel DISABLE TRIGGER channel_update")
    run("UPDATE public.prompts_channelpolicy SET channel_id = %s WHERE id = %s", [beta.pk, ready.policy_id])
    run("UPDATE public.prompts_channel SET policy_id = %s WHERE id = %s", [ready.policy_id, beta.pk])
    with refused("promotion_matches"):
        forge_release(ready.prompt, beta, ready.version, team.cleo, promotion=ready)


def test_the_live_version_has_not_moved_since(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt(versions=3)
    late = half_ready(team, prompt, 3)
    review(late, team.ben)
    make_live(team, prompt, 2)
    with refused("promotion_base"):
        apply(team, late)


def test_the_policy_has_not_changed_since(careful_team: Team, ready: Promotion) -> None:
    set_policy(careful_team, required_approvals=1, required_checks=["secrets"])
    with refused("promotion_policy"):
        apply(careful_team, ready)


def test_a_policy_swapped_in_the_same_transaction_helps_nobody(careful_team: Team) -> None:
    team = careful_team
    promotion = half_ready(team)
    change = propose(team, team.cleo.user, required_approvals=0, required_checks=[])
    with refused("promotion_policy"):
        enact(change, team.emil.user)
        apply(team, promotion)


@pytest.mark.parametrize("state", ["WITHDRAWN", "REJECTED"])
def test_a_closed_promotion_is_not_applied(careful_team: Team, ready: Promotion, state: str) -> None:
    """The rule that closes once is taken away first: this one refuses alone."""
    close(careful_team, ready, state)
    run("ALTER TABLE public.prompts_promotion DISABLE TRIGGER promotion_update")
    with refused("promotion_open"):
        apply(careful_team, ready)


def test_a_freeze_stops_a_ready_promotion(careful_team: Team, ready: Promotion) -> None:
    now = timezone.now()
    FreezeWindow.objects.create(
        channel=careful_team.stable,
        starts_at=now - timedelta(hours=1),
        ends_at=now + timedelta(hours=1),
        reason="Holidays",
        created_by=careful_team.farah.user,
    )
    with refused("freeze"):
        apply(careful_team, ready)


def test_a_superuser_applies_nothing(careful_team: Team, ready: Promotion) -> None:
    team = careful_team
    team.outsider.is_superuser = True
    team.outsider.save()
    with refused("release_right"):
        forge_release(ready.prompt, team.stable, ready.version, team.outsider, promotion=ready)


# --- Promotions -------------------------------------------------------------------------------------------------------
def test_a_promotion_is_opened_on_the_present(careful_team: Team) -> None:
    team = careful_team
    prompt, other = team.prompt(versions=2), team.prompt("other")
    make_live(team, prompt, 1)
    beta = create_channel(project=team.project, name="beta", policy={"required_approvals": 0}, creator=None)
    closed = {"closed_by": team.ada.user, "closed_at": timezone.now()}
    for forged in (
        {"base_version_id": None},
        {"base_revision": 0},
        {"policy_id": beta.policy_id},
        {"version_id": team.version(other, 1).pk},
        {"state": "APPLIED"} | closed,
        {"state": "WITHDRAWN"} | closed,
    ):
        with refused("promotion_on_the_present"):
            open_promotion(team, prompt, 2, **forged)


def test_one_promotion_of_a_version_is_open(careful_team: Team, ready: Promotion) -> None:
    with refused("promotion_open_once"):
        open_promotion(careful_team, ready.prompt, 2)


@pytest.mark.parametrize("state", ["WITHDRAWN", "REJECTED", "APPLIED"])
def test_a_promotion_is_closed_once(careful_team: Team, ready: Promotion, state: str) -> None:
    apply(careful_team, ready)
    with refused("promotion_closes_once"):
        close(careful_team, ready, state)


def test_a_closed_promotion_is_not_opened_again(careful_team: Team, ready: Promotion) -> None:
    close(careful_team, ready, "WITHDRAWN")
    with refused("promotion_closes_once"):
        Promotion.objects.filter(pk=ready.pk).update(state="OPEN", closed_by=None, closed_at=None)


def test_an_open_promotion_is_not_changed(careful_team: Team, ready: Promotion) -> None:
    team = careful_team
    other = team.version(ready.prompt, 1)
    for forged in (
        {"version": other},
        {"base_version": other},
        {"base_revision": 1},
        {"diff_digest": b"forged"},
        {"opener": team.noor.user},
        {"opened_by": team.noor.user},
        {"opened_at": timezone.now()},
        {"title": "Harmless"},
        {"note": "Harmless"},
    ):
        with refused("promotion_closes_once"):
            close(team, ready, "WITHDRAWN", **forged)


@pytest.mark.parametrize("state", ["SUPERSEDED", "WITHDRAWN"])
def test_only_a_superseded_promotion_has_a_successor(careful_team: Team, ready: Promotion, state: str) -> None:
    successor = open_promotion(careful_team, ready.prompt, 1) if state == "WITHDRAWN" else None
    with refused("promotion_closes_once"):
        close(careful_team, ready, state, successor=successor)


def test_a_promotion_is_applied_by_its_release_alone(careful_team: Team, ready: Promotion) -> None:
    with refused("promotion_applied_by_release"):
        close(careful_team, ready, "APPLIED")


def test_only_an_open_promotion_is_scheduled(careful_team: Team, ready: Promotion) -> None:
    apply(careful_team, ready)
    with refused("schedule_of_open"):
        Schedule.objects.create(promotion=ready, apply_at=timezone.now(), actor=careful_team.cleo.user)


def test_the_database_dates_what_people_decide(careful_team: Team, ready: Promotion) -> None:
    old = timezone.now() - timedelta(days=400)
    given = review(ready, careful_team.emil, at=old)
    stored = check(ready, "secrets", at=old)
    dismissal = ReviewDismissal.objects.create(review=given, dismissed_by=careful_team.cleo.user, reason="No", at=old)
    schedule = Schedule.objects.create(promotion=ready, actor=careful_team.cleo.user, at=old)
    rows = [*Review.objects.all(), *Check.objects.all(), dismissal, schedule, stored]
    for row in rows:
        row.refresh_from_db()
    held(all(row.at > old for row in rows), True, "the database says when it was decided")
    close(careful_team, ready, "REJECTED", closed_at=old)
    ready.refresh_from_db()
    held(ready.closed_at is not None and ready.closed_at > old, True, "the database says when it was closed")
