"""Grave acts take a person who signed in within the last five minutes; keys do not sign in."""

from typing import Any

import pytest

from accounts.actions.members import grant_break_glass
from accounts.models import ApiKey, BreakGlassGrant, Membership
from promptforge.lib.ids import encode
from prompts.models import Release
from tests.api.conftest import Caller, body_of, written
from tests.api.people import person, refused
from tests.personas import Team

OLD: list[float | None] = [301, 3600, None]


@pytest.fixture
def team(careful_team: Team) -> Team:
    team = careful_team
    team.prompt()
    team.key()
    grant_break_glass(project=team.project, user=team.emil.user, minutes=15, by=team.farah)
    return team


def acts(team: Team) -> dict[str, tuple[str, dict[str, Any], int]]:
    cleo = Membership.objects.get(user=team.cleo.user)
    glass = {"kind": "break_glass", "prompt": "support/greeting", "version": 1, "reason": "The live answer is wrong"}
    return {
        "create a key": ("api-keys", {"name": "x", "scopes": ["prompts:read"]}, 201),
        "rotate a key": (f"api-keys/{encode('key', ApiKey.objects.get().pk)}/rotate", {"overlap_hours": 1}, 200),
        "grant": (f"members/{encode('mem', cleo.pk)}/grants", {"permission": "break_glass", "minutes": 5}, 201),
        "break glass": ("releases", glass, 201),
    }


def rows() -> list[int]:
    return [model.objects.count() for model in (ApiKey, BreakGlassGrant, Release)]


def test_an_old_sign_in_is_not_enough(team: Team) -> None:
    before, count = written(), rows()
    for ago in OLD:
        emil = person(team, "emil", ago=ago)
        for path, body, _ in acts(team).values():
            answer = refused(emil.post(path, body), 403, "reauthentication_required", before)
            assert answer["url"] == "/accounts/confirm/"
            assert list(answer)[-1] == "url"
    assert rows() == count


@pytest.mark.parametrize("ago", [0, 290])
def test_a_fresh_one_is(team: Team, ago: int) -> None:
    emil = person(team, "emil", ago=ago)
    for path, body, status in acts(team).values():
        body_of(emil.post(path, body), status)


def test_what_the_role_does_not_allow_is_told_first(team: Team) -> None:
    before = written()
    for path, body, _ in acts(team).values():
        if path != "releases":
            refused(person(team, "noor", ago=None).post(path, body), 403, "forbidden", before)


def test_what_is_not_grave_takes_none(team: Team) -> None:
    cleo = person(team, "cleo", ago=None)
    body_of(cleo.post("prompts", {"name": "a", "content": "b"}), 201)
    body_of(cleo.send("PATCH", "channels/stable", {"policy": {"required_approvals": 0}}), 202)
    body_of(cleo.post("channels", {"name": "beta"}), 201)
    body_of(cleo.post("releases", {"kind": "promote", "prompt": "a", "channel": "beta", "version": 1}), 201)
    made = ApiKey.objects.get()
    farah = person(team, "farah", ago=None)
    assert farah.send("DELETE", f"api-keys/{encode('key', made.pk)}").status_code == 204


def test_keys_do_not_sign_in(team: Team) -> None:
    manager = Caller(team.key("manage", "prompts:read"))
    body_of(manager.post("api-keys", {"name": "x", "scopes": ["prompts:read"]}), 201)
