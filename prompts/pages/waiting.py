"""What waits for one person in a project, and what everybody there should know of."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection
from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import TruncDate
from django.utils.module_loading import import_string

from accounts.models import Project, User
from accounts.policies import Principal
from events.kinds import EventKind
from events.models import Event, WebhookEndpoint
from prompts.checks import Line, lines, missing, status
from prompts.diffing import diff_versions
from prompts.models import FreezeWindow, Head, Promotion, Prompt, PromptVersion, Release, Schedule
from prompts.models.releases import ReleaseKind
from prompts.pages.listing import LONG
from prompts.standing import Standing, standings

MOST_COUNTED, SHOWN, LIVE_SHOWN, DAYS = 50, 10, 6, 7
MOST_READY = 50
SECONDS = 0.03  # for the words of one change: a list is no place to wait
# Reviews that are missing from a person who may give one, and promotions that came back to whoever opened them. It
# stands on every page, so each reviewer's newest word is read plainly here, if they may still review; what counts
# exactly the promotion says. An evaluation that settles nothing takes one approval more, as the gate has it. In two
# steps, for PostgreSQL takes thirty times as long to plan eight tables at once.
_WAITS = """
    WITH everywhere AS MATERIALIZED (
        SELECT public.promptforge_holds(%(person)s, 'read', %(project)s, NULL) AS read,
               public.promptforge_holds(%(person)s, 'review', %(project)s, NULL) AS review),
    asked AS MATERIALIZED (
        SELECT promotion.id, promotion.opener_id, promotion.prompt_id, promotion.channel_id, promotion.version_id,
               promotion.base_version_id, policy.required_approvals, policy.review_groups,
               public.promptforge_now() - make_interval(days => policy.evidence_ttl_days) AS evidence_since,
               channel.policy_id = promotion.policy_id
               AND head.version_id IS NOT DISTINCT FROM promotion.base_version_id
               AND promotion.opened_at > public.promptforge_now() - make_interval(days => policy.approval_ttl_days)
               AS is_current
        FROM public.prompts_promotion promotion
        JOIN public.prompts_prompt prompt ON prompt.id = promotion.prompt_id
        JOIN public.prompts_channel channel ON channel.id = promotion.channel_id
        JOIN public.prompts_channelpolicy policy ON policy.id = promotion.policy_id
        JOIN public.prompts_head head ON head.prompt_id = promotion.prompt_id AND head.channel_id = promotion.channel_id
        WHERE promotion.state = 'OPEN' AND prompt.project_id = %(project)s)
    SELECT asked.id, said.objected FROM everywhere, asked
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE newest.decision = 'approve') AS approvals,
               coalesce(bool_or(newest.decision = 'request_changes'), false) AS objected,
               coalesce(bool_or(newest.reviewer_id = %(person)s), false) AS mine
        FROM (SELECT DISTINCT ON (review.reviewer_id) review.id, review.reviewer_id, review.decision
              FROM public.prompts_review review
              LEFT JOIN public.prompts_reviewdismissal dismissal ON dismissal.review_id = review.id
              WHERE review.promotion_id = asked.id AND review.decision <> 'comment' AND dismissal.id IS NULL
              ORDER BY review.reviewer_id, review.id DESC) newest
        WHERE public.promptforge_holds(newest.reviewer_id, 'review', %(project)s, asked.prompt_id)
          AND (newest.decision <> 'approve' OR NOT EXISTS (
            SELECT FROM public.prompts_review later WHERE later.promotion_id = asked.id AND later.id > newest.id
            AND later.reviewer_id = newest.reviewer_id AND later.decision <> 'comment'))) said
    WHERE CASE WHEN said.objected THEN asked.opener_id = %(person)s ELSE
          asked.is_current AND asked.opener_id <> %(person)s AND NOT said.mine
          AND (everywhere.review OR public.promptforge_holds(%(person)s, 'review', %(project)s, asked.prompt_id))
          AND (everywhere.read OR public.promptforge_holds(%(person)s, 'read', %(project)s, asked.prompt_id))
          AND (said.approvals < asked.required_approvals OR asked.review_groups <> '[]' OR EXISTS (
              SELECT FROM public.promptforge_rules(asked.channel_id, asked.prompt_id) rule
              WHERE public.promptforge_rule_outcome(
                        rule.id, asked.version_id, asked.base_version_id, asked.evidence_since) = 'INCONCLUSIVE'
                AND public.promptforge_vouched(asked.id, asked.required_approvals) IS NOT TRUE))
          AND %(person)s NOT IN (SELECT public.promptforge_contributors(asked.id))
      END
    ORDER BY asked.id LIMIT %(most)s
"""


@dataclass(frozen=True)
class Waiting:
    """Ids of promotions, the oldest first: those that need the person's review, and those that came back."""

    reviews: list[int]
    sent_back: list[int]

    @property
    def total(self) -> int:
        return len(self.reviews) + len(self.sent_back)


@dataclass(frozen=True)
class Row:
    """One open promotion as the inbox lists it."""

    now: Standing
    status: str
    waits_for: str
    added: int | None = None
    removed: int | None = None

    @property
    def promotion(self) -> Promotion:
        return self.now.promotion

    @property
    def objection(self) -> Any:
        """The newest review that asks for changes and counts."""
        asked = [cast.review for cast in self.now.casts if cast.counts and cast.review.decision == "request_changes"]
        return asked[-1] if asked else None


class Incident(NamedTuple):
    """What an app above tells in the inbox: what went wrong (`kind` "failed"), or what to know ("note").

    `href` and `action`: where one looks at it, if anywhere.
    """

    title: str
    says: str
    href: str = ""
    action: str = ""
    kind: str = "failed"


class Bar(NamedTuple):
    """One day of a sparkline, in its units."""

    x: int
    y: int
    height: int


@dataclass(frozen=True)
class LivePrompt:
    prompt: Prompt
    heads: Sequence[Head]
    bars: Sequence[Bar]
    moves: int

    @property
    def newest(self) -> Release | None:
        return max((head.release for head in self.heads if head.release), key=lambda release: release.at, default=None)


def incidents(principal: Principal) -> list[Incident]:
    """What the functions of `settings.INCIDENTS` tell."""
    return [each for path in settings.INCIDENTS for each in import_string(path)(principal)]


def waits_for(principal: Principal) -> Waiting:
    """In one question, and up to fifty."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITS, {"project": principal.project.pk, "person": principal.user.pk, "most": MOST_COUNTED})
        found = cursor.fetchall()
    return Waiting([pk for pk, back in found if not back], [pk for pk, back in found if back])


def rows(user: User, still_open: QuerySet[Promotion], waiting: Waiting, *, may_release: bool) -> dict[str, list[Row]]:
    """The lists of the inbox by name, out of the promotions that are open: all that they show is read together."""
    mine = still_open.filter(opener=user).order_by("-pk")[: 2 * SHOWN]
    any_open = still_open.order_by("-pk")[:MOST_READY] if may_release else []
    wanted = {each.pk: each for each in [*mine, *any_open]}
    reviews, back = set(waiting.reviews[:SHOWN]), set(waiting.sent_back[:SHOWN])
    wanted |= still_open.in_bulk((reviews | back) - wanted.keys())
    found = [(now, lines(now)) for now in standings(wanted.values())]
    words = _words([now.promotion for now, _ in found if now.promotion.pk in reviews])
    known = {now.promotion.pk: _row(now, shown, words) for now, shown in found}
    oldest_first = [known[pk] for pk in sorted(known)]
    return {
        "reviews": [row for row in oldest_first if row.promotion.pk in reviews],
        "sent_back": [row for row in oldest_first if row.promotion.pk in back],
        "mine": [
            row for row in oldest_first[::-1] if row.promotion.opener_id == user.pk and row.promotion.pk not in back
        ],
        "ready": [row for row in oldest_first if may_release and row.status == "ready"],
    }


def _row(now: Standing, shown: Sequence[Line], words: Mapping[int, Mapping[str, int]]) -> Row:
    lacking = missing(now, shown)
    counted = words.get(now.promotion.pk, {})
    sentence = " ".join(verdict.sentence for _, verdict in lacking[:2]) or "Nothing is missing."
    return Row(now, status(now, shown), sentence, counted.get("added"), counted.get("removed"))


def _words(promotions: Sequence[Promotion]) -> dict[int, Mapping[str, int]]:
    """How many words each would add and remove."""
    ids = {pk for each in promotions for pk in (each.version_id, each.base_version_id) if pk is not None}
    texts = PromptVersion.objects.only("type", "content").in_bulk(ids) if ids else {}
    return {
        each.pk: diff_versions(
            None if each.base_version_id is None else {"content": texts[each.base_version_id].served_content},
            {"content": texts[each.version_id].served_content},
            seconds=SECONDS,
        )["words"]
        for each in promotions
    }


def unratified(visible: QuerySet[Prompt]) -> QuerySet[Release]:
    """Releases that went past every rule and that no second person has called right, newest first."""
    return (
        Release.objects.filter(prompt__in=visible, kind=ReleaseKind.BREAK_GLASS, ratification=None)
        .select_related("prompt", "channel", "version", "actor")
        .defer(*(f"version__{text}" for text in LONG))
        .order_by("-pk")
    )


def freezes(project: Project, now: datetime) -> QuerySet[FreezeWindow]:
    """The freeze windows that are on."""
    standing = FreezeWindow.objects.filter(channel__project=project, lifted_at=None)
    return standing.filter(starts_at__lte=now, ends_at__gt=now).select_related("channel", "created_by")


def missed(still_open: QuerySet[Promotion], now: datetime) -> QuerySet[Promotion]:
    """Open promotions that were not ready when they were due in the last days, and that nobody scheduled anew."""
    told = Event.objects.filter(
        project_id=OuterRef("prompt__project"),
        subject_kind="promotion",
        subject_id=OuterRef("pk"),
        kind=EventKind.PROMOTION_MISSED,
        at__gt=now - timedelta(days=DAYS),
    )
    due_again = Schedule.objects.standing().filter(promotion=OuterRef("pk"))
    return (
        still_open.annotate(missed_at=Subquery(told.order_by("-pk").values("at")[:1]))
        .filter(~Exists(due_again), missed_at__isnull=False)
        .select_related("prompt", "channel", "version")
        .defer(*(f"version__{text}" for text in LONG))
        .order_by("-pk")
    )


def failing_webhooks(project: Project) -> QuerySet[WebhookEndpoint]:
    endpoints = WebhookEndpoint.objects.standing().filter(project_id=project.pk)
    return endpoints.exclude(failing_since=None).order_by("failing_since")


def live_now(visible: QuerySet[Prompt], today: date) -> list[LivePrompt]:
    """The prompts that moved last, with how often each moved on every day of the last week."""
    heads = (
        Head.objects.filter(prompt__in=visible.filter(archived_at=None))
        .exclude(release=None)
        .select_related("prompt", "channel", "version", "release__actor")
        .defer(*(f"version__{text}" for text in LONG))
    )
    newest = heads.order_by("-release__at").values_list("prompt", flat=True)[: 4 * LIVE_SHOWN]
    wanted = list(dict.fromkeys(newest))[:LIVE_SHOWN]
    by_prompt: dict[int, list[Head]] = defaultdict(list)
    for head in heads.filter(prompt__in=wanted).order_by("channel__position", "channel__pk"):
        by_prompt[head.prompt_id].append(head)
    first = today - timedelta(days=DAYS - 1)
    moved: dict[int, dict[date, int]] = defaultdict(dict)
    counted = Release.objects.filter(prompt__in=wanted, at__date__gte=first).annotate(day=TruncDate("at")).order_by()
    for prompt, day, count in counted.values_list("prompt", "day").annotate(Count("pk")):
        moved[prompt][day] = count
    return [
        LivePrompt(by_prompt[pk][0].prompt, by_prompt[pk], _bars(moved[pk], first), sum(moved[pk].values()))
        for pk in wanted
    ]


def _bars(moves: Mapping[date, int], first: date) -> list[Bar]:
    """One bar a day, 12 units apart in a picture 18 high; a day without a move keeps a foot of one unit."""
    heights = [min(1 + 5 * moves.get(first + timedelta(days=day), 0), 16) for day in range(DAYS)]
    return [Bar(12 * day, 17 - height, height) for day, height in enumerate(heights)]
