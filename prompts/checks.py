"""What can hold a promotion back: each check's answer, what is missing in all, and the status that follows.

`settings.PROMOTION_CHECKS` lists the checks that are installed; an app above adds its own there. A check that a policy
requires and that nothing answers is failed, never skipped.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from promptforge.lib.verdicts import Verdict, denied
from prompts.hidden_text import find_hidden
from prompts.models import Check, Promotion, PromptVersion, Review
from prompts.models.channels import CheckName
from prompts.secret_scan import find_secrets
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


class ReviewCheck(ComputedCheck):
    """How many approvals of how many, from which groups, and who asked for changes."""

    name = CheckName.REVIEW

    def demanded(self, standing: Standing) -> bool:
        policy, objections = standing.promotion.policy, standing.counting(Review.Decision.REQUEST_CHANGES)
        return policy.required_approvals > 0 or bool(policy.review_groups) or bool(objections)

    def answer(self, standing: Standing) -> Answer:
        policy, approvals = standing.promotion.policy, standing.counting(Review.Decision.APPROVE)
        objections = standing.counting(Review.Decision.REQUEST_CHANGES)
        refusals = [denied("changes_requested", f"{review.reviewer} asked for changes.") for review in objections]
        if (lacking := policy.required_approvals - len(approvals)) > 0:
            of, verb = _NUMBERS[policy.required_approvals], "is" if lacking == 1 else "are"
            sentence = f"{_count(lacking, 'approval').capitalize()} of {of} {verb} missing."
            refusals.append(denied(CODES[self.name], sentence))
        refusals += [
            denied(CODES[self.name], f"An approval by {_group(group)} is missing.")
            for group in policy.review_groups
            if not any(_belongs(review.reviewer_id, standing.roles, group) for review in approvals)
        ]
        if refusals:
            return held(Conclusion.FAILED if objections else Conclusion.WAITING, *refusals)
        if not approvals:
            return Answer(Conclusion.NOT_REQUIRED, "No approval is required.")
        return passed(f"Approved by {', '.join(str(review.reviewer) for review in approvals)}.")


class UpToDateCheck(ComputedCheck):
    """Whether the live version is still the one that was compared and approved against, and the policy the same."""

    name = CheckName.UP_TO_DATE

    def answer(self, standing: Standing) -> Answer:
        promotion, refusals = standing.promotion, []
        was, live = _live(promotion.base_version), _live(standing.head.version)
        if standing.base_moved:
            sentence = (
                f"It was opened when {was} was live on {promotion.channel}; by now {live} is. Renew the promotion."
            )
            refusals.append(denied(CODES[self.name], sentence))
        if standing.policy_changed:
            sentence = f"The policy of {promotion.channel} has changed since it was opened. Renew the promotion."
            refusals.append(denied("policy_changed", sentence))
        return held(Conclusion.STALE, *refusals) if refusals else passed(f"As when it was opened, {live} is live.")


class FreezeCheck(ComputedCheck):
    """Whether a freeze window is on."""

    name = CheckName.FREEZE

    def answer(self, standing: Standing) -> Answer:
        for freeze in standing.freezes:
            if freeze.starts_at <= standing.now < freeze.ends_at:
                until = freeze.ends_at.strftime("%Y-%m-%d %H:%M UTC")
                return held(
                    Conclusion.WAITING,
                    denied(CODES[self.name], f"{standing.promotion.channel} is frozen until {until}: {freeze.reason}"),
                )
        return passed("No freeze window is on.")


# --- Stored: what a text says, which never changes -------------------------------------------------------------------
class StoredCheck(ABC):
    """Says what was found when the promotion was opened. The texts are frozen, so it does not grow old."""

    name: CheckName

    @abstractmethod
    def examine(self, promotion: Promotion) -> Answer:
        """What the texts of its versions say."""

    def demanded(self, standing: Standing) -> bool:  # noqa: ARG002
        return False

    def acknowledges(self, standing: Standing) -> str:  # noqa: ARG002
        return ""

    def answer(self, standing: Standing) -> Answer:
        row = standing.stored.get(self.name)
        if row is None:  # it was opened before this check was installed
            return self.examine(standing.promotion)
        if row.conclusion == Conclusion.PASSED:
            return passed(row.summary)
        return held(Conclusion(row.conclusion), denied(CODES[self.name], row.summary))


class VariablesCheck(StoredCheck):
    """What callers of the live version would have to change."""

    name = CheckName.VARIABLES

    def examine(self, promotion: Promotion) -> Answer:
        if promotion.base_version is None:
            return passed("Nothing is live yet, so no caller relies on anything.")
        old = {variable["name"]: variable for variable in promotion.base_version.variable_list}
        new = {variable["name"]: variable for variable in promotion.version.variable_list}
        breaks = [sentence for name in new for sentence in caller_breaks(name, old.get(name), new[name])]
        dropped = [name for name in old if name not in new]
        if breaks:
            return held(Conclusion.FAILED, denied(CODES[self.name], f"Callers would break: {'; '.join(breaks)}."))
        if dropped:
            return passed(f"No longer used: {', '.join(dropped)}. Callers may go on sending them, but not with strict.")
        return passed("Callers need not change anything.")


class HiddenTextCheck(StoredCheck):
    """Characters that show a text otherwise than it is; every approver must acknowledge them."""

    name = CheckName.HIDDEN_TEXT

    def examine(self, promotion: Promotion) -> Answer:
        severe = [
            (where, found)
            for _, where, text in promotion.version.served_texts
            for found in find_hidden(text)
            if found["severe"]
        ]
        if not severe:
            return passed("No character hides or turns what is written.")
        where, first = severe[0]
        spelled = next((f" They spell “{found['decoded'][:60]}”." for _, found in severe if found["decoded"]), "")
        return held(
            Conclusion.FAILED,
            denied(
                CODES[self.name],
                f"{_count(len(severe), 'character').capitalize()} that a reader does not see as stored, the first "
                f"{first['codepoint']} in {where}, line {first['line']}, column {first['column']}.{spelled}",
            ),
        )

    def acknowledges(self, standing: Standing) -> str:
        row = standing.stored.get(self.name)
        return "" if row is None or row.conclusion == Conclusion.PASSED else row.summary

    def answer(self, standing: Standing) -> Answer:
        stored = super().answer(standing)
        if stored.conclusion == Conclusion.PASSED or standing.promotion.policy.required_approvals == 0:
            return stored
        approvals = standing.counting(Review.Decision.APPROVE)
        silent = [review.reviewer for review in approvals if self.name not in review.acknowledged]
        if approvals and not silent:
            return passed(f"{stored.summary} Acknowledged by every approver.")
        who = ", ".join(map(str, silent)) if silent else "Whoever approves"
        return held(
            Conclusion.WAITING,
            denied(CODES[self.name], f"{stored.summary} {who} must acknowledge {self.name} when approving."),
        )


class SecretsCheck(StoredCheck):
    """Something that looks like a key or a password in what is served."""

    name = CheckName.SECRETS

    def examine(self, promotion: Promotion) -> Answer:
        found = [(where, secret) for _, where, text in promotion.version.served_texts for secret in find_secrets(text)]
        if not found:
            return passed("Nothing looks like a key or a password.")
        where, first = found[0]
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        return held(
            Conclusion.FAILED,
            denied(
                CODES[self.name],
                f"Looks like a secret: {first.kind} in {where}, line {first.line}, column {first.column}{more}. "
                "Save a version without it, and end what was a real one.",
            ),
        )


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


_NUMBERS = ("no", "one", "two", "three", "four", "five")
# From … to: every value of the first is one of the second.
_WIDER = {("enum", "string"), ("integer", "number")}


def caller_breaks(name: str, old: dict[str, Any] | None, new: dict[str, Any]) -> Iterator[str]:
    """What a caller of the old declaration runs into with the new one."""
    if old is None:
        if new["required"]:
            yield f"{name} is new and required"
        return
    if new["required"] and not old["required"]:
        yield f"{name} became required"
    if new["type"] not in (old["type"], "json") and (old["type"], new["type"]) not in _WIDER:
        yield f"{name} takes {new['type']} instead of {old['type']}"
    if new["enum"] is not None and (gone := [v for v in old["enum"] or ["others"] if v not in new["enum"]]):
        yield f"{name} no longer takes {', '.join(map(str, gone))}"
    if new["max_length"] is not None and (old["max_length"] is None or new["max_length"] < old["max_length"]):
        yield f"{name} takes at most {new['max_length']} characters"


def _belongs(person: int, roles: dict[int, list[str]], group: Sequence[str]) -> bool:
    return f"user:{person}" in group or any(f"role:{role}" in group for role in roles.get(person, []))


def _group(group: Sequence[str]) -> str:
    names = [member.partition(":")[2] if member.startswith("role:") else "a person named there" for member in group]
    return f"one of: {', '.join(dict.fromkeys(names))}"


def _live(version: PromptVersion | None) -> str:
    return "nothing" if version is None else f"version {version.number}"


def _count(number: int, noun: str) -> str:
    word = _NUMBERS[number] if number < len(_NUMBERS) else number
    return f"{word} {noun}{'' if number == 1 else 's'}"
