"""What a mean cannot see: one case of many that broke, and a criterion that must never fail. Screen, then confirm.

Whatever looks bad is asked again in both arms, and only the fresh answers judge: among many cases some look bad by
chance, and what chose them must not be counted against them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluations.statistics.evidence import Arm, CaseEvidence, Evidence, Sample
from evaluations.statistics.paired import Estimate, Pair, of_rates, of_traffic
from evaluations.statistics.plans import Plan
from evaluations.statistics.quantiles import binomial_less, fisher_less, holm
from evaluations.statistics.verdicts import Guardrail, Outcome

# A case is suspect when it lost two answers in five; a critical one as soon as it looks worse at all.
SUSPECT_DROP = 0.4
# Of the cases that broke an invariant, those that broke it most are asked again: if it is broken, they show it.
CASES_PER_INVARIANT = 5
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Screen:
    """What looks bad: cases that look worse, and for each invariant that has to hold the cases that broke it most."""

    worse: tuple[CaseEvidence, ...]
    breaches: Mapping[str, tuple[CaseEvidence, ...]]

    @property
    def cases(self) -> tuple[str, ...]:
        """All that have to be asked afresh."""
        return tuple(sorted({case.case for found in (self.worse, *self.breaches.values()) for case in found}))


def screened(evidence: Evidence, plan: Plan) -> Screen:
    """It depends on the screening alone, so it is the same before and after the confirm step."""
    worse = sorted((case for case in evidence.cases if _is_worse(case, evidence, plan)), key=lambda case: case.case)
    breaches = {name: _breached(name, evidence) for name in sorted(_to_be_kept(evidence))}
    return Screen(tuple(worse), breaches)


def case_guardrail(screen: Screen, evidence: Evidence, plan: Plan) -> Guardrail:
    """Single broken cases: Fisher's exact test on fresh answers, Holm over the suspects.

    Critical ones stand apart, with half of alpha for each side, so that many other suspects do not shield them.
    """
    tried = [case for case in screen.worse if _enough(case, evidence, plan)]
    broken: list[CaseEvidence] = []
    for critical in (True, False):
        family = [case for case in tried if case.critical is critical]
        fallen = holm([_chance(case, plan) for case in family], plan.alpha / 2)
        broken += [case for case, fell in zip(family, fallen, strict=True) if fell]
    untold = [case for case in screen.worse if case not in tried]
    outcome: Outcome = "FAIL" if broken else "INCONCLUSIVE" if untold else "PASS"
    sentence = _case_sentence(broken, untold, screen.worse)
    return Guardrail("cases", "cases", outcome, None, None, sentence, tuple(case.case for case in broken or untold))


def invariant_guardrails(screen: Screen, evidence: Evidence, plan: Plan) -> tuple[Guardrail, ...]:
    """One for each criterion that takes no failure. What the baseline failed itself may not fail more often."""
    kept = tuple(_invariant(name, cases, evidence, plan) for name, cases in screen.breaches.items())
    return kept + _loose_invariants(evidence, plan)


def _is_worse(case: CaseEvidence, evidence: Evidence, plan: Plan) -> bool:
    rate = _rate(case.candidate)
    if not evidence.has_baseline:
        return case.critical and rate < plan.pass_rate
    least = 0 if case.critical else SUSPECT_DROP
    return _rate(case.baseline) - rate > least - _ROUNDING and rate < _rate(case.baseline)


def _chance(case: CaseEvidence, plan: Plan) -> float:
    """How likely fresh answers this bad are when the case is no worse than before, or than what is asked."""
    fresh, before = case.confirm_candidate, case.confirm_baseline
    if not before:
        return binomial_less(_passed(fresh), len(fresh), plan.pass_rate)
    return fisher_less(_passed(fresh), len(fresh), _passed(before), len(before))


def _enough(case: CaseEvidence, evidence: Evidence, plan: Plan) -> bool:
    """Whether at least half of the fresh repeats could be scored in each arm."""
    arms = (case.confirm_candidate, case.confirm_baseline) if evidence.has_baseline else (case.confirm_candidate,)
    return all(2 * len(arm) >= plan.confirm_repeats for arm in arms)


def _to_be_kept(evidence: Evidence) -> set[str]:
    """The invariants that the baseline kept everywhere: for these the candidate has no excuse."""
    names = _named(evidence.cases)
    if not evidence.has_baseline:
        return names
    before = [sample.invariants for case in evidence.cases for sample in case.baseline]
    broken = {name for invariants in before for name, held in invariants.items() if not held}
    return names - broken


def _loose_invariants(evidence: Evidence, plan: Plan) -> tuple[Guardrail, ...]:
    """One breach of the baseline's does not excuse any number of the candidate's: the rates are compared, with Holm."""
    if not evidence.has_baseline:
        return ()
    names = sorted(_named(evidence.cases) - _to_be_kept(evidence))
    rises = [_rise(name, evidence, plan) for name in names]
    fallen = holm([rise.chance(0.0) for rise in rises], plan.level)
    return tuple(
        Guardrail(
            "invariant",
            name,
            "FAIL" if fell else "PASS",
            rise.value,
            rise.interval(plan.level),
            f"{_share(name, evidence, 'candidate')} of the candidate break {name}, "
            f"{_share(name, evidence, 'baseline')} of the live version{': surely more' if fell else ''}.",
        )
        for name, rise, fell in zip(names, rises, fallen, strict=True)
    )


def _rise(name: str, evidence: Evidence, plan: Plan) -> Estimate:
    pairs = [Pair(_broke(name, case.candidate), _broke(name, case.baseline), case.group) for case in evidence.cases]
    return of_rates(pairs) if plan.estimand == "these cases" else of_traffic(pairs, least=1 / len(pairs))


def _broke(name: str, samples: Sequence[Sample]) -> list[float]:
    return [float(not sample.invariants.get(name, True)) for sample in samples]


def _share(name: str, evidence: Evidence, arm: Arm) -> str:
    arms = [case.of(arm) for case in evidence.cases]
    return f"{sum(_breaks(name, samples) for samples in arms)} of {sum(map(len, arms))} answers"


def _named(cases: Sequence[CaseEvidence]) -> set[str]:
    return set[str]().union(*(sample.invariants for case in cases for sample in case.candidate))


def _breached(name: str, evidence: Evidence) -> tuple[CaseEvidence, ...]:
    found = [(-times, case.case, case) for case in evidence.cases if (times := _breaks(name, case.candidate))]
    return tuple(case for *_, case in sorted(found, key=lambda entry: entry[:2])[:CASES_PER_INVARIANT])


def _breaks(name: str, samples: Sequence[Sample]) -> int:
    return sum([not sample.invariants.get(name, True) for sample in samples])


def _invariant(name: str, cases: Sequence[CaseEvidence], evidence: Evidence, plan: Plan) -> Guardrail:
    """Two breaches in fresh answers block, one leaves it open, none was chance; unless the baseline breaks it too."""
    if not cases:
        return Guardrail("invariant", name, "PASS", None, None, f"Every answer keeps {name}.")
    seen = sum(_breaks(name, case.candidate) for case in evidence.cases)
    answers = sum(len(case.candidate) for case in evidence.cases)
    again = sum(_breaks(name, case.confirm_candidate) for case in cases)
    before = sum(_breaks(name, case.confirm_baseline) for case in cases)
    fresh = sum(len(case.confirm_candidate) for case in cases)
    outcome: Outcome
    first = f"{seen} of {answers} answers of the candidate {'breaks' if seen == 1 else 'break'} {name}"
    if before:
        outcome, rest = "PASS", f"asked afresh, the live version breaks it too, {_times(before)}"
    elif again > 1:
        outcome, rest = "FAIL", f"asked afresh, {again} of {fresh} do again, and none of the live version's"
    elif not all(_enough(case, evidence, plan) for case in cases):
        outcome, rest = "INCONCLUSIVE", "they could not be asked again"
    elif again:
        outcome, rest = "INCONCLUSIVE", f"asked afresh, 1 of {fresh} does again. Read that answer and decide"
    else:
        outcome, rest = "PASS", f"asked afresh, none of {fresh} does"
    if not evidence.has_baseline:
        rest = rest.replace(", and none of the live version's", "")
    return Guardrail("invariant", name, outcome, None, None, f"{first}; {rest}.", tuple(case.case for case in cases))


def _case_sentence(
    broken: Sequence[CaseEvidence], untold: Sequence[CaseEvidence], looked: Sequence[CaseEvidence]
) -> str:
    if broken:
        told = "; ".join(_broken_words(case) for case in broken[:3])
        more = f"; and {len(broken) - 3} more" if len(broken) > 3 else ""
        return f"{'One case is' if len(broken) == 1 else f'{len(broken)} cases are'} broken: {told}{more}."
    if untold:
        return f"Case “{untold[0].case}” looked worse and could not be asked again often enough."
    if not looked:
        return "No single case looks broken."
    again = "One case looked worse; asked" if len(looked) == 1 else f"{len(looked)} cases looked worse; asked"
    return f"{again} afresh, {'it is' if len(looked) == 1 else 'they are'} not."


def _broken_words(case: CaseEvidence) -> str:
    fresh, before = case.confirm_candidate, case.confirm_baseline
    told = f"“{case.case}” passes {_passed(fresh)} of {len(fresh)} fresh answers"
    return f"{told}, with the live version {_passed(before)} of {len(before)}" if before else told


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _passed(samples: Sequence[Sample]) -> int:
    return sum([sample.passed for sample in samples])


def _rate(samples: Sequence[Sample]) -> float:
    return _passed(samples) / len(samples)
