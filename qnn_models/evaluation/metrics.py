"""What a click-through-rate model is judged by: exact AUC, log loss and calibration."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

__all__ = ["auc", "calibration_error", "constant_log_loss", "log_loss"]

Values: TypeAlias = ArrayLike | Tensor


def auc(labels: Values, scores: Values, weights: Values | None = None) -> float:
    """Area under the ROC curve: the probability that a positive scores above a negative, ties counting one half.

    Exact: the Mann-Whitney statistic 2U is counted in integers and divided once. Sorting each class by itself and walking
    through both side by side is several times faster than tracing the curve.

    Args:
        labels: zeros and ones, shape (rows,).
        scores: any monotone score, logits or probabilities, shape (rows,); infinities are allowed.
        weights: how much each row counts, shape (rows,); a pair counts as the product of its rows'. Then it is as exact as sums
            in double precision are.

    Raises:
        ValueError: the shapes differ, a label is not 0 or 1, a score is NaN, or only one class is present.
    """
    from qnn_models.kernels.numba_ranks import count_wins

    positive, values = _checked(labels, scores)
    if weights is not None:
        kept = _weights(weights, values) > 0
        positive, values, weights = positive[kept], values[kept], _weights(weights, values)[kept]
    above, below = values[positive], values[~positive]
    if not len(above) or not len(below):
        missing, present = ("positive", "negative") if not len(above) else ("negative", "positive")
        raise ValueError(
            f"AUC compares positives with negatives, however: all {len(values)} labels are {present}; "
            f"take a sample that holds a {missing} row."
        )
    if weights is not None:
        return _weighted_auc(positive, values, weights)
    above.sort()
    below.sort()
    return count_wins(above, below) / (2 * len(above) * len(below))


def _weighted_auc(positive: NDArray[np.bool_], values: NDArray[Any], weights: NDArray[np.float64]) -> float:
    place = np.unique(values, return_inverse=True)[1]
    wins, losses = (np.bincount(place, np.where(chosen, weights, 0.0)) for chosen in (positive, ~positive))
    return float(np.dot(wins, np.cumsum(losses) - losses / 2) / (wins.sum() * losses.sum()))


def log_loss(labels: Values, logits: Values, weights: Values | None = None) -> float:
    """Mean of ``-y log p - (1 - y) log(1 - p)`` with ``p = sigmoid(logit)``, in nats.

    Computed from the logits as ``max(z, 0) - z y + log(1 + exp(-|z|))`` in double precision, so that confident
    predictions neither overflow nor need clipping.

    Args:
        labels: zeros and ones, shape (rows,).
        logits: shape (rows,).
        weights: how much each row counts, shape (rows,).

    Raises:
        ValueError: the shapes differ, there are no rows, a label is not 0 or 1, or a logit is NaN.
    """
    positive, values = _checked(labels, logits)
    z = values.astype(np.float64)
    losses = np.maximum(z, 0) - np.where(positive, z, 0) + np.log1p(np.exp(-np.abs(z)))
    return float(np.average(losses, weights=None if weights is None else _weights(weights, values)))


def constant_log_loss(rate: float) -> float:
    """Log loss of the best constant prediction where a share `rate` of the labels is 1: the binary entropy, in nats.

    A model whose log loss is not below it predicts no better probabilities than no model.

    Raises:
        ValueError: the share is not within 0 and 1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"A share is within 0 and 1, however: rate={rate}.")
    return -sum(share * math.log(share) for share in (rate, 1 - rate) if share)


def calibration_error(labels: Values, logits: Values, weights: Values | None = None, *, bins: int = 15) -> float:
    """Expected calibration error: mean of |mean label − mean prediction| over bins of equally many rows, by prediction.

    Bins of equally many rows rather than of equal width, as most click probabilities are small (Nixon et al. 2019, ACE).

    Args:
        labels: zeros and ones, shape (rows,).
        logits: shape (rows,).
        weights: how much each row counts in the means, shape (rows,).
        bins: most bins; each has at least one row.

    Returns:
        In [0, 1].

    Raises:
        ValueError: see `log_loss`.
    """
    positive, values = _checked(labels, logits)
    order = np.argsort(values, kind="stable")
    z = values[order].astype(np.float64)
    counts = np.ones(len(z)) if weights is None else _weights(weights, values)[order]
    excess = (np.exp(-np.logaddexp(0.0, -z)) - positive[order]) * counts
    parts = np.array_split(excess, min(bins, len(excess)))
    return float(sum(abs(part.sum()) for part in parts) / counts.sum())


def _checked(labels: Values, scores: Values) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Labels as booleans and scores as floats of at least single precision."""
    y, values = _array(labels), _array(scores)
    if y.shape != values.shape or y.ndim != 1 or not len(y):
        raise ValueError(
            f"Labels and scores are two vectors of one length, not empty, however: shapes {y.shape} and {values.shape}."
        )
    positive = np.equal(y, 1)
    if not np.all(positive | (y == 0)):
        wrong = y[~(positive | (y == 0))][0]
        raise ValueError(f"A label is 0 or 1, however: {wrong}.")
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32 if values.dtype == np.float16 else np.float64)
    if np.isnan(values).any():
        raise ValueError(
            f"Scores are numbers, however: {int(np.isnan(values).sum())} of {len(values)} are NaN; "
            "the model diverged, lower its learning rate."
        )
    return positive, values


def _weights(weights: Values, values: NDArray[Any]) -> NDArray[np.float64]:
    found = _array(weights).astype(np.float64)
    if found.shape != values.shape or not np.all(np.isfinite(found) & (found >= 0)) or not found.sum() > 0:
        raise ValueError(
            f"Weights are one finite number a row, none negative and not all 0, however: shape {found.shape} for {len(values)} "
            "rows, or other values."
        )
    return found


def _array(values: Values) -> NDArray[Any]:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        # NumPy has no bfloat16, which single precision holds exactly.
        return np.asarray(
            (values if values.element_size() > 2 or not values.is_floating_point() else values.float()).numpy()
        )
    return np.asarray(values)
