"""What would settle a run that settled nothing: so many more repeats, or so many more cases."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evaluations.statistics.claims import Claim
from evaluations.statistics.paired import Pair, careful_variance, overall, variance
from evaluations.statistics.plans import Plan
from evaluations.statistics.quantiles import quantile

# When each case would take more repeats than this in all, more cases are the better way.
MOST_REPEATS = 60


@dataclass(frozen=True, slots=True)
class Need:
    """How many repeats or cases there would have to be in all; `repeats` is infinite when no number is enough."""

    repeats: float
    cases: float


def advise(open_claims: Sequence[Claim], pairs: Sequence[Pair], repeats: int, plan: Plan) -> str:
    """Of all claims that are open, what the one needs that needs most: as the numbers stand, so about."""
    needs = [need_of(claim, pairs, repeats, plan) for claim in open_claims]
    most, cases = max(need.repeats for need in needs), max(need.cases for need in needs)
    if cases == math.inf:
        return "It leans towards too much worse. More repeats will not make it pass."
    more = max(1, math.ceil(most) - repeats) if most < math.inf else math.inf
    if most <= MOST_REPEATS:
        return f"About {more} more {'repeat' if more == 1 else 'repeats'} of each case would settle it."
    added = max(1, math.ceil(cases) - len(pairs))
    add = f"dd about {added} {'case' if added == 1 else 'cases'}"
    if more == math.inf:
        return f"Repeats cannot settle it. A{add}."
    return f"It would take about {more} more repeats of each case. A{add} instead."


def need_of(claim: Claim, pairs: Sequence[Pair], repeats: int, plan: Plan) -> Need:
    """The interval has to shrink until it ends where the limit is, `room` standard errors away."""
    harm, count = claim.harm, len(pairs)
    room = (claim.within - harm.centre) / quantile(plan.level, harm.df)
    if room <= 0:
        return Need(math.inf, math.inf)
    if plan.estimand == "these cases" or claim.name != "score":
        shrink = (harm.se / room) ** 2
        return Need(repeats * shrink, count * shrink)
    noise, spread = split(pairs)
    left = count * room * room - spread
    return Need(noise / left if left > 0 else math.inf, max(spread + noise / repeats, count * harm.se**2) / room**2)


def split(pairs: Sequence[Pair]) -> tuple[float, float]:
    """The spread of the differences in two: what one repeat of both arms varies, and how far cases truly differ."""
    arms = [[arm for arm in (pair.candidate, pair.baseline) if arm] for pair in pairs]
    noise = overall([math.fsum(_within(arm) for arm in case) for case in arms])
    explained = overall([math.fsum(_within(arm) / len(arm) for arm in case) for case in arms])
    return noise, max(0.0, variance([pair.difference for pair in pairs]) - explained)


def _within(values: Sequence[float]) -> float:
    return variance(values) if len(values) > 1 else careful_variance(values)
