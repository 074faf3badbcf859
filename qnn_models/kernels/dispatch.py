"""When the compiled loops of `qnn_models.kernels` can stand in for torch operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.overrides import has_torch_function

__all__ = ["loops_serve", "loops_serve_ids", "observed"]

_OLDER_VMAP = torch._C._dispatch_key_parse("VmapMode")  # of ``torch.autograd``'s ``vectorize`` and ``is_grads_batched``


def loops_serve(*tensors: Tensor) -> bool:
    """Whether loops over the memory of these tensors compute what torch operations on them would.

    They do not where something must see the operations (`observed`); under autocast, which chooses types by operation; on other
    devices; and for types that NumPy lacks.
    """
    return (
        all(tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64) for tensor in tensors)
        and not observed(*tensors)
        and not torch.is_autocast_enabled("cpu")
    )


def loops_serve_ids(ids: Tensor) -> bool:
    """The same for a tensor of ids."""
    return ids.device.type == "cpu" and ids.dtype in (torch.int32, torch.int64) and not observed(ids)


def observed(*tensors: Tensor) -> bool:
    """Whether something must see each operation on these tensors, so that work behind torch's back would be wrong in silence.

    Such are ``torch.compile``, ``torch.export`` and ``torch.jit.trace``, the transforms of ``torch.func``, forward-mode
    derivatives, modes that watch functions or kernels, and subclasses of tensors.
    """
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or torch._C._dispatch_tls_is_dispatch_key_included(_OLDER_VMAP)
        or torch._C._len_torch_dispatch_stack() > 0
        or forward_ad._current_level >= 0
        or has_torch_function(tensors)
        or any(type(tensor) not in (Tensor, nn.Parameter) for tensor in tensors)
        or torch.jit.is_tracing()
    )
