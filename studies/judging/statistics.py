"""Statistics of repeated runs: intervals, paired differences, corrections for many comparisons, rank correlations.

Every number here is one that scipy gives by hand; the tests do so. A verdict needs `PAIRS_FOR_A_VERDICT` pairs, and a difference
that is not shown is a result with a name of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 10_000
PAIRS_FOR_A_VERDICT = 5
"""Two or three differences that happen to be alike have a tiny standard deviation and, by it, a tiny p value."""

Verdict: TypeAlias = Literal[
    "better", "worse", "no difference shown", "too few seeds: no verdict", "runs failed: no verdict", "no pairs"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and where it lies.

    Attributes:
        n: number of values.
        mean: their mean.
        std: their standard deviation (n - 1 in the denominator); None for one value.
        low: lower end of the 95 % Student interval of the mean; None for one value.
        high: its upper end.
    """

    n: int
    mean: float
    std: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The mean difference of paired values a - b.

    Attributes:
        n: number of pairs.
        mean: mean difference.
        std: standard deviation of the differences; None for one pair.
        low: lower end of the 95 % Student interval; None for one pair.
        high: its upper end.
        bootstrap_low: lower end of the 95 % percentile bootstrap interval (pairs resampled); None for one pair.
        bootstrap_high: its upper end.
        p: two-sided p value of the paired t test; None for one pair.
    """

    n: int
    mean: float
    std: float | None
    low: float | None
    high: float | None
    bootstrap_low: float | None
    bootstrap_high: float | None
    p: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankCorrelation:
    """Spearman's rank correlation of two columns.

    Attributes:
        n: number of items.
        rho: the correlation; None where a column is constant or there are fewer than 3 items.
        low: lower end of the 95 % percentile bootstrap interval (items resampled).
        high: its upper end.
        p: two-sided p value.
    """

    n: int
    rho: float | None
    low: float | None
    high: float | None
    p: float | None


def mean_interval(values: Sequence[float]) -> Interval:
    """Mean and 95 % Student interval ``mean ± t(n-1) · std / √n``.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("An interval needs at least one value, however: none.")
    x = np.asarray(values, dtype=float)
    if len(x) == 1:
        return Interval(n=1, mean=float(x[0]), std=None, low=None, high=None)
    std = float(x.std(ddof=1))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(x) - 1)) * std / math.sqrt(len(x))
    mean = float(x.mean())
    return Interval(n=len(x), mean=mean, std=std, low=mean - half, high=mean + half)


def paired_difference(a: Sequence[float], b: Sequence[float], *, seed: int = 0) -> PairedDifference:
    """The difference a - b of values measured in pairs (same seed, same split).

    Args:
        a: values of the one.
        b: values of the other, in the same order.
        seed: seed of the bootstrap.

    Raises:
        ValueError: the lengths differ, or there is no pair.
    """
    if len(a) != len(b):
        raise ValueError(f"Pairs need two values each, however: {len(a)} and {len(b)} values.")
    difference = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    interval = mean_interval(difference.tolist())
    if interval.n == 1 or interval.std is None:
        return PairedDifference(
            n=1, mean=interval.mean, std=None, low=None, high=None, bootstrap_low=None, bootstrap_high=None, p=None
        )
    if interval.std == 0.0:
        p = 1.0 if interval.mean == 0.0 else 0.0
    else:
        t = interval.mean / (interval.std / math.sqrt(interval.n))
        p = float(2 * stats.t.sf(abs(t), interval.n - 1))
    rows = np.random.default_rng(seed).integers(interval.n, size=(RESAMPLES, interval.n))
    low, high = _percentiles(difference[rows].mean(axis=1))
    return PairedDifference(
        n=interval.n,
        mean=interval.mean,
        std=interval.std,
        low=interval.low,
        high=interval.high,
        bootstrap_low=low,
        bootstrap_high=high,
        p=p,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: below α after it means an error anywhere in the family with probability at most α."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Benjamini and Hochberg's adjustment: below α after it means a share of at most α of false discoveries on average."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    ranks = np.arange(1, len(p) + 1)
    stepped = np.minimum.accumulate((p[order] * len(p) / ranks)[::-1])[::-1]
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted.tolist()


def verdict(difference: PairedDifference | None, p_adjusted: float | None, *, higher_is_better: bool) -> Verdict:
    """What a comparison shows, at the level of 5 % after correction.

    Args:
        difference: of the one against the other; None where no run of both ended well.
        p_adjusted: its corrected p value; None where it was not tested: for too few pairs, or because runs failed, as the
            pairs that are left are chosen by their outcome then.
        higher_is_better: whether a larger value is the better one.
    """
    if difference is None:
        return "no pairs"
    if difference.n < PAIRS_FOR_A_VERDICT:
        return "too few seeds: no verdict"
    if p_adjusted is None:
        return "runs failed: no verdict"
    if p_adjusted >= 1 - CONFIDENCE:
        return "no difference shown"
    return "better" if (difference.mean > 0) == higher_is_better else "worse"


def sign_test(differences: Sequence[float]) -> float:
    """Two-sided p value of as many positive differences among the non-zero ones, were either sign equally likely."""
    signs = np.sign(np.asarray(differences, dtype=float))
    decided = int(np.count_nonzero(signs))
    if decided == 0:
        return 1.0
    return float(stats.binomtest(int((signs > 0).sum()), decided).pvalue)


def rank_correlation(x: Sequence[float], y: Sequence[float], *, seed: int = 0) -> RankCorrelation:
    """Spearman's correlation of two columns over the same items, with a bootstrap interval over the items.

    Args:
        x: one value per item.
        y: the other value per item.
        seed: seed of the bootstrap.

    Raises:
        ValueError: the lengths differ.
    """
    if len(x) != len(y):
        raise ValueError(f"A correlation needs two values per item, however: {len(x)} and {len(y)} values.")
    a, b = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    n = len(a)
    if n < 3 or len(np.unique(a)) == 1 or len(np.unique(b)) == 1:
        return RankCorrelation(n=n, rho=None, low=None, high=None, p=None)
    result = stats.spearmanr(a, b)
    rows = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    ranked_a, ranked_b = stats.rankdata(a[rows], axis=1), stats.rankdata(b[rows], axis=1)
    ranked_a -= ranked_a.mean(axis=1, keepdims=True)
    ranked_b -= ranked_b.mean(axis=1, keepdims=True)
    scale = np.sqrt((ranked_a**2).sum(axis=1) * (ranked_b**2).sum(axis=1))
    # A resample in which a column is constant has no correlation.
    low, high = _percentiles((ranked_a * ranked_b).sum(axis=1)[scale > 0] / scale[scale > 0])
    return RankCorrelation(n=n, rho=float(result.statistic), low=low, high=high, p=float(result.pvalue))


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)
