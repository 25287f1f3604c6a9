"""POST /api/v1/releases/{id}/ratify: a second person says that a break-glass release was right."""

import pytest

from accounts.actions.members import grant_break_glass
from promptforge.lib.ids import encode
from prompts.models import Prompt, Ratification, Release
from tests.api.conftest import Caller, body_of, release, written
from tests.api.people import events_of, last_event, person, refused
from tests.personas import Team

REASON = "The live answer is dangerous; nobody else is here"


@pytest.fixture
def team(careful_team: Team) -> Team:
    return careful_team


@pytest.fixture
def prompt(team: Team) -> Prompt:
    return team.prompt(versions=2)


@pytest.fixture
def broken(team: Team, prompt: Prompt) -> dict[str, object]:
    """The answer to Cleo's breaking glass."""
    grant_break_glass(project=team.project, user=team.cleo.user, minutes=15, by=team.farah)
    breaking = {"kind": "break_glass", "prompt": prompt.name, "version": 1, "reason": REASON}
    made: dict[str, object] = body_of(person(team, "cleo").post("releases", breaking), 201)
    return made


def ratify(caller: Caller, release_id: object):
    return caller.post(f"releases/{release_id}/ratify", None)


def test_a_second_person_ratifies_once(team: Team, broken: dict[str, object]) -> None:
    newest = last_event()
    assert body_of(ratify(person(team, "emil"), broken["id"])) == broken
    assert body_of(ratify(person(team, "emil"), broken["id"])) == broken  # again changes nothing
    made = Ratification.objects.get()
    assert (made.ratified_by, made.release_id) == (team.emil.user, Release.objects.get().pk)
    assert events_of(team, newest) == ["release.ratified"]


def test_who_may_not(team: Team, broken: dict[str, object]) -> None:
    keys = [
        (Caller(team.key("prompts:read", "releases:write", "manage")), "forbidden"),
        (Caller(team.key("releases:write")), "key_scope"),
    ]
    before = written()
    refused(ratify(person(team, "cleo"), broken["id"]), 403, "four_eyes", before)
    for name in ("ada", "ben", "farah", "noor"):
        refused(ratify(person(team, name), broken["id"]), 403, "forbidden", before)
    for caller, code in keys:
        refused(ratify(caller, broken["id"]), 403, code, before)
    refused(ratify(Caller(None), broken["id"]), 401, "not_authenticated", before)
    assert Ratification.objects.count() == 0


def test_only_a_broken_glass_is_ratified(team: Team, broken: dict[str, object], prompt: Prompt) -> None:
    made = body_of(person(team, "emil").post("channels", {"name": "beta"}), 201)
    promote = {"kind": "promote", "prompt": prompt.name, "channel": made["name"], "version": 2}
    plain = body_of(person(team, "cleo").post("releases", promote), 201)
    before = written()
    refused(ratify(person(team, "emil"), plain["id"]), 409, "kind_not_available", before)


def test_ids_out_of_reach(team: Team, foreign: Team, broken: dict[str, object]) -> None:
    theirs = release(foreign, foreign.prompt("secret/other"), 1)
    emil, before = person(team, "emil"), written()
    for release_id in (encode("rel", theirs.pk), encode("rel", 2**40), encode("ver", 1), "x", "rel_"):
        refused(ratify(emil, release_id), 404, "not_found", before)
    refused(emil.post(f"releases/{broken['id']}/ratify?note=ok", None), 400, "unknown_parameter", before)
