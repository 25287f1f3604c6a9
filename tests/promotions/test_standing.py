"""How promotions stand: what Python shows is what the guards judge, for one and for many in as many queries."""

import random
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.actions.members import remove_member, set_roles
from accounts.models import Membership
from promptforge.lib.errors import DomainError
from prompts.actions.channels import freeze_channel
from prompts.actions.promotions import apply_promotion
from prompts.actions.reviews import dismiss_review, review
from prompts.actions.schedules import schedule
from prompts.checks import OPEN_STATUSES, lines, missing, status
from prompts.models import Promotion, Review
from prompts.shapes import digest_text, promotion_shape
from prompts.standing import standing, standings
from tests.api.conftest import body_of
from tests.api.people import person
from tests.guards.attacks import let_time_pass, run, set_policy
from tests.personas import Team
from tests.promotions.steps import applied, approved, requested


def counting(promotion: Promotion) -> set[int]:
    """The reviews that count, as the guards have it."""
    rows = run("SELECT id FROM public.promptforge_counting_reviews(%s)", [promotion.pk], "default", fetch=True)
    return {row[0] for row in rows}


@pytest.mark.parametrize("seed", range(6))
def test_the_reviews_that_count_are_those_of_the_guards(careful_team: Team, seed: int) -> None:
    """Reviews, dismissals, lost and changed roles and time, at random: after each step both say the same."""
    team, random_ = careful_team, random.Random(seed)
    promotion = requested(team, team.prompt(), 1)
    reviewers = [team.ben, team.cleo, team.emil]
    days = 0
    for _ in range(25):
        act = random_.choice(["review"] * 5 + ["dismiss", "role", "leave", "time"])
        who = random_.choice(reviewers)
        try:
            if act == "review":
                decision = random_.choice(list(Review.Decision.values))
                review(by=who, promotion=promotion, decision=decision, diff_digest=digest_text(promotion.diff_digest))
            elif act == "dismiss" and (given := Review.objects.order_by("?").first()) is not None:
                dismiss_review(by=team.emil, review=given, reason="Settled")
            elif act == "role":
                roles = random_.choice([["viewer"], ["reviewer"], ["release-manager"]])
                set_roles(project=team.project, user=who.user, roles=roles, by=None)
            elif act == "leave" and who is not team.emil:
                remove_member(membership=Membership.objects.get(project=team.project, user=who.user), by=None)
            elif act == "time":
                let_time_pass(days=(days := days + random_.choice([1, 6])))
        except (DomainError, Membership.DoesNotExist):
            pass  # refused: nothing happened
        now = standing(promotion)
        assert {cast.review.pk for cast in now.casts if cast.counts} == counting(promotion)
        assert all((cast.why_not is None) == cast.counts for cast in now.casts)


def test_a_promotion_is_ready_exactly_when_the_database_takes_it(careful_team: Team) -> None:
    """The one status that promises something."""
    team = careful_team
    prompt = team.prompt(versions=4)
    for number, decision in ((1, "approve"), (2, "comment"), (3, "request_changes"), (4, "approve")):
        promotion = requested(team, prompt, number)
        review(by=team.ben, promotion=promotion, decision=decision, diff_digest=digest_text(promotion.diff_digest))
    for promotion in Promotion.objects.order_by("pk"):
        now = standing(promotion)
        is_ready = status(now, lines(now)) == "ready"
        if is_ready:
            apply_promotion(by=team.cleo, promotion=promotion)
            continue
        with pytest.raises(DomainError) as refusal:
            apply_promotion(by=team.cleo, promotion=promotion)
        assert [fault.code for fault in refusal.value.faults] == [v.code for _, v in missing(now, lines(now))]


def test_many_take_as_many_queries_as_one(careful_team: Team) -> None:
    team = careful_team
    promotions = []
    for number in range(12):
        prompt = team.prompt(f"support/p{number}", versions=2)
        applied(team, prompt, 1)
        promotions.append(approved(team, prompt, 2))
    for days, most in ((8, 16), (20, 12), (0, 12)):  # when checks are old and still matter, texts are read too
        let_time_pass(days=days)
        counts = []
        for chosen in (promotions[:1], promotions):
            with CaptureQueriesContext(connection) as queries:
                assert len([promotion_shape(each) for each in standings(chosen)]) == len(chosen)
            counts.append(len(queries))
        assert counts[0] == counts[1] <= most
    noor = person(team, "noor")
    counts = []
    for query in ("limit=2", "limit=24", "limit=2&status=ready", "limit=24&status=ready"):
        with CaptureQueriesContext(connection) as queries:
            assert len(body_of(noor.get(f"promotions?{query}"))["data"]) in (2, 12, 24)
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[2] == counts[3]


def test_lists_are_narrowed(careful_team: Team) -> None:
    team = careful_team
    one, two = team.prompt("a/one", versions=2), team.prompt("b/two", versions=2)
    applied(team, one, 1)
    approved(team, one, 2)
    requested(team, two, 1)
    noor = person(team, "noor")

    def found(query: str) -> list[tuple[str, int]]:
        return [(each["prompt"], each["version"]) for each in body_of(noor.get(f"promotions?{query}"))["data"]]

    assert found("") == [("b/two", 1), ("a/one", 2), ("a/one", 1)]
    assert found("prompt=a/one") == [("a/one", 2), ("a/one", 1)]
    assert found("channel=stable&state=open") == [("b/two", 1), ("a/one", 2)]
    assert found("status=ready") == [("a/one", 2)]
    assert found("status=in_review&prompt=a/one") == []
    assert found("status=applied") == found("state=applied") == [("a/one", 1)]
    for word in OPEN_STATUSES:
        assert len(found(f"status={word}")) == {"ready": 1, "in_review": 1}.get(word, 0)
    first = body_of(noor.get("promotions?limit=2"))
    assert len(body_of(noor.get(f"promotions?limit=2&cursor={first['next']}"))["data"]) == 1


def test_the_first_status_that_applies_is_told(careful_team: Team) -> None:
    """Each thing that goes wrong hides what was told before."""
    team = careful_team
    promotion = approved(team, team.prompt(), 1)

    def word() -> str:
        now = standing(promotion)
        return status(now, lines(now))

    assert word() == "ready"
    schedule(by=team.cleo, promotion=promotion, apply_at=timezone.now() + timedelta(days=1))
    assert word() == "scheduled"
    dismiss_review(by=team.cleo, review=promotion.reviews.get(), reason="Look again")
    assert word() == "in_review"
    now = timezone.now()
    freeze_channel(by=team.cleo, channel=team.stable, starts_at=now, ends_at=now + timedelta(days=30), reason="Sale")
    assert word() == "blocked"
    review(
        by=team.ben,
        promotion=promotion,
        decision="request_changes",
        diff_digest=digest_text(promotion.diff_digest),
    )
    assert word() == "changes_requested"
    set_policy(team, required_approvals=2)
    assert word() == "stale"
    let_time_pass(days=15)
    assert word() == "expired"


def test_a_closed_promotion_stays_as_it_was(careful_team: Team) -> None:
    """Whoever leaves later takes nothing back from what was decided."""
    team = careful_team
    promotion = applied(team, team.prompt(), 1)
    before = promotion_shape(standing(promotion))
    remove_member(membership=Membership.objects.get(project=team.project, user=team.ben.user), by=None)
    let_time_pass(days=400)
    assert promotion_shape(standing(promotion)) == before
    assert [check["summary"] for check in before["checks"] if check["name"] == "review"] == ["Approved by Ben."]
    assert before["missing"] == []
