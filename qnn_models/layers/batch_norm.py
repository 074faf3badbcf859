"""BatchNorm of an affine map folded into the map, BatchNorm for two passes at once, and BatchNorm over several processes.

The outputs ``z = W x + b`` of an affine map have the means ``W μ + b`` and the variances ``diag(W C Wᵀ)``, where μ and C are mean
and covariance of x. So the batch's statistics of all M·d channels of a gate cost a product of d × d, and normalising them is
a change of W and b: no walk over the channels themselves, neither forward nor backward.

``torch.nn.SyncBatchNorm`` needs CUDA; `SynchronisedBatchNorm1d` is plain tensor operations around two sums over the processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from qnn_models.kernels.dispatch import observed
from qnn_models.layers.derivatives import plain_gradients, wants_plain
from qnn_models.runtime.distributed import Processes
from qnn_models.runtime.graph_break import uncompiled

__all__ = [
    "SynchronisedBatchNorm1d",
    "batch_moments",
    "fold_norm",
    "hooked",
    "norm_repeated",
    "running_moments",
    "synchronised",
]


def fold_norm(
    norm: nn.BatchNorm1d, matrix: Tensor, vector: Tensor, mean: Tensor, variance: Tensor
) -> tuple[Tensor, Tensor]:
    """The affine map (matrix, vector) followed by BatchNorm with these moments of its outputs, as one affine map."""
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return matrix * scale.unsqueeze(1), (vector - mean) * scale + norm.bias


def running_moments(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Mean and variance as BatchNorm uses them in evaluation."""
    return cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)


def batch_moments(
    norm: nn.BatchNorm1d, x: Tensor, matrix: Tensor, vector: Tensor, passes: int = 1
) -> tuple[Tensor, Tensor]:
    """Mean and variance of ``matrix x + vector`` over the batch; running statistics move as far as that many passes move them.

    Args:
        norm: BatchNorm in training mode.
        x: shape ``(batch, in)``.
        matrix: shape ``(channels, in)``.
        vector: shape ``(channels,)``.
        passes: passes that share the batch.

    Returns:
        Two tensors of shape ``(channels,)``; the variance is the biased one that BatchNorm divides by.

    Raises:
        ValueError: fewer than two rows, which have no variance.
    """
    mean, covariance, count = _Moments.apply(x, isinstance(norm, SynchronisedBatchNorm1d))
    if count < 2:
        raise ValueError(f"BatchNorm needs at least 2 rows to train, however: {int(count)}; use a larger batch.")
    # Where weights cancel inputs that hardly differ, rounding may leave less than nothing.
    mean, variance = torch.mv(matrix, mean) + vector, ((matrix @ covariance) * matrix).sum(1).clamp(min=0)
    _move(norm, mean.detach(), variance.detach() * (count / (count - 1)), passes)
    return mean, variance


def hooked(module: nn.Module) -> bool:
    """Whether a call of the module does more than its class says, as those of pruning do: then it must be called."""
    hooks = module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks
    return any(map(bool, hooks))


def norm_repeated(norm: nn.Module, x: Tensor, passes: int = 2) -> Tensor:
    """BatchNorm of a batch that several passes share: the running statistics move as far as that many passes move them.

    Any other module in its place is called once.
    """
    if passes == 1 or not (isinstance(norm, nn.BatchNorm1d) and norm.training and norm.track_running_stats):
        return norm(x)
    if hooked(norm) or not norm.affine:
        return [norm(x) for _ in range(passes)][-1]
    return norm.repeated(x, passes) if isinstance(norm, SynchronisedBatchNorm1d) else _normalised(norm, x, passes)


class BatchNorm1d(nn.BatchNorm1d):
    """``torch.nn.BatchNorm1d`` with right derivatives of every order.

    Torch's own (2.13) forgets in its third derivatives while training that the batch's moments depend on the input. It still
    serves inside ``torch.compile``, which has no such derivatives, and inside ``vmap`` alone, where it is many times faster.

    **Shape:** ``(batch, channels)`` or ``(batch, channels, length)``, to the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; running statistics move while training, and are used otherwise."""
        if not (self.training and self.track_running_stats and self.affine):
            return super().forward(x)
        self._check_input_dim(x)
        return _normalised(self, x, 1)


def _normalised(norm: nn.BatchNorm1d, x: Tensor, passes: int) -> Tensor:
    momentum = _momentum(norm, passes)
    cast(Tensor, norm.num_batches_tracked).add_(passes)
    if (
        torch.compiler.is_compiling()
        or _only_vmap()
        or x.device.type not in ("cpu", "cuda")
        or x.numel() < 2 * x.shape[1]
    ):
        return F.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, True, momentum, norm.eps
        )  # which also says what it thinks of a single row
    if not observed(x, norm.weight, norm.bias):
        return _Normalised.apply(x, norm.weight, norm.bias, norm.running_mean, norm.running_var, momentum, norm.eps)
    y, mean, variance = _plainly_normalised(x, norm.weight, norm.bias, norm.eps)
    count = x.numel() // x.shape[1]
    cast(Tensor, norm.running_mean).lerp_(mean.detach(), momentum)
    cast(Tensor, norm.running_var).lerp_(variance.detach() * (count / (count - 1)), momentum)
    return y


def _only_vmap() -> bool:
    from torch._functorch.pyfunctorch import VmapInterpreter, retrieve_all_functorch_interpreters

    transforms = retrieve_all_functorch_interpreters() if torch._C._are_functorch_transforms_active() else []
    return bool(transforms) and all(isinstance(transform, VmapInterpreter) for transform in transforms)


def _plainly_normalised(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """The normalised batch, its mean and its biased variance."""
    wide = x if x.element_size() >= 4 else x.float()
    over, by_channel = [0, *range(2, x.dim())], (1, -1, *(1 for _ in range(2, x.dim())))
    mean = wide.mean(over)
    centred = wide - mean.view(by_channel)
    variance = centred.square().mean(over)
    scale = torch.rsqrt(variance + eps) * weight
    return (centred * scale.view(by_channel) + bias.view(by_channel)).to(x.dtype), mean, variance


class _Normalised(torch.autograd.Function):
    """Torch's kernels; the backward pass consists of plain operations where it is differentiated in turn."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_variance: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        moved = running_mean, running_variance
        y, *moments = torch.native_batch_norm(x, weight, bias, *moved, training=True, momentum=momentum, eps=eps)
        ctx.save_for_backward(x, weight, bias, *moments)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, *moments = ctx.saved_tensors
        unused = None, None, None, None
        if torch.is_grad_enabled() or observed(grad):
            again = partial(_plainly_normalised, eps=ctx.eps)
            return *plain_gradients(again, (x, weight, bias), (grad,)), *unused
        wanted = list(ctx.needs_input_grad[:3])
        kernel = torch.ops.aten.native_batch_norm_backward
        return *kernel(grad.contiguous(), x, weight, None, None, *moments, True, ctx.eps, wanted), *unused


class SynchronisedBatchNorm1d(nn.BatchNorm1d):
    """``torch.nn.BatchNorm1d`` over the rows of all processes; a process may have none.

    **Shape:** ``(batch, channels)`` or ``(batch, channels, length)``, to the same.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise; running statistics move while training, and are used otherwise."""
        return self.repeated(x, 1) if self.training else super().forward(x)

    # An exchange between processes is no operation that torch.compile knows; its graph breaks here.
    @uncompiled("BatchNorm over several processes exchanges sums, which no graph holds; compile without fullgraph.")
    def repeated(self, x: Tensor, passes: int) -> Tensor:
        """Normalise a batch that several passes share: the running statistics move as far as that many passes move them."""
        wide = x if x.element_size() >= 4 else x.float()
        over, by_channel = [0, *range(2, x.dim())], (1, -1, *(1 for _ in range(2, x.dim())))
        own_count = wide.new_tensor([x.numel() // x.shape[1]])  # exact in single precision up to 16 million rows
        totals = cast(Tensor, _Total.apply(torch.cat([wide.sum(over), own_count])))
        mean, count = totals[:-1] / totals[-1], totals[-1].detach()
        centred = wide - mean.view(by_channel)
        variance = cast(Tensor, _Total.apply(centred.square().sum(over))) / count
        _move(self, mean.detach(), variance.detach() * count / (count - 1), passes)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale.view(by_channel) + self.bias.view(by_channel)).to(x.dtype)


def _momentum(norm: nn.BatchNorm1d, passes: int) -> float:
    """How far so many passes over one batch move the running statistics towards that batch's."""
    if norm.momentum is None:  # the mean over all batches so far
        return passes / (int(cast(Tensor, norm.num_batches_tracked)) + passes)
    return 1 - (1 - norm.momentum) ** passes


def _move(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, passes: int) -> None:
    momentum = _momentum(norm, passes)
    cast(Tensor, norm.num_batches_tracked).add_(passes)
    cast(Tensor, norm.running_mean).lerp_(mean, momentum)
    cast(Tensor, norm.running_var).lerp_(variance, momentum)


@contextmanager
def synchronised(model: nn.Module, processes: Processes) -> Iterator[None]:
    """While the block runs, the BatchNorm layers of a model are `SynchronisedBatchNorm1d`, with the same parameters.

    Raises:
        ValueError: a BatchNorm other than ``BatchNorm1d``.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)] if processes.count > 1 else []
    for norm in norms:
        if type(norm) not in (nn.BatchNorm1d, BatchNorm1d):
            raise ValueError(
                f"Several processes share the statistics of BatchNorm1d alone, however: {type(norm).__name__}; "
                "train in one process."
            )
    # The class alone changes: whoever holds a layer, its parameters or its buffers goes on holding them.
    classes = [type(norm) for norm in norms]
    for norm in norms:
        norm.__class__ = SynchronisedBatchNorm1d
    try:
        yield
    finally:
        for norm, own in zip(norms, classes, strict=True):
            norm.__class__ = own


class _Moments(torch.autograd.Function):
    """Mean, biased covariance and number of the rows of a batch, or of the batches of all processes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, shared: bool) -> tuple[Tensor, Tensor, Tensor]:
        totals = torch.cat([x.sum(0), x.new_tensor([x.shape[0]])])
        if shared:
            dist.all_reduce(totals)
        mean, count = totals[:-1] / totals[-1], totals[-1]
        centred = x - mean
        products = centred.t() @ centred
        if shared:
            dist.all_reduce(products)
        ctx.save_for_backward(x, centred, count)
        ctx.shared = shared
        ctx.mark_non_differentiable(count)
        return mean, products / count, count

    @staticmethod
    def backward(ctx: Any, grad_mean: Tensor, grad_covariance: Tensor, _: Tensor) -> tuple[Tensor | None, None]:
        x, centred, count = ctx.saved_tensors
        if wants_plain(grad_mean, grad_covariance):
            again = partial(_plain_moments, shared=ctx.shared)
            return plain_gradients(again, (x,), (grad_mean, grad_covariance))[0], None
        # The mean's part in the covariance has no gradient, as centred rows sum to zero.
        grads = torch.cat([grad_mean.unsqueeze(0), grad_covariance + grad_covariance.t()])
        if ctx.shared:  # the loss is a sum over the processes
            dist.all_reduce(grads)
        return torch.addmm(grads[0] / count, centred, grads[1:] / count), None


def _plain_moments(x: Tensor, *, shared: bool) -> tuple[Tensor, Tensor]:
    """Mean and covariance as `_Moments` has them, in operations that torch can differentiate again."""
    total: Callable[[Tensor], Tensor] = _Total.apply if shared else torch.clone
    totals = total(torch.cat([x.sum(0), x.new_tensor([x.shape[0]])]))
    mean, count = totals[:-1] / totals[-1], totals[-1].detach()
    centred = x - mean
    return mean, total(centred.t() @ centred) / count


class _Total(torch.autograd.Function):
    """The sum over the processes. The loss is such a sum too, so the gradient of an entry is the sum of the processes' own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return cast(Tensor, _Total.apply(grad))
