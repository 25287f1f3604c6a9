"""A policy is changed by two people, and a freeze by who may."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import ApiKey
from prompts.actions.projects import create_channel
from prompts.models import Channel, ChannelPolicy, FreezeWindow
from tests.guards.attacks import enact, held, newest_policy, propose, refused, run, set_policy
from tests.guards.promoting import reviewer_without_right
from tests.personas import Team, make_team


def alone(team: Team, **fields: Any) -> ChannelPolicy:
    """A policy without a proposal."""
    row = {"channel": team.stable, "revision": 2, "author": team.cleo.user, "required_approvals": 0}
    return ChannelPolicy.objects.create(**row | fields)


@pytest.mark.parametrize("fields", [{}, {"author": None}, {"required_approvals": 5}])
def test_nobody_changes_a_protected_channel_alone(careful_team: Team, fields: dict[str, Any]) -> None:
    with refused("policy_four_eyes"):
        alone(careful_team, **fields)


@pytest.mark.parametrize("who", ["cleo", "ada", "ben", "noor", "outsider", "superuser", "nobody"])
def test_another_person_who_may_configure_approves_it(careful_team: Team, who: str) -> None:
    team = careful_team
    change = propose(team, team.cleo.user, required_approvals=0, required_checks=[])
    found = None if who == "nobody" else reviewer_without_right(team, who)
    with refused("policy_four_eyes"):
        enact(change, getattr(found, "user", found))


def test_the_person_behind_the_proposing_key_does_not_approve_it(careful_team: Team) -> None:
    team = careful_team
    team.key("manage")
    change = propose(team, ApiKey.objects.get().service_account, required_approvals=0, required_checks=[])
    with refused("policy_four_eyes"):
        enact(change, team.emil.user)


def test_exactly_what_was_proposed_becomes_the_policy(careful_team: Team) -> None:
    team = careful_team
    change = propose(team, team.cleo.user, required_approvals=2)
    forged: dict[str, Any] = {
        "required_approvals": 0,
        "required_checks": [],
        "review_groups": [["role:viewer"]],
        "approval_ttl_days": 365,
        "evidence_ttl_days": 365,
        "rollout_plan": [1],
        "rollback_roles": ["viewer"],
    }
    for field, lie in forged.items():
        with refused("policy_four_eyes"):
            enact(change, team.emil.user, **{field: lie})


@pytest.mark.parametrize("about", ["author", "channel", "base"])
def test_a_proposal_is_for_one_channel_as_it_stands(careful_team: Team, about: str) -> None:
    team = careful_team
    change = propose(team, team.cleo.user, required_approvals=0, required_checks=[])
    forged: dict[str, Any] = {}
    if about == "author":
        forged["author"] = team.farah.user
    if about == "channel":
        beta = create_channel(project=team.project, name="beta", policy={"required_approvals": 1}, creator=None)
        forged["channel"] = beta
        forged["revision"] = 2
    if about == "base":
        set_policy(team, required_approvals=3)
    with refused("policy_four_eyes"):
        enact(change, team.emil.user, **forged)


@pytest.mark.parametrize("revision", [1, 3, 0])
def test_policies_are_numbered_without_a_gap(team: Team, revision: int) -> None:
    run("ALTER TABLE public.prompts_channelpolicy DROP CONSTRAINT channel_policy_revision_once")
    with refused("policy_revision_next"):
        alone(team, revision=revision)


def test_a_channel_points_at_its_newest_policy(careful_team: Team) -> None:
    team = careful_team
    weak = create_channel(project=team.project, name="beta", policy={"required_approvals": 0}, creator=None).policy
    first = newest_policy(team.stable)
    held(Channel.objects.get(pk=team.stable.pk).policy_id, first.pk, "the channel points at its newest policy")
    set_policy(team, required_approvals=2)
    for policy in (weak, first, None):
        with refused("channel_policy_newest"):
            Channel.objects.filter(pk=team.stable.pk).update(policy=policy)


def test_the_channel_follows_its_newest_policy(team: Team) -> None:
    channel = Channel.objects.get(pk=team.stable.pk)
    held(channel.policy_id, newest_policy(channel).pk, "the channel points at its first policy")
    policy = alone(team)
    channel.refresh_from_db()
    held(channel.policy_id, policy.pk, "the channel points at its newest policy")


@pytest.mark.parametrize("field", ["name", "project"])
def test_a_channel_keeps_its_name_and_project(team: Team, field: str) -> None:
    forged = "other" if field == "name" else make_team("other", preset="solo").project
    with refused("channel_policy_newest"):
        Channel.objects.filter(pk=team.stable.pk).update(**{"name": "x", field: forged})


def frozen_week(team: Team) -> FreezeWindow:
    now = timezone.now()
    return FreezeWindow.objects.create(
        channel=team.stable,
        starts_at=now,
        ends_at=now + timedelta(days=7),
        reason="Holidays",
        created_by=team.cleo.user,
    )


def test_a_freeze_is_set_and_lifted_by_who_may(team: Team) -> None:
    freeze = frozen_week(team)
    now = timezone.now()
    for person in (team.ada.user, team.noor.user, team.outsider):
        with refused("freeze_right"):
            FreezeWindow.objects.create(
                channel=team.stable, starts_at=now, ends_at=now + timedelta(days=1), reason="x", created_by=person
            )
        with refused("freeze_lift_right"):
            FreezeWindow.objects.filter(pk=freeze.pk).update(lifted_at=now, lifted_by=person)


@pytest.mark.parametrize("field", ["starts_at", "ends_at", "reason", "created_by", "created_at", "lifted_by"])
def test_a_freeze_is_lifted_and_not_changed(team: Team, field: str) -> None:
    freeze = frozen_week(team)
    now = timezone.now()
    row: dict[str, Any] = {"lifted_at": now, "lifted_by": team.cleo.user}
    forged = {"reason": "x", "created_by": team.ada.user, "lifted_by": None, "starts_at": now, "created_at": now}
    with refused("freeze_lifted_once"):
        FreezeWindow.objects.filter(pk=freeze.pk).update(**row | {field: forged.get(field, now + timedelta(hours=1))})


def test_a_freeze_is_lifted_once(team: Team) -> None:
    freeze = frozen_week(team)
    old = timezone.now() - timedelta(days=3)
    FreezeWindow.objects.filter(pk=freeze.pk).update(lifted_at=old, lifted_by=team.cleo.user)
    freeze.refresh_from_db()
    held(freeze.lifted_at is not None and freeze.lifted_at > old, True, "the database says when it was lifted")
    for row in ({"lifted_at": None, "lifted_by": None}, {"lifted_at": timezone.now()}):
        with refused("freeze_lifted_once"):
            FreezeWindow.objects.filter(pk=freeze.pk).update(**row)
