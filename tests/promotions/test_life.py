"""The whole life of a promotion by REST: opened, sent back, stale, renewed, scheduled, applied, rolled back twice."""

from datetime import timedelta

import pytest
from django.utils import timezone

from prompts.actions.schedules import apply_what_is_due
from prompts.models import Release
from tests.api.conftest import body_of, problem_of
from tests.api.people import events_of, last_event, person
from tests.guards.attacks import let_time_pass
from tests.personas import Team
from tests.promotions.steps import NAME, live, opened, reviewed, shown


def test_the_whole_life(careful_team: Team) -> None:
    team, since = careful_team, last_event()
    team.prompt(versions=3)
    ada, ben, cleo = (person(team, name) for name in ("ada", "ben", "cleo"))

    first = opened(ada, 1, title="The first greeting")
    assert (first["status"], first["base_version"], first["base_revision"]) == ("in_review", None, 0)
    assert first["missing"] == ["One approval of one is missing."]
    assert [check["name"] for check in first["checks"]] == [
        "review", "evaluation", "up-to-date", "variables", "hidden-text", "secrets", "canary", "freeze",
    ]  # fmt: skip
    reviewed(ben, first)
    done = body_of(cleo.post(f"promotions/{first['id']}/apply", {"mode": "now", "at": None}))
    assert (done["status"], live(team)) == ("applied", (1, 1))
    assert done["release"] == body_of(ada.get("releases"))["data"][0]["id"]
    assert body_of(ada.get("releases"))["data"][0]["promotion"] == first["id"]
    assert body_of(ada.get("releases"))["data"][0]["reason"] == "The first greeting"

    # Sent back, and settled by the same reviewer.
    second, rival = opened(ada, 2), opened(ada, 3, note="Shorter still")
    reviewed(ben, second, "request_changes", body="Too long")
    answer = shown(ada, second)
    assert (answer["status"], answer["missing"]) == (
        "changes_requested",
        ["Ben asked for changes.", "One approval of one is missing."],
    )
    refusal = problem_of(cleo.post(f"promotions/{second['id']}/apply", {}), 409, "promotion_not_ready")
    assert [fault["code"] for fault in refusal["errors"]] == ["changes_requested", "review_missing"]
    assert all(fault["url"].startswith("/p/shop/promotions/pro_") for fault in refusal["errors"])
    given = reviewed(ben, second)
    assert given["counts"]
    assert [cast["why_not"] for cast in shown(ada, second)["reviews"]] == ["Ben decided anew since.", None]
    reviewed(ben, rival)
    assert shown(ada, rival)["status"] == "ready"
    body_of(cleo.post(f"promotions/{second['id']}/apply", {}))
    assert live(team) == (2, 2)

    # The other one compared with what is no longer live.
    answer = shown(ada, rival)
    assert (answer["status"], len(answer["missing"])) == ("stale", 1)
    assert "version 1 was live on stable; by now version 2 is" in answer["missing"][0]
    refusal = problem_of(cleo.post(f"promotions/{rival['id']}/apply", {}), 409, "promotion_not_ready")
    assert [fault["code"] for fault in refusal["errors"]] == ["stale_base"]
    renewed = body_of(ada.post(f"promotions/{rival['id']}/renew", None), 201)
    assert (renewed["status"], renewed["base_version"], renewed["note"]) == ("in_review", 2, "Shorter still")
    assert renewed["reviews"] == []
    assert renewed["diff_digest"] != rival["diff_digest"]
    closed = shown(ada, rival)
    assert (closed["status"], closed["closed"]["successor"]) == ("superseded", renewed["id"])

    # Scheduled, and applied by the sweeper as Cleo.
    reviewed(ben, renewed)
    at = timezone.now() + timedelta(hours=2)
    answer = body_of(cleo.post(f"promotions/{renewed['id']}/apply", {"at": at.isoformat()}))
    assert (answer["status"], answer["scheduled_at"][:19]) == ("scheduled", at.isoformat()[:19])
    assert apply_what_is_due() == []
    let_time_pass(hours=2, seconds=5)
    [release] = apply_what_is_due()
    assert (release.actor, live(team)) == (team.cleo.user, (3, 3))
    assert shown(ada, renewed)["status"] == "applied"

    # Rolled back, twice: to 2, and from there to 1.
    for version, revision in ((2, 4), (1, 5)):
        body = {"kind": "rollback", "prompt": NAME, "reason": "Complaints"}
        assert body_of(cleo.post("releases", body), 201)["version"] == version
        assert live(team) == (version, revision)
    assert [r.kind for r in Release.objects.order_by("pk")] == ["promote"] * 3 + ["rollback"] * 2

    told = [kind for kind in events_of(team, since) if kind.split(".")[0] in ("promotion", "review", "release")]
    assert told == [
        "promotion.opened", "review.given", "release.made", "promotion.applied",
        "promotion.opened", "promotion.opened", "review.given", "review.given", "review.given",
        "release.made", "promotion.applied",
        "promotion.superseded", "promotion.opened", "review.given", "promotion.scheduled",
        "release.made", "promotion.applied", "release.made", "release.made",
    ]  # fmt: skip


@pytest.mark.parametrize("end", ["withdraw", "reject"])
def test_an_end_without_a_release(careful_team: Team, end: str) -> None:
    team = careful_team
    team.prompt()
    ada, ben = person(team, "ada"), person(team, "ben")
    promotion = opened(ada, 1)
    who, body = (ada, None) if end == "withdraw" else (ben, {"reason": "Not in December"})
    answer = body_of(who.post(f"promotions/{promotion['id']}/{end}", body))
    assert (answer["status"], answer["missing"]) == ({"withdraw": "withdrawn", "reject": "rejected"}[end], [])
    assert answer["closed"]["reason"] == ("" if end == "withdraw" else "Not in December")
    again = problem_of(who.post(f"promotions/{promotion['id']}/{end}", body), 409, "promotion_closed")
    assert f"it was {answer['status']}" in again["detail"]
    assert opened(ada, 1)["status"] == "in_review"  # the version may be asked for anew
