"""The formulas against statsmodels, scipy, published tables, and hand-made figures."""

import math
from random import Random

import numpy as np
import pytest
import scipy.stats
import statsmodels.api
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from statsmodels.stats.weightstats import DescrStatsW

from evaluations.statistics.calibration import calibrate, cohen_kappa, flip_rate
from evaluations.statistics.paired import (
    Pair,
    careful_variance,
    measured_on_these_cases,
    of_rates,
    of_these_cases,
    of_traffic,
)
from evaluations.statistics.quantiles import binomial_less, fisher_less, holm, quantile, tail, wilson

LEVEL = 0.05 / 3


@pytest.mark.parametrize(("before", "of_before"), [(8, 8), (6, 8), (0, 8), (3, 5), (10, 10)])
def test_fisher_is_scipys(before: int, of_before: int) -> None:
    for passed in range(9):
        table = [[passed, 8 - passed], [before, of_before - before]]
        assert fisher_less(passed, 8, before, of_before) == pytest.approx(
            scipy.stats.fisher_exact(table, alternative="less").pvalue, rel=1e-9
        )


def test_fisher_on_the_lady_tasting_tea() -> None:
    """Fisher 1935: three of four cups right, p = 17/70 one-sided; all four, 1/70."""
    assert fisher_less(1, 4, 3, 4) == pytest.approx(17 / 70)
    assert fisher_less(0, 4, 4, 4) == pytest.approx(1 / 70)


def test_binomial_is_scipys() -> None:
    for passed in range(9):
        expected = scipy.stats.binomtest(passed, 8, 0.8, alternative="less").pvalue
        assert binomial_less(passed, 8, 0.8) == pytest.approx(expected)


@pytest.mark.parametrize(("hits", "of"), [(0, 8), (1, 8), (10, 10), (50, 50), (81, 263), (15, 148), (1, 29)])
def test_wilson_is_statsmodels(hits: int, of: int) -> None:
    expected = proportion_confint(hits, of, alpha=0.05, method="wilson")
    assert wilson(hits, of) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_in_newcombes_table(hits: int, of: int, low: float, high: float) -> None:
    """Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3."""
    assert [round(bound, 4) for bound in wilson(hits, of)] == [low, high]


def test_holm_is_statsmodels() -> None:
    random = Random(1)
    for size in (5, 16):
        p_values = [random.random() ** 6 for _ in range(size)]
        assert list(holm(p_values, 0.05)) == list(multipletests(p_values, 0.05, method="holm")[0])
    assert holm([], 0.05) == ()
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == (True, False, False, True)


@pytest.mark.parametrize(
    ("df", "above", "expected"), [(1, 0.025, 12.706), (9, 0.05, 1.833), (29, 0.025, 2.045), (99, 0.005, 2.626)]
)
def test_students_quantiles_in_the_printed_table(df: float, above: float, expected: float) -> None:
    assert quantile(above, df) == pytest.approx(expected, abs=5e-4)
    assert tail(quantile(above, df), df) == pytest.approx(above)


def test_normal_quantiles() -> None:
    assert quantile(0.025, None) == pytest.approx(1.959964, abs=1e-6)
    assert tail(1.644854) == pytest.approx(0.05, abs=1e-6)
    assert tail(9.0) == pytest.approx(scipy.stats.norm.sf(9.0))


def _pairs(random: Random, cases: int, repeats: int, groups: int = 0) -> list[Pair]:
    return [
        Pair(
            [random.random() for _ in range(repeats)],
            [random.random() for _ in range(repeats)],
            f"group {random.randrange(groups)}" if groups else "",
        )
        for _ in range(cases)
    ]


def test_the_error_over_traffic_is_the_paired_t_test() -> None:
    pairs = _pairs(Random(2), 40, 3)
    estimate = of_traffic(pairs)
    after, before = (
        [float(np.mean(arm)) for arm in arms] for arms in zip(*((p.candidate, p.baseline) for p in pairs), strict=True)
    )
    expected = scipy.stats.ttest_rel(after, before)
    assert estimate.value / estimate.se == pytest.approx(expected.statistic)
    interval = DescrStatsW(np.subtract(after, before)).tconfint_mean(alpha=2 * LEVEL)
    assert estimate.interval(LEVEL) == pytest.approx(interval)
    assert estimate.chance(0.0) == pytest.approx(scipy.stats.ttest_rel(after, before, alternative="greater").pvalue)


def test_the_clustered_error_is_statsmodels() -> None:
    pairs = _pairs(Random(3), 60, 2, groups=9)
    estimate = of_traffic(pairs)
    names = [pair.group for pair in pairs]
    fit = statsmodels.api.OLS([pair.difference for pair in pairs], np.ones(60)).fit(
        cov_type="cluster",
        cov_kwds={"groups": np.unique(names, return_inverse=True)[1], "df_correction": True, "use_correction": True},
    )
    # statsmodels multiplies by (N − 1)/(N − K) too, which is 1 for a mean alone.
    assert estimate.se == pytest.approx(float(fit.bse[0]))
    assert estimate.df == 8


def test_rates_are_agresti_and_caffos() -> None:
    for hits, before in [(0, 0), (10, 0), (3, 7), (50, 50)]:
        pairs = [Pair([float(i < hits) for i in range(50)], [float(i < before) for i in range(50)])]
        expected = confint_proportions_2indep(
            hits, 50, before, 50, method="agresti-caffo", compare="diff", alpha=2 * LEVEL
        )
        assert of_rates(pairs).interval(LEVEL) == pytest.approx(expected)


def test_these_cases_by_hand() -> None:
    """Two cases, 3 of 3 against 2 of 3, and 0 of 3 against 3 of 3: v = p̃(1 − p̃) with p̃ = (x + ½)/(k + 1)."""
    pairs = [Pair([1, 1, 1], [1, 1, 0]), Pair([0, 0, 0], [1, 1, 1])]
    estimate = of_these_cases(pairs)
    surely, mostly = 0.875 * 0.125, 0.625 * 0.375
    assert estimate.value == pytest.approx((1 / 3 - 1) / 2)
    assert estimate.se == pytest.approx(math.sqrt((3 * surely + mostly) / 3) / 2)
    assert careful_variance([0.5, 0.5, 0.5]) == pytest.approx((0.75 + 0.5) / 4 - 0.25)


def test_lengths_on_these_cases_by_hand() -> None:
    pairs = [Pair([1.0, 3.0], [2.0, 2.0]), Pair([5.0], [4.0, 6.0])]
    # Variances 2, 0, 2; what has one repeat varies by their mean, 4/3.
    estimate = measured_on_these_cases(pairs)
    assert estimate.se == pytest.approx(math.sqrt(2 / 2 + 0 + (4 / 3) / 1 + 2 / 2) / 2)
    assert estimate.df == 3


def test_one_repeat_against_mcnemar() -> None:
    """With one repeat the paired difference is McNemar's: about the same p where its own approximation is good."""
    gained, lost, same = 20, 38, 442
    pairs = [Pair([1.0], [0.0])] * gained + [Pair([0.0], [1.0])] * lost + [Pair([1.0], [1.0])] * same
    expected = mcnemar([[same, lost], [gained, 0]], exact=False, correction=False)
    estimate = of_traffic(pairs)
    assert 2 * tail(abs(estimate.value / estimate.se), estimate.df) == pytest.approx(expected.pvalue, rel=0.15)


def _labels(both: int, only_person: int, only_judge: int, neither: int) -> list[tuple[bool, bool]]:
    return (
        [(True, True)] * both
        + [(True, False)] * only_person
        + [(False, True)] * only_judge
        + [(False, False)] * neither
    )


@pytest.mark.parametrize("table", [(20, 5, 10, 15), (40, 1, 2, 7), (10, 10, 10, 10), (30, 0, 0, 5), (0, 9, 9, 0)])
def test_kappa_is_statsmodels(table: tuple[int, int, int, int]) -> None:
    kappa, interval = cohen_kappa(_labels(*table))
    expected = cohens_kappa(np.array(table).reshape(2, 2))
    assert kappa == pytest.approx(expected.kappa)
    bounds = (max(-1.0, expected.kappa_low), min(1.0, expected.kappa_upp))
    assert interval == pytest.approx(bounds, abs=1e-9)


def test_calibration() -> None:
    """The textbook's 20/5/10/15: kappa 0.4."""
    told = calibrate(_labels(20, 5, 10, 15))
    assert told.kappa == pytest.approx(0.4)
    assert (told.sensitivity.hits, told.sensitivity.of) == (20, 25)
    assert (told.specificity.hits, told.specificity.of) == (15, 25)
    assert told.specificity.interval == pytest.approx(proportion_confint(15, 25, method="wilson"))
    assert told.enough
    assert "20 of the 25" in told.sentence
    assert "15 of the 25" in told.sentence


@pytest.mark.parametrize("labels", [_labels(20, 0, 0, 9), _labels(40, 0, 0, 0), _labels(0, 0, 0, 40), []])
def test_a_judge_advises_until_it_is_calibrated(labels: list[tuple[bool, bool]]) -> None:
    told = calibrate(labels)
    assert not told.enough
    assert "only advises" in told.sentence


@pytest.mark.parametrize("labels", [_labels(10, 10, 10, 10), _labels(0, 20, 20, 0), _labels(18, 7, 9, 6)])
def test_a_judge_advises_while_its_agreement_may_be_chance(labels: list[tuple[bool, bool]]) -> None:
    told = calibrate(labels)
    assert not told.enough
    assert "may be chance" in told.sentence


def test_a_judge_that_says_the_same_of_everything_advises_however_many_labels_there_are() -> None:
    for number in range(30, 400):
        assert not calibrate(_labels(number - 7, 0, 7, 0)).enough
        assert not calibrate(_labels(0, 7, 0, number - 7)).enough


def test_kappa_is_nothing_where_nothing_varies() -> None:
    assert cohen_kappa(_labels(40, 0, 0, 0)) == (None, None)


def test_flips_count_outputs_that_were_judged_twice() -> None:
    flips = flip_rate([(True, True), (True, False, True), (False, False), (True,), ()])
    assert (flips.hits, flips.of) == (1, 3)
    assert flip_rate([]).rate is None
