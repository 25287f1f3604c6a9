"""/api/v1/api-keys: making, listing and ending keys."""

from datetime import timedelta

from django.utils import timezone

from accounts.models import ApiKey
from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from tests.api.conftest import Caller, body_of, problem_of, written
from tests.personas import Team

GOOD = {"name": "checkout", "scopes": ["prompts:read"]}


def test_a_key_is_shown_once_and_works_at_once(team: Team, api: Caller) -> None:
    team.prompt()
    ends = format_instant(timezone.now() + timedelta(days=1))
    asked = GOOD | {"channels": ["latest"], "prompts": ["support/*"], "expires_at": ends, "rate_fetch": 50}
    made = body_of(api.post("api-keys", asked), 201)
    key = ApiKey.objects.order_by("-id")[0]
    text = made.pop("key")
    assert text.startswith(f"pf_dev_{key.public_id}_")
    assert made == {
        "id": encode("key", key.pk),
        "prefix": key.public_id,
        "name": "checkout",
        "scopes": ["prompts:read"],
        "channels": ["latest"],
        "prompts": ["support/*"],
        "rate_fetch": 50,
        "created_by": made["created_by"],
        "created_at": format_instant(key.created_at),
        "expires_at": ends,
        "revoked_at": None,
    }
    listed = api.get("api-keys")
    assert body_of(listed)["data"][0] == made
    assert text not in listed.content.decode()
    assert text.rpartition("_")[2] not in str(ApiKey.objects.values().get(pk=key.pk))
    body_of(Caller(text).fetch("support/greeting", _version="latest"))
    problem_of(Caller(text).fetch("support/greeting"), 403, "key_scope")


def test_a_revoked_key_opens_nothing_from_the_next_request_on(team: Team, api: Caller) -> None:
    team.prompt()
    made = body_of(api.post("api-keys", GOOD), 201)
    caller = Caller(made["key"])
    body_of(caller.get("prompts"))
    for _ in range(2):  # ending it again changes nothing
        answer = api.send("DELETE", f"api-keys/{made['id']}")
        assert (answer.status_code, answer.content) == (204, b"")
    problem_of(caller.get("prompts"), 401, "key_revoked")
    assert body_of(api.get("api-keys"))["data"][0]["revoked_at"] is not None


def test_keys_that_cannot_be(team: Team, api: Caller) -> None:
    before, keys = written(), ApiKey.objects.count()
    for field, value, code in (
        ("name", "", "bad_value"),
        ("name", " ", "bad_value"),
        ("name", "n" * 101, "bad_value"),
        ("name", 5, "string_expected"),
        ("scopes", [], "bad_value"),
        ("scopes", ["everything"], "bad_value"),
        ("scopes", "prompts:read", "list_expected"),
        ("scopes", [5], "string_expected"),
        ("channels", ["Stable"], "bad_channel_name"),
        ("channels", ["stable\n"], "bad_channel_name"),
        ("channels", ["stable "], "bad_channel_name"),
        ("prompts", ["a b"], "bad_value"),
        ("prompts", ["support/*\n"], "bad_value"),
        ("prompts", ["[a-z]*"], "bad_value"),
        ("expires_at", "2020-01-01T00:00:00Z", "bad_timestamp"),
        ("expires_at", "tomorrow", "bad_timestamp"),
        ("expires_at", "2026-02-30T00:00:00Z", "bad_timestamp"),
        ("expires_at", 5, "string_expected"),
        ("rate_fetch", 0, "bad_value"),
        ("rate_fetch", "50", "bad_value"),
        ("is_admin", True, "unknown_field"),
        ("key", "pf_dev_x", "read_only_field"),
        ("created_by", "x", "read_only_field"),
    ):
        problem_of(api.post("api-keys", GOOD | {field: value}), 400, code)
    problem_of(api.post("api-keys", {"name": "x"}), 400, "field_required")
    assert (written(), ApiKey.objects.count()) == (before, keys)


def test_ids_of_keys_out_of_reach(team: Team, foreign: Team, api: Caller) -> None:
    foreign.key()
    theirs = ApiKey.objects.get(project=foreign.project)
    for key_id in (encode("key", theirs.pk), encode("key", 2**62), encode("ver", 1), "x", "key_"):
        problem_of(api.send("DELETE", f"api-keys/{key_id}"), 404, "not_found")
    theirs.refresh_from_db()
    assert theirs.revoked_at is None
    assert len(body_of(api.get("api-keys"))["data"]) == 1


def test_who_may_manage_keys(team: Team, reader: Caller) -> None:
    own = ApiKey.objects.get()
    for answer in (
        reader.get("api-keys"),
        reader.post("api-keys", GOOD),
        reader.send("DELETE", f"api-keys/{encode('key', own.pk)}"),
    ):
        problem_of(answer, 403, "key_scope")
    own.refresh_from_db()
    assert (own.revoked_at, ApiKey.objects.count()) == (None, 1)


def test_keys_are_listed_newest_first_in_pages(team: Team, api: Caller) -> None:
    for number in range(4):
        body_of(api.post("api-keys", GOOD | {"name": f"k{number}"}), 201)
    first = body_of(api.get("api-keys", {"limit": 3}))
    second = body_of(api.get("api-keys", {"limit": 3, "cursor": first["next"]}))
    assert [key["name"] for key in first["data"] + second["data"]] == ["k3", "k2", "k1", "k0", "test"]
    assert second["next"] is None
    problem_of(api.get("api-keys", {"name": "k1"}), 400, "unknown_parameter")
