"""What training minimises: cross-entropy of one pass, or of two stochastic passes that are also drawn together.

All are computed from logits in log space, so that no probability is ever rounded to 0 or 1. With ``p = sigmoid(z)`` of
each pass, their ensemble is the mean of the *probabilities*, ``q = (p1 + p2) / 2``, and ``BCE(p, t) = -t log p - (1 -
t) log(1 - p)``, averaged over rows.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Literal, TypeAlias, assert_never, get_args

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["LOSS_NAMES", "LossName", "bce", "check_loss_name", "is_paired", "objective", "paired_loss"]

LossName: TypeAlias = Literal["bce", "ensemble", "self_ensemble", "mse", "kl", "cosine", "huber"]
LOSS_NAMES: tuple[LossName, ...] = get_args(LossName)

_LOG_2 = math.log(2.0)


def check_loss_name(name: str) -> LossName:
    """The name itself.

    Raises:
        ValueError: no loss has this name; names the nearest.
    """
    for known in LOSS_NAMES:
        if name == known:
            return known
    near = difflib.get_close_matches(name, LOSS_NAMES, n=1, cutoff=0.0)[0]
    raise ValueError(f"A loss is one of {', '.join(LOSS_NAMES)}, however: {name!r}; the nearest is {near!r}.")


def is_paired(name: LossName) -> bool:
    """Whether the loss needs two stochastic passes of the model."""
    return name != "bce"


def bce(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy ``BCE(p, y)`` of one pass.

    Args:
        logits: shape (batch,).
        labels: targets in [0, 1], shape (batch,).
        weights: factor of each row's term in the mean, shape (batch,).
    """
    return functional.binary_cross_entropy_with_logits(logits, labels, weights)


def paired_loss(name: LossName, first: Tensor, second: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """``BCE(q, y)`` of the ensemble, plus a term that draws the two passes together.

    ================  ======================================================================================
    name              second term
    ================  ======================================================================================
    ``bce``           rejected: it reads one pass
    ``ensemble``      none: the control that tells averaging from consistency
    ``self_ensemble`` ``BCE(p1, stop(q)) + BCE(p2, stop(q))``, QNN-α's own (li2025qnn)
    ``mse``           ``(p1 - p2)²``
    ``kl``            ``(KL(p1 ‖ p2) + KL(p2 ‖ p1)) / 2`` of Bernoulli distributions, as in R-Drop (liang2021rdrop)
    ``cosine``        ``1 - cos((p1, 1 - p1), (p2, 1 - p2))``, as the cosine of two positive numbers is always 1
    ``huber``         Huber with δ = 1; a difference of probabilities never exceeds 1, so it is half of ``mse``
    ================  ======================================================================================

    Args:
        name: the loss.
        first: logits of the first pass, shape (batch,).
        second: logits of the second pass, shape (batch,).
        labels: zeros and ones, shape (batch,).
        weights: factor of each row's terms in the means, shape (batch,).

    Raises:
        ValueError: the loss reads a single pass.
    """

    def mean(terms: Tensor) -> Tensor:
        return (terms if weights is None else terms * weights).mean()

    log_q, log_not_q = _log_mean(first, second), _log_mean(-first, -second)
    loss = -mean(torch.lerp(log_not_q, log_q, labels))
    match name:
        case "bce":
            raise ValueError("A paired loss reads two passes, however: 'bce' reads one; call bce(logits, labels).")
        case "ensemble":
            return loss
        case "self_ensemble":
            target = log_q.detach().exp()
            return loss + bce(first, target, weights) + bce(second, target, weights)
        case "mse":
            return loss + mean(_difference(first, second).square())
        case "kl":
            # KL(p1‖p2) + KL(p2‖p1) = (p1 - p2)(z1 - z2) for Bernoulli distributions with logits z.
            return loss + 0.5 * mean(_difference(first, second) * (first - second))
        case "cosine":
            p, r = torch.sigmoid(first), torch.sigmoid(second)
            pair = functional.cosine_similarity(torch.stack([p, 1 - p]), torch.stack([r, 1 - r]), dim=0)
            return loss + mean(1 - pair)
        case "huber":
            return loss + 0.5 * mean(_difference(first, second).square())
        case _:
            assert_never(name)


def objective(
    forward: Callable[[Tensor], Tensor],
    pair: Callable[[Tensor], tuple[Tensor, Tensor]],
    regularisation: Callable[[Tensor], Tensor | None],
    name: LossName,
) -> Callable[..., Tensor]:
    """Ids, labels and, where there are some, weights to the mean loss of the rows plus the model's own term.

    The loss of no rows, which have no mean, is 0. Weights are factors of the rows' losses; the model's own term knows none.

    Args:
        forward: ids to logits.
        pair: ids to the logits of two passes; the one that is used by a loss of two passes.
        regularisation: ids to the model's own term, or to None.
        name: the loss.
    """

    def single(ids: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        logits = _single_precision(forward(ids))
        return bce(logits, labels.to(logits.dtype), weights) if len(labels) else logits.sum()

    def paired(ids: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        first, second = (_single_precision(logits) for logits in pair(ids))
        if not len(labels):
            return first.sum() + second.sum()
        return paired_loss(name, first, second, labels.to(first.dtype), weights)

    loss = paired if is_paired(name) else single

    def regularised(ids: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        term = regularisation(ids)
        mean = loss(ids, labels, weights)
        return mean if term is None else mean + term

    return regularised


def _log_mean(first: Tensor, second: Tensor) -> Tensor:
    """``log((sigmoid(z1) + sigmoid(z2)) / 2)``."""
    return torch.logaddexp(functional.logsigmoid(first), functional.logsigmoid(second)) - _LOG_2


def _difference(first: Tensor, second: Tensor) -> Tensor:
    return torch.sigmoid(first) - torch.sigmoid(second)


def _single_precision(logits: Tensor) -> Tensor:
    """Logits of at least single precision: those of bfloat16 autocast are too coarse for a loss."""
    return logits.float() if logits.element_size() < 4 else logits
