"""Start values by name: what one module draws does not depend on which others a model has."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import nn

from qnn_models.models.qnn_alpha import QNNAlpha
from qnn_models.runtime.seeds import derive

__all__ = ["Drawn", "start_values"]


class Drawn(nn.Module):
    """A module whose own parameters (not those of its parts) are drawn by `draw`."""

    @abstractmethod
    def draw(self, generator: torch.Generator) -> None:
        """Fill the module's own parameters in place."""


@torch.no_grad()
def start_values(model: nn.Module, seed: int | None) -> None:
    """Draw the start values of all linear maps and `Drawn` modules of a model, each from a seed hashed from its name.

    Linear maps start Xavier-normal with zero bias, as in the released runs (li2025qnn-code). The draw of one module does
    not depend on which others the model has. Embeddings and quadratic layers draw their own.

    Args:
        model: the model; modules on the meta device are left alone.
        seed: the model's seed; drawn from torch's global generator when left out.
    """
    root = int(torch.randint(2**62, (), device="cpu")) if seed is None else seed
    own = {id(part) for module in model.modules() if isinstance(module, QNNAlpha) for part in module.modules()}
    for name, module in model.named_modules():
        if id(module) in own or any(parameter.is_meta for parameter in module.parameters(recurse=False)):
            continue
        generator = torch.Generator("cpu").manual_seed(derive(root, "start", name))
        if isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, Drawn):
            module.draw(generator)
