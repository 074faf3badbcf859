"""When the compiled loops of `qnn_models.kernels.numba_loops` can stand in for torch operations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.overrides import has_torch_function

__all__ = ["loops_serve", "loops_serve_ids"]


def loops_serve(*tensors: Tensor) -> bool:
    """Whether loops over the memory of these tensors compute what torch operations on them would.

    They do not inside ``torch.compile``, ``torch.export`` and the transforms of ``torch.func``, which must see operations; under
    autocast, which chooses types by operation; on other devices; and for types that NumPy lacks.
    """
    return (
        all(tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64) for tensor in tensors)
        and not torch.compiler.is_compiling()
        and not _watched(tensors)
        and not torch.is_autocast_enabled("cpu")
    )


def loops_serve_ids(ids: Tensor) -> bool:
    """The same for a tensor of ids."""
    return ids.device.type == "cpu" and ids.dtype in (torch.int32, torch.int64) and not _watched((ids,))


def _watched(tensors: tuple[Tensor, ...]) -> bool:
    """Whether something must see each operation: a torch function mode, a subclass, or a transform of ``torch.func``."""
    return has_torch_function(tensors) or torch._C._are_functorch_transforms_active()
