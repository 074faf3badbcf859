"""The statistics against scipy by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from studies.judging.statistics import (
    PAIRS_FOR_A_VERDICT,
    benjamini_hochberg,
    holm,
    mean_interval,
    paired_difference,
    rank_correlation,
    sign_test,
    verdict,
)

VALUES = st.floats(min_value=0.3, max_value=0.9, allow_nan=False).map(lambda value: round(value, 5))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=12))
def test_paired_difference_is_scipys(pairs: list[tuple[float, float]]) -> None:
    a, b = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ours = paired_difference(a, b)
    differences = np.subtract(a, b)
    assert ours.mean == pytest.approx(differences.mean())
    if differences.std() < 1e-9:
        return
    theirs = stats.ttest_rel(a, b)
    assert ours.p == pytest.approx(theirs.pvalue)
    interval = theirs.confidence_interval(0.95)
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high))


def test_bootstrap_interval_is_scipys() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(0.86, 0.002, 20), generator.normal(0.858, 0.002, 20)
    ours = paired_difference(a.tolist(), b.tolist())
    theirs = stats.bootstrap(
        (a - b,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    spread = theirs.high - theirs.low
    assert ours.bootstrap_low == pytest.approx(theirs.low, abs=0.03 * spread)
    assert ours.bootstrap_high == pytest.approx(theirs.high, abs=0.03 * spread)


def test_interval_is_scipys() -> None:
    values = [0.8601, 0.8633, 0.8612, 0.8597]
    ours = mean_interval(values)
    theirs = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx(theirs)
    assert ours.std == pytest.approx(np.std(values, ddof=1))


P_VALUES = st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=15)


@given(P_VALUES)
def test_benjamini_hochberg_is_scipys(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(stats.false_discovery_control(p, method="bh").tolist())


@given(P_VALUES)
def test_holm_by_its_definition(p: list[float]) -> None:
    """Reject while the i-th smallest p is at most α / (m - i): the adjusted p is the smallest α that rejects."""
    adjusted = holm(p)
    order = sorted(range(len(p)), key=lambda index: p[index])
    for alpha in (0.01, 0.05, 0.2, 0.9):
        rejected = set()
        for step, index in enumerate(order):
            if p[index] * (len(p) - step) > alpha:
                break
            rejected.add(index)
        assert {index for index, value in enumerate(adjusted) if value <= alpha} == rejected


@pytest.mark.parametrize("pairs", range(1, PAIRS_FOR_A_VERDICT))
def test_few_seeds_are_no_win(pairs: int) -> None:
    """However clear it looks: here all differences are the same but for their last digits."""
    few = paired_difference([0.9 + 1e-9 * index for index in range(pairs)], [0.5] * pairs)
    assert few.p is None if pairs == 1 else few.p < 1e-6
    assert (few.low is None) == (pairs == 1)
    assert verdict(few, few.p, higher_is_better=True) == "too few seeds: no verdict"
    assert verdict(None, None, higher_is_better=True) == "no pairs"


def test_verdicts() -> None:
    clear = paired_difference([0.86, 0.861, 0.862, 0.8604, 0.8617], [0.85, 0.851, 0.8523, 0.8501, 0.8512])
    assert verdict(clear, clear.p, higher_is_better=True) == "better"
    assert verdict(clear, clear.p, higher_is_better=False) == "worse"
    assert verdict(clear, 0.2, higher_is_better=True) == "no difference shown"
    same = paired_difference([0.5, 0.6, 0.7, 0.8, 0.9], [0.5, 0.6, 0.7, 0.8, 0.9])
    assert same.p == 1.0
    assert verdict(same, same.p, higher_is_better=True) == "no difference shown"


def test_unpaired_and_empty_are_rejected() -> None:
    with pytest.raises(ValueError, match="however: 2 and 1 values"):
        paired_difference([1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="at least one value"):
        mean_interval([])


def test_sign_test_is_the_binomial() -> None:
    assert sign_test([1.0] * 17 + [-1.0] * 8) == pytest.approx(stats.binomtest(17, 25).pvalue)
    assert sign_test([0.0, 0.0]) == 1.0
    assert sign_test([0.0, 2.0, -1.0, 3.0]) == pytest.approx(stats.binomtest(2, 3).pvalue)


def test_rank_correlation_is_spearmans() -> None:
    generator = np.random.default_rng(5)
    x = generator.integers(0, 8, 30).astype(float)
    y = x + generator.normal(0, 3, 30)
    ours = rank_correlation(x.tolist(), y.tolist())
    theirs = stats.spearmanr(x, y)
    assert ours.rho == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue)
    interval = stats.bootstrap(
        (x, y),
        lambda a, b: stats.spearmanr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=1_000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ours.low == pytest.approx(interval.low, abs=0.05)
    assert ours.high == pytest.approx(interval.high, abs=0.05)


def test_rank_correlation_that_does_not_exist() -> None:
    assert rank_correlation([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0]).rho is None
    assert rank_correlation([1.0, 2.0], [1.0, 2.0]).rho is None
    low = rank_correlation([1.0, 2.0, 3.0], [1.0, 2.0, 4.0]).low
    assert low is not None
    assert not math.isnan(low)
