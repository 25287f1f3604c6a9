"""Doors × tricks: whoever tries what by which door, its rule refuses it, says why, and nothing is written."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from promptforge.lib import database, guards
from prompts.models import ChannelPolicy, Promotion, Release, Review
from tests.guards.attacks import POLICY_FIELDS, contents, enact, head, newest_policy, propose, set_policy
from tests.guards.test_sabotage import RULES
from tests.promotions.arrangements import asked, decided, make_world
from tests.promotions.attempts import Attempt, No, Told, World
from tests.promotions.doors import DOORS, TWO_ROLES, Door
from tests.promotions.tricks import ADMIN, COMMAND, KEY, PAGE, SESSION, TASK, TRICKS, Trick
from tests.races.conftest import at_once

SPEAKING = (KEY, SESSION, PAGE, ADMIN, COMMAND, TASK, "an import")
GROUPS = {"people": SPEAKING, "rows": tuple(name for name in DOORS if name not in SPEAKING)}
LOADED, REPLICA = "loaddata as the owner", "a replica's session"
GUARDED = {trigger.table for trigger in guards.triggers(guards.shipped_sql())} - {"accounts_user"}


@pytest.fixture
def world(committed_db: str) -> Iterator[World]:
    with override_settings(RATE_WRITE=1_000_000, BURST_WRITE=1_000_000):
        yield make_world()


def doors_of(*names: str) -> Iterator[tuple[str, Door]]:
    for name in names or DOORS:
        if name != REPLICA or not database.is_external():  # only the embedded cluster's superuser is known here
            yield name, DOORS[name]


def stands(door: Door) -> dict[str, tuple[int, str | None]]:
    """A digest of every guarded table, but for those in which the door tells of the refusal itself."""
    return {table: row for table, row in contents().items() if table in GUARDED - door.tells}


def tried(world: World, door: Door, act: str, who: str, promotion: Promotion, trick: Trick | None = None) -> Any:
    """What an act answers: the refusal, or what it brought."""
    attempt = Attempt(world, who, promotion)
    if trick is not None:
        attempt = attempt._replace(fields=trick.forge(attempt))
    does = door.acts[act]
    assert not isinstance(does, No)
    try:
        return does(attempt)
    except Told as refusal:
        return refusal


def expected(name: str, trick: Trick) -> tuple[str, str] | No:
    """What the cell says: a code or a rule, and a part of the sentence."""
    door = DOORS[name]
    if isinstance(act := door.acts[trick.act], No):
        return act
    if name in trick.at:
        return trick.at[name]
    if trick.act in door.always:
        return door.always[trick.act]
    if name in SPEAKING:
        return trick.code, "" if name == TASK else trick.says
    withheld = TWO_ROLES and trick.rule.endswith("_frozen") and name not in (LOADED, REPLICA)
    return ("42501", "permission denied") if withheld else (trick.rule, "")


@pytest.mark.parametrize("group", GROUPS)
def test_every_trick_is_refused_at_every_door(world: World, group: str) -> None:
    wrong = []
    for name, door in doors_of(*GROUPS[group]):
        before = stands(door)
        for what, trick in TRICKS.items():
            if isinstance(answer := expected(name, trick), No):
                continue
            told = tried(world, door, trick.act, trick.who, world.promotions[trick.promotion], trick)
            if not isinstance(told, Told):
                wrong.append(f"ATTACK SUCCEEDED: {what}, by {name}")
            elif answer[0] not in told.names or answer[1] not in told.sentence or 0 < len(told.sentence) < 15:
                wrong.append(f"{what}, by {name}: told {told} instead of {answer}")
        if stands(door) != before:
            wrong.append(f"ATTACK SUCCEEDED: something was written by {name}")
    assert not wrong, "\n".join(wrong)


def test_every_door_opens_for_what_is_right(world: World) -> None:
    """Ben approves and Cleo releases by each door that lets them; without this every refusal would prove nothing."""
    team, opened = world.team, set()
    for number, (name, door) in enumerate(doors_of()):
        promotion = asked(team, team.prompt(f"right/{number}"), 1)
        for act, who in (("approve", "ben"), ("release", "cleo")):
            if not isinstance(door.acts[act], No):
                told = tried(world, door, act, who, promotion)
                if not isinstance(told, Told):
                    opened.add((name, act))
                elif act not in door.always:
                    # A file and a bare row bring no event that names the release, and the commit asks for it.
                    assert (act, "release_told" in told.names) == ("release", True), (name, told)
            if not Review.objects.filter(promotion=promotion).exists():
                decided(promotion, team.ben)
    shut = {(LOADED, "release"), (REPLICA, "release")}
    offered = {
        (name, act)
        for name, door in doors_of()
        for act in ("approve", "release")
        if not isinstance(door.acts[act], No) and act not in door.always
    }
    assert opened == offered - shut


def test_two_approvals_by_one_person_at_once_are_one(world: World) -> None:
    team = world.team
    set_policy(team, required_approvals=2)
    for number, (name, door) in enumerate(doors_of()):
        if isinstance(door.acts["approve"], No) or "approve" in door.always:
            continue
        promotion = asked(team, team.prompt(f"twice/{number}"), 1)
        answers = at_once(2, lambda _, door=door, p=promotion: tried(world, door, "approve", "ben", p))  # type: ignore[misc]
        assert not any(isinstance(answer, Exception) for answer in answers), (name, answers)
        assert Review.objects.filter(promotion=promotion, decision="approve").count() == 2
        by = door if "release" not in door.always else DOORS["save()"]
        told = tried(world, by, "release", "cleo", promotion)
        assert isinstance(told, Told), f"ATTACK SUCCEEDED: by {name}"
        assert told.names & {"promotion_approvals", "promotion_not_ready", "review_missing"}, (name, told)
        assert head(promotion.prompt, promotion.channel).version_id is None, f"ATTACK SUCCEEDED: by {name}"


def test_a_policy_weakened_in_the_same_second_helps_at_no_door(world: World) -> None:
    """Two persons weaken the policy while somebody releases what nobody approved; the weak one would let it pass."""
    team, strong = world.team, newest_policy(world.team.stable)
    for number, (name, door) in enumerate(doors_of()):
        if isinstance(door.acts["release"], No) or "release" in door.always:
            continue
        promotion = asked(team, team.prompt(f"weak/{number}"), 1)
        change = propose(team, team.cleo.user, required_approvals=0, required_checks=["variables"])
        acts = [
            lambda door=door, p=promotion: tried(world, door, "release", "cleo", p),  # type: ignore[misc]
            lambda change=change: enact(change, team.emil.user),  # type: ignore[misc]
        ]
        told, weak = at_once(2, lambda n, acts=acts: acts[n]())  # type: ignore[misc]
        assert isinstance(weak, ChannelPolicy), weak
        assert isinstance(told, Told), f"ATTACK SUCCEEDED: by {name}: {told}"
        assert not Release.objects.filter(promotion=promotion).exists(), f"ATTACK SUCCEEDED: by {name}"
        back = {field: getattr(strong, field) for field in POLICY_FIELDS}
        enact(propose(team, team.cleo.user, **back), team.emil.user)


def test_the_table_is_whole() -> None:
    """Every cell is an attack or a sentence; every rule that the cells rest on has its sabotage."""
    for name, door in DOORS.items():
        assert set(door.acts) == set(DOORS["save()"].acts), name
    cells = [expected(name, trick) for name in DOORS for trick in TRICKS.values()]
    reasons = [cell for cell in cells if isinstance(cell, No)]
    assert all(len(reason.why) > 20 and reason.why.endswith(".") for reason in reasons)
    assert len(cells) - len(reasons) > 400
    # The walls of frozen tables are no rules: the sabotage of triggers takes them one by one.
    rules = {trick.rule for trick in TRICKS.values() if not trick.rule.endswith("_frozen")} - {"stale_diff"}
    assert rules | {"review_diff"} <= set(RULES)
    assert {name for trick in TRICKS.values() for name in trick.at} <= set(DOORS)
