"""Derivatives of operations whose fast backward pass torch cannot look into."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qnn_models.kernels.dispatch import loops_serve

__all__ = ["plain_gradients", "wants_plain"]


def wants_plain(*grads: Tensor) -> bool:
    """Whether a backward pass must itself consist of torch operations.

    It must where its result is differentiated in turn (gradients are enabled inside a backward pass that runs under
    ``create_graph``), and where the incoming gradients are batched by ``vmap`` or watched otherwise.
    """
    return torch.is_grad_enabled() or not loops_serve(*grads)


def plain_gradients(
    function: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor], grads: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    """Gradients with respect to the inputs, by computing the function anew with torch operations.

    Args:
        function: from the inputs to at least as many outputs as there are gradients.
        inputs: what the forward pass saved. One may depend on another: each one's gradient is the partial one.
        grads: incoming gradients.

    Returns:
        One per input, None for an input that needs none; differentiable if gradients are enabled.
    """
    differentiable = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast(grads[0].device.type, enabled=False):  # the fast path knows no autocast
        own = [tensor.view_as(tensor) for tensor in inputs]  # so that the walk back ends here
        outputs = function(*own)[: len(grads)]
    wanted = [tensor for tensor in own if tensor.requires_grad]
    found = iter(torch.autograd.grad(outputs, wanted, grads, create_graph=differentiable, allow_unused=True))
    return tuple(next(found) if tensor.requires_grad else None for tensor in own)
