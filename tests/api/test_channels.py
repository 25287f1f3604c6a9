"""/api/v1/channels: names and policies."""

from typing import Any

from prompts.models import Channel, ChannelPolicy, Head
from tests.api.conftest import Caller, body_of, problem_of, written
from tests.api.people import events_of, last_event, person, refused
from tests.personas import Team

OPEN_POLICY = {
    "required_approvals": 0,
    "required_checks": [],
    "review_groups": [],
    "approval_ttl_days": 14,
    "evidence_ttl_days": 7,
    "rollout_plan": [],
    "rollback_roles": [],
}


def test_a_channel_is_made_with_a_head_for_every_prompt(team: Team, api: Caller) -> None:
    prompt, newest = team.prompt(), last_event()
    made = body_of(api.post("channels", {"name": "beta"}), 201)
    assert made == {"name": "beta", "protected": False, "policy": OPEN_POLICY, "freezes": []}
    assert body_of(api.get("channels/beta")) == made
    assert events_of(team, newest) == ["channel.created"]
    head = Head.objects.get(prompt=prompt, channel__name="beta")
    assert (head.revision, head.version_id) == (0, None)
    moved = api.post("releases", {"kind": "promote", "prompt": prompt.name, "channel": "beta", "version": 1})
    assert body_of(moved, 201)["revision"] == 1


def test_a_channel_is_made_with_a_policy(team: Team, api: Caller) -> None:
    policy = {
        "required_approvals": 2,
        "required_checks": ["secrets", "hidden-text"],
        "review_groups": [["role:reviewer", f"user:{team.ben.user.pk}"]],
        "approval_ttl_days": 3,
        "evidence_ttl_days": 365,
        "rollback_roles": ["editor"],
    }
    made = body_of(api.post("channels", {"name": "live", "policy": policy}), 201)
    assert made["protected"] is True
    assert made["policy"] == OPEN_POLICY | policy
    only_a_check = body_of(api.post("channels", {"name": "b", "policy": {"required_checks": ["secrets"]}}), 201)
    assert only_a_check["protected"] is True


def test_channels_are_listed_by_name_in_pages(team: Team, api: Caller, foreign: Team) -> None:
    for name in ("beta", "alpha", "zeta"):
        body_of(api.post("channels", {"name": name}), 201)
    first = body_of(api.get("channels", {"limit": 3}))
    second = body_of(api.get("channels", {"limit": 3, "cursor": first["next"]}))
    assert [channel["name"] for channel in first["data"] + second["data"]] == ["alpha", "beta", "stable", "zeta"]
    assert second["next"] is None
    problem_of(api.get("channels", {"name": "beta"}), 400, "unknown_parameter")
    problem_of(api.get("channels/beta", {"limit": "1"}), 400, "unknown_parameter")


def test_names_that_no_channel_has(team: Team, api: Caller) -> None:
    before, channels = written(), Channel.objects.count()
    for name in ("", "Stable", "42", "4a", "latest", "pinned", "a" * 64, "stable ", "a_b", "é", "-a", "a\n", "a/b"):
        refused(api.post("channels", {"name": name}), 400, "bad_channel_name", before)
    refused(api.post("channels", {"name": "stable"}), 409, "name_taken", before)
    for body, code, pointer in (
        ({"name": 5}, "string_expected", "/name"),
        ({}, "field_required", "/name"),
        ({"name": "b", "protected": False}, "read_only_field", "/protected"),
        ({"name": "b", "freezes": []}, "read_only_field", "/freezes"),
        ({"name": "b", "policy": []}, "object_expected", "/policy"),
        ({"name": "b", "colour": "red"}, "unknown_field", "/colour"),
    ):
        answer = refused(api.post("channels", body), 400, code, before)
        assert [fault["pointer"] for fault in answer["errors"]] == [pointer]
    assert Channel.objects.count() == channels
    body_of(api.post("channels", {"name": "a" * 63}), 201)


def test_policies_that_cannot_be(team: Team, api: Caller) -> None:
    before = written() | {"policies": ChannelPolicy.objects.count()}
    for field, value in (
        ("required_approvals", -1),
        ("required_approvals", 6),
        ("required_approvals", "1"),
        ("required_approvals", True),
        ("required_approvals", 1.0),
        ("required_checks", ["review"]),
        ("required_checks", ["freeze"]),
        ("required_checks", ["secrets", "secrets"]),
        ("required_checks", "secrets"),
        ("required_checks", [["secrets"]]),
        ("required_checks", [{}]),
        ("review_groups", [[]]),
        ("review_groups", ["role:reviewer"]),
        ("review_groups", [["role:king"]]),
        ("review_groups", [["user:"]]),
        ("review_groups", [["user:٣"]]),
        ("review_groups", [[7]]),
        ("review_groups", {}),
        ("approval_ttl_days", 0),
        ("approval_ttl_days", 366),
        ("evidence_ttl_days", None),
        ("rollout_plan", [{"share": 0.1}]),
        ("rollout_plan", None),
        ("rollback_roles", ["owner"]),
        ("rollback_roles", [1]),
        ("colour", "red"),
    ):
        for answer in (
            api.post("channels", {"name": "beta", "policy": {field: value}}),
            api.send("PATCH", "channels/stable", {"policy": {field: value}}),
        ):
            body = problem_of(answer, 422, "bad_policy")
            assert [fault["pointer"] for fault in body["errors"]] == [f"/policy/{field}"], (field, value)
    two: dict[str, Any] = {"required_approvals": 9, "rollback_roles": ["x"]}
    body = problem_of(api.post("channels", {"name": "beta", "policy": two}), 422, "bad_policy")
    assert [fault["pointer"] for fault in body["errors"]] == ["/policy/required_approvals", "/policy/rollback_roles"]
    assert written() | {"policies": ChannelPolicy.objects.count()} == before


def test_a_policy_change_merges_and_acts_at_once_where_nothing_is_protected(team: Team, api: Caller) -> None:
    newest = last_event()
    body = body_of(api.send("PATCH", "channels/stable", {"policy": {"rollback_roles": ["editor"]}}))
    assert body["policy"] == OPEN_POLICY | {"rollback_roles": ["editor"]}
    body = body_of(api.send("PATCH", "channels/stable", {"policy": {"required_approvals": 1}, "reason": "Care"}))
    assert (body["protected"], body["policy"]) == (
        True,
        OPEN_POLICY | {"rollback_roles": ["editor"], "required_approvals": 1},
    )
    assert events_of(team, newest) == ["policy.changed", "policy.changed"]
    revisions = ChannelPolicy.objects.filter(channel=team.stable).order_by("revision")
    assert list(revisions.values_list("revision", flat=True)) == [1, 2, 3]


def test_changes_of_what_is_not_there_or_not_allowed(team: Team, api: Caller, foreign: Team) -> None:
    before = written()
    for name in ("beta", "Stable", "x" * 500, "latest"):
        refused(api.send("PATCH", f"channels/{name}", {"policy": {}}), 404, "channel_not_found", before)
        refused(api.get(f"channels/{name}"), 404, "channel_not_found", before)
    for body, code in (
        ({}, "field_required"),
        ({"name": "other", "policy": {}}, "read_only_field"),
        ({"policy": {}, "reason": "r" * 2001}, "bad_value"),
        ({"policy": {}, "reason": 7}, "string_expected"),
    ):
        refused(api.send("PATCH", "channels/stable", body), 400, code, before)


def test_who_may_make_and_change_channels(team: Team, reader: Caller) -> None:
    writer = Caller(team.key("releases:write"))
    before = written()
    for name in ("ada", "ben", "noor"):
        caller = person(team, name)
        refused(caller.post("channels", {"name": "beta"}), 403, "forbidden", before)
        refused(caller.send("PATCH", "channels/stable", {"policy": {}}), 403, "forbidden", before)
        body_of(caller.get("channels"))
    refused(reader.post("channels", {"name": "beta"}), 403, "key_scope", before)
    refused(writer.get("channels"), 403, "key_scope", before)
    for name in ("cleo", "farah"):
        body_of(person(team, name).post("channels", {"name": name}), 201)
