"""Reviews: what one person decides about a promotion, having seen its diff."""

from collections.abc import Sequence

from django.db import connection, transaction
from django.db.models import Q

from accounts.models import User
from accounts.policies import Principal
from accounts.roles import Permission
from events.actions import record
from events.kinds import EventKind
from promptforge.lib.errors import DomainError, shorten, wrong
from promptforge.lib.refusals import refusals
from promptforge.lib.verdicts import Verdict, denied, require
from prompts.actions.lengths import LONGEST_NOTE, LONGEST_REASON, check_length
from prompts.actions.promotions import locked_promotion
from prompts.models import Promotion, Review, ReviewDismissal
from prompts.models.channels import CheckName
from prompts.shapes import digest_text
from prompts.standing import Standing, standing

Decision = Review.Decision
# What a reviewer may take upon themselves, in writing where it is the evaluation.
ACKNOWLEDGEABLE = (CheckName.HIDDEN_TEXT, CheckName.EVALUATION)


def review(
    *,
    by: Principal,
    promotion: Promotion,
    decision: str,
    body: str = "",
    diff_digest: str | None = None,
    acknowledged: Sequence[str] = (),
    seen: str | None = None,
) -> Review:
    """Approve, ask for changes, or comment. `diff_digest` is that of the diff that was seen; a comment needs none.

    `seen` is what `sight` said when a page was shown: when it says something else by now, nothing is written.
    """
    if by.key is not None:
        raise DomainError("forbidden", "A key never reviews: a person decides, signed in.")
    require(by.may(Permission.READ if decision == Decision.COMMENT else Permission.REVIEW, promotion.prompt))
    if unknown := [name for name in acknowledged if name not in ACKNOWLEDGEABLE]:
        known = " and ".join(ACKNOWLEDGEABLE)
        raise DomainError("bad_value", f"{shorten(unknown[0])} cannot be acknowledged; {known} can.")
    check_length("body", body, LONGEST_NOTE)
    if CheckName.EVALUATION in acknowledged and not body.strip():
        raise wrong("body", "Say why it may go live although the evaluation settles nothing.", "reason_required")
    with refusals(), transaction.atomic():
        if decision == Decision.APPROVE:
            require(may_approve(by, promotion))
        locked = locked_promotion(promotion)
        if seen is not None and seen != sight(standing(locked), by.user):
            raise DomainError(
                "stale_diff",
                "Since this page was opened, the live version, the policy or a review of your own has changed. "
                "Look at the promotion as it is now, then decide.",
            )
        if decision != Decision.COMMENT and diff_digest != digest_text(locked.diff_digest):
            raise DomainError(
                "stale_diff", "The diff that you saw is not this promotion's. Read it again, then decide."
            )
        given = Review.objects.create(
            promotion=locked,
            reviewer=by.user,
            decision=decision,
            body=body,
            diff_digest=locked.diff_digest,
            acknowledged=list(dict.fromkeys(acknowledged)),
        )
        _tell(EventKind.REVIEW_GIVEN, by, given)
    return given


def sight(now: Standing, person: User) -> str:
    """What a decision rests on besides the diff: where the channel stands, its policy, what the person said last."""
    own = [given.pk for given in now.reviews if given.reviewer_id == person.pk]
    return f"{now.head.revision}.{now.promotion.channel.policy_id}.{own[-1] if own else 0}"


def dismiss_review(*, by: Principal, review: Review, reason: str) -> Review:
    """Say as somebody who may release that a review counts no longer. Dismissing it again changes nothing."""
    if by.key is not None:
        raise DomainError("forbidden", "A key never dismisses a review: a person decides, signed in.")
    require(by.may(Permission.RELEASE, review.promotion.prompt))
    if not reason.strip():
        raise DomainError("reason_required", "Say why it counts no longer; its author will read it.")
    check_length("reason", reason, LONGEST_REASON)
    with refusals(), transaction.atomic():
        locked_promotion(review.promotion)
        _, is_new = ReviewDismissal.objects.get_or_create(
            review=review, defaults={"dismissed_by": by.user, "reason": reason}
        )
        if is_new:
            _tell(EventKind.REVIEW_DISMISSED, by, review)
    return review


def may_approve(by: Principal, promotion: Promotion) -> Verdict:
    """Whether somebody may approve a promotion: with the right to review, and without having contributed."""
    verdict = by.may(Permission.REVIEW, promotion.prompt)
    if verdict.allowed and by.user.pk in contributors(promotion):
        return denied("four_eyes", f"{_contribution(by, promotion)}, so somebody else approves it.")
    return verdict


def contributors(promotion: Promotion) -> set[int]:
    """Who wrote or opened what a promotion would bring: they never approve it. As the guards derive them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.promptforge_contributors(%s)", [promotion.pk])
        return {row[0] for row in cursor.fetchall()}


def _contribution(by: Principal, promotion: Promotion) -> str:
    """What somebody who contributed did, in words."""
    base = 0 if promotion.base_version is None else promotion.base_version.number
    brought = Q(pk=promotion.version_id) | Q(number__gt=base, number__lt=promotion.version.number)
    theirs = Q(author=by.user) | Q(contributor=by.user)
    versions = promotion.prompt.versions.select_related("prompt", "author")
    own = versions.filter(brought & theirs).order_by("-number").first()
    if own is not None:
        if own.author_id == by.user.pk:
            return f"You wrote {own}"
        is_by_key = own.author.kind == User.Kind.SERVICE
        return f"You answer for the key that saved {own}" if is_by_key else f"You imported {own}"
    if by.user.pk in (promotion.opened_by_id, promotion.opener_id):
        return "You opened this promotion"
    return "You wrote what it newly includes, or opened the promotion that it renews"


def _tell(kind: EventKind, by: Principal, given: Review) -> None:
    promotion = given.promotion
    record(
        kind,
        project_id=by.project.pk,
        actor=by.actor,
        subject=("review", given.pk),
        decision=given.decision,
        prompt=promotion.prompt.name,
        channel=promotion.channel.name,
        version=promotion.version.number,
    )
