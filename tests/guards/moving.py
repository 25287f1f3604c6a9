"""Moves along a ledger, honest and forged."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from accounts.actions.members import grant_break_glass, remove_member
from accounts.models import BreakGlassGrant, Membership
from prompts.actions.imports import import_release
from prompts.actions.releases import promote, rollback
from prompts.models import Head, Prompt, Release
from tests.guards.attacks import forge_release
from tests.personas import Team

LONG_REASON = "The greeting insults every customer."


def move(team: Team, prompt: Prompt, *numbers: int) -> None:
    """Promote these versions to `stable`, one after the other."""
    for number in numbers:
        promote(by=team.cleo, prompt=prompt, channel=team.stable, version=team.version(prompt, number))


def back(team: Team, prompt: Prompt, number: int | None = None) -> Release:
    version = None if number is None else team.version(prompt, number)
    return rollback(by=team.cleo, prompt=prompt, channel=team.stable, version=version, reason="It got worse")


def forge_rollback(team: Team, prompt: Prompt, number: int, **fields: Any) -> Release:
    actor = fields.pop("actor", team.cleo)
    row = {"kind": "rollback", "reason": "It got worse"} | fields
    return forge_release(prompt, team.stable, team.version(prompt, number), actor, **row)


def glass(team: Team, prompt: Prompt, number: int, **fields: Any) -> Release:
    actor = fields.pop("actor", team.noor)
    row = {"kind": "break_glass", "reason": LONG_REASON} | fields
    return forge_release(prompt, team.stable, team.version(prompt, number), actor, **row)


def live(team: Team, prompt: Prompt) -> int | None:
    version = Head.objects.select_related("version").get(prompt=prompt, channel=team.stable).version
    return version.number if version else None


def powerless(team: Team, who: str) -> Any:
    """Somebody without the right to release: by role, or because it was taken away."""
    if who == "superuser":
        team.outsider.is_superuser = team.outsider.is_staff = True
        team.outsider.save()
        return team.outsider
    if who == "inactive":
        team.cleo.user.is_active = False
        team.cleo.user.save()
        return team.cleo
    if who == "removed":
        remove_member(membership=Membership.objects.get(project=team.project, user=team.cleo.user), by=None)
        return team.cleo
    return getattr(team, who)


def brought(team: Team, prompt: Prompt, number: int, at: datetime) -> Release:
    return import_release(
        prompt=prompt,
        channel=team.stable,
        version=team.version(prompt, number),
        decided_by=team.cleo.user,
        reason="",
        at=at,
    )


LONG_AGO = timezone.now() - timedelta(days=100)


def give(team: Team, minutes: int = 60) -> BreakGlassGrant:
    return grant_break_glass(project=team.project, user=team.noor.user, minutes=minutes, by=team.farah)
