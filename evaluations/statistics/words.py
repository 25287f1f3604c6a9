"""The sentences of a verdict, for people who run no statistics."""

import math
from collections.abc import Sequence

from evaluations.statistics.claims import Claim
from evaluations.statistics.criteria import CriterionRates
from evaluations.statistics.evidence import Arm, Evidence
from evaluations.statistics.plans import Plan
from evaluations.statistics.verdicts import Interval, Outcome, Rates

_NAMES: dict[Arm, str] = {"candidate": "candidate", "baseline": "live version"}


def scope(cases: int, plan: Plan) -> str:
    """What the answer is about; said each time, for ten cases say nothing of other traffic."""
    counted = "this one case" if cases == 1 else f"these {cases} cases"
    return counted if plan.estimand == "these cases" else f"traffic like {counted}"


def score_sentence(outcome: Outcome, claim: Claim, candidate: Rates, before: float, cases: int, plan: Plan) -> str:
    """Against the live version; `before` is its score."""
    about = scope(cases, plan)
    rates = f"it gets {percent(candidate.score)} right, the live version {percent(before)}"
    low, high = _drop(claim, plan)
    if outcome == "FAIL":
        return f"The candidate is worse than the live version on {about}: {rates}."
    if outcome == "INCONCLUSIVE":
        return (
            f"It cannot be told yet whether the candidate is more than {points(plan.margin)} worse on {about}: "
            f"{rates}, and the true change lies between {change(low)} and {change(high)}."
        )
    if low > 0:
        return f"The candidate is better than the live version on {about}: {rates}."
    return (
        f"The candidate is no worse than the live version on {about}: {rates}, "
        f"and a drop of more than {points(plan.margin)} is ruled out."
    )


def absolute_sentence(outcome: Outcome, claim: Claim, candidate: Rates, cases: int, plan: Plan) -> str:
    """Without a live version: against what is asked."""
    about, asked = scope(cases, plan), f"{percent(plan.pass_rate)} are asked"
    if outcome == "FAIL":
        return f"The candidate gets only {percent(candidate.score)} right on {about}; {asked}."
    if outcome == "INCONCLUSIVE":
        low, high = (min(1.0, max(0.0, plan.pass_rate + bound)) for bound in _drop(claim, plan))
        return (
            f"It cannot be told yet whether the candidate gets enough right on {about}: {percent(candidate.score)}, "
            f"truly between {percent(low)} and {percent(high)}; {asked}, give or take {points(plan.margin)}."
        )
    return (
        f"The candidate gets {percent(candidate.score)} right on {about}; {asked}, give or take {points(plan.margin)}."
    )


def criterion_sentence(criteria: Sequence[CriterionRates]) -> str:
    """What a candidate that failed breaks: the criterion that surely fell most, if one did."""
    fallen = [each for each in criteria if each.counts and each.interval is not None and each.interval[1] < 0]
    if not fallen:
        return ""
    most = min(fallen, key=lambda each: each.delta or 0.0)
    after, before = percent(most.candidate), percent(most.baseline or 0.0)
    return f"It breaks “{most.criterion}” most, which {after} of its answers meet and {before} of the live version's."


def length_sentence(outcome: Outcome, ratio: float, interval: Interval, limit: float) -> str:
    told = f"Answers are {times(ratio)} as long as the live version's"
    if outcome == "INCONCLUSIVE":
        return f"{told}, truly between {times(interval[0])} and {times(interval[1])}; up to {times(limit)} is allowed."
    return f"{told}; up to {times(limit)} is allowed."


def refusal_sentence(outcome: Outcome, candidate: float, before: float, margin: float) -> str:
    told = f"The candidate refuses {percent(candidate)} of the answers, the live version {percent(before)}"
    if outcome == "INCONCLUSIVE":
        return f"{told}; whether that is more than {points(margin)} more cannot be told yet."
    return f"{told}; up to {points(margin)} more are allowed."


def unscored_sentence(arm: Arm, evidence: Evidence, plan: Plan) -> str:
    lost, called = evidence.unscored.get(arm, 0), evidence.called.get(arm, 0)
    return (
        f"{lost} of {called} answers of the {_NAMES[arm]} could not be scored, more than "
        f"{percent(plan.unscored_limit)}. "
        "What is missing may be what fails, so this counts as neither passed nor failed."
    )


def missing_sentence(arm: Arm, case: str) -> str:
    return f"No answer of the {_NAMES[arm]} to case “{case}” could be scored. A missing case is not a passed case."


def incomplete_sentence(arm: Arm, called: int, due: int) -> str:
    return f"The run ended early: {called} of {due} calls of the {_NAMES[arm]} were made."


def not_comparable_sentence(evidence: Evidence) -> str:
    named = list(evidence.differs)
    listed = ", ".join(named[:-1]) + " and " + named[-1] if len(named) > 1 else named[0]
    return f"The two versions were not measured alike: {listed} differed. Run both again."


def percent(share: float) -> str:
    """97.6 % where whole numbers would hide what is left; never a rounded 100 % or 0 %."""
    value = 100 * share
    if value in (0, 100) or abs(value - round(value)) < 1e-9:
        return f"{round(value)} %"
    if 1 <= value <= 99:
        return f"{round(value)} %"
    return f"{max(0.1, min(99.9, round(value, 1))):g} %"


def points(share: float) -> str:
    value = f"{round(100 * share, 1):g}"
    return "1 point" if value == "1" else f"{value} points"


def change(delta: float) -> str:
    size = abs(100 * delta)
    shown = f"{round(size)}" if size >= 1 else f"{round(size, 1):g}"
    if shown == "0":
        return "no change"
    return f"{shown} {'point' if shown == '1' else 'points'} {'worse' if delta < 0 else 'better'}"


def times(ratio: float) -> str:
    return f"{ratio:.2f} times" if ratio < 9.995 else f"{round(ratio)} times"


def _drop(claim: Claim, plan: Plan) -> Interval:
    low, high = claim.harm.interval(plan.level)
    return max(-1.0, -high), min(1.0, -low)


def ratios(claim: Claim, plan: Plan) -> tuple[float, Interval]:
    low, high = claim.harm.interval(plan.level)
    return math.exp(claim.harm.value), (math.exp(low), math.exp(high))
