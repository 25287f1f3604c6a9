"""GET and POST /api/v1/releases: the ledger, and what moves it."""

import time
from typing import Any

import pytest
from django.utils import timezone

from accounts.actions.members import grant_break_glass
from accounts.models import ApiKey
from accounts.sign_in import SIGNED_IN_AT
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from prompts.actions.projects import PRESETS, create_channel
from prompts.actions.releases import promote
from prompts.models import FreezeWindow, Prompt, Release
from tests.api.conftest import Caller, body_of, problem_of, release, written
from tests.personas import Team

NAME = "support/greeting"


@pytest.fixture
def prompt(team: Team) -> Prompt:
    """`support/greeting` with four versions, of which 1 and then 2 went live."""
    prompt = team.prompt(versions=4)
    release(team, prompt, 1)
    release(team, prompt, 2)
    return prompt


def move(caller: Caller, kind: str, **fields: Any):
    return caller.post("releases", {"kind": kind, "prompt": NAME, **fields})


def refused(caller: Caller, status: int, code: str, kind: str, **fields: Any) -> dict[str, Any]:
    """A move that is refused, and has changed nothing."""
    before = written()
    body = problem_of(move(caller, kind, **fields), status, code)
    assert written() == before
    return body


# --- Moving ----------------------------------------------------------------------------------------------------------
def test_a_promotion_answers_with_the_whole_release(team: Team, prompt: Prompt, api: Caller) -> None:
    body = body_of(move(api, "promote", version=3, reason="Kinder", expected_revision=2), 201)
    made = Release.objects.get(revision=3)
    assert body == {
        "id": encode("rel", made.pk),
        "prompt": NAME,
        "channel": "stable",
        "revision": 3,
        "kind": "promote",
        "version": 3,
        "previous_version": 2,
        "canary": None,
        "promotion": None,
        "actor": {"key": ApiKey.objects.get().public_id, "name": "test"},
        "reason": "Kinder",
        "at": format_instant(made.at),
        "digest": f"sha256:{bytes(made.digest).hex()}",
    }
    assert body_of(api.fetch(NAME))["revision"] == 3


def test_a_rollback_finds_its_target_or_is_told_it(prompt: Prompt, api: Caller) -> None:
    body = body_of(move(api, "rollback", reason="Worse"), 201)
    assert (body["kind"], body["version"], body["previous_version"], body["revision"]) == ("rollback", 1, 2, 3)
    body_of(move(api, "promote", version=3), 201)
    body_of(move(api, "promote", version=4), 201)
    assert body_of(move(api, "rollback", version=1, reason="Worse"), 201)["version"] == 1
    refused(api, 409, "nothing_to_roll_back", "rollback", reason="Worse still")


def test_default_rollbacks_walk_back_through_forward_releases(team: Team, prompt: Prompt, api: Caller) -> None:
    """1, 2, 3, 4 were promoted: rolling back again and again gives 3, 2, 1."""
    release(team, prompt, 3)
    release(team, prompt, 4)
    for expected in (3, 2, 1):
        assert body_of(move(api, "rollback", reason="Worse"), 201)["version"] == expected
    refused(api, 409, "nothing_to_roll_back", "rollback", reason="Worse")


def test_another_channel_has_a_ledger_of_its_own(team: Team, prompt: Prompt, api: Caller) -> None:
    create_channel(project=team.project, name="beta", policy=PRESETS["solo"], creator=None)
    body = body_of(move(api, "promote", channel="beta", version=4), 201)
    assert (body["channel"], body["revision"], body["previous_version"]) == ("beta", 1, None)
    assert body_of(api.fetch(NAME))["version"] == 2


def test_a_stale_expectation_is_told_where_the_head_stands(prompt: Prompt, api: Caller) -> None:
    for expected in (0, 1, 3, 2_147_483_647):
        body = refused(api, 409, "stale_head", "promote", version=3, expected_revision=expected)
        assert body["head"] == {"version": 2, "revision": 2}
        refused(api, 409, "stale_head", "rollback", reason="Worse", expected_revision=expected)


def test_an_empty_channel(team: Team, api: Caller) -> None:
    team.prompt()
    refused(api, 409, "nothing_to_roll_back", "rollback", reason="Worse")
    body = refused(api, 409, "stale_head", "promote", version=1, expected_revision=1)
    assert body["head"] == {"version": None, "revision": 0}
    body = body_of(move(api, "promote", version=1, expected_revision=0), 201)
    assert (body["revision"], body["previous_version"]) == (1, None)
    refused(api, 409, "nothing_to_roll_back", "rollback", reason="Worse")


def test_what_the_state_does_not_allow(team: Team, prompt: Prompt, api: Caller) -> None:
    refused(api, 409, "already_live", "promote", version=2)
    refused(api, 409, "already_live", "rollback", version=2, reason="Worse")
    refused(api, 409, "rollback_target_never_live", "rollback", version=3, reason="Worse")
    body_of(move(api, "rollback", reason="Worse"), 201)
    refused(api, 409, "rollback_target_withdrawn", "rollback", version=2, reason="Back again")
    body_of(move(api, "promote", version=2), 201)  # a forward release brings it back
    Prompt.objects.filter(pk=prompt.pk).update(archived_at=timezone.now())
    refused(api, 409, "archived", "promote", version=3)
    assert body_of(move(api, "rollback", reason="Worse"), 201)["version"] == 1  # archived or not


def test_a_freeze_holds_promotions_back_and_no_rollback(team: Team, prompt: Prompt, api: Caller) -> None:
    now = timezone.now()
    FreezeWindow.objects.create(
        channel=team.stable,
        starts_at=now.replace(year=now.year - 1),
        ends_at=now.replace(year=now.year + 1),
        reason="Holidays",
        created_by=team.cleo.user,
    )
    refused(api, 409, "frozen_channel", "promote", version=3)
    assert body_of(move(api, "rollback", reason="Worse"), 201)["version"] == 1


def test_a_protected_channel_takes_promotions_only(careful_team: Team) -> None:
    careful_team.prompt(versions=2)
    caller = Caller(careful_team.key("prompts:read", "releases:write"))
    refused(caller, 409, "promotion_required", "promote", version=1)


def test_reasons(prompt: Prompt, api: Caller) -> None:
    refused(api, 422, "reason_required", "rollback")
    refused(api, 422, "reason_required", "rollback", reason=" \n")
    refused(api, 400, "bad_value", "rollback", reason="r" * 2001)
    assert body_of(move(api, "rollback", reason="é" * 2000), 201)["reason"] == "é" * 2000


def test_what_is_not_there(prompt: Prompt, foreign: Team, api: Caller) -> None:
    refused(api, 404, "version_not_found", "promote", version=5)
    refused(api, 404, "channel_not_found", "promote", version=3, channel="beta")
    refused(api, 404, "channel_not_found", "promote", version=3, channel="Stable")
    refused(api, 400, "field_required", "promote")
    refused(api, 400, "field_required", "break_glass", reason="The house burns; nobody else is here")
    for name in ("secret/plan", "secret/none"):
        before = written()
        answer = api.post("releases", {"kind": "promote", "prompt": name, "version": 1})
        problem_of(answer, 404, "prompt_not_found")
        assert written() == before


def test_fields_of_the_wrong_type(prompt: Prompt, api: Caller) -> None:
    for field, value, code in (
        ("kind", "import", "bad_value"),
        ("kind", "canary_start", "bad_value"),
        ("kind", ["promote"], "bad_value"),
        ("kind", None, "bad_value"),
        ("prompt", 5, "string_expected"),
        ("channel", 5, "string_expected"),
        ("version", "3", "bad_value"),
        ("version", 3.0, "bad_value"),
        ("version", True, "bad_value"),
        ("version", 0, "bad_value"),
        ("version", 2_147_483_648, "bad_value"),
        ("reason", 5, "string_expected"),
        ("expected_revision", "2", "bad_value"),
        ("expected_revision", -1, "bad_value"),
        ("force", True, "unknown_field"),
        ("at", "2020-01-01T00:00:00Z", "read_only_field"),
        ("revision", 9, "read_only_field"),
        ("promotion", "pro_x", "read_only_field"),
    ):
        before = written()
        body = problem_of(
            api.post("releases", {"kind": "promote", "prompt": NAME, "version": 3, field: value}), 400, code
        )
        assert [fault["pointer"] for fault in body["errors"]] == [f"/{field}"], field
        assert written() == before


# --- Who may ---------------------------------------------------------------------------------------------------------
def test_who_may_move(team: Team, prompt: Prompt, reader: Caller) -> None:
    narrow = Caller(team.key("releases:write", channels=["beta"]))
    elsewhere = Caller(team.key("releases:write", prompts=["billing/*"]))
    alone = Caller(team.key("releases:write"))
    refused(reader, 403, "key_scope", "promote", version=3)
    refused(reader, 403, "key_scope", "nonsense")
    refused(Caller(None), 401, "not_authenticated", "promote", version=3)
    refused(narrow, 403, "key_scope", "promote", version=3)
    refused(narrow, 403, "key_scope", "rollback", reason="Worse")
    refused(elsewhere, 404, "prompt_not_found", "promote", version=3)
    body_of(move(alone, "promote", version=3), 201)


def test_breaking_glass_takes_a_person_with_a_grant(careful_team: Team) -> None:
    team = careful_team
    team.prompt(versions=2)
    key = Caller(team.key("prompts:read", "releases:write", "manage"))
    reason = "The live answer is dangerous; Ben is asleep"
    refused(key, 403, "forbidden", "break_glass", version=1, reason=reason)

    cleo = Caller(None)
    cleo.client.force_login(team.cleo.user, backend="django.contrib.auth.backends.ModelBackend")
    body = refused(cleo, 403, "reauthentication_required", "break_glass", version=1, reason=reason)
    assert body["url"].startswith("/")
    session = cleo.client.session
    session[SIGNED_IN_AT] = time.time()
    session.save()
    refused(cleo, 403, "forbidden", "break_glass", version=1, reason=reason)
    grant_break_glass(project=team.project, user=team.cleo.user, minutes=15, by=team.farah)
    refused(cleo, 422, "reason_required", "break_glass", version=1)
    refused(cleo, 422, "reason_too_short", "break_glass", version=1, reason=" " * 20 + "Too short")
    body = body_of(move(cleo, "break_glass", version=1, reason=reason), 201)
    assert (body["kind"], body["version"], body["revision"]) == ("break_glass", 1, 1)
    assert body["actor"] == {"email": "cleo@shop.example", "name": "Cleo"}
    refused(cleo, 409, "already_live", "break_glass", version=1, reason=reason)


# --- Reading ---------------------------------------------------------------------------------------------------------
def test_the_ledger_is_read_newest_first_in_pages(team: Team, prompt: Prompt, reader: Caller) -> None:
    for number in (3, 4, 1):
        release(team, prompt, number)
    first = body_of(reader.get("releases", {"limit": 2}))
    release(team, prompt, 2)  # newer than the cursor: shifts nothing
    second = body_of(reader.get("releases", {"limit": 2, "cursor": first["next"]}))
    third = body_of(reader.get("releases", {"limit": 2, "cursor": second["next"]}))
    rows = first["data"] + second["data"] + third["data"]
    assert [(row["revision"], row["version"], row["previous_version"]) for row in rows] == [
        (5, 1, 4), (4, 4, 3), (3, 3, 2), (2, 2, 1), (1, 1, None),
    ]  # fmt: skip
    assert third["next"] is None
    assert rows[0]["actor"] == {"email": "cleo@shop.example", "name": "Cleo"}
    problem_of(reader.get("releases", {"cursor": first["next"] + "x"}), 400, "bad_cursor")


def test_the_ledger_is_narrowed(team: Team, prompt: Prompt, foreign: Team, reader: Caller) -> None:
    beta = create_channel(project=team.project, name="beta", policy=PRESETS["solo"], creator=None)
    promote(by=team.cleo, prompt=prompt, channel=beta, version=team.version(prompt, 3))
    release(team, team.prompt("other"), 1)

    def seen(caller: Caller, **parameters: str) -> list[tuple[str, str, int]]:
        rows = body_of(caller.get("releases", parameters))["data"]
        return [(row["prompt"], row["channel"], row["revision"]) for row in rows]

    stable = [(NAME, "stable", 2), (NAME, "stable", 1)]
    everything = [("other", "stable", 1), (NAME, "beta", 1), *stable]
    assert seen(reader) == everything
    assert seen(reader, prompt=NAME) == everything[1:]
    assert seen(reader, prompt=NAME, channel="stable") == stable
    assert seen(reader, channel="beta") == [(NAME, "beta", 1)]
    assert seen(Caller(team.key(prompts=["support/*"]))) == everything[1:]
    problem_of(reader.get("releases", {"prompt": "none"}), 404, "prompt_not_found")
    problem_of(reader.get("releases", {"prompt": "secret/plan"}), 404, "prompt_not_found")
    problem_of(reader.get("releases", {"channel": "gamma"}), 404, "channel_not_found")
    problem_of(reader.get("releases", {"kind": "promote"}), 400, "unknown_parameter")
    problem_of(Caller(team.key("releases:write")).get("releases"), 403, "key_scope")
