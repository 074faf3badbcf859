"""BatchNorm whose statistics are those of the rows of all processes together, on any device.

``torch.nn.SyncBatchNorm`` needs CUDA; this one is plain tensor operations around two sums over the processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from qnn_models.distributed import Processes
from qnn_models.graph_break import uncompiled

__all__ = ["SynchronisedBatchNorm1d", "synchronised"]


class SynchronisedBatchNorm1d(nn.BatchNorm1d):
    """``torch.nn.BatchNorm1d`` over the rows of all processes; a process may have none.

    **Shape:** ``(batch, channels)`` or ``(batch, channels, length)``, to the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; running statistics move while training, and are used otherwise."""
        return self.repeated(x, 1) if self.training else super().forward(x)

    # An exchange between processes is no operation that torch.compile knows; its graph breaks here.
    @uncompiled
    def repeated(self, x: Tensor, passes: int) -> Tensor:
        """Normalise a batch that several passes share: the running statistics move as far as that many passes move them."""
        wide = x if x.element_size() >= 4 else x.float()
        over, by_channel = [0, *range(2, x.dim())], (1, -1, *(1 for _ in range(2, x.dim())))
        own_count = wide.new_tensor([x.numel() // x.shape[1]])  # exact in single precision up to 16 million rows
        totals = cast(Tensor, _Total.apply(torch.cat([wide.sum(over), own_count])))
        mean, count = totals[:-1] / totals[-1], totals[-1].detach()
        centred = wide - mean.view(by_channel)
        variance = cast(Tensor, _Total.apply(centred.square().sum(over))) / count
        self._move(mean.detach(), variance.detach() * count / (count - 1), passes)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale.view(by_channel) + self.bias.view(by_channel)).to(x.dtype)

    def _move(self, mean: Tensor, variance: Tensor, passes: int) -> None:
        cast(Tensor, self.num_batches_tracked).add_(passes)
        momentum = 1 - (1 - (self.momentum or 0.0)) ** passes
        cast(Tensor, self.running_mean).lerp_(mean, momentum)
        cast(Tensor, self.running_var).lerp_(variance, momentum)


@contextmanager
def synchronised(model: nn.Module, processes: Processes) -> Iterator[None]:
    """While the block runs, the BatchNorm layers of a model are `SynchronisedBatchNorm1d`, with the same parameters.

    Raises:
        ValueError: a BatchNorm other than ``BatchNorm1d``.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)] if processes.count > 1 else []
    for norm in norms:
        if type(norm) is not nn.BatchNorm1d:
            raise ValueError(
                f"Several processes share the statistics of BatchNorm1d alone, however: {type(norm).__name__}; "
                "train in one process."
            )
    # The class alone changes: whoever holds a layer, its parameters or its buffers goes on holding them.
    for norm in norms:
        norm.__class__ = SynchronisedBatchNorm1d
    try:
        yield
    finally:
        for norm in norms:
            norm.__class__ = nn.BatchNorm1d


class _Total(torch.autograd.Function):
    """The sum over the processes. The loss is such a sum too, so the gradient of an entry is the sum of the processes' own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total
