"""POST /api/v1/api-keys/{id}/rotate: a successor of the same reach, while the old key lasts a little longer."""

from datetime import UTC, datetime, timedelta

from django.utils import timezone

from accounts.models import ApiKey
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from tests.api.conftest import Caller, body_of, problem_of, written
from tests.api.people import events_of, last_event, person, refused
from tests.personas import Team


def of(text: str) -> str:
    return encode("key", ApiKey.objects.get(public_id=text.split("_")[2]).pk)


def ends_at(text: str) -> datetime | None:
    return ApiKey.objects.get(public_id=text.split("_")[2]).expires_at


def test_the_successor_reaches_what_the_old_one_reached(team: Team, api: Caller) -> None:
    team.prompt()
    old = team.key("prompts:read", channels=["latest"], prompts=["support/*"], rate_fetch=7)
    newest = last_event()
    answer = api.post(f"api-keys/{of(old)}/rotate", {"overlap_hours": 1})
    made = body_of(answer)
    new = made.pop("key")
    row = ApiKey.objects.get(public_id=made["prefix"])
    assert made == {
        "id": encode("key", row.pk),
        "prefix": new.split("_")[2],
        "name": "test",
        "scopes": ["prompts:read"],
        "channels": ["latest"],
        "prompts": ["support/*"],
        "rate_fetch": 7,
        "created_by": made["created_by"],
        "created_at": format_instant(row.created_at),
        "expires_at": None,
        "revoked_at": None,
    }
    assert events_of(team, newest) == ["key.rotated"]
    for text in (old, new):  # both, while they overlap
        body_of(Caller(text).fetch("support/greeting", _version="latest"))
        problem_of(Caller(text).fetch("support/greeting"), 403, "key_scope")
    ends = ends_at(old)
    assert ends is not None
    assert timedelta(minutes=59) < ends - timezone.now() <= timedelta(hours=1)
    assert new not in api.get("api-keys").content.decode()


def test_without_overlap_the_old_key_ends_at_once(team: Team, api: Caller) -> None:
    old = team.key()
    new = body_of(api.post(f"api-keys/{of(old)}/rotate", {"overlap_hours": 0}))["key"]
    problem_of(Caller(old).get("prompts"), 401, "key_expired")
    body_of(Caller(new).get("prompts"))


def test_rotating_never_lengthens_a_life(team: Team, api: Caller) -> None:
    soon = timezone.now() + timedelta(minutes=10)
    old = team.key(expires_at=soon)
    body_of(api.post(f"api-keys/{of(old)}/rotate", {"overlap_hours": 168}))
    ends = ends_at(old)
    assert ends is not None
    assert ends.astimezone(UTC) == soon.astimezone(UTC)


def test_rotations_that_cannot_be(team: Team, foreign: Team, api: Caller) -> None:
    old, theirs = team.key(), foreign.key()
    before, keys = written(), ApiKey.objects.count()
    for body, code in (
        ({"overlap_hours": -1}, "bad_value"),
        ({"overlap_hours": 169}, "bad_value"),
        ({"overlap_hours": "1"}, "bad_value"),
        ({"overlap_hours": 1.0}, "bad_value"),
        ({"overlap_hours": None}, "bad_value"),
        ({}, "field_required"),
        ({"overlap_hours": 1, "key": "x"}, "unknown_field"),
    ):
        refused(api.post(f"api-keys/{of(old)}/rotate", body), 400, code, before)
    for key_id in (of(theirs), encode("key", 2**40), encode("mem", 1), "x"):
        refused(api.post(f"api-keys/{key_id}/rotate", {"overlap_hours": 1}), 404, "not_found", before)
    assert (ApiKey.objects.count(), ends_at(old), ends_at(theirs)) == (keys, None, None)


def test_a_revoked_key_has_no_successor(team: Team, api: Caller) -> None:
    old = team.key()
    assert api.send("DELETE", f"api-keys/{of(old)}").status_code == 204
    before, keys = written(), ApiKey.objects.count()
    answer = api.post(f"api-keys/{of(old)}/rotate", {"overlap_hours": 1})
    assert answer.status_code in (401, 409)
    assert (written(), ApiKey.objects.count()) == (before, keys)


def test_who_may_rotate(team: Team, reader: Caller) -> None:
    old = team.key()
    before, keys = written(), ApiKey.objects.count()
    for name in ("ada", "ben", "cleo", "noor"):
        refused(person(team, name).post(f"api-keys/{of(old)}/rotate", {"overlap_hours": 1}), 403, "forbidden", before)
    refused(reader.post(f"api-keys/{of(old)}/rotate", {"overlap_hours": 1}), 403, "key_scope", before)
    assert (ApiKey.objects.count(), ends_at(old)) == (keys, None)
    body_of(person(team, "farah").post(f"api-keys/{of(old)}/rotate", {"overlap_hours": 1}))
