"""What is agreed before a run: how often to look, how much worse is too much, and what the answer is about."""

import math
from dataclasses import dataclass
from typing import Literal

from evaluations.statistics.quantiles import normal_quantile

type Estimand = Literal["these cases", "traffic like these"]
# Up to here the answer is about exactly these cases, for so few do not stand for all traffic.
STARTER_CASES = 30
# cases up to -> estimand, cumulative repeats at each look, margin. docs/evaluation-statistics.md: what they do.
_PLANS: tuple[tuple[float, Estimand, tuple[int, ...], float], ...] = (
    (STARTER_CASES, "these cases", (5, 10, 20), 0.10),
    (99, "traffic like these", (3, 6, 12), 0.08),
    (199, "traffic like these", (3, 6, 12), 0.05),
    (399, "traffic like these", (1, 3, 6), 0.05),
    (math.inf, "traffic like these", (1, 3, 6), 0.03),
)
# How much one answer of a usual case varies: the mean of p(1 − p) where 60 % of the cases pass 98 times in a hundred,
# 30 % pass 75 times and 10 % pass 30 times.
USUAL_VARIANCE = 0.6 * 0.98 * 0.02 + 0.3 * 0.75 * 0.25 + 0.1 * 0.30 * 0.70
POWER = 0.8


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run is judged. `looks` are cumulative repeats per case and arm; each look spends its part of `alpha`."""

    looks: tuple[int, ...]
    margin: float
    estimand: Estimand
    alpha: float = 0.05
    confirm_repeats: int = 8
    length_ratio: float = 1.25
    unscored_limit: float = 0.02
    pass_rate: float = 0.80

    @property
    def level(self) -> float:
        """The chance of error that one claim may have in one look."""
        return self.alpha / len(self.looks)


def plan_for(cases: int, margin: float | None = None, repeats: int | None = None) -> Plan:
    """The plan for a set of that many cases; `repeats` is the most that may be spent on a case in each arm."""
    estimand, looks, usual = next(row[1:] for row in _PLANS if cases <= row[0])
    least = 2 if estimand == "these cases" else 1
    if repeats is not None:
        if repeats < least:
            raise ValueError(f"{cases} cases take at least {least} repeats each, not {repeats}.")
        looks = (*(look for look in looks if look < repeats), repeats)[-len(looks) :]
    chosen = usual if margin is None else margin
    if not 0 < chosen < 1:
        raise ValueError(f"A margin lies between 0 and 1 (0.10 = 10 points), not at {chosen}.")
    return Plan(looks, chosen, estimand)


@dataclass(frozen=True, slots=True)
class SetPower:
    """The drop that a set sees four times in five: at the first look and at the last, as shares of 1."""

    first: float
    last: float
    sentence: str


def set_power(cases: int, groups: int, plan: Plan) -> SetPower:
    """What `cases` cases in `groups` groups can see (Miller 2024: two-sided 5 %, power 80 %, paired, usual answers).

    Cases of one group say much the same; about traffic they count as one, which is the worst that a group can do.
    """
    units = cases if plan.estimand == "these cases" else min(cases, groups)
    if units < 1:
        return SetPower(1.0, 1.0, "A set without cases sees nothing. Add the first case.")
    reach = normal_quantile(0.025) + normal_quantile(1 - POWER)
    first, last = (
        min(1.0, reach * math.sqrt(2 * USUAL_VARIANCE / repeats / units)) for repeats in (plan.looks[0], plan.looks[-1])
    )
    who = "Your case" if cases == 1 else f"Your {cases} cases"
    if units < cases:
        who += f" in {units} {'group' if units == 1 else 'groups'}"
    sentence = f"{who} can see a drop of {_points(first)}"
    if len(plan.looks) > 1:
        sentence += f" at {_times(plan.looks[0])} each, of {_points(last)} at {_times(plan.looks[-1])}"
    return SetPower(first, last, f"{sentence}.")


def _points(share: float) -> str:
    rounded = max(1, round(100 * share))
    return "1 point" if rounded == 1 else f"{rounded} points"


def _times(repeats: int) -> str:
    return "1 repeat" if repeats == 1 else f"{repeats} repeats"
