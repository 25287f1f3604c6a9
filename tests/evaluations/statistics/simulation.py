"""Made-up runs that go through `decide` itself: cells are drawn when it asks for them, as a worker would call them.

The guardrails see noise of the size that models have: lengths that vary by a quarter, a refusal in two hundred answers,
a broken format in two thousand, sixteen features of tone.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from random import Random

from evaluations.statistics import CaseEvidence, Confirm, Continue, Evidence, Plan, Sample, Verdict, decide

SOLID, FLAKY, HARD = 0.98, 0.75, 0.30
REFUSES, BREAKS_FORMAT = 0.005, 0.0005
_POOL = 4_000


def usual_mix(cases: int) -> list[float]:
    """60 % of the cases solid, 30 % flaky, 10 % hard."""
    solid, flaky = round(0.6 * cases), round(0.3 * cases)
    return [SOLID] * solid + [FLAKY] * flaky + [HARD] * (cases - solid - flaky)


def lowered(rates: Sequence[float], points: float) -> list[float]:
    return [max(0.0, rate - points / 100) for rate in rates]


@cache
def _samples(passed: bool, longer: float, refuses: float, breaks: float) -> list[Sample]:
    random = Random(f"{passed} {longer} {refuses} {breaks}")
    features = [{f"feature {number}": random.gauss() for number in range(16)} for _ in range(500)]
    found = []
    for _ in range(_POOL):
        words = round(80 * longer * math.exp(random.gauss(0, 0.25)))
        refused, held = random.random() < refuses, random.random() >= breaks
        found.append(Sample(float(passed), passed, words, refused, {"is-json": held}, random.choice(features)))
    return found


@dataclass
class Arm:
    """Where the cells of one arm come from: each case's rate, and what its answers are like beside being right."""

    rates: Sequence[float]
    longer: float = 1.0
    refuses: float = REFUSES
    breaks: float = BREAKS_FORMAT

    def __post_init__(self) -> None:
        self._pools = [_samples(passed, self.longer, self.refuses, self.breaks) for passed in (False, True)]

    def draw(self, random: Random, case: int, repeats: int) -> tuple[Sample, ...]:
        draw, rate, (failed, passed) = random.random, self.rates[case], self._pools
        return tuple([(passed if draw() < rate else failed)[int(draw() * _POOL)] for _ in range(repeats)])


def run(plan: Plan, candidate: Arm, baseline: Arm, random: Random, critical: Sequence[int] = ()) -> Verdict:
    """One run from the first call to the verdict."""
    cases = [CaseEvidence(f"case {index:03}", "", index in critical, (), ()) for index in range(len(candidate.rates))]
    look, asked, confirmed = 0, plan.looks[0], ()
    while True:
        for index, case in enumerate(cases):
            more = asked - len(case.candidate)
            cases[index] = replace(
                case,
                candidate=case.candidate + candidate.draw(random, index, more),
                baseline=case.baseline + baseline.draw(random, index, more),
            )
        while True:
            called = asked * len(cases) + plan.confirm_repeats * len(confirmed)
            counts = {"candidate": called, "baseline": called}
            step = decide(Evidence(tuple(cases), {}, counts, confirmed=confirmed), plan, look)
            if not isinstance(step, Confirm):
                break
            for index, case in enumerate(cases):
                if case.case in step.cases:
                    cases[index] = replace(
                        case,
                        confirm_candidate=candidate.draw(random, index, step.repeats),
                        confirm_baseline=baseline.draw(random, index, step.repeats),
                    )
            confirmed += step.cases
        if isinstance(step, Verdict):
            return step
        assert isinstance(step, Continue)
        asked, look = step.repeats, look + 1


@dataclass
class Table:
    """How often each outcome came, and what it cost."""

    outcomes: Counter[str]
    calls: float
    cases_blocked: float

    def share(self, outcome: str) -> float:
        return self.outcomes[outcome] / self.outcomes.total()


def operate(plan: Plan, candidate: Arm, baseline: Arm, runs: int, seed: int) -> Table:
    random = Random(seed)
    verdicts = [run(plan, candidate, baseline, random) for _ in range(runs)]
    blocked = sum(
        guardrail.kind == "cases" and guardrail.outcome == "FAIL"
        for verdict in verdicts
        for guardrail in verdict.guardrails
    )
    calls = sum(verdict.calls for verdict in verdicts) / runs
    return Table(Counter(verdict.outcome for verdict in verdicts), calls, blocked / runs)
