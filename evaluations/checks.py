"""The check `evaluation`: whether every set that the channel demands passed, on exactly this against what is live."""

from collections.abc import Sequence

from evaluations.evidence import Evidence
from promptforge.lib.verdicts import ALLOWED, Verdict, denied
from prompts.checks import CODES, Answer, ComputedCheck, Conclusion, held
from prompts.models.channels import CheckName
from prompts.standing import Standing

_NEITHER = (
    "It neither passed nor failed: one approval more than usual, whose reason says why it may go live, settles it."
)

_NOT_YET = "This version was not compared with exactly what is live yet, by the set"
_AGAIN = "The model may have changed: run it again."


class EvaluationCheck(ComputedCheck):
    """Computed from the rules and their runs, never stored: `promptforge_release_measured` judges the same."""

    name = CheckName.EVALUATION

    def demanded(self, standing: Standing) -> bool:
        return bool(standing.evidence.get(self.name))

    def acknowledges(self, standing: Standing) -> str:
        found: Sequence[Evidence] = standing.evidence.get(self.name) or ()
        return " ".join(_told(each) for each in found if each.outcome == "INCONCLUSIVE")

    def answer(self, standing: Standing) -> Answer:
        found: Sequence[Evidence] = standing.evidence.get(self.name) or ()
        if not found:
            if self.name not in standing.promotion.policy.required_checks:
                return Answer(Conclusion.NOT_REQUIRED, "No rule asks for an evaluation.")
            sentence = (
                f"{standing.promotion.channel} requires an evaluation, and no rule says by which set. Make a set for "
                "this prompt and a rule for it in the settings."
            )
            return held(Conclusion.FAILED, denied(CODES[self.name], sentence))
        answers = [_of_rule(each, standing) for each in found]
        refusals = [verdict for _, verdict in answers if not verdict.allowed]
        if not refusals:
            conclusions = {conclusion for conclusion, _ in answers}
            worst = Conclusion.WAIVED if Conclusion.WAIVED in conclusions else Conclusion.PASSED
            return Answer(worst, " ".join(_told(each) for each in found))
        return held(min((c for c, v in answers if not v.allowed), key=_WORST.index), *refusals)


# What is told of several sets, the gravest first.
_WORST = (Conclusion.FAILED, Conclusion.STALE, Conclusion.WAITING, Conclusion.RUNNING)


def _of_rule(each: Evidence, standing: Standing) -> tuple[Conclusion, Verdict]:
    """What one rule's evidence concludes, and why it holds the promotion back, if it does: the first that applies."""
    name, days = each.set_name, standing.promotion.policy.evidence_ttl_days
    for applies, conclusion, why in (
        (each.outcome == "PASS", Conclusion.PASSED, ""),
        (each.outcome == "INCONCLUSIVE" and each.vouched, Conclusion.WAIVED, ""),
        (each.outcome == "INCONCLUSIVE", Conclusion.WAITING, f"{_told(each)} {_NEITHER}"),
        (each.going == "paused", Conclusion.WAITING, f"The evaluation by {name} waits: {each.pause_reason}"),
        (each.going is not None, Conclusion.RUNNING, f"It is being evaluated by {name}."),
        (each.outcome is None and each.refused != "", Conclusion.FAILED, f"{name} was not run: {each.refused}"),
        (each.outcome is None, Conclusion.WAITING, f"{_NOT_YET} {name} as it is now."),
        (each.outcome == "EXPIRED", Conclusion.STALE, f"The evaluation by {name} is older than {days} days. {_AGAIN}"),
        (True, Conclusion.FAILED, _told(each)),
    ):
        if applies:
            code = "evidence_expired" if conclusion == Conclusion.STALE else CODES[CheckName.EVALUATION]
            return conclusion, denied(code, why) if why else ALLOWED
    raise AssertionError


def _told(each: Evidence) -> str:
    """The verdict in a sentence; that the same failed before, or was given up, is never left out."""
    before = " Exactly the same failed before." if each.failed_before and each.run_outcome == "PASS" else ""
    return f"{each.set_name}: {each.sentence or each.run_outcome}{before}{_given_up(each)}"


def _given_up(each: Evidence) -> str:
    """Whoever reads a verdict knows of the runs whose answers somebody could see before they cancelled them."""
    if each.cancelled_at is None:
        return ""
    whose = f"by {each.cancelled_by} on {each.cancelled_at:%Y-%m-%d}"
    if each.cancelled == 1:
        return f" One run of exactly the same was cancelled before its verdict, {whose}."
    return f" {each.cancelled} runs of exactly the same were cancelled before their verdict, the newest {whose}."
