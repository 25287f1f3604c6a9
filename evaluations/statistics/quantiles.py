"""The few textbook functions that all of this stands on. scipy is imported where it is called: no web process does."""

import math
from collections.abc import Sequence
from statistics import NormalDist

_NORMAL = NormalDist()


def normal_quantile(above: float) -> float:
    """The z that a standard normal value exceeds with the chance `above`."""
    return -_NORMAL.inv_cdf(above)


def quantile(above: float, df: float | None) -> float:
    """As `normal_quantile`, by Student's t when there are degrees of freedom."""
    if df is None:
        return normal_quantile(above)
    from scipy.special import stdtrit

    return -float(stdtrit(df, above))


def tail(z: float, df: float | None = None) -> float:
    """The chance of more than z."""
    if df is None:
        return 0.5 * math.erfc(z / math.sqrt(2))
    from scipy.special import stdtr

    return float(stdtr(df, -z))


def fisher_less(passed: int, of: int, passed_before: int, of_before: int) -> float:
    """Fisher's exact test, one-sided: the chance of at most `passed` when both arms pass alike."""
    total, good = of + of_before, passed + passed_before
    least = max(0, good - of_before)
    ways = sum(math.comb(of, x) * math.comb(of_before, good - x) for x in range(least, passed + 1))
    return ways / math.comb(total, good)


def binomial_less(passed: int, of: int, rate: float) -> float:
    """The chance of at most `passed` of `of` when each one passes with `rate`."""
    return sum(math.comb(of, x) * rate**x * (1 - rate) ** (of - x) for x in range(passed + 1))


def wilson(hits: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a rate: never of no width, never outside 0..1."""
    if of == 0:
        return 0.0, 1.0
    z = normal_quantile((1 - confidence) / 2)
    rate, weight = hits / of, z * z / of
    middle = rate + weight / 2
    half = z * math.sqrt(rate * (1 - rate) / of + weight / (4 * of))
    low, high = (middle - half) / (1 + weight), (middle + half) / (1 + weight)
    return (0.0 if hits == 0 else low), (1.0 if hits == of else high)


def holm(p_values: Sequence[float], alpha: float) -> tuple[bool, ...]:
    """Holm 1979: which of several null hypotheses fall, with at most `alpha` chance that any of them is true."""
    fallen = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        fallen[index] = True
    return tuple(fallen)
