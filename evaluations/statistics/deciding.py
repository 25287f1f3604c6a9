"""The verdict of a run. `decide` is called after each look and after the confirm step; nothing else decides."""

from evaluations.statistics.advice import advise
from evaluations.statistics.claims import Claim, ClaimName, claims_of, pairs_of_scores, settle
from evaluations.statistics.confirming import Screen, case_guardrail, invariant_guardrails, screened
from evaluations.statistics.evidence import Arm, Evidence
from evaluations.statistics.paired import mean, overall
from evaluations.statistics.plans import Plan
from evaluations.statistics.soundness import first_fault, may_mend
from evaluations.statistics.tone_shifts import shifts
from evaluations.statistics.verdicts import (
    CaseRates,
    Confirm,
    Continue,
    Guardrail,
    Outcome,
    Rates,
    Verdict,
)
from evaluations.statistics.words import (
    absolute_sentence,
    length_sentence,
    ratios,
    refusal_sentence,
    score_sentence,
)

WORST = 5


def decide(evidence: Evidence, plan: Plan, look: int) -> Continue | Confirm | Verdict:
    """What follows from `evidence` at the look of that number, the first being 0: `plan.looks[look]` repeats.

    On `Continue`, collect and ask again with the next look. On `Confirm`, collect, name the cases in
    `evidence.confirmed`, and ask again with the same one. A claim fails as soon as one look is sure of it; a single
    broken case is looked for once, when everything else is settled.
    """
    fault = first_fault(evidence, plan, look)
    if fault is not None:
        if fault[0] == "INCONCLUSIVE" and may_mend(evidence, plan, look):
            return Continue(plan.looks[look + 1])
        return _without_figures(*fault, evidence, plan, look)
    last = look + 1 == len(plan.looks)
    claims = claims_of(evidence, plan)
    outcomes = settle(claims, plan.level)
    if "FAIL" not in outcomes.values():
        if "INCONCLUSIVE" in outcomes.values() and not last:
            return Continue(plan.looks[look + 1])
        screen = screened(evidence, plan)
        asked = tuple(case for case in screen.cases if case not in evidence.confirmed)
        if asked:
            return Confirm(asked, plan.confirm_repeats)
        return _verdict(evidence, plan, look, claims, outcomes, screen)
    return _verdict(evidence, plan, look, claims, outcomes, None)


def _without_figures(outcome: Outcome, sentence: str, evidence: Evidence, plan: Plan, look: int) -> Verdict:
    return Verdict(
        outcome,
        sentence,
        delta=None,
        interval=None,
        margin=plan.margin,
        estimand=plan.estimand,
        cases=len(evidence.cases),
        repeats=plan.looks[look],
        calls=sum(evidence.called.values()),
    )


def _verdict(
    evidence: Evidence,
    plan: Plan,
    look: int,
    claims: dict[ClaimName, Claim],
    outcomes: dict[ClaimName, Outcome],
    screen: Screen | None,
) -> Verdict:
    """With all figures. A run that failed before the confirm step says nothing about single cases."""
    candidate = _rates(evidence, "candidate")
    baseline = _rates(evidence, "baseline") if evidence.has_baseline else None
    guardrails = _guardrails(evidence, plan, claims, outcomes)
    if screen is not None:
        guardrails += (*invariant_guardrails(screen, evidence, plan), case_guardrail(screen, evidence, plan))
    outcome, sentence = _summary(evidence, plan, claims["score"], outcomes["score"], candidate, baseline, guardrails)
    still_open = [claims[name] for name, settled in outcomes.items() if settled == "INCONCLUSIVE"]
    advice = ""
    if still_open and outcome == "INCONCLUSIVE":
        advice = advise(still_open, pairs_of_scores(evidence, plan), plan.looks[look], plan)
    low, high = claims["score"].harm.interval(plan.level)
    return Verdict(
        outcome,
        sentence,
        delta=0.0 - claims["score"].harm.value,
        interval=(max(-1.0, 0.0 - high), min(1.0, 0.0 - low)),
        margin=plan.margin,
        estimand=plan.estimand,
        cases=len(evidence.cases),
        repeats=plan.looks[look],
        calls=sum(evidence.called.values()),
        candidate=candidate,
        baseline=baseline,
        guardrails=guardrails,
        worst=_worst(evidence, plan),
        tone=shifts(evidence, plan.alpha),
        advice=advice,
    )


def _summary(
    evidence: Evidence,
    plan: Plan,
    score: Claim,
    outcome: Outcome,
    candidate: Rates,
    baseline: Rates | None,
    guardrails: tuple[Guardrail, ...],
) -> tuple[Outcome, str]:
    """The worst outcome of all, and what brought it about: the score first, then the guardrails."""
    cases = len(evidence.cases)
    if baseline is None:
        first = absolute_sentence(outcome, score, candidate, cases, plan)
    else:
        first = score_sentence(outcome, score, candidate, baseline.score, cases, plan)
    told = [(outcome, first), *((guardrail.outcome, guardrail.sentence) for guardrail in guardrails)]
    whole: Outcome = next((worst for worst in ("FAIL", "INCONCLUSIVE") if worst in dict(told)), "PASS")
    if whole == "PASS":
        return whole, first
    return whole, " ".join([sentence for found, sentence in told if found == whole][:2])


def _guardrails(
    evidence: Evidence, plan: Plan, claims: dict[ClaimName, Claim], outcomes: dict[ClaimName, Outcome]
) -> tuple[Guardrail, ...]:
    if not evidence.has_baseline:
        return ()
    ratio, bounds = ratios(claims["length"], plan)
    length = length_sentence(outcomes["length"], ratio, bounds, plan.length_ratio)
    refusals = claims["refusals"].harm
    candidate, before = _refused(evidence, "candidate"), _refused(evidence, "baseline")
    refused = refusal_sentence(outcomes["refusals"], candidate, before, plan.margin)
    return (
        Guardrail("length", "length", outcomes["length"], ratio, bounds, length),
        Guardrail("refusals", "refusals", outcomes["refusals"], refusals.value, refusals.interval(plan.level), refused),
    )


def _refused(evidence: Evidence, arm: Arm) -> float:
    return mean([sample.refused for case in evidence.cases for sample in case.of(arm)])


def _rates(evidence: Evidence, arm: Arm) -> Rates:
    return Rates(
        overall([mean([sample.score for sample in case.of(arm)]) for case in evidence.cases]),
        overall([all([sample.passed for sample in case.of(arm)]) for case in evidence.cases]),  # noqa: C419 - half the time
    )


def _worst(evidence: Evidence, plan: Plan) -> tuple[CaseRates, ...]:
    """The cases that lost most, or that fall furthest short of the pass rate; none that did not."""
    found = []
    for case in evidence.cases:
        candidate = mean([sample.score for sample in case.candidate])
        before = mean([sample.score for sample in case.baseline]) if evidence.has_baseline else None
        delta = candidate - (plan.pass_rate if before is None else before)
        if delta < 0:
            passed = (sum(sample.passed for sample in case.candidate), sum(sample.passed for sample in case.baseline))
            repeats = (len(case.candidate), len(case.baseline))
            found.append(CaseRates(case.case, candidate, before, delta, passed, repeats))
    return tuple(sorted(found, key=lambda rates: (rates.delta, rates.case))[:WORST])
