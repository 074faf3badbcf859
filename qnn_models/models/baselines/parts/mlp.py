"""The multilayer perceptron, and what a model needs of a part that two stochastic passes go through."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from qnn_models.layers.dropout import Dropout

__all__ = ["MLP", "Branch"]


class MLP(nn.Module):
    """Hidden layers ``dropout(relu(norm(W x + b)))`` of one width, then a linear map.

    **Shape:** ``(batch, inputs) -> (batch, outputs)``.

    Parameters, with widths ``w_0 = inputs, w_1 = ... = w_L = hidden_units``: ``Σ_l (w_(l-1) + 1) w_l``, ``2 w_l`` more per
    layer with BatchNorm, and ``(w_L + 1) · outputs``.

    Args:
        inputs: input width.
        hidden_units: width of the hidden layers.
        hidden_layers: their number L; 0 is the linear map alone.
        outputs: output width; None leaves the last map out.
        dropout: dropout probability after each hidden layer.
        batch_norm: BatchNorm before each ReLU.

    Raises:
        ValueError: a width below 1 or a negative number of layers.
    """

    def __init__(
        self,
        inputs: int,
        *,
        hidden_units: int,
        hidden_layers: int,
        outputs: int | None = 1,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if hidden_units < 1 or hidden_layers < 0:
            raise ValueError(
                f"An MLP has hidden_units of at least 1 and hidden_layers of at least 0, however: "
                f"hidden_units={hidden_units}, hidden_layers={hidden_layers}."
            )
        self.hidden = nn.ModuleList()
        width = inputs
        for _ in range(hidden_layers):
            norm = [nn.BatchNorm1d(hidden_units)] if batch_norm else []
            self.hidden.append(nn.Sequential(nn.Linear(width, hidden_units), *norm, nn.ReLU()))
            width = hidden_units
        self.dropout = Dropout(dropout)
        self.out = nn.Identity() if outputs is None else nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Apply all layers."""
        for layer in self.hidden:
            x = self.dropout(layer(x))
        return self.out(x)

    def forward_pair(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Two stochastic passes; the first layer, which comes before the first dropout, is computed once."""
        if not len(self.hidden):
            return self.out(x), self.out(x)
        shared = self.hidden[0](x)
        first, second = self.dropout(shared), self.dropout(shared)
        for layer in self.hidden[1:]:
            first, second = self.dropout(layer(first)), self.dropout(layer(second))
        return self.out(first), self.out(second)


class Branch(Protocol):
    """A module of one input with a pair of stochastic passes."""

    def __call__(self, x: Tensor) -> Tensor: ...  # noqa: D102

    def forward_pair(self, x: Tensor) -> tuple[Tensor, Tensor]: ...  # noqa: D102
