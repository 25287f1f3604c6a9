"""What `decide` says of runs whose answer is known: by outcome, by guardrail, and where nothing can be said."""

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
    Evidence,
    Guardrail,
    Plan,
    Sample,
    Verdict,
    decide,
    plan_for,
    set_power,
)
from evaluations.statistics.claims import Claim, settle
from evaluations.statistics.paired import Estimate
from tests.evaluations.statistics.simulation import Arm, run, usual_mix

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


# --- The score -------------------------------------------------------------------------------------------------------
def test_no_change_passes_and_says_on_what() -> None:
    told = verdict(evidence(alike(10)), look=1)
    assert told.outcome == "PASS"
    assert told.sentence == (
        "The candidate is no worse than the live version on these 10 cases: it gets 100 % right, "
        "the live version 100 %, and a drop of more than 10 points is ruled out."
    )
    assert (told.delta, told.cases, told.repeats, told.calls, told.estimand) == (0, 10, 10, 200, "these cases")
    assert {guardrail.outcome for guardrail in told.guardrails} == {"PASS"}


def test_it_looks_again_until_the_last_look() -> None:
    mixed = [case(number, arm(4, 5), arm(4, 5)) for number in range(10)]
    assert decide(evidence(mixed), PLAN, 0) == Continue(10)
    close = [case(number, arm(13, 20), arm(14, 20)) for number in range(10)]
    told = verdict(evidence(close))
    assert told.outcome == "INCONCLUSIVE"
    assert "It cannot be told yet whether the candidate is more than 10 points worse" in told.sentence


def test_a_drop_fails_at_the_first_look() -> None:
    told = verdict(evidence([case(number, arm(1, 5), arm(5, 5)) for number in range(10)]), look=0)
    assert told.outcome == "FAIL"
    assert told.sentence == (
        "The candidate is worse than the live version on these 10 cases: it gets 20 % right, the live version 100 %."
    )
    assert told.delta == pytest.approx(-0.8)
    assert [rates.case for rates in told.worst] == [f"case {number:02}" for number in range(5)]
    assert told.worst[0].passed == (1, 5)


def test_better_is_said() -> None:
    told = verdict(evidence([case(number, arm(20, 20), arm(10, 20)) for number in range(10)]))
    assert (told.outcome, told.worst) == ("PASS", ())
    assert "is better than the live version" in told.sentence


def test_a_real_drop_within_the_margin_fails() -> None:
    cases = [case(number, arm(19 if number % 2 else 18, 20), arm(20, 20)) for number in range(10)]
    told = verdict(evidence(cases), replace(PLAN, margin=0.3))
    assert told.interval is not None
    assert told.interval[0] > -0.3
    assert told.outcome == "FAIL"


def test_partial_scores_that_never_vary_are_not_taken_for_certain() -> None:
    half = tuple(Sample(0.5, False, 80, False, {}, {}) for _ in range(3))
    told = decide(evidence([case(number, half, half) for number in range(5)]), Plan((3,), 0.1, "these cases"), 0)
    assert isinstance(told, Verdict)
    assert told.outcome == "INCONCLUSIVE"


# --- Guardrails ------------------------------------------------------------------------------------------------------
def test_three_times_as_long_fails() -> None:
    random = Random(1)

    def long(words: int) -> tuple[Sample, ...]:
        return tuple(sample(words=round(words * math.exp(random.gauss(0, 0.25)))) for _ in range(5))

    told = verdict(evidence([case(number, long(240), long(80)) for number in range(10)]), look=0)
    assert told.outcome == "FAIL"
    length = guardrail(told, "length")
    assert length.delta == pytest.approx(3, rel=0.15)
    assert told.sentence.startswith("Answers are ")
    assert told.sentence.endswith("as long as the live version's; up to 1.25 times is allowed.")


def test_one_long_answer_decides_nothing() -> None:
    cases = alike(20)
    cases[0] = replace(cases[0], candidate=(sample(words=50_000), *cases[0].candidate[1:]))
    assert verdict(evidence(cases)).outcome == "PASS"


def test_refusals_fail_although_the_score_holds() -> None:
    refusing = tuple(sample(refused=number < 10) for number in range(20))
    told = verdict(evidence([case(number, refusing, arm(20, 20)) for number in range(10)]))
    assert (told.outcome, guardrail(told, "refusals").outcome) == ("FAIL", "FAIL")
    assert "refuses 50 % of the answers, the live version 0 %" in told.sentence


def fresh(one: CaseEvidence, candidate: Sequence[Sample], baseline: Sequence[Sample]) -> CaseEvidence:
    return replace(one, confirm_candidate=tuple(candidate), confirm_baseline=tuple(baseline))


def with_breach(breaches: int = 1) -> list[CaseEvidence]:
    cases = alike(20)
    broken = tuple(sample(holds=number >= breaches) for number in range(20))
    cases[3] = replace(cases[3], candidate=broken)
    return cases


@pytest.mark.parametrize(
    ("again", "before", "outcome"),
    [(0, 0, "PASS"), (1, 0, "INCONCLUSIVE"), (2, 0, "FAIL"), (8, 0, "FAIL"), (8, 1, "PASS")],
)
def test_a_broken_invariant_is_asked_afresh(again: int, before: int, outcome: str) -> None:
    cases = with_breach()
    assert decide(evidence(cases), PLAN, 2) == Confirm(("case 03",), 8)
    cases[3] = fresh(
        cases[3], [sample(holds=n >= again) for n in range(8)], [sample(holds=n >= before) for n in range(8)]
    )
    called = {"candidate": 208, "baseline": 208}
    told = verdict(evidence(cases, called=called, confirmed=("case 03",)))
    assert (told.outcome, guardrail(told, "is-json").outcome) == (outcome, outcome)
    assert guardrail(told, "is-json").cases == ("case 03",)
    assert guardrail(told, "is-json").sentence.startswith("1 of 200 answers of the candidate breaks is-json; ")


@pytest.mark.parametrize(("breaches", "outcome"), [(1, "PASS"), (3, "PASS"), (20, "FAIL")])
def test_one_breach_of_the_baseline_excuses_a_few_and_not_any_number(breaches: int, outcome: str) -> None:
    cases = with_breach(breaches)
    cases[9] = replace(cases[9], baseline=(sample(holds=False), *cases[9].baseline[1:]))
    told = verdict(evidence(cases))
    assert (told.outcome, guardrail(told, "is-json").outcome) == (outcome, outcome)
    started = f"{breaches} of 200 answers of the candidate break is-json, 1 of 200 answers of the live version"
    assert guardrail(told, "is-json").sentence.startswith(started)


def test_an_invariant_that_breaks_everywhere_is_asked_of_five_cases_only() -> None:
    cases = [replace(one, candidate=tuple(sample(holds=False) for _ in range(20))) for one in alike(20)]
    answer = decide(evidence(cases), PLAN, 2)
    assert answer == Confirm(("case 00", "case 01", "case 02", "case 03", "case 04"), 8)


def dead(repeats: int = 12, **about: object) -> list[CaseEvidence]:
    cases = alike(repeats, cases=50)
    cases[7] = case(7, arm(0, repeats), arm(repeats, repeats), **about)
    return cases


def confirmed(cases: list[CaseEvidence], number: int, now: int, before: int, of: int = 8) -> Evidence:
    cases[number] = fresh(cases[number], arm(now, of), arm(before, of))
    called = len(cases[0].candidate) * len(cases) + 8
    counts = {"candidate": called, "baseline": called}
    return evidence(cases, called=counts, confirmed=(cases[number].case,))


def test_one_dead_case_is_confirmed_and_blocks() -> None:
    cases, plan = dead(), plan_for(50)
    assert decide(evidence(cases), plan, 2) == Confirm(("case 07",), 8)
    told = verdict(confirmed(cases, 7, 0, 8), plan)
    assert told.outcome == "FAIL"
    assert told.sentence == ("One case is broken: “case 07” passes 0 of 8 fresh answers, with the live version 8 of 8.")


def test_a_case_that_was_only_unlucky_passes() -> None:
    told = verdict(confirmed(dead(), 7, 8, 8), plan_for(50))
    assert told.outcome == "PASS"
    assert guardrail(told, "cases").sentence == "One case looked worse; asked afresh, it is not."


def test_a_suspect_that_could_not_be_asked_again_is_not_cleared() -> None:
    told = verdict(confirmed(dead(), 7, 3, 3, of=3), plan_for(50))
    assert (told.outcome, guardrail(told, "cases").cases) == ("INCONCLUSIVE", ("case 07",))
    assert "could not be asked again" in told.sentence


def test_the_confirm_step_asks_for_what_is_left_and_ends() -> None:
    cases = dead()
    cases[8] = case(8, arm(0, 12), arm(12, 12))
    found = confirmed(cases, 7, 8, 8)
    assert decide(found, plan_for(50), 2) == Confirm(("case 08",), 8)


def test_a_critical_case_is_suspect_for_less_and_not_shielded_by_others() -> None:
    cases = alike(12, cases=50)
    cases[7] = case(7, arm(11, 12), arm(12, 12), critical=True)
    assert decide(evidence(cases), plan_for(50), 2) == Confirm(("case 07",), 8)
    usual = alike(12, cases=50)
    usual[7] = case(7, arm(11, 12), arm(12, 12))
    assert isinstance(decide(evidence(usual), plan_for(50), 2), Verdict)


def test_many_suspects_do_not_shield_a_critical_case() -> None:
    """3 of 8 against 8 of 8 is p = .013: enough among the critical ones, not among eleven suspects."""
    for critical, outcome in [(True, "FAIL"), (False, "PASS")]:
        cases = alike(12, cases=200)
        for number in range(11):
            cases[number] = fresh(case(number, arm(6, 12), arm(12, 12)), arm(8, 8), arm(8, 8))
            cases[50 + number] = case(50 + number, arm(12, 12), arm(6, 12))  # as many got better
        cases[5] = fresh(replace(cases[5], critical=critical), arm(3, 8), arm(8, 8))
        called = {"candidate": 3000, "baseline": 3000}
        asked = tuple(one.case for one in cases[:11])
        plan = replace(plan_for(150), margin=0.2)
        told = verdict(evidence(cases, called=called, confirmed=asked), plan)
        assert guardrail(told, "cases").outcome == outcome


def test_three_claims_share_the_chance_of_a_false_alarm() -> None:
    """Each of them alone would fail; together none is clear enough (Holm), and to pass none is corrected."""
    harm = Estimate(0.11, 0.05, None, 0.11)
    one = Claim("score", harm, within=0.3, beyond=0.0)
    assert settle({"score": one}, LEVEL) == {"score": "FAIL"}
    same = replace(harm, value=-0.05, centre=-0.05)
    others = {"length": Claim("length", same, 0.1, 0.1), "refusals": Claim("refusals", same, 0.1, 0.1)}
    assert settle({"score": one, **others}, LEVEL) == {"score": "PASS", "length": "PASS", "refusals": "PASS"}


def test_cases_that_all_agree_do_not_make_traffic_certain() -> None:
    told = decide(evidence(alike(3, cases=50)), plan_for(50), 0)
    assert isinstance(told, Verdict)
    assert told.interval == pytest.approx((-0.0438, 0.0438), abs=1e-4)  # t = 2.19 times 1/50


# --- Where nothing can be said ---------------------------------------------------------------------------------------
def test_unscored_answers_are_neither_failed_nor_passed() -> None:
    cases = [replace(one, candidate=one.candidate[:-1]) for one in alike(20)]
    called = {"candidate": 200, "baseline": 200}
    told = verdict(evidence(cases, called=called, unscored={"candidate": 10}))
    assert (told.outcome, told.delta) == ("INCONCLUSIVE", None)
    assert told.sentence.startswith("10 of 200 answers of the candidate could not be scored, more than 2 %.")
    assert verdict(evidence(alike(20), called=called, unscored={"candidate": 4})).outcome == "PASS"


def test_a_few_lost_early_may_be_few_in_the_end_but_many_end_the_run() -> None:
    called = {"candidate": 50, "baseline": 50}
    assert decide(evidence(alike(5), called=called, unscored={"baseline": 4}), PLAN, 0) == Continue(10)
    told = decide(evidence(alike(5), called=called, unscored={"baseline": 5}), PLAN, 0)
    assert isinstance(told, Verdict)
    assert told.outcome == "INCONCLUSIVE"


def test_a_missing_case_is_not_a_passed_case() -> None:
    cases = alike(12, cases=60)
    cases[30] = replace(cases[30], candidate=())
    called = {"candidate": 720, "baseline": 720}
    told = verdict(evidence(cases, called=called, unscored={"candidate": 12}), plan_for(60))
    assert told.outcome == "INCONCLUSIVE"
    assert "case 30" in told.sentence


def test_a_run_that_ended_early_is_incomplete() -> None:
    told = verdict(evidence(alike(20), called={"candidate": 200, "baseline": 180}))
    assert told.outcome == "INCOMPLETE"
    assert told.sentence == "The run ended early: 180 of 200 calls of the live version were made."
    assert verdict(evidence([])).outcome == "INCOMPLETE"


def test_what_was_not_measured_alike_is_not_comparable() -> None:
    told = verdict(evidence([case(0, arm(0, 20), arm(20, 20))], differs=("the judge", "the model")))
    assert told.outcome == "NOT_COMPARABLE"
    assert "the judge and the model differed" in told.sentence


def test_one_group_says_nothing_about_traffic() -> None:
    cases = [replace(one, group="refunds") for one in alike(3, cases=40)]
    told = decide(evidence(cases), plan_for(40), 0)
    assert isinstance(told, Verdict)
    assert told.outcome == "INCONCLUSIVE"
    assert "one group" in told.sentence


# --- Without a live version ------------------------------------------------------------------------------------------
def first_run(passed: int, **about: object) -> Evidence:
    cases = [case(number, arm(passed, 20), **about) for number in range(10)]
    return evidence(cases, has_baseline=False, called={"candidate": 200})


@pytest.mark.parametrize(
    ("passed", "outcome"), [(20, "PASS"), (17, "PASS"), (14, "FAIL"), (15, "INCONCLUSIVE"), (0, "FAIL")]
)
def test_without_a_live_version_the_pass_rate_counts(passed: int, outcome: str) -> None:
    told = verdict(first_run(passed))
    assert told.outcome == outcome
    assert told.baseline is None
    assert "80 % are asked" in told.sentence
    assert [guardrail.kind for guardrail in told.guardrails if guardrail.kind in ("length", "refusals")] == []


def test_a_critical_case_has_to_reach_the_pass_rate_by_itself() -> None:
    cases = [case(number, arm(20, 20)) for number in range(20)]
    cases[4] = case(4, arm(2, 20), critical=True)
    called = {"candidate": 400}
    found = evidence(cases, has_baseline=False, called=called)
    assert decide(found, PLAN, 2) == Confirm(("case 04",), 8)
    for again, outcome in [(2, "FAIL"), (6, "PASS")]:
        cases[4] = replace(cases[4], confirm_candidate=arm(again, 8))
        told = verdict(evidence(cases, has_baseline=False, called={"candidate": 408}, confirmed=("case 04",)))
        assert told.outcome == outcome


# --- Advice ----------------------------------------------------------------------------------------------------------
def test_advice_names_repeats_that_settle_it() -> None:
    """What it asks for is enough, when the rates stay: 13 or 14 of 20 against 14 of 20."""
    told = verdict(evidence([case(number, arm(13 + number % 2, 20), arm(14, 20)) for number in range(10)]))
    more = int(told.advice.removeprefix("About ").split()[0])
    assert told.advice == f"About {more} more repeats of each case would settle it."
    whole = 20 * math.ceil((20 + more) / 20)
    settled = [
        case(number, arm(whole * (13 + number % 2) // 20, whole), arm(whole * 14 // 20, whole)) for number in range(10)
    ]
    plan = replace(PLAN, looks=(5, 10, whole))
    assert "more than 10 points is ruled out" in verdict(evidence(settled), plan).sentence


def test_advice_where_repeats_would_be_too_many() -> None:
    """By hand: SE² = (.2296 + .2137)/200, room = .05/2.128, (SE/room)² = 4.015: 81 repeats or 41 cases in all."""
    told = verdict(evidence([case(number, arm(13, 20), arm(14, 20)) for number in range(10)]))
    assert told.advice == "It would take about 61 more repeats of each case. Add about 31 cases instead."


def test_advice_where_the_drop_is_beyond_the_margin() -> None:
    told = verdict(evidence([case(number, arm(6 if number else 2, 20), arm(7, 20)) for number in range(3)]))
    assert told.outcome == "INCONCLUSIVE"
    assert told.advice == "It leans towards too much worse. More repeats will not make it pass."


def test_advice_where_only_cases_help() -> None:
    """Cases that truly differ, some better and some worse: no number of repeats makes them traffic."""
    cases = [case(number, arm(12 if number % 2 else 0, 12), arm(0 if number % 2 else 12, 12)) for number in range(60)]
    clear = {one.case: fresh(one, arm(8, 8), arm(8, 8)) for one in cases}
    called = {"candidate": 60 * 20, "baseline": 60 * 20}
    told = verdict(evidence(list(clear.values()), called=called, confirmed=tuple(clear)), plan_for(60))
    assert told.outcome == "INCONCLUSIVE"
    assert told.advice.startswith("Repeats cannot settle it. Add about ")
    assert 500 < int(told.advice.split()[-2]) < 1000


# --- Tone ------------------------------------------------------------------------------------------------------------
def test_it_names_the_features_that_moved_and_no_others() -> None:
    random = Random(4)

    def told_by(warmer: float, marks: float) -> tuple[Sample, ...]:
        return tuple(
            sample(
                warmth=random.gauss(warmer, 0.3),
                marks=random.gauss(marks, 0.5),
                **{f"other {number}": random.gauss() for number in range(14)},
            )
            for _ in range(20)
        )

    told = verdict(evidence([case(number, told_by(0.6, 1.3), told_by(0.2, 0.1)) for number in range(10)]))
    assert [shift.feature for shift in told.tone] == ["marks", "warmth"]
    assert told.tone[1].delta == pytest.approx(0.4, abs=0.1)
    assert told.outcome == "PASS"


def test_a_feature_that_some_answers_lack_is_left_out() -> None:
    cases = [case(number, arm(20, 20, warmth=1.0), arm(20, 20, warmth=0.0)) for number in range(10)]
    cases[5] = replace(cases[5], baseline=(*cases[5].baseline[1:], sample()))
    assert verdict(evidence(cases)).tone == ()


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
    """500 cases × 2 arms × 6 repeats, by the processor's time: what else the machine does is not its fault."""
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
    assert min(spent) < 0.05


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
