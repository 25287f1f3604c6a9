"""What each call refuses: by its code and sentence, in the order of the contract, with nothing written."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import ApiKey
from promptforge.lib.ids import encode
from prompts.actions.channels import freeze_channel
from prompts.actions.prompts import change_prompt
from prompts.actions.versions import save_version
from prompts.models import Promotion, Schedule
from tests.api.conftest import Caller, body_of, problem_of
from tests.api.people import person, signed_in
from tests.authorization.world import everything
from tests.guards.attacks import let_time_pass, set_policy
from tests.personas import Team, make_team
from tests.promotions.steps import NAME, applied, approved, opened, requested, reviewed, shown


def refused(answer: Any, status: int, code: str, before: Any) -> dict[str, Any]:
    body = problem_of(answer, status, code)
    assert everything() == before
    return body


def path_of(promotion: Promotion, verb: str = "") -> str:
    return f"promotions/{encode('pro', promotion.pk)}{verb}"


# Opening --------------------------------------------------------------------------------------------------------------
def test_opening(careful_team: Team) -> None:
    team = careful_team
    prompt = team.prompt(versions=2)
    applied(team, prompt, 1)
    ada = person(team, "ada")
    opened(ada, 2)
    before = everything()
    for body, status, code in (
        ({"prompt": NAME, "version": 2}, 409, "duplicate_promotion"),
        ({"prompt": NAME, "version": 1}, 409, "already_live"),
        ({"prompt": NAME, "version": 3}, 404, "version_not_found"),
        ({"prompt": "nowhere", "version": 1}, 404, "prompt_not_found"),
        ({"prompt": NAME, "version": 2, "channel": "beta"}, 404, "channel_not_found"),
        ({"prompt": NAME}, 400, "field_required"),
        ({"version": 1}, 400, "field_required"),
        ({"prompt": NAME, "version": "2"}, 400, "bad_value"),
        ({"prompt": NAME, "version": 0}, 400, "bad_value"),
        ({"prompt": NAME, "version": 2, "status": "ready"}, 400, "read_only_field"),
        ({"prompt": NAME, "version": 2, "approved": True}, 400, "unknown_field"),
        ({"prompt": NAME, "version": 2, "title": "x" * 201}, 400, "bad_value"),
    ):
        refused(ada.post("promotions", body), status, code, before)
    change_prompt(by=team.ada, prompt=prompt, archived=True)
    before = everything()
    refused(ada.post("promotions", {"prompt": NAME, "version": 2}), 409, "archived", before)
    [open_one] = body_of(ada.get("promotions?state=open"))["data"]
    reviewed(person(team, "ben"), open_one)
    before = everything()
    refused(person(team, "cleo").post(f"promotions/{open_one['id']}/apply", {}), 409, "archived", before)


def test_opening_twice_with_one_idempotency_key(careful_team: Team) -> None:
    team = careful_team
    team.prompt()
    ada = person(team, "ada")
    answers = [ada.post("promotions", {"prompt": NAME, "version": 1}, Idempotency_Key="once") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].content == answers[1].content
    assert answers[1]["Idempotent-Replayed"] == "true"
    assert Promotion.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("status=approved", "bad_value"),
        ("state=OPEN", "bad_value"),
        ("channel=beta", "channel_not_found"),
        ("prompt=nowhere", "prompt_not_found"),
        ("reviewer=ben", "unknown_parameter"),
        ("limit=0", "bad_limit"),
    ],
)
def test_lists_are_asked_for_what_there_is(careful_team: Team, query: str, code: str) -> None:
    body = problem_of(person(careful_team, "noor").get(f"promotions?{query}"), 404 if "found" in code else 400, code)
    if code == "bad_value":
        assert "Known: " in body["detail"]


# Reviewing ------------------------------------------------------------------------------------------------------------
def test_reviewing(careful_team: Team) -> None:
    team = careful_team
    promotion = requested(team, team.prompt(), 1)
    ben, path = person(team, "ben"), path_of(promotion, "/reviews")
    digest = f"sha256:{bytes(promotion.diff_digest).hex()}"
    before = everything()
    for body, status, code in (
        ({"decision": "approve", "diff_digest": f"sha256:{'0' * 64}"}, 409, "stale_diff"),
        ({"decision": "request_changes"}, 409, "stale_diff"),
        ({"decision": "maybe", "diff_digest": digest}, 400, "bad_value"),
        ({"diff_digest": digest}, 400, "field_required"),
        ({"decision": "approve", "diff_digest": digest, "acknowledged": ["secrets"]}, 400, "bad_value"),
        ({"decision": "approve", "diff_digest": digest, "reviewer": "cleo"}, 400, "read_only_field"),
    ):
        refused(ben.post(path, body), status, code, before)
    approve = {"decision": "approve", "diff_digest": digest}
    for name in ("ada", "farah", "noor"):
        refused(person(team, name).post(path, approve), 403, "forbidden", before)
    for scopes in (["manage"], ["promotions:write", "releases:write", "prompts:read"]):
        caller = Caller(team.key(*scopes))
        before = everything()
        refused(caller.post(path, approve), 403, "forbidden", before)
        refused(caller.post(path, {"decision": "comment"}), 403, "forbidden", before)
    refused(signed_in(team.outsider, team.project).post(path, approve), 404, "project_not_found", before)


@pytest.mark.parametrize("verb", ["reviews", "apply", "reject", "reviews/{review}/dismiss"])
def test_a_decision_takes_a_sign_in_of_today(careful_team: Team, verb: str) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    verb = verb.format(review=encode("rev", promotion.reviews.get().pk))
    before = everything()
    for ago in (12 * 3600 + 60, None):
        body = refused(
            person(team, "cleo", ago=ago).post(path_of(promotion, f"/{verb}"), {}),
            403,
            "reauthentication_required",
            before,
        )
        assert "12 hours" in body["detail"]
        assert body["url"]
    answer = person(team, "cleo", ago=12 * 3600 - 60).post(path_of(promotion, f"/{verb}"), {})
    assert answer.status_code != 403


def test_four_eyes_comes_before_the_state(careful_team: Team) -> None:
    team = careful_team
    promotion = requested(team, team.prompt(), 1, by=team.cleo)
    cleo, approve = person(team, "cleo"), {"decision": "approve", "diff_digest": "sha256:old"}
    before = everything()
    refused(cleo.post(path_of(promotion, "/reviews"), approve), 403, "four_eyes", before)
    body_of(person(team, "ada").post(path_of(promotion, "/withdraw"), None))
    before = everything()
    refused(cleo.post(path_of(promotion, "/reviews"), approve), 403, "four_eyes", before)
    refused(person(team, "ben").post(path_of(promotion, "/reviews"), approve), 409, "promotion_closed", before)
    refused(cleo.post(path_of(promotion, "/apply"), {}), 409, "promotion_closed", before)


def test_dismissing(careful_team: Team) -> None:
    team = careful_team
    promotion = requested(team, team.prompt(versions=2), 1)
    other = requested(team, promotion.prompt, 2)
    ben, cleo = person(team, "ben"), person(team, "cleo")
    given = reviewed(ben, shown(ben, {"id": encode("pro", promotion.pk)}), "request_changes")
    path = path_of(promotion, f"/reviews/{given['id']}/dismiss")
    before = everything()
    refused(cleo.post(path, {}), 422, "reason_required", before)
    refused(cleo.post(path, {"reason": "  "}), 422, "reason_required", before)
    refused(ben.post(path, {"reason": "Mine"}), 403, "forbidden", before)
    refused(cleo.post(path_of(other, f"/reviews/{given['id']}/dismiss"), {"reason": "x"}), 404, "not_found", before)
    key = Caller(team.key("releases:write", "prompts:read"))
    before = everything()
    refused(key.post(path, {"reason": "x"}), 403, "forbidden", before)
    answer = body_of(cleo.post(path, {"reason": "Settled"}))
    assert (answer["counts"], answer["why_not"]) == (False, "It was dismissed: Settled")
    before = everything()
    assert body_of(cleo.post(path, {"reason": "Again"})) == answer
    assert everything() == before


# Applying -------------------------------------------------------------------------------------------------------------
def lacking(answer: Any, before: Any) -> list[str]:
    body = refused(answer, 409, "promotion_not_ready", before)
    assert all(fault["detail"] in body["detail"] for fault in body["errors"])
    return [fault["code"] for fault in body["errors"]]


def test_everything_that_is_missing_is_told_at_once(careful_team: Team) -> None:
    """Each of the codes, in the order of the checks."""
    team = careful_team
    checks = ["up-to-date", "evaluation", "variables", "hidden-text", "secrets", "canary"]
    prompt = team.prompt()
    applied(team, prompt, 1)
    set_policy(team, required_approvals=2, required_checks=checks)
    save_version(by=team.ada, prompt=prompt, content="{{customer_name}} {{new}} \u202e password: Xk29fkQ1zz8Lm3")
    promotion = requested(team, prompt, 2)
    ben = person(team, "ben")
    reviewed(ben, shown(ben, {"id": encode("pro", promotion.pk)}), "request_changes")
    now = timezone.now()
    freeze_channel(
        by=team.farah, channel=team.stable, starts_at=now, ends_at=now + timedelta(days=30), reason="The sale"
    )
    set_policy(team, required_approvals=1, required_checks=checks)
    let_time_pass(days=15)
    before = everything()
    assert lacking(person(team, "cleo").post(path_of(promotion, "/apply"), {}), before) == [
        "changes_requested",
        "review_missing",
        "evaluation_not_passed",
        "policy_changed",
        "variables",
        "hidden_text",
        "secrets",
        "canary_required",
        "freeze",
        "expired",
    ]
    assert shown(ben, {"id": encode("pro", promotion.pk)})["status"] == "expired"


def test_applying(careful_team: Team) -> None:
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    cleo, path = person(team, "cleo"), path_of(promotion, "/apply")
    before = everything()
    for body, status, code in (
        ({"mode": "canary"}, 409, "kind_not_available"),
        ({"mode": "shadow"}, 409, "kind_not_available"),
        ({"mode": "now", "plan": [{"share": 0.1}]}, 409, "kind_not_available"),
        ({"mode": "later"}, 400, "bad_value"),
        ({"at": "tomorrow"}, 400, "bad_timestamp"),
        ({"at": "2020-01-01T00:00:00Z"}, 400, "bad_timestamp"),
        ({"reason": "x"}, 400, "unknown_field"),
    ):
        refused(cleo.post(path, body), status, code, before)
    for name in ("ada", "ben", "farah", "noor"):
        refused(person(team, name).post(path, {}), 403, "forbidden", before)
    keys = [Caller(team.key("releases:write", channels=["beta"])), Caller(team.key("promotions:write"))]
    before = everything()
    for key in keys:
        refused(key.post(path, {}), 403, "key_scope", before)
    body = {"at": (timezone.now() + timedelta(hours=1)).isoformat()}
    key = Caller(team.key("releases:write"))
    before = everything()
    refused(key.post(path, body), 403, "forbidden", before)
    assert body_of(key.post(path, {}))["status"] == "applied"
    assert ApiKey.objects.filter(service_account=promotion.releases.get().actor).exists()


def test_renewing_what_is_up_to_date(careful_team: Team) -> None:
    """It would drop the reviews, a request for changes among them."""
    team = careful_team
    promotion = approved(team, team.prompt(), 1)
    before = everything()
    refused(person(team, "ada").post(path_of(promotion, "/renew"), None), 409, "duplicate_promotion", before)
    let_time_pass(days=15)
    assert body_of(person(team, "ada").post(path_of(promotion, "/renew"), None), 201)["status"] == "in_review"


def test_rejecting_takes_a_reason(careful_team: Team) -> None:
    team = careful_team
    promotion = requested(team, team.prompt(), 1)
    before = everything()
    refused(person(team, "ben").post(path_of(promotion, "/reject"), {"reason": " "}), 422, "reason_required", before)
    refused(person(team, "ada").post(path_of(promotion, "/reject"), {"reason": "No"}), 403, "forbidden", before)


def test_a_foreign_promotion_is_not_there(careful_team: Team) -> None:
    other = make_team("rival", preset="team")
    promotion = requested(other, other.prompt(), 1)
    cleo = person(careful_team, "cleo")
    before = everything()
    for verb in ("", "/apply", "/reject", "/withdraw", "/renew", "/reviews", "/unschedule"):
        body = {"decision": "comment"} if verb == "/reviews" else {"reason": "x"} if verb == "/reject" else {}
        sent = cleo.get(path_of(promotion)) if not verb else cleo.post(path_of(promotion, verb), body)
        refused(sent, 404, "not_found", before)
    assert not Schedule.objects.exists()
