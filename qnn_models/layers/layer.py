"""`QuadraticLayer`: any registered format as a torch module, lowered from the expression that the theory reads."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from qnn_models.layers.batch_norm import BatchNorm1d
from qnn_models.layers.dropout import Dropout
from qnn_models.layers.graphs import AFTER
from qnn_models.layers.initialization import initialize
from qnn_models.layers.lower import lower
from qnn_models.layers.operations import as_rows
from qnn_models.layers.unit_gain import OPERATING_STD, Init, check_init, unit_gain_scale
from qnn_theory.grammar.expr import ActivationKind, FirstInput, walk
from qnn_theory.grammar.format import Format, with_post_activation
from qnn_theory.grammar.widths import Parameter, check_dim, parameters, width
from qnn_theory.registry import get_format


class QuadraticLayer(nn.Module):
    """One layer of a neuron format, for instance T9: ``y = x ⊙ (W_a x + b_a) + x``.

    **Shape:** ``(*, dim) -> (*, out_dim)``; ``out_dim = dim`` for every format but T18-paper (``2 dim``). BatchNorm takes its
    statistics over all leading dimensions.

    Parameters keep the paper's names: ``get_parameter("W_a")`` has shape ``(out, in)``, ``get_parameter("b_a")`` has
    shape ``(out,)``, a bilinear ``A`` has shape ``(out, in, in)``; inside a sum over M rows each has a leading axis M.

    Args:
        format: id of a registered format, or a `Format`.
        dim: input width d.
        post_activation: activation of the output, or None.
        gate_norm: BatchNorm on the channels of each mid-activation, before it (QNN-α's released runs).
        post_norm: BatchNorm before the post-activation (five arms of the released format study).
        gate_dropout: dropout probability after each mid-activation.
        dropout: dropout probability on the result.
        init: start values of the maps: ``paper``, or ``unit-gain``, at which the layer's gain is 1 (`layers.unit_gain`).
        operating_std: standard deviation of the inputs at which it is 1.
        map_scale: a number to multiply the start values of all maps with; a stack gives all its layers the one of unit gain.
        seed: seed of the start values; drawn from torch's global generator when left out.
        device: where the parameters live.
        dtype: their type.

    Raises:
        KeyError: unknown format; names the nearest.
        ValueError: the format cannot have this width, or no gain of 1.

    Example:
        >>> QuadraticLayer("T9", dim=4)(torch.zeros(2, 4)).shape
        torch.Size([2, 4])
    """

    def __init__(
        self,
        format: str | Format,
        *,
        dim: int,
        post_activation: ActivationKind | None = None,
        gate_norm: bool = False,
        post_norm: bool = False,
        gate_dropout: float = 0.0,
        dropout: float = 0.0,
        init: Init = "paper",
        operating_std: float = OPERATING_STD,
        map_scale: float = 1.0,
        seed: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.format = with_post_activation(get_format(format), post_activation)
        check_dim(self.format.expr, dim, label=self.format.id)
        check_init(init, norms=gate_norm or post_norm)
        self.map_scale = map_scale
        if init == "unit-gain":
            self.map_scale *= unit_gain_scale(self.format, dim=dim, operating_std=operating_std)
        self.dim = dim
        self.out_dim = int(width(self.format.expr) * dim)
        self.reads_first_input = any(isinstance(node, FirstInput) for node in walk(self.format.expr))
        self._declared = parameters(self.format.expr)
        for parameter in self._declared:
            self.register_parameter(
                parameter.name, nn.Parameter(torch.empty(parameter.shape(dim), device=device, dtype=dtype))
            )
        self._options = {
            "mid_norm": gate_norm,
            "mid_dropout": gate_dropout != 0,
            "post_norm": post_norm,
            "dropout": dropout != 0,
        }
        self._lower()
        for name, order in self._lowered.orders.items():
            self.register_buffer(name, torch.tensor(order, device=device), persistent=False)
        for name, channels in self._lowered.norms.items():
            self.add_module(name, BatchNorm1d(channels, device=device, dtype=dtype))
        for name in self._lowered.dropouts:
            self.add_module(name, Dropout(dropout if name == AFTER else gate_dropout))
        self.reset_parameters(seed)

    def reset_parameters(self, seed: int | None = None) -> None:
        """Draw all parameters anew; the same seed gives the same values."""
        if seed is None:
            seed = int(torch.randint(2**62, (), device="cpu"))
        for parameter in self._declared:
            self._start(self.get_parameter(parameter.name), parameter, seed)

    def drawn(self, draws: int, *, seed: int) -> dict[str, Tensor]:
        """Start values of as many layers as there are draws, by name, with the draws as a leading axis; for `torch.func.vmap`."""
        stacked: dict[str, Tensor] = {}
        for parameter in self._declared:
            like = self.get_parameter(parameter.name)
            stacked[parameter.name] = torch.empty((draws, *like.shape), dtype=like.dtype, device=like.device)
            self._start(stacked[parameter.name], parameter, seed)
        return stacked

    def _start(self, tensor: Tensor, parameter: Parameter, seed: int) -> None:
        initialize(tensor, parameter, fan_in=_fan_in(parameter, self._declared, self.dim), seed=seed)
        if parameter.role in ("affine", "bilinear", "bilinear_bias") and self.map_scale != 1:
            with torch.no_grad():
                tensor.mul_(self.map_scale)

    def forward(self, x: Tensor, x0: Tensor | None = None, *, pair: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Apply the layer.

        Args:
            x: shape ``(*, dim)``.
            x0: the network's first input, same shape, for formats that read it; `x` when left out.
            pair: two stochastic passes, as `forward_pair`.

        Raises:
            ValueError: an input has another shape.
        """
        first = x if x0 is None or not self.reads_first_input else x0
        self._check_shape(x, first)
        code = (self._lowered.code_pair if pair else None) or self._lowered.code
        y: Any = code(self, x, first) if x.dim() == 2 else as_rows(partial(code, self), x, first)
        return (y, y) if pair and self._lowered.code_pair is None else y

    def forward_pair(self, x: Tensor, x0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Two stochastic passes over one input: they share all that comes before the first dropout inside the layer."""
        return self(x, x0, pair=True)  # a call, so that hooks act, such as those of pruning

    def _check_shape(self, x: Tensor, first: Tensor) -> None:
        if not x.dim() or x.shape[-1] != self.dim:
            raise ValueError(
                f"{self.format.id} takes inputs of shape (*, {self.dim}), however: {tuple(x.shape)}; "
                f"build the layer with dim={x.shape[-1] if x.dim() else 0} or reshape the input."
            )
        if first.shape != x.shape:
            raise ValueError(
                f"{self.format.id} reads the network's first input beside its own, of the same shape, however: "
                f"{tuple(first.shape)} and {tuple(x.shape)}."
            )

    @property
    def source_code(self) -> str:
        """The straight-line Python that `forward` runs."""
        return self._lowered.source

    def extra_repr(self) -> str:
        """Format and widths, for `repr`."""
        return f"{self.format.id!r}, dim={self.dim}, out_dim={self.out_dim}"

    def _lower(self) -> None:
        self._lowered = lower(self.format.expr, self.dim, **self._options)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lowered"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._lower()


def _fan_in(parameter: Parameter, declared: tuple[Parameter, ...], dim: int) -> int:
    """Input width of a bilinear map, for its weight and for its bias; 0 where it does not matter."""
    if parameter.role == "bilinear":
        return int(parameter.axes[1] * dim)
    if parameter.role == "bilinear_bias":
        position = declared.index(parameter)
        return int(declared[position - 1].axes[1] * dim)  # a bias is declared right after its weight
    return 0
