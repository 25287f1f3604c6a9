"""How promotions stand: everything that their checks and their status look at, read together.

One promotion and a page of them take the same number of queries.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import FETCH_PEERS, BooleanField, F, Func, Value
from django.utils.module_loading import import_string

from accounts.models import Membership
from accounts.roles import Permission
from prompts.models import Check, FreezeWindow, Head, Promotion, Release, Review, Schedule

# Whether a review's author still holds the right to review: asked of the function that the guards ask.
_MAY_REVIEW = Func(
    F("reviewer_id"),
    Value(Permission.REVIEW.value),
    F("promotion__prompt__project_id"),
    F("promotion__prompt_id"),
    function="public.promptforge_holds",
    output_field=BooleanField(),
)
# What the versions say, which is long and asked for by few.
_LONG = ("content", "source", "variables", "config")


@dataclass(frozen=True)
class Cast:
    """One review: whether it counts, and if not, why, in a sentence."""

    review: Review
    why_not: str | None

    @property
    def counts(self) -> bool:
        return self.why_not is None


@dataclass(frozen=True)
class Standing:
    """One promotion and the rows around it, as of `now`.

    `stored` holds the newest stored check of each name, `evidence` what apps above know for a check of a name, `roles`
    the reviewers' roles, `schedule` the one that will be carried out, `release_id` the release that applied it.
    """

    promotion: Promotion
    head: Head
    reviews: Sequence[Any]
    stored: dict[str, Check]
    freezes: Sequence[FreezeWindow]
    roles: dict[int, list[str]]
    schedule: Schedule | None
    release_id: int | None
    now: datetime
    evidence: dict[str, Any]

    @property
    def is_open(self) -> bool:
        return self.promotion.state == Promotion.State.OPEN

    @property
    def expires_at(self) -> datetime:
        return self.promotion.opened_at + timedelta(days=self.promotion.policy.approval_ttl_days)

    @property
    def fresh(self) -> dict[str, Check]:
        """The stored checks that the guards take for evidence; what is closed or has expired keeps its last ones."""
        if not self.is_open or self.expires_at < self.now:
            return self.stored
        oldest = self.now - timedelta(days=self.promotion.policy.evidence_ttl_days)
        return {name: check for name, check in self.stored.items() if check.at > oldest}

    @property
    def base_moved(self) -> bool:
        return self.promotion.base_version_id != self.head.version_id

    @property
    def policy_changed(self) -> bool:
        return self.promotion.policy_id != self.promotion.channel.policy_id

    @cached_property
    def casts(self) -> list[Cast]:
        """The reviews, oldest first; which of them count is what `promptforge_counting_reviews` says."""
        decided = [review for review in self.reviews if review.decision != Review.Decision.COMMENT]
        last = {review.reviewer_id: review.pk for review in decided}
        standing = {review.reviewer_id: review.pk for review in decided if not hasattr(review, "dismissal")}
        # An objection that was replaced by what is dismissed now stands again; an approval does not.
        newest = {Review.Decision.APPROVE: last, Review.Decision.REQUEST_CHANGES: standing}
        return [
            Cast(review, self._why_not(review, newest.get(review.decision, {}).get(review.reviewer_id)))
            for review in self.reviews
        ]

    def counting(self, decision: Review.Decision) -> list[Any]:
        return [cast.review for cast in self.casts if cast.counts and cast.review.decision == decision]

    def _why_not(self, review: Any, newest: int | None) -> str | None:
        oldest = self.now - timedelta(days=self.promotion.policy.approval_ttl_days)
        dismissal = getattr(review, "dismissal", None)
        is_old = review.decision == Review.Decision.APPROVE and review.at <= oldest
        for applies, sentence in (
            (review.decision == Review.Decision.COMMENT, "A comment decides nothing."),
            (dismissal is not None, f"It was dismissed: {dismissal and dismissal.reason}"),
            (newest != review.pk, f"{review.reviewer} decided anew since."),
            # What counted when a promotion was closed counted, whatever became of its author.
            (self.is_open and not review.may_review, f"{review.reviewer} may no longer review it."),
            (self.is_open and is_old, "It is too old to count."),
        ):
            if applies:
                return sentence
        return None


def standing(promotion: Promotion) -> Standing:
    return standings([promotion])[0]


def standings(promotions: Iterable[Promotion]) -> list[Standing]:
    """Each promotion with what stands around it, in the order given, in a fixed number of queries."""
    ids = [promotion.pk for promotion in promotions]
    rows = (
        Promotion.objects.filter(pk__in=ids)
        .select_related(
            "prompt__project", "channel", "version", "base_version", "policy", "opened_by", "closed_by", "successor"
        )
        .prefetch_related("opened_by__api_keys", "closed_by__api_keys")
        .defer(*(f"{version}__{text}" for version in ("version", "base_version") for text in _LONG))
        .fetch_mode(FETCH_PEERS)  # once for all of them, when the texts of one are looked at
        .in_bulk()
    )
    found = list(rows.values())
    heads = {
        (head.prompt_id, head.channel_id): head
        for head in Head.objects.filter(
            prompt__in={row.prompt_id for row in found}, channel__in={row.channel_id for row in found}
        )
        .select_related("version")
        .defer(*(f"version__{text}" for text in _LONG))
    }
    reviews = _by_promotion(
        Review.objects.filter(promotion__in=ids)
        .select_related("reviewer", "dismissal")
        .annotate(may_review=_MAY_REVIEW)
        .order_by("pk")
    )
    checks = _by_promotion(Check.objects.filter(promotion__in=ids).order_by("pk"))
    schedules = {row.promotion_id: row for row in Schedule.objects.standing().filter(promotion__in=ids)}
    freezes = defaultdict(list)
    now = database_now()
    standing_freezes = FreezeWindow.objects.filter(lifted_at=None, ends_at__gt=now)
    for freeze in standing_freezes.filter(channel__in={row.channel_id for row in found}):
        freezes[freeze.channel_id].append(freeze)
    roles = _roles(found, {review.reviewer_id for given in reviews.values() for review in given})
    releases = dict(Release.objects.filter(promotion__in=ids).values_list("promotion_id", "pk"))
    evidence = {name: import_string(path)(ids) for name, path in settings.PROMOTION_EVIDENCE.items()} if ids else {}
    return [
        Standing(
            promotion=rows[pk],
            head=heads[rows[pk].prompt_id, rows[pk].channel_id],
            reviews=reviews[pk],
            stored={check.name: check for check in checks[pk]},
            freezes=freezes[rows[pk].channel_id],
            roles=roles[rows[pk].prompt.project_id],
            schedule=schedules.get(pk),
            release_id=releases.get(pk),
            now=now,
            evidence={name: of.get(pk) for name, of in evidence.items()},
        )
        for pk in ids
    ]


def _by_promotion(rows: Iterable[Any]) -> defaultdict[int, list[Any]]:
    found = defaultdict(list)
    for row in rows:
        found[row.promotion_id].append(row)
    return found


def _roles(promotions: Sequence[Promotion], people: set[int]) -> defaultdict[int, dict[int, list[str]]]:
    found: defaultdict[int, dict[int, list[str]]] = defaultdict(dict)
    projects = {promotion.prompt.project_id for promotion in promotions}
    for membership in Membership.objects.filter(project__in=projects, user__in=people):
        found[membership.project_id][membership.user_id] = membership.roles
    return found


def database_now() -> datetime:
    """The clock by which the guards judge."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.promptforge_now()")
        moment: datetime = cursor.fetchone()[0]
    return moment
