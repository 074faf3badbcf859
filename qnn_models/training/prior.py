"""The start of a training at the data's own rate: the output's bias is set to the training split's log odds."""

from __future__ import annotations

import math

import torch
from torch import nn

from qnn_models.evaluation.evaluate import evaluation_mode
from qnn_models.training.batches import Batches

__all__ = ["output_biases", "start_at_log_odds"]

_ROWS = 64
_TOLERANCE = 1e-4


def start_at_log_odds(model: nn.Module, batches: Batches) -> None:
    """Shift the biases of the output so that the mean logit of some training rows is the log odds of the training labels.

    Args:
        model: ids ``(batch, columns)`` -> logits ``(batch,)``; changed in place.
        batches: where the rows come from.

    Raises:
        ValueError: no parameter of the model shifts all logits alike.
    """
    rate = batches.label_rate("train")
    ids = batches.first_rows("train", _ROWS).ids
    biases = output_biases(model, ids)
    with evaluation_mode(model), torch.no_grad():
        missing = math.log(rate / (1 - rate)) - float(model(ids).double().mean())
        for bias in biases:
            bias.add_(missing / sum(biases.values()))


def output_biases(model: nn.Module, ids: torch.Tensor) -> dict[nn.Parameter, float]:
    """The parameters of one number that shift the logits of all rows alike, and by how much; a mean of heads has several.

    Found by trying, so that a model of any make has them without saying so.

    Args:
        model: ids ``(batch, columns)`` -> logits ``(batch,)``.
        ids: some rows.

    Raises:
        ValueError: there is none.
    """
    found = {}
    with evaluation_mode(model), torch.no_grad():
        before = model(ids).double()
        for parameter in model.parameters():
            if parameter.numel() != 1:
                continue
            kept = parameter.detach().clone()
            parameter.add_(1.0)
            shift = model(ids).double() - before
            parameter.copy_(kept)
            slope = float(shift.mean())
            if abs(slope) > _TOLERANCE and float((shift - slope).abs().max()) < _TOLERANCE * max(1.0, abs(slope)):
                found[parameter] = slope
    if not found:
        raise ValueError(
            f"A training that starts at the labels' log odds needs a bias at the output, however: {type(model).__name__} has "
            "none; set prior_bias = false."
        )
    return found
