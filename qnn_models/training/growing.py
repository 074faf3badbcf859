"""A model goes on with larger vocabularies: new ids get rows, old rows keep their weights and their optimizer's state."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from qnn_models.layers.embedding import FieldEmbedding

__all__ = ["grow_model", "grow_optimizer"]


def grow_model(small: nn.Module, large: nn.Module) -> None:
    """Copy a model into one of the same kind whose fields have more ids, at the end; what is new keeps its start values.

    Raises:
        ValueError: the models differ in more.
    """
    rows, target = _kept_rows(small, large), large.state_dict()
    source = small.state_dict()
    odd = sorted(source.keys() ^ target.keys()) or [
        name for name in source if name not in rows and source[name].shape != target[name].shape
    ]
    if odd:
        raise ValueError(f"A model grows by rows of its embeddings alone, however: {odd[0]} differs; train it anew.")
    with torch.no_grad():
        for name, tensor in source.items():
            if name in rows:
                target[name][rows[name]] = tensor
            else:
                target[name].copy_(tensor)


def grow_optimizer(state: Mapping[str, Tensor], small: nn.Module, large: nn.Module) -> dict[str, Tensor]:
    """Adam's state, as `qnn_models.training.checkpoint.optimizer_tensors` tells it, for the larger model; 0 for what is new."""
    rows = _kept_rows(small, large)
    owned = [(name, tensor) for name, tensor in large.named_parameters() if tensor.requires_grad]
    grown = {}
    for key, tensor in state.items():
        name, parameter = owned[int(key.split(".", 1)[0])]
        grown[key] = tensor
        if name in rows and tensor.dim():
            grown[key] = torch.zeros(parameter.shape, dtype=tensor.dtype)
            grown[key][rows[name]] = tensor.cpu()
    return grown


def _kept_rows(small: nn.Module, large: nn.Module) -> dict[str, Tensor]:
    """Where the rows of each table are in the larger one, by the table's name."""
    found = {}
    for name, module in small.named_modules():
        other = dict(large.named_modules()).get(name)
        if isinstance(module, FieldEmbedding) and isinstance(other, FieldEmbedding):
            starts = [0, *torch.tensor(other.vocabulary_sizes).cumsum(0).tolist()]
            parts = [start + torch.arange(n) for start, n in zip(starts, module.vocabulary_sizes, strict=False)]
            found[f"{name}.weight" if name else "weight"] = torch.cat(parts).to(other.weight.device)
    return found
