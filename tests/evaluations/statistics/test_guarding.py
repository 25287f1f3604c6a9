"""What guards a verdict besides the score: length, refusals, what must hold, and single cases that broke."""

import math
from dataclasses import replace
from random import Random

import pytest

from evaluations.statistics import (
    CaseEvidence,
    Confirm,
    Evidence,
    Sample,
    Verdict,
    decide,
    plan_for,
)
from evaluations.statistics.claims import Claim, settle
from evaluations.statistics.paired import Estimate
from tests.evaluations.statistics.made_up import (
    LEVEL,
    PLAN,
    alike,
    arm,
    case,
    evidence,
    fresh,
    guardrail,
    sample,
    verdict,
)


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
