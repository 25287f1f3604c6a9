"""Whether what was measured can be judged at all. What is missing may be what fails: it never counts as passed."""

from collections.abc import Iterator

from evaluations.statistics.evidence import Evidence
from evaluations.statistics.plans import Plan
from evaluations.statistics.verdicts import Outcome
from evaluations.statistics.words import (
    incomplete_sentence,
    missing_sentence,
    not_comparable_sentence,
    unscored_sentence,
)

type Fault = tuple[Outcome, str]


def first_fault(evidence: Evidence, plan: Plan, look: int) -> Fault | None:
    """The first thing that keeps the figures from meaning anything, in a sentence."""
    return next(_faults(evidence, plan, look), None)


def may_mend(evidence: Evidence, plan: Plan, look: int) -> bool:
    """Whether what could not be scored so far may yet be few, once the last look has brought all its repeats."""
    if _one_group(evidence, plan):
        return False
    allowed = plan.unscored_limit * plan.looks[-1] * len(evidence.cases)
    return look + 1 < len(plan.looks) and all(evidence.unscored.get(arm, 0) <= allowed for arm in evidence.arms)


def _faults(evidence: Evidence, plan: Plan, look: int) -> Iterator[Fault]:
    if evidence.differs:
        yield "NOT_COMPARABLE", not_comparable_sentence(evidence)
    if not evidence.cases:
        yield "INCOMPLETE", "The set has no cases."
    due = plan.looks[look] * len(evidence.cases) + plan.confirm_repeats * len(evidence.confirmed)
    for arm in evidence.arms:
        if (called := evidence.called.get(arm, 0)) < due:
            yield "INCOMPLETE", incomplete_sentence(arm, called, due)
    yield from _losses(evidence, plan)
    if _one_group(evidence, plan):
        yield (
            "INCONCLUSIVE",
            "All cases belong to one group, so they say nothing about other traffic. Give them groups of their own.",
        )


def _losses(evidence: Evidence, plan: Plan) -> Iterator[Fault]:
    for arm in evidence.arms:
        if evidence.unscored.get(arm, 0) > plan.unscored_limit * evidence.called[arm]:
            yield "INCONCLUSIVE", unscored_sentence(arm, evidence, plan)
        empty = min((case.case for case in evidence.cases if not case.of(arm)), default=None)
        if empty is not None:
            yield "INCONCLUSIVE", missing_sentence(arm, empty)


def _one_group(evidence: Evidence, plan: Plan) -> bool:
    if plan.estimand == "these cases":
        return False
    groups = {case.group for case in evidence.cases}
    return len(groups) == 1 and (groups != {""} or len(evidence.cases) == 1)
