"""What a run is asked about all cases together: is the score worse, are answers longer, are more of them refused."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from evaluations.statistics.evidence import CaseEvidence, Evidence, Sample
from evaluations.statistics.paired import (
    Estimate,
    Pair,
    measured_on_these_cases,
    of_rates,
    of_these_cases,
    of_traffic,
)
from evaluations.statistics.plans import Plan
from evaluations.statistics.quantiles import holm
from evaluations.statistics.verdicts import Outcome

type ClaimName = Literal["score", "length", "refusals"]


@dataclass(frozen=True, slots=True)
class Claim:
    """How much worse the candidate is. PASS when that is surely `within`, FAIL when it is surely `beyond`."""

    name: ClaimName
    harm: Estimate
    within: float
    beyond: float


def claims_of(evidence: Evidence, plan: Plan) -> dict[ClaimName, Claim]:
    """Without a baseline the score is held against the plan's pass rate, and there is nothing to be longer than."""
    score = _estimate(pairs_of_scores(evidence, plan), plan)
    claims: dict[ClaimName, Claim] = {"score": Claim("score", _turned(score), plan.margin, 0.0)}
    if evidence.has_baseline:
        limit = math.log(plan.length_ratio)
        words = _pairs(evidence.cases, _log_words)
        fixed = plan.estimand == "these cases"
        length = measured_on_these_cases(words) if fixed else of_traffic(words)
        claims["length"] = Claim("length", length, limit, limit)
        refused = _pairs(evidence.cases, _refused)
        refusals = of_rates(refused) if fixed else _estimate(refused, plan)
        claims["refusals"] = Claim("refusals", refusals, plan.margin, plan.margin)
    return claims


def settle(claims: Mapping[ClaimName, Claim], level: float) -> dict[ClaimName, Outcome]:
    """To block, any claim is enough, so Holm guards them together; to pass, each one has to, which takes no correction.

    (Berger 1982: the test of a union of hypotheses by their intersection.)
    """
    fallen = holm([claim.harm.chance(claim.beyond) for claim in claims.values()], level)
    return {
        name: "FAIL" if fell else "PASS" if claim.harm.interval(level)[1] < claim.within else "INCONCLUSIVE"
        for (name, claim), fell in zip(claims.items(), fallen, strict=True)
    }


def pairs_of_scores(evidence: Evidence, plan: Plan) -> list[Pair]:
    return _pairs(evidence.cases, _score, plan.pass_rate)


def _estimate(pairs: list[Pair], plan: Plan) -> Estimate:
    # About traffic, never surer than when one case had flipped: all cases may agree where not all traffic does.
    return of_these_cases(pairs) if plan.estimand == "these cases" else of_traffic(pairs, least=1 / len(pairs))


def _turned(estimate: Estimate) -> Estimate:
    return Estimate(0.0 - estimate.value, estimate.se, estimate.df, 0.0 - estimate.centre)


def _pairs(
    cases: Sequence[CaseEvidence], read: Callable[[Sequence[Sample]], list[float]], target: float = 0.0
) -> list[Pair]:
    return [Pair(read(case.candidate), read(case.baseline), case.group, target) for case in cases]


def _score(samples: Sequence[Sample]) -> list[float]:
    return [sample.score for sample in samples]


def _log_words(samples: Sequence[Sample]) -> list[float]:
    return [math.log1p(sample.words) for sample in samples]


def _refused(samples: Sequence[Sample]) -> list[float]:
    return [float(sample.refused) for sample in samples]
