"""What the page of one promotion says: how it stands, each check with a link that mends it, and who decided what."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.safestring import SafeString

from accounts.models import User
from accounts.policies import Principal
from events.admin.seen import Tool, list_of, page_of
from prompts.actions.reviews import contributors, may_approve
from prompts.checks import TAKEN, Line, missing, status
from prompts.models import Promotion, Review
from prompts.models.channels import CheckName
from prompts.promotion_forms import DismissForm
from prompts.showing import named
from prompts.standing import Standing

DECISIONS = {
    Review.Decision.APPROVE: ("passed", "approved"),
    Review.Decision.REQUEST_CHANGES: ("failed", "asked for changes"),
    Review.Decision.COMMENT: ("note", "commented"),
}


class CheckRow(NamedTuple):
    """One check as it is shown; `shape` and `word` say the conclusion, `link` leads to what mends or shows it."""

    label: str
    shape: str
    word: str
    summary: SafeString
    link: Tool


class Said(NamedTuple):
    """One entry of the conversation; `aside` says why a review does not count."""

    who: Any
    at: Any
    shape: str
    word: str
    body: SafeString
    aside: SafeString | str = ""
    link: Tool | None = None


def verbs_that_fit(now: Standing, shown: Sequence[Line]) -> set[str]:
    """The words of the verbs that make sense for a promotion as it stands."""
    if not now.is_open:
        return set()
    lacking = {verdict.code for _, verdict in missing(now, shown)}
    fitting = {
        "apply": not lacking,
        "schedule": lacking <= {"freeze"},  # the window may be over by then
        "unschedule": now.schedule is not None,
        "renew": bool(lacking & {"stale_base", "policy_changed", "expired"}),
    }
    return {"review", "withdraw", "reject"} | {word for word, fits in fitting.items() if fits}


def page(now: Standing, shown: Sequence[Line], person: Any) -> dict[str, Any]:
    """Everything but the change itself and the buttons."""
    promotion = now.promotion
    who = User.objects.filter(pk__in=contributors(promotion)).order_by("name")
    by = Principal(person, promotion.prompt.project)
    verdict = may_approve(by, promotion) if now.is_open else None
    return {
        "status": status(now, shown).replace("_", " "),
        "headline": _headline(now, shown),
        "checks": [*(_check(now, line) for line in shown), *_age(now, shown)],
        "conversation": list(_conversation(now, by)),
        "contributors": [str(user) for user in who],
        "own": verdict.sentence if verdict is not None and verdict.code == "four_eyes" else "",
        "aim": named(promotion.title),
        "note": named(promotion.note),
        "successor": promotion.successor and page_of(promotion.successor),
        "rollback": reverse("admin:prompts_head_rollback", args=[quote(now.head.pk)]),
        "is_live": now.release_id is not None and now.head.release_id == now.release_id,
    }


def _headline(now: Standing, shown: Sequence[Line]) -> str:
    promotion = now.promotion
    if not now.is_open:
        return f"It was {promotion.state.lower()} by {promotion.closed_by}."
    lacking = [verdict.sentence for _, verdict in missing(now, shown)]
    if len(lacking) == 1:
        return lacking[0]
    if lacking:
        return f"{len(lacking)} things are missing."
    if now.schedule is not None and now.schedule.apply_at is not None:
        return f"It goes live at {now.schedule.apply_at:%Y-%m-%d %H:%M} UTC, as {now.schedule.actor} scheduled."
    return "Nothing is missing: somebody who may release applies it."


def _check(now: Standing, line: Line) -> CheckRow:
    word = line.conclusion.replace("_", " ")
    label = line.name.replace("-", " ").capitalize()
    return CheckRow(label, line.conclusion, word, named(line.summary), _mend(now, line))


def _age(now: Standing, shown: Sequence[Line]) -> Iterator[CheckRow]:
    """What is missing and no check's to say."""
    for name, verdict in missing(now, shown):
        if name is None:
            link = Tool("Renew it", _verb(now.promotion, "renew"))
            yield CheckRow("Age", "stale", "expired", named(verdict.sentence), link)


def _mend(now: Standing, line: Line) -> Tool:
    """Where a check that holds the promotion back is mended, and otherwise where what it speaks of is read."""
    promotion, holds = now.promotion, bool(line.refusals)
    save = Tool("Save a version", reverse("admin:prompts_prompt_save", args=[quote(promotion.prompt_id)]))
    demands = Tool("What the channel demands", page_of(promotion.policy))
    freezes = list_of("prompts_freezewindow", channel__id__exact=promotion.channel_id)
    mended, read = {
        CheckName.REVIEW: (Tool("Review it", _verb(promotion, "review")), Tool("The reviews", "#conversation")),
        CheckName.EVALUATION: (demands, demands),
        CheckName.UP_TO_DATE: (Tool("Renew it", _verb(promotion, "renew")), Tool("The channel", page_of(now.head))),
        CheckName.VARIABLES: (save, Tool("The variables", "#changes")),
        CheckName.HIDDEN_TEXT: (Tool("Acknowledge it", _verb(promotion, "review")), Tool("The text", "#changes")),
        CheckName.SECRETS: (save, Tool("The text", "#changes")),
        CheckName.CANARY: (demands, demands),
        CheckName.FREEZE: (Tool("The freeze windows", freezes), Tool("The freeze windows", freezes)),
    }[line.name]
    return mended if holds else read


def _conversation(now: Standing, by: Principal) -> Iterator[Said]:
    promotion = now.promotion
    yield Said(promotion.opened_by, promotion.opened_at, "note", "opened it", named(""))
    may_dismiss = now.is_open and bool(now.reviews) and DismissForm.verdict(by.user, now.reviews[0]).allowed
    for cast in now.casts:
        review = cast.review
        shape, word = DECISIONS[Review.Decision(review.decision)]
        word += "".join(f" and {TAKEN[name]}" for name in review.acknowledged if name in TAKEN)
        decides = review.decision != Review.Decision.COMMENT
        dismiss = may_dismiss and decides and not hasattr(review, "dismissal")
        yield Said(
            who=review.reviewer,
            at=review.at,
            shape=shape if cast.counts or not decides else "stale",
            word=word,
            body=named(review.body),
            aside=named(f"Does not count: {cast.why_not}") if decides and cast.why_not else "",
            link=Tool("Dismiss", reverse("admin:prompts_review_dismiss", args=[quote(review.pk)])) if dismiss else None,
        )
    if not now.is_open:
        reason = named(promotion.close_reason)
        shape = "passed" if promotion.state == Promotion.State.APPLIED else "stale"
        yield Said(promotion.closed_by, promotion.closed_at, shape, f"{promotion.state.lower()} it", reason)


def _verb(promotion: Promotion, word: str) -> str:
    return reverse(f"admin:prompts_promotion_{word}", args=[quote(promotion.pk)])
