"""The checks that every installation has: who approved, whether it is up to date, a freeze, and what the texts say."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from promptforge.lib.verdicts import denied
from prompts.checks import CODES, Answer, ComputedCheck, Conclusion, held, passed
from prompts.hidden_text import find_hidden
from prompts.models import Promotion, PromptVersion, Review
from prompts.models.channels import CheckName
from prompts.secret_scan import find_secrets
from prompts.standing import Standing

_NUMBERS = ("no", "one", "two", "three", "four", "five")


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
    """Says what was found when the promotion was opened; what is too old for the guards is looked for anew.

    The texts are frozen, but not what is looked for: an update may find more.
    """

    name: CheckName

    @abstractmethod
    def examine(self, promotion: Promotion) -> Answer:
        """What the texts of its versions say."""

    def demanded(self, standing: Standing) -> bool:  # noqa: ARG002
        return False

    def acknowledges(self, standing: Standing) -> str:  # noqa: ARG002
        return ""

    def answer(self, standing: Standing) -> Answer:
        row = standing.fresh.get(self.name)
        if row is None:  # too old, or opened before this check was installed
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
        found = super().answer(standing)
        return "" if found.conclusion == Conclusion.PASSED else found.summary

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
