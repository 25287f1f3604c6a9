"""How a promotion stands, in the words of its page: title, rail, the plate with its checks, and what was said."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from promptforge.lib.page_tags import WORDS, first_name, said
from prompts.checks import TAKEN, Line, missing
from prompts.links import check_url
from prompts.models import Check, Promotion, Review
from prompts.models.channels import CheckName
from prompts.standing import Standing

State = Promotion.State
Conclusion = Check.Conclusion
# Checks that say nothing new when they passed: they share one line.
_FOLDED = (CheckName.HIDDEN_TEXT, CheckName.SECRETS, CheckName.CANARY, CheckName.FREEZE)
_TITLES: Mapping[str, str] = {name: name.replace("-", " ").capitalize() for name in CheckName}
# What a link is called that leads to where a check that holds the promotion back is mended or read.
_ACTIONS: Mapping[CheckName, str] = {
    CheckName.REVIEW: "Read what was said",
    CheckName.EVALUATION: "See the evaluation",
    CheckName.UP_TO_DATE: "Renew it",
    CheckName.VARIABLES: "See the variables",
    CheckName.HIDDEN_TEXT: "See the text",
    CheckName.SECRETS: "See the text",
    CheckName.CANARY: "See what is required",
    CheckName.FREEZE: "See who set it",
}
_DECISIONS = {
    Review.Decision.APPROVE: ("passed", "Approved"),
    Review.Decision.REQUEST_CHANGES: ("failed", "Changes asked"),
    Review.Decision.COMMENT: ("note", "Comment"),
}
REVIEWING, PROMOTING = 2, 3  # places in the rail
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")


@dataclass(frozen=True)
class CheckRow:
    """One check as `parts/checks.html` shows it."""

    title: str
    conclusion: str
    word: str
    summary: str
    href: str
    action: str
    is_folded: bool


class Step(NamedTuple):
    state: str
    title: str
    says: str
    at: datetime | None = None
    is_present: bool = False


class Said(NamedTuple):
    """One entry of the conversation; `aside` says why a review does not count."""

    who: Any
    at: Any
    shape: str
    word: str
    did: str
    body: str
    aside: str = ""
    review: Review | None = None


@dataclass(frozen=True)
class Plate:
    heading: str
    says: str
    rows: list[CheckRow]
    folded: list[CheckRow]

    @property
    def folded_says(self) -> str:
        """The folded checks in one line: `Hidden text, secrets, freeze: nothing found.`"""
        names = ", ".join(row.title.lower() for row in self.folded)
        return f"{names[:1].upper()}{names[1:]}: nothing holds it back."


def title(now: Standing) -> str:
    """The state as a sentence."""
    promotion, channel = now.promotion, now.promotion.channel
    number = promotion.version.number
    if promotion.state == State.APPLIED:
        is_live = now.head.release_id == now.release_id
        return f"Version {number} {'is' if is_live else 'was'} live in {channel}"
    if not now.is_open:
        ends = {State.REJECTED: "was rejected", State.WITHDRAWN: "was withdrawn", State.SUPERSEDED: "was renewed"}
        return f"The promotion of version {number} to {channel} {ends[State(promotion.state)]}"
    if now.schedule is not None and now.schedule.apply_at is not None:
        return f"Version {number} goes live in {channel} {said(now.schedule.apply_at, now.now)}"
    return f"Promote version {number} to {channel}"


def plate(now: Standing, shown: Sequence[Line], *, may_review: bool) -> Plate:
    """The checks in their order, and above them what is left."""
    rows = [_check(now, line, may_review=may_review) for line in shown]
    for name, verdict in missing(now, shown):
        if name is None:  # what no check says: that it is too old
            top = check_url(now.promotion, None)
            rows.append(CheckRow("Age", "stale", "Expired", verdict.sentence, top, "Renew it", is_folded=False))
    heading, says = _heading(now, shown)
    return Plate(heading, says, [row for row in rows if not row.is_folded], [row for row in rows if row.is_folded])


def rail(now: Standing, shown: Sequence[Line], waits_for_you: Collection[int]) -> list[Step]:
    """Asked, evaluated, reviewed, promoted: which are done, which is the present one.

    `waits_for_you` holds the places of the steps that the person who looks can take.
    """
    promotion, lines = now.promotion, {line.name: line for line in shown}
    evaluation, review = lines[CheckName.EVALUATION], lines[CheckName.REVIEW]
    approvals = len(now.counting(Review.Decision.APPROVE))
    wanted = promotion.policy.required_approvals
    steps = [
        Step("passed", "Asked", first_name(promotion.opened_by), promotion.opened_at),
        Step(evaluation.conclusion, "Evaluated", WORDS[evaluation.conclusion]),
        Step(review.conclusion, "Reviewed", _of(approvals, wanted)),
        _last_step(now),
    ]
    if not now.is_open:
        return [*steps[:3], steps[3]._replace(is_present=True)]
    done = (Conclusion.PASSED, Conclusion.NOT_REQUIRED, Conclusion.WAIVED, Conclusion.ADVICE)
    present = next((place for place in (1, REVIEWING) if steps[place].state not in done), PROMOTING)
    if present == REVIEWING:
        steps[REVIEWING] = steps[REVIEWING]._replace(title="In review")
    for later in range(present + 1, 4):
        steps[later] = steps[later]._replace(state="open")
    steps[present] = steps[present]._replace(is_present=True)
    if present in waits_for_you:
        says = f"{steps[present].says}, waits for you" if present == REVIEWING else "Waits for you"
        steps[present] = steps[present]._replace(says=says)
    return steps


def conversation(now: Standing) -> Iterator[Said]:
    """Who asked, what reviewers said, and how it ended, oldest first."""
    promotion = now.promotion
    yield Said(promotion.opened_by, promotion.opened_at, "", "", "asked for this promotion", promotion.note)
    for cast in now.casts:
        review = cast.review
        shape, word = _DECISIONS[Review.Decision(review.decision)]
        decides = review.decision != Review.Decision.COMMENT
        aside = cast.why_not if decides and cast.why_not else ""
        seen = " and ".join(TAKEN[name] for name in review.acknowledged if name in TAKEN)
        yield Said(
            who=review.reviewer,
            at=review.at,
            shape="" if not decides else shape if cast.counts else "stale",
            word=word if cast.counts else f"{word}, no longer counts",
            did=seen if decides else "commented",
            body=review.body,
            aside=aside or "",
            review=review if decides and not hasattr(review, "dismissal") else None,
        )
    if not now.is_open:
        shape, word = {
            State.APPLIED: ("passed", "Promoted"),
            State.REJECTED: ("failed", "Rejected"),
            State.WITHDRAWN: ("not_required", "Withdrawn"),
            State.SUPERSEDED: ("stale", "Renewed"),
        }[State(promotion.state)]
        yield Said(promotion.closed_by, promotion.closed_at, shape, word, "", promotion.close_reason)


def mark(now: Standing) -> str:
    """What the page stands on; when it says something else, the page has grown old."""
    last = max((review.pk for review in now.reviews), default=0)
    gone = sum(hasattr(review, "dismissal") for review in now.reviews)
    scheduled = 0 if now.schedule is None else now.schedule.pk
    promotion = now.promotion
    return f"{promotion.state}.{now.head.revision}.{promotion.channel.policy_id}.{last}.{gone}.{scheduled}"


def _check(now: Standing, line: Line, *, may_review: bool) -> CheckRow:
    holds, word = bool(line.refusals), WORDS[line.conclusion]
    if line.name == CheckName.REVIEW and line.required:
        approvals = len(now.counting(Review.Decision.APPROVE))
        word = _of(approvals, now.promotion.policy.required_approvals)
    href = check_url(now.promotion, line.name, now.evidence)
    if line.name == CheckName.REVIEW and not may_review:
        href = href.replace("#review", "#conversation")
    quiet = line.conclusion in (Conclusion.PASSED, Conclusion.NOT_REQUIRED)
    return CheckRow(
        title=_TITLES[line.name],
        conclusion=line.conclusion,
        word=word,
        summary=line.summary,
        href=href if holds or line.conclusion == Conclusion.ADVICE or _is_elsewhere(line.name, href) else "",
        action="Review it" if line.name == CheckName.REVIEW and may_review else _ACTIONS[line.name],
        is_folded=line.name in _FOLDED and quiet,
    )


def _is_elsewhere(name: CheckName, href: str) -> bool:
    """Evidence with a page of its own is read there whatever it came to."""
    return name == CheckName.EVALUATION and "#" not in href


def _heading(now: Standing, shown: Sequence[Line]) -> tuple[str, str]:
    promotion = now.promotion
    if not now.is_open:
        return f"{_ENDS[State(promotion.state)]} by {first_name(promotion.closed_by)}", "The checks as they stood then."
    found = missing(now, shown)
    if not found:
        until = f"Good until {now.expires_at.day} {now.expires_at:%B}."
        if now.schedule is not None:
            return f"Scheduled by {first_name(now.schedule.actor)}", "Every check is asked again then."
        return "Ready to promote", f"Every check passed. {until}"
    rest = f"Everything else that {promotion.channel} requires has passed."
    if len(found) > 1:
        count = _NUMBERS[len(found)] if len(found) < len(_NUMBERS) else str(len(found))
        return f"{count} things are left", rest
    return _left(now, found[0][1].code or "", found[0][1].sentence), rest


_ENDS = {
    State.APPLIED: "Promoted",
    State.REJECTED: "Rejected",
    State.WITHDRAWN: "Withdrawn",
    State.SUPERSEDED: "Renewed",
}
_LEFT = {
    "stale_base": "It is out of date",
    "policy_changed": "The rules have changed",
    "variables": "Callers would break",
    "hidden_text": "Hidden text waits to be seen",
    "secrets": "Something looks like a secret",
    "evaluation_not_passed": "The evaluation has not passed",
    "evidence_expired": "The evaluation is too old",
    "canary_required": "A canary is missing",
    "freeze": "A freeze is on",
    "expired": "It is too old",
}


def _left(now: Standing, code: str, sentence: str) -> str:
    if code == "review_missing":
        lacking = now.promotion.policy.required_approvals - len(now.counting(Review.Decision.APPROVE))
        if lacking > 0:
            return f"{_NUMBERS[lacking]} approval{' is' if lacking == 1 else 's are'} missing"
    return _LEFT.get(code, sentence.removesuffix("."))


def _last_step(now: Standing) -> Step:
    promotion = now.promotion
    if promotion.state == State.APPLIED:
        return Step("passed", "Promoted", first_name(promotion.closed_by), promotion.closed_at)
    if not now.is_open:
        ended = _ENDS[State(promotion.state)]
        shape = "failed" if promotion.state == State.REJECTED else "stale"
        return Step(shape, ended, first_name(promotion.closed_by), promotion.closed_at)
    if now.schedule is not None:
        return Step("waiting", "Scheduled", "", now.schedule.apply_at)
    return Step("waiting", "Promote", "A release manager decides")


def _of(given: int, wanted: int) -> str:
    return f"{given} of {wanted}" if wanted else "Not required"
