"""Breaking the glass takes a reason and a grant, and a second person afterwards."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.actions.members import grant_break_glass, remove_member, set_roles
from accounts.models import ApiKey, BreakGlassGrant, Membership
from accounts.policies import Principal
from prompts.actions.releases import break_glass, default_target
from prompts.models import Prompt, Ratification, Release
from tests.guards.attacks import head, held, let_time_pass, refused
from tests.guards.moving import LONG_AGO, LONG_REASON, back, brought, forge_rollback, give, glass, live, move, powerless
from tests.personas import Team, make_team


@pytest.mark.parametrize("reason", ["", "too short", "x" + " " * 40, "exactly nineteen ch"])
def test_breaking_glass_takes_a_long_reason(careful_team: Team, reason: str) -> None:
    team = careful_team
    prompt = team.prompt()
    give(team)
    with refused("break_glass_reason"):
        glass(team, prompt, 1, reason=reason)


@pytest.mark.parametrize(
    "lacking", ["grant", "time", "membership", "same membership", "activity", "project", "person", "superuser"]
)
def test_breaking_glass_takes_a_grant_that_holds(careful_team: Team, lacking: str) -> None:
    team = careful_team
    prompt = team.prompt()
    actor: Any = team.noor
    if lacking != "grant":
        give(team)
    if lacking == "time":
        let_time_pass(hours=2)
    if lacking in ("membership", "same membership"):
        remove_member(membership=Membership.objects.get(project=team.project, user=team.noor.user), by=None)
    if lacking == "same membership":
        set_roles(project=team.project, user=team.noor.user, roles=["viewer"], by=None)
        Membership.objects.filter(user=team.noor.user).update(created_at=timezone.now() - timedelta(days=9))
    if lacking == "activity":
        team.noor.user.is_active = False
        team.noor.user.save()
    if lacking == "project":
        other = make_team("other", preset="team")
        grant_break_glass(project=other.project, user=team.ada.user, minutes=60, by=other.farah)
        actor = team.ada
    if lacking == "person":
        team.key("releases:write")
        actor = ApiKey.objects.get().service_account
        BreakGlassGrant.objects.create(
            project=team.project,
            user=actor,
            granted_by=team.farah.user,
            expires_at=timezone.now() + timedelta(hours=1),
        )
    if lacking == "superuser":
        actor = powerless(team, "superuser")
    with refused("break_glass_right"):
        glass(team, prompt, 1, actor=actor)


def test_breaking_glass_moves_something(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt()
    give(team)
    glass(team, prompt, 1)
    with refused("already_live"):
        glass(team, prompt, 1)


def broken(team: Team) -> tuple[Prompt, Release]:
    """A prompt whose version 2 went live by breaking glass, and was followed by 3."""
    prompt = team.prompt(versions=3)
    brought(team, prompt, 1, LONG_AGO)
    give(team)
    release = break_glass(
        by=team.noor, prompt=prompt, channel=team.stable, version=team.version(prompt, 2), reason=LONG_REASON
    )
    glass(team, prompt, 3)
    return prompt, release


def test_an_unratified_break_glass_is_no_target(careful_team: Team) -> None:
    prompt, _ = broken(careful_team)
    held(default_target(head(prompt, careful_team.stable)).number, 1, "unratified versions are passed over")
    with refused("rollback_target_withdrawn"):
        forge_rollback(careful_team, prompt, 2)


def test_a_ratified_break_glass_is_a_target(careful_team: Team) -> None:
    prompt, release = broken(careful_team)
    Ratification.objects.create(release=release, ratified_by=careful_team.cleo.user)
    held(default_target(head(prompt, careful_team.stable)).number, 2, "a ratified version may come back")
    back(careful_team, prompt)
    assert live(careful_team, prompt) == 2


@pytest.mark.parametrize(
    "who", ["breaker", "ada", "ben", "farah", "outsider", "superuser", "inactive", "removed", "key"]
)
def test_another_person_who_may_release_ratifies(careful_team: Team, who: str) -> None:
    team = careful_team
    prompt = team.prompt()
    grant_break_glass(project=team.project, user=team.cleo.user, minutes=60, by=team.farah)
    release = break_glass(
        by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, 1), reason=LONG_REASON
    )
    if who in ("inactive", "removed"):
        team.cleo = team.emil  # the powerless one is another release manager than the breaker
    ratifier = ratifier_of(team, who)
    with refused("ratified_by_another"):
        Ratification.objects.create(release=release, ratified_by=ratifier)


def ratifier_of(team: Team, who: str) -> Any:
    if who == "breaker":
        return team.cleo.user
    if who == "key":
        team.key("releases:write")
        return ApiKey.objects.get().service_account
    found = powerless(team, who)
    return found.user if isinstance(found, Principal) else found


@pytest.mark.parametrize("kind", ["promote", "rollback"])
def test_only_a_break_glass_is_ratified(team: Team, kind: str) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    release = back(team, prompt) if kind == "rollback" else Release.objects.get(revision=2)
    with refused("ratified_by_another"):
        Ratification.objects.create(release=release, ratified_by=team.emil.user)
