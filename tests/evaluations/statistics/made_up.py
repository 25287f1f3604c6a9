"""Evidence that tests make up: samples, cases and runs whose answer is known."""

from collections.abc import Sequence
from dataclasses import replace

from evaluations.statistics import (
    CaseEvidence,
    Evidence,
    Guardrail,
    Plan,
    Sample,
    Verdict,
    decide,
    plan_for,
)

PLAN = plan_for(10)
LEVEL = PLAN.level


def sample(
    passed: bool = True, words: int = 80, refused: bool = False, holds: bool = True, **features: float
) -> Sample:
    return Sample(float(passed), passed, words, refused, {"is-json": holds}, features)


def arm(passed: int, of: int, **about: float) -> tuple[Sample, ...]:
    return tuple(sample(number < passed, **about) for number in range(of))  # type: ignore[arg-type]


def case(number: int, candidate: Sequence[Sample], baseline: Sequence[Sample] = (), **about: object) -> CaseEvidence:
    about = {"group": "", "critical": False, **about}
    return CaseEvidence(f"case {number:02}", candidate=tuple(candidate), baseline=tuple(baseline), **about)  # type: ignore[arg-type]


def evidence(cases: Sequence[CaseEvidence], **about: object) -> Evidence:
    called = sum(len(one.candidate) + len(one.confirm_candidate) for one in cases)
    about = {"unscored": {}, "called": {"candidate": called, "baseline": called}, **about}
    return Evidence(tuple(cases), **about)  # type: ignore[arg-type]


def alike(repeats: int = 20, cases: int = 10, passed: int | None = None) -> list[CaseEvidence]:
    right = repeats if passed is None else passed
    return [case(number, arm(right, repeats), arm(right, repeats)) for number in range(cases)]


def verdict(found: Evidence, plan: Plan = PLAN, look: int = 2) -> Verdict:
    answer = decide(found, plan, look)
    assert isinstance(answer, Verdict)
    return answer


def guardrail(told: Verdict, name: str) -> Guardrail:
    return next(guardrail for guardrail in told.guardrails if guardrail.name == name)


def fresh(one: CaseEvidence, candidate: Sequence[Sample], baseline: Sequence[Sample]) -> CaseEvidence:
    return replace(one, confirm_candidate=tuple(candidate), confirm_baseline=tuple(baseline))
