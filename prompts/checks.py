"""What can hold a promotion back: each check's answer, what is missing in all, and the status that follows.

`settings.PROMOTION_CHECKS` lists the checks that are installed; an app above adds its own there. A check that a policy
requires and that nothing answers is failed, never skipped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from promptforge.lib.verdicts import Verdict, denied
from prompts.models import Check, Promotion
from prompts.models.channels import CheckName
from prompts.standing import Standing, standings

Conclusion = Check.Conclusion
# What a refusal calls it when a check holds a promotion back.
CODES: Mapping[CheckName, str] = {
    CheckName.REVIEW: "review_missing",
    CheckName.EVALUATION: "evaluation_not_passed",
    CheckName.UP_TO_DATE: "stale_base",
    CheckName.VARIABLES: "variables",
    CheckName.HIDDEN_TEXT: "hidden_text",
    CheckName.SECRETS: "secrets",
    CheckName.CANARY: "canary_required",
    CheckName.FREEZE: "freeze",
}
# What an open promotion can be, worst first, and what a closed one is. Nothing is rolling_out as yet.
OPEN_STATUSES = (
    "expired",
    "stale",
    "changes_requested",
    "blocked",
    "evaluating",
    "in_review",
    "scheduled",
    "rolling_out",
    "ready",
)
STATUSES = (*OPEN_STATUSES, "applied", "rejected", "withdrawn", "superseded")


@dataclass(frozen=True)
class Answer:
    """What a check says now: a conclusion, a sentence, and (unless it passed) why it holds the promotion back."""

    conclusion: Conclusion
    summary: str
    refusals: tuple[Verdict, ...] = ()


class PromotionCheck(Protocol):
    """One condition of a promotion."""

    name: CheckName

    def examine(self, promotion: Promotion) -> Answer | None:
        """What is stored when the promotion is opened, renewed or applied; None: nothing is, `answer` computes it."""

    def answer(self, standing: Standing) -> Answer:
        """What it says now; whether it is required is asked elsewhere."""

    def demanded(self, standing: Standing) -> bool:
        """Whether it is required although the policy does not name it."""

    def acknowledges(self, standing: Standing) -> str:
        """What an approver may take upon themselves, in a sentence; nothing when there is nothing."""


class Line(NamedTuple):
    """One check of one promotion, as it is shown."""

    name: CheckName
    required: bool
    conclusion: Conclusion
    summary: str
    refusals: tuple[Verdict, ...]


class ToAcknowledge(NamedTuple):
    """What an approver says besides: the check, what is said with it, and what was found."""

    name: CheckName
    label: str
    says: str


_ACKNOWLEDGED: Mapping[CheckName, str] = {
    CheckName.HIDDEN_TEXT: "I have seen the hidden characters, and they may go live",
    CheckName.EVALUATION: "The evaluation settles nothing; my note says why it may go live",
}

# What is said of who did.
TAKEN: Mapping[str, str] = {
    CheckName.HIDDEN_TEXT: "acknowledged the hidden text",
    CheckName.EVALUATION: "took the evaluation upon themselves",
}


def passed(summary: str) -> Answer:
    return Answer(Conclusion.PASSED, summary)


def held(conclusion: Conclusion, *refusals: Verdict) -> Answer:
    return Answer(conclusion, " ".join(verdict.sentence for verdict in refusals), refusals)


# --- Computed, never stored ------------------------------------------------------------------------------------------
class ComputedCheck:
    def examine(self, promotion: Promotion) -> Answer | None:  # noqa: ARG002
        return None

    def demanded(self, standing: Standing) -> bool:  # noqa: ARG002
        return True

    def acknowledges(self, standing: Standing) -> str:  # noqa: ARG002
        return ""


# --- All of them -----------------------------------------------------------------------------------------------------
# What is asked of the present says nothing of a promotion that is closed.
_OF_THE_MOMENT = (CheckName.UP_TO_DATE, CheckName.FREEZE)


@cache
def installed() -> dict[str, PromotionCheck]:
    """The checks of `settings.PROMOTION_CHECKS` by name."""
    return {check.name: check for check in (import_string(path)() for path in settings.PROMOTION_CHECKS)}


def examine(promotion: Promotion) -> Iterator[tuple[CheckName, Answer]]:
    """What every check that is stored finds in an open promotion now."""
    for check in installed().values():
        if (answer := check.examine(promotion)) is not None:
            yield check.name, answer


def lines(standing: Standing) -> list[Line]:
    """Every check's answer, in the order in which they are shown."""
    return [_line(name, standing) for name in CheckName]


def to_acknowledge(standing: Standing) -> list[ToAcknowledge]:
    """What whoever approves has to take upon themselves besides."""
    found = [(name, installed()[name].acknowledges(standing)) for name in _ACKNOWLEDGED]
    return [ToAcknowledge(name, _ACKNOWLEDGED[name], says) for name, says in found if says]


def missing(standing: Standing, shown: Sequence[Line]) -> list[tuple[CheckName | None, Verdict]]:
    """Everything that keeps an open promotion from being applied, each with the check that says so."""
    if not standing.is_open:
        return []
    found: list[tuple[CheckName | None, Verdict]] = [(line.name, v) for line in shown for v in line.refusals]
    if standing.expires_at < standing.now:
        days = standing.promotion.policy.approval_ttl_days
        found.append((None, denied("expired", f"It is older than {days} days. Renew the promotion.")))
    return found


def status(standing: Standing, shown: Sequence[Line]) -> str:
    """What stands between the promotion and its release, in one word: the first that applies."""
    promotion = standing.promotion
    if not standing.is_open:
        return promotion.state.lower()
    verdicts = [verdict for _, verdict in missing(standing, shown)]
    codes = {verdict.code for verdict in verdicts}
    conclusions = {line.conclusion for line in shown if line.refusals}
    for word, applies in (
        ("expired", "expired" in codes),
        ("stale", bool(codes & {"stale_base", "policy_changed"})),
        ("changes_requested", "changes_requested" in codes),
        ("blocked", bool(conclusions & {Conclusion.FAILED, Conclusion.STALE}) or "freeze" in codes),
        ("evaluating", Conclusion.RUNNING in conclusions),
        ("in_review", bool(codes)),
        ("scheduled", standing.schedule is not None),
    ):
        if applies:
            return word
    return "ready"


def with_status(promotions: Any, wanted: str) -> Any:
    """Those with a status, which no column holds: of the open ones it is computed, and open ones are few."""
    if wanted not in OPEN_STATUSES:
        return promotions.filter(state=wanted.upper())
    found = standings(promotions.filter(state=Promotion.State.OPEN))
    return promotions.filter(pk__in=[each.promotion.pk for each in found if status(each, lines(each)) == wanted])


def _line(name: CheckName, standing: Standing) -> Line:
    channel, check = standing.promotion.channel, installed().get(name)
    required = name in standing.promotion.policy.required_checks or (check is not None and check.demanded(standing))
    if name in _OF_THE_MOMENT and not standing.is_open:
        state = standing.promotion.state
        conclusion = Conclusion.PASSED if state == Promotion.State.APPLIED else Conclusion.NOT_REQUIRED
        return Line(name, required, conclusion, f"It was {state.lower()}.", ())
    if check is None:
        if not required:
            return Line(name, required, Conclusion.NOT_REQUIRED, f"{channel} does not require it.", ())
        sentence = f"{channel} requires the check {name}, and nothing that is installed here answers it."
        answer = held(Conclusion.FAILED, denied(CODES[name], sentence))
    else:
        answer = check.answer(standing)
    if answer.refusals and not required:
        return Line(name, required, Conclusion.ADVICE, answer.summary, ())
    return Line(name, required, answer.conclusion, answer.summary, answer.refusals if standing.is_open else ())
