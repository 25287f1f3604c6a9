"""What holds of every verdict whatever the evidence, and what the usual plans are."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluations.statistics import (
    CaseEvidence,
    Confirm,
    Continue,
    Plan,
    Sample,
    Verdict,
    decide,
    plan_for,
    set_power,
)
from tests.evaluations.statistics.made_up import (
    PLAN,
    case,
    evidence,
    fresh,
    guardrail,
    verdict,
)
from tests.evaluations.statistics.simulation import Arm, run, usual_mix

# --- Properties ------------------------------------------------------------------------------------------------------
SAMPLES = st.builds(
    Sample,
    st.sampled_from([0.0, 0.25, 0.5, 1.0]),
    st.booleans(),
    st.integers(0, 400),
    st.booleans(),
    st.fixed_dictionaries({"is-json": st.booleans()}),
    st.fixed_dictionaries({"warmth": st.floats(-1, 1)}),
)
ARMS = st.lists(SAMPLES, min_size=2, max_size=4).map(tuple)
CASES = st.lists(st.tuples(ARMS, ARMS, st.sampled_from(["", "a", "b"]), st.booleans()), min_size=2, max_size=6)


def drawn(cases: Sequence[tuple[tuple[Sample, ...], tuple[Sample, ...], str, bool]]) -> list[CaseEvidence]:
    return [
        fresh(case(number, new, old, group=group, critical=critical), (*new, *new), (*old, *old))
        for number, (new, old, group, critical) in enumerate(cases)
    ]


def judged(cases: Sequence[CaseEvidence], plan: Plan) -> Verdict | Continue | Confirm:
    called = {"candidate": 1000, "baseline": 1000}
    return decide(evidence(cases, called=called, confirmed=tuple(one.case for one in cases)), plan, 0)


PLANS = st.sampled_from([Plan((2,), 0.1, "these cases"), Plan((2,), 0.08, "traffic like these")])


@settings(max_examples=25, deadline=None)
@given(CASES, PLANS, st.randoms())
def test_the_order_of_cases_does_not_matter(cases, plan, random) -> None:  # type: ignore[no-untyped-def]
    before = drawn(cases)
    after = random.sample(before, len(before))
    first, second = judged(before, plan), judged(after, plan)
    assert replace(first, tone=()) == replace(second, tone=())  # type: ignore[type-var]


@settings(max_examples=25, deadline=None)
@given(CASES, PLANS)
def test_swapped_arms_mirror_the_interval(cases, plan) -> None:  # type: ignore[no-untyped-def]
    one = judged(drawn(cases), plan)
    other = judged(drawn([(old, new, group, critical) for new, old, group, critical in cases]), plan)
    assert isinstance(one, Verdict)
    assert isinstance(other, Verdict)
    if one.interval is None or other.interval is None:
        assert one.sentence == other.sentence
        return
    assert other.delta == pytest.approx(-one.delta)  # type: ignore[operator]
    assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]))
    for name in ("length", "refusals"):
        ours, theirs = guardrail(one, name), guardrail(other, name)
        assert ours.interval is not None
        assert theirs.interval is not None
        if name == "length":
            assert theirs.delta == pytest.approx(1 / ours.delta)  # type: ignore[operator]
            assert theirs.interval == pytest.approx((1 / ours.interval[1], 1 / ours.interval[0]))
        else:
            assert theirs.interval == pytest.approx((-ours.interval[1], -ours.interval[0]))


@settings(max_examples=25, deadline=None)
@given(CASES, PLANS)
def test_every_verdict_holds_together_and_goes_into_json(cases, plan) -> None:  # type: ignore[no-untyped-def]
    told = judged(drawn(cases), plan)
    assert isinstance(told, Verdict)
    json.dumps(asdict(told), allow_nan=False)
    assert told.sentence.endswith(".")
    outcomes = {guardrail.outcome for guardrail in told.guardrails}
    if told.outcome == "PASS":
        assert outcomes <= {"PASS"}
        assert told.interval is not None
        assert told.interval[0] > -plan.margin
    if "FAIL" in outcomes:
        assert told.outcome == "FAIL"


def test_the_same_evidence_gives_the_same_verdict_and_fast() -> None:
    """500 cases × 2 arms × 6 repeats: 16 ms of the processor on an idle machine, three times that on a busy one."""
    random, baseline, plan = Random(5), Arm(usual_mix(500)), plan_for(500)
    cases = [
        CaseEvidence(f"case {n:03}", "", False, baseline.draw(random, n, 6), baseline.draw(random, n, 6))
        for n in range(500)
    ]
    cases = [fresh(one, baseline.draw(random, 0, 8), baseline.draw(random, 0, 8)) for one in cases]
    names = tuple(one.case for one in cases)
    found = evidence(cases, called={"candidate": 7000, "baseline": 7000}, confirmed=names)
    told, spent = verdict(found, plan), []
    for _ in range(5):
        start = time.process_time()
        assert decide(found, plan, 2) == told
        spent.append(time.process_time() - start)
    assert min(spent) < 0.15


def test_a_whole_run_by_the_books() -> None:
    """The counts of calls that a made-up run reports are those that the plan allows."""
    baseline = Arm(usual_mix(10))
    told = run(PLAN, baseline, baseline, Random(6))
    assert told.repeats in PLAN.looks
    assert (told.calls - 2 * 10 * told.repeats) % 16 == 0


# --- Plans -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("cases", "looks", "margin", "estimand"),
    [
        (1, (5, 10, 20), 0.10, "these cases"),
        (30, (5, 10, 20), 0.10, "these cases"),
        (31, (3, 6, 12), 0.08, "traffic like these"),
        (100, (3, 6, 12), 0.05, "traffic like these"),
        (200, (1, 3, 6), 0.05, "traffic like these"),
        (500, (1, 3, 6), 0.03, "traffic like these"),
    ],
)
def test_the_usual_plans(cases: int, looks: tuple[int, ...], margin: float, estimand: str) -> None:
    plan = plan_for(cases)
    assert (plan.looks, plan.margin, plan.estimand) == (looks, margin, estimand)
    assert plan.level == pytest.approx(0.05 / 3)


def test_fewer_and_more_repeats() -> None:
    assert plan_for(10, repeats=3).looks == (3,)
    assert plan_for(10, repeats=10).looks == (5, 10)
    assert plan_for(10, repeats=40).looks == (10, 20, 40)
    assert plan_for(10, margin=0.15).margin == 0.15
    assert plan_for(10, repeats=3).level == 0.05


@pytest.mark.parametrize(
    "wrong", [{"repeats": 1}, {"repeats": 0}, {"margin": 0.0}, {"margin": 10.0}, {"margin": math.nan}]
)
def test_plans_that_decide_nothing_are_refused(wrong: Mapping[str, float]) -> None:
    with pytest.raises(ValueError, match=r"\."):
        plan_for(10, **wrong)  # type: ignore[arg-type]


def test_what_a_set_can_see() -> None:
    """The figures of Miller's formula for the usual mix: 16.7 points at n = 10, k = 5; 9.6 at 50, 3; 5.3 at 500, 1."""
    assert set_power(10, 10, PLAN).sentence == (
        "Your 10 cases can see a drop of 17 points at 5 repeats each, of 8 points at 20 repeats."
    )
    assert set_power(10, 10, PLAN).first == pytest.approx(0.167, abs=5e-4)
    assert set_power(50, 50, plan_for(50)).first == pytest.approx(0.096, abs=6e-4)
    assert set_power(500, 500, plan_for(500)).first == pytest.approx(0.053, abs=5e-4)
    assert set_power(500, 500, plan_for(500)).last < set_power(500, 20, plan_for(500)).last
    assert "500 cases in 20 groups" in set_power(500, 20, plan_for(500)).sentence
    assert set_power(10, 2, PLAN).first == set_power(10, 10, PLAN).first
    assert set_power(0, 0, PLAN).first == 1
    assert set_power(1, 1, plan_for(1, repeats=5)).sentence == "Your case can see a drop of 53 points."
