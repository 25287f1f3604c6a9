"""A rollback goes back along its ledger, to what was live here, and needs nothing but the right."""

from datetime import timedelta

import pytest
from django.utils import timezone

from promptforge.lib.errors import DomainError
from prompts.actions.projects import create_channel
from prompts.actions.releases import default_target, promote
from tests.guards.attacks import forge_release, head, held, open_promotion, refused
from tests.guards.moving import LONG_AGO, LONG_REASON, back, brought, forge_rollback, give, live, move, powerless
from tests.personas import Team


def test_the_target_was_live_here(team: Team) -> None:
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2)
    with refused("rollback_target_never_live"):
        forge_rollback(team, prompt, 3)


def test_the_target_is_another_version(team: Team) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    with refused("rollback_target_never_live"):
        forge_rollback(team, prompt, 2)


def test_live_on_another_channel_is_not_live_here(team: Team) -> None:
    prompt = team.prompt(versions=2)
    beta = create_channel(project=team.project, name="beta", policy={"required_approvals": 0}, creator=None)
    promote(by=team.cleo, prompt=prompt, channel=beta, version=team.version(prompt, 2))
    move(team, prompt, 1)
    with refused("rollback_target_never_live"):
        forge_rollback(team, prompt, 2)


def test_what_was_rolled_back_does_not_return_by_a_rollback(team: Team) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    back(team, prompt)
    with refused("rollback_target_withdrawn"):
        forge_rollback(team, prompt, 2)


def test_a_forward_release_brings_it_back(team: Team) -> None:
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2)
    back(team, prompt)
    move(team, prompt, 2, 3)
    back(team, prompt, 2)
    assert live(team, prompt) == 2


def test_the_default_target_passes_over_what_was_rolled_back(team: Team) -> None:
    """Live were 1, 2, 3; rolled back to 2: the next default is 1, and after it there is none."""
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2, 3)
    back(team, prompt)
    held(live(team, prompt), 2, "the first rollback returns to the version before")
    held(default_target(head(prompt, team.stable)).number, 1, "the next returns to the one before that")
    back(team, prompt)
    held(live(team, prompt), 1, "the second rollback goes further back")
    with pytest.raises(DomainError, match="No earlier version") as told:
        back(team, prompt)
    assert told.value.code == "nothing_to_roll_back"


def test_the_default_target_after_a_detour(team: Team) -> None:
    """1, 2, rolled back to 1, then 3 forward: the default is 1, for 2 was withdrawn."""
    prompt = team.prompt(versions=3)
    move(team, prompt, 1, 2)
    back(team, prompt)
    move(team, prompt, 3)
    held(default_target(head(prompt, team.stable)).number, 1, "the version before the forward release")


@pytest.mark.parametrize("reason", ["", "   "])
def test_a_rollback_takes_a_reason(team: Team, reason: str) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    with refused("rollback_reason"):
        forge_rollback(team, prompt, 1, reason=reason)


@pytest.mark.parametrize("who", ["ada", "ben", "farah", "noor", "outsider", "superuser", "inactive", "removed"])
def test_a_rollback_takes_the_right(team: Team, who: str) -> None:
    prompt = team.prompt(versions=2)
    move(team, prompt, 1, 2)
    actor = powerless(team, who)
    with refused("rollback_right"):
        forge_rollback(team, prompt, 1, actor=actor)


def test_a_rollback_on_a_protected_channel_needs_nothing_else(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt(versions=2)
    brought(team, prompt, 1, LONG_AGO)
    brought(team, prompt, 2, LONG_AGO + timedelta(days=1))
    back(team, prompt)
    assert live(team, prompt) == 1


@pytest.mark.parametrize("kind", ["rollback", "import", "break_glass"])
def test_only_a_promote_carries_out_a_promotion(team: Team, kind: str) -> None:
    prompt = team.prompt(versions=2)
    brought(team, prompt, 2, LONG_AGO)
    brought(team, prompt, 1, LONG_AGO + timedelta(days=1))
    promotion = open_promotion(team, prompt, 2)
    give(team)
    actor = team.noor if kind == "break_glass" else team.cleo
    at = timezone.now() - timedelta(days=1) if kind == "import" else None
    with refused("release_without_promotion"):
        forge_release(
            prompt,
            team.stable,
            team.version(prompt, 2),
            actor,
            kind=kind,
            promotion=promotion,
            reason=LONG_REASON,
            at=at,
        )
