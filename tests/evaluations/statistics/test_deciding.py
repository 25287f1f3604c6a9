"""What `decide` says of runs whose answer is known: by outcome, and where nothing can be said."""

import math
from dataclasses import replace
from random import Random

import pytest

from evaluations.statistics import (
    Confirm,
    Continue,
    Evidence,
    Plan,
    Sample,
    Verdict,
    decide,
    plan_for,
)
from tests.evaluations.statistics.made_up import PLAN, alike, arm, case, evidence, fresh, sample, verdict


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
