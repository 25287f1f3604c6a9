"""A protected channel's policy takes two people: PATCH proposes, POST /policy-changes/{id}/approve decides."""

from typing import Any

import pytest

from promptforge.lib.ids import encode
from promptforge.lib.instants import format_instant
from prompts.models import ChannelPolicy, PolicyChange
from tests.api.conftest import Caller, body_of, problem_of, written
from tests.api.people import events_of, last_event, person, refused
from tests.personas import Team

TEAM_POLICY = {
    "required_approvals": 1,
    "required_checks": ["up-to-date", "hidden-text", "secrets"],
    "review_groups": [],
    "approval_ttl_days": 14,
    "evidence_ttl_days": 7,
    "rollout_plan": [],
    "rollback_roles": [],
}


@pytest.fixture
def team(careful_team: Team) -> Team:
    return careful_team


def propose(caller: Caller, reason: str = "", **policy: Any) -> dict[str, Any]:
    body: dict[str, Any] = body_of(caller.send("PATCH", "channels/stable", {"policy": policy, "reason": reason}), 202)
    return body


def approve(caller: Caller, change: dict[str, Any]) -> Any:
    return caller.post(f"policy-changes/{change['id']}/approve", None)


def policy_of(caller: Caller) -> Any:
    return body_of(caller.get("channels/stable"))["policy"]


def test_a_proposal_waits_and_changes_nothing(team: Team) -> None:
    cleo, newest = person(team, "cleo"), last_event()
    waiting = propose(cleo, "Ship faster", required_approvals=0)
    made = PolicyChange.objects.get()
    assert waiting == {
        "id": encode("pol", made.pk),
        "channel": "stable",
        "policy": TEAM_POLICY | {"required_approvals": 0},
        "status": "waiting",
        "author": {"email": "cleo@shop.example", "name": "Cleo"},
        "reason": "Ship faster",
        "at": format_instant(made.at),
    }
    assert policy_of(cleo) == TEAM_POLICY
    assert events_of(team, newest) == ["policy.proposed"]


def test_a_second_person_makes_it_the_policy(team: Team) -> None:
    waiting = propose(person(team, "cleo"), required_checks=[], approval_ttl_days=2)
    newest = last_event()
    changed = body_of(approve(person(team, "farah"), waiting))
    wanted = TEAM_POLICY | {"required_checks": [], "approval_ttl_days": 2}
    assert changed == {"name": "stable", "protected": True, "policy": wanted, "freezes": []}
    assert events_of(team, newest) == ["policy.changed"]
    policy = ChannelPolicy.objects.get(revision=2)
    assert (policy.author, policy.approved_by) == (team.cleo.user, team.farah.user)


def test_nobody_approves_their_own(team: Team) -> None:
    for name in ("cleo", "farah", "emil"):
        waiting = propose(person(team, name), required_approvals=0)
        before = written()
        refused(approve(person(team, name), waiting), 403, "four_eyes", before)
    assert policy_of(person(team, "noor")) == TEAM_POLICY


def test_what_a_persons_key_proposes_is_their_own(team: Team) -> None:
    key = Caller(team.key("manage", "prompts:read"))  # Emil answers for it
    waiting = propose(key, required_approvals=0)
    before = written()
    refused(approve(person(team, "emil"), waiting), 403, "four_eyes", before)
    assert body_of(approve(person(team, "cleo"), waiting))["policy"]["required_approvals"] == 0


def test_a_key_never_approves(team: Team) -> None:
    waiting = propose(person(team, "cleo"), required_approvals=0)
    manager, reader = Caller(team.key("manage", "prompts:read")), Caller(team.key("prompts:read"))
    before = written()
    refused(approve(manager, waiting), 403, "forbidden", before)
    refused(approve(reader, waiting), 403, "key_scope", before)
    refused(approve(Caller(None), waiting), 401, "not_authenticated", before)


def test_the_right_is_asked_when_it_is_approved(team: Team) -> None:
    waiting = propose(person(team, "cleo"), required_approvals=0)
    before = written()
    for name in ("ada", "ben", "noor"):
        refused(approve(person(team, name), waiting), 403, "forbidden", before)


def test_a_proposal_on_an_older_policy_is_stale(team: Team) -> None:
    first = propose(person(team, "cleo"), required_approvals=0)
    second = propose(person(team, "cleo"), required_approvals=3)
    body_of(approve(person(team, "farah"), second))
    before = written()
    refused(approve(person(team, "farah"), first), 409, "stale_base", before)
    refused(approve(person(team, "farah"), second), 409, "stale_base", before)  # it stands already
    assert policy_of(person(team, "noor")) == TEAM_POLICY | {"required_approvals": 3}


def test_each_proposal_names_the_whole_policy_it_leads_to(team: Team) -> None:
    waiting = propose(person(team, "cleo"), rollback_roles=["editor"])
    assert waiting["policy"] == TEAM_POLICY | {"rollback_roles": ["editor"]}
    body_of(approve(person(team, "emil"), waiting))
    waiting = propose(person(team, "cleo"), required_approvals=2)
    assert waiting["policy"] == TEAM_POLICY | {"rollback_roles": ["editor"], "required_approvals": 2}


def test_ids_out_of_reach(team: Team, foreign: Team) -> None:
    body_of(person(foreign, "cleo").send("PATCH", "channels/stable", {"policy": {"required_approvals": 1}}))
    theirs = propose(person(foreign, "cleo"), required_approvals=0)
    farah, before = person(team, "farah"), written()
    for change_id in (theirs["id"], encode("pol", 2**40), encode("rel", 1), "x", "pol_"):
        refused(farah.post(f"policy-changes/{change_id}/approve", None), 404, "not_found", before)
    problem_of(farah.send("POST", f"policy-changes/{theirs['id']}/approve?force=1"), 400, "unknown_parameter")
