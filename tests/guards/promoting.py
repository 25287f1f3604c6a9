"""What the attacks on promotions begin with."""

from typing import Any

from django.utils import timezone

from accounts.actions.members import remove_member
from accounts.models import ApiKey, Membership
from prompts.models import Promotion, Prompt, Review, ReviewDismissal
from tests.guards.attacks import apply, open_promotion, passed_checks, review
from tests.personas import Team


def half_ready(team: Team, prompt: Prompt | None = None, number: int = 2) -> Promotion:
    """An open promotion that lacks nothing but approvals."""
    promotion = open_promotion(team, prompt or team.prompt(versions=2), number)
    passed_checks(promotion)
    return promotion


def make_live(team: Team, prompt: Prompt, number: int) -> None:
    promotion = half_ready(team, prompt, number)
    review(promotion, team.ben)
    apply(team, promotion)


def reviewer_without_right(team: Team, who: str) -> Any:
    if who == "superuser":
        team.outsider.is_superuser = True
        team.outsider.save()
        return team.outsider
    if who == "inactive":
        take_activity(team)
        return team.ben
    if who == "removed":
        take_membership(team)
        return team.ben
    if who == "key":
        team.key("manage")
        return ApiKey.objects.get().service_account
    return getattr(team, who)


def take_activity(team: Team) -> None:
    team.ben.user.is_active = False
    team.ben.user.save()


def take_membership(team: Team) -> None:
    remove_member(membership=Membership.objects.get(project=team.project, user=team.ben.user), by=None)


def dismiss(given: Review, by: Any, reason: str = "Settled by mail") -> ReviewDismissal:
    return ReviewDismissal.objects.create(review=given, dismissed_by=by, reason=reason)


def close(team: Team, promotion: Promotion, state: str, **fields: Any) -> None:
    row = {"state": state, "closed_by": team.cleo.user, "closed_at": timezone.now()}
    Promotion.objects.filter(pk=promotion.pk).update(**row | fields)
