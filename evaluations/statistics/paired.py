"""Differences of two arms over the same cases, with their error. The case is the unit; repeats are not extra cases."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from evaluations.statistics.quantiles import quantile, tail


@dataclass(frozen=True, slots=True)
class Pair:
    """One case: what its repeats gave in each arm. Where no baseline answers, `target` stands for its mean."""

    candidate: Sequence[float]
    baseline: Sequence[float]
    group: str = ""
    target: float = 0.0

    @property
    def before(self) -> float:
        return mean(self.baseline) if self.baseline else self.target

    @property
    def difference(self) -> float:
        return mean(self.candidate) - self.before


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean difference and its standard error; `df` of Student's t, None for the normal.

    `centre` is where the interval is centred: beside `value` for Agresti and Caffo's, else the same.
    """

    value: float
    se: float
    df: float | None
    centre: float

    def interval(self, level: float) -> tuple[float, float]:
        """One-sided bounds at `level` each, so that they decide what the verdict says."""
        reach = quantile(level, self.df) * self.se if self.se else 0.0
        return self.centre - reach, self.centre + reach

    def chance(self, limit: float) -> float:
        """The one-sided p of H0: at most `limit`."""
        if self.se == 0:
            return 0.0 if self.centre > limit else 1.0
        return tail((self.centre - limit) / self.se, self.df)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def overall(values: Sequence[float]) -> float:
    """The mean over cases: summed exactly, so that their order never matters."""
    return math.fsum(values) / len(values)


def variance(values: Sequence[float]) -> float:
    """Unbiased; needs two values."""
    middle = mean(values)
    return sum([(value - middle) ** 2 for value in values]) / (len(values) - 1)


def careful_variance(values: Sequence[float]) -> float:
    """The variance of scores in 0..1 with half a zero and half a one added, so that 3 of 3 gives no false certainty.

    For zeros and ones that is p̃(1 − p̃) with p̃ = (x + ½) / (k + 1).
    """
    size = len(values) + 1
    middle = (sum(values) + 0.5) / size
    return (sum([value * value for value in values]) + 0.5) / size - middle * middle


def of_these_cases(pairs: Sequence[Pair]) -> Estimate:
    """Scores in 0..1 on exactly these cases: SE = (1/n)·√Σ(v/k of each arm); it falls with more repeats."""
    spread = math.fsum(
        careful_variance(arm) / len(arm) for pair in pairs for arm in (pair.candidate, pair.baseline) if arm
    )
    value = overall([pair.difference for pair in pairs])
    return Estimate(value, math.sqrt(spread) / len(pairs), None, value)


def measured_on_these_cases(pairs: Sequence[Pair]) -> Estimate:
    """The same for values without bounds. A case with one repeat varies as the others do on average."""
    arms = [arm for pair in pairs for arm in (pair.candidate, pair.baseline) if arm]
    known = [variance(arm) for arm in arms if len(arm) > 1]
    value = overall([pair.difference for pair in pairs])
    if not known:
        return of_traffic(pairs)
    usual = overall(known)
    spread = math.fsum((variance(arm) if len(arm) > 1 else usual) / len(arm) for arm in arms)
    return Estimate(value, math.sqrt(spread) / len(pairs), float(sum(len(arm) - 1 for arm in arms)), value)


def of_traffic(pairs: Sequence[Pair], least: float = 0.0) -> Estimate:
    """Traffic like these cases: clustered by group (Miller 2024, Cameron & Miller 2015), Student's t.

    Where each case is a group of its own, this is sd(D)/√n. `least` bounds the error from below.
    """
    differences = [pair.difference for pair in pairs]
    value = overall(differences)
    clusters: dict[str | int, list[float]] = defaultdict(list)
    for index, (pair, difference) in enumerate(zip(pairs, differences, strict=True)):
        clusters[pair.group or index].append(difference - value)
    count = len(clusters)
    if count < 2:
        return Estimate(value, math.inf, 1.0, value)
    spread = math.fsum(math.fsum(members) ** 2 for members in clusters.values())
    error = math.sqrt(count / (count - 1) * spread) / len(pairs)
    return Estimate(value, max(error, least), count - 1.0, value)


def of_rates(pairs: Sequence[Pair]) -> Estimate:
    """Rare events on exactly these cases, all repeats together: Agresti & Caffo 2000, one more hit and miss per arm.

    Cases that differ among themselves make the error smaller than this takes it, never larger.
    """
    arms = [[value for pair in pairs for value in arm(pair)] for arm in (_candidate, _baseline)]
    tried = [((math.fsum(values) + 1) / (len(values) + 2), len(values) + 2) for values in arms]
    error = math.sqrt(math.fsum(rate * (1 - rate) / size for rate, size in tried))
    return Estimate(mean(arms[0]) - mean(arms[1]), error, None, tried[0][0] - tried[1][0])


def _candidate(pair: Pair) -> Sequence[float]:
    return pair.candidate


def _baseline(pair: Pair) -> Sequence[float]:
    return pair.baseline
