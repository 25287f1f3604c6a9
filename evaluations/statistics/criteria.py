"""How often each criterion is met, in either arm. It explains a verdict; none depends on it."""

from collections.abc import Sequence
from dataclasses import dataclass

from evaluations.statistics.paired import Pair, mean, of_these_cases, of_traffic, overall
from evaluations.statistics.plans import Plan
from evaluations.statistics.verdicts import Interval


@dataclass(frozen=True, slots=True)
class CriterionRates:
    """Shares of answers that meet it, each case counting alike. Without a baseline nothing is compared."""

    criterion: str
    counts: bool
    cases: int
    candidate: float
    baseline: float | None = None
    delta: float | None = None
    interval: Interval | None = None


def criterion_rates(criterion: str, pairs: Sequence[Pair], plan: Plan, *, counts: bool) -> CriterionRates:
    """`pairs` hold 1.0 for each answer that meets it, else 0.0: with bounds like those of the score itself."""
    after = overall([mean(pair.candidate) for pair in pairs])
    if not all(pair.baseline for pair in pairs):
        return CriterionRates(criterion, counts, len(pairs), after)
    found = of_these_cases(pairs) if plan.estimand == "these cases" else of_traffic(pairs, least=1 / len(pairs))
    low, high = found.interval(plan.level)
    return CriterionRates(
        criterion,
        counts,
        len(pairs),
        after,
        baseline=overall([mean(pair.baseline) for pair in pairs]),
        delta=found.value,
        interval=(max(-1.0, low), min(1.0, high)),
    )
