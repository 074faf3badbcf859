"""What several baselines are made of: the MLP, first-order weights, a deep part beside a shallow one, start values by name."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias, assert_never, cast, get_args

import torch
from torch import Tensor, nn

from qnn_models.layers.dropout import Dropout
from qnn_models.models.network import CTRModel, Layout
from qnn_models.models.qnn_alpha import QNNAlpha
from qnn_models.runtime.seeds import derive

DeepKind: TypeAlias = Literal["mlp", "qnn-alpha"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Deep:
    """What stands beside a shallow part: an `MLP`, or QNN-α in its place (li2025qnn, table 5).

    Attributes:
        kind: ``mlp`` or ``qnn-alpha``.
        hidden_units: width of the MLP's layers.
        hidden_layers: their number.
        qnn_layers: layers of QNN-α.
        rows: its rows M.
        dropout: dropout probability.
        batch_norm: BatchNorm in the hidden layers or on QNN-α's gates.

    Raises:
        ValueError: another kind.
    """

    kind: DeepKind = "mlp"
    hidden_units: int = 400
    hidden_layers: int = 3
    qnn_layers: int = 2
    rows: int = 4
    dropout: float = 0.1
    batch_norm: bool = False

    def __post_init__(self) -> None:
        if self.kind not in get_args(DeepKind):
            raise ValueError(f"The deep part is mlp or qnn-alpha, however: deep={self.kind!r}.")

    def build(self, *, num_fields: int, embedding_dim: int, seed: int | None) -> DeepModule:
        """The module, ``(batch, num_fields * embedding_dim) -> (batch, 1)`` logits."""
        match self.kind:
            case "mlp":
                return MLP(
                    num_fields * embedding_dim,
                    hidden_units=self.hidden_units,
                    hidden_layers=self.hidden_layers,
                    dropout=self.dropout,
                    batch_norm=self.batch_norm,
                )
            case "qnn-alpha":
                return QNNAlpha(
                    num_fields=num_fields,
                    embedding_dim=embedding_dim,
                    layers=self.qnn_layers,
                    rows=self.rows,
                    dropout=self.dropout,
                    batch_norm=self.batch_norm,
                    seed=None if seed is None else derive(seed, "deep"),
                )
            case _:
                assert_never(self.kind)


class DeepModule(Protocol):
    """A module of one input with a pair of stochastic passes."""

    def __call__(self, x: Tensor) -> Tensor: ...  # noqa: D102

    def forward_pair(self, x: Tensor) -> tuple[Tensor, Tensor]: ...  # noqa: D102


class FirstOrderModel(CTRModel):
    """A model with a weight per id beside its embedding: the last coordinate of the id's row in the one table.

    Args:
        layout: the data set's fields.
        embedding_dim: width e of each embedding, the weight not counted; the table has e + 1 columns.
        seed: seed of all start values.
    """

    def __init__(self, layout: Layout, *, embedding_dim: int, seed: int | None) -> None:
        super().__init__(layout, embedding_dim=embedding_dim + 1, seed=seed)
        self.embedding_dim = embedding_dim

    @property
    def embedded_dim(self) -> int:
        """Width d = f · e of all embedded fields together, the first-order weights not counted."""
        return self.embedding.num_fields * self.embedding_dim

    @staticmethod
    def split(embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings ``(batch, fields, e)`` and the sum of the fields' weights ``(batch,)``."""
        return embedded[..., :-1], embedded[..., -1].sum(-1)


class ShallowAndDeep(CTRModel):
    """``logit = shallow(v) + deep(v)``; only the deep part is stochastic, so two passes share the shallow one.

    Linear maps on a concatenation are sums of linear maps, so this is also the form of models whose papers concatenate the
    two parts before the last map.
    """

    deep: nn.Module

    @abstractmethod
    def shallow(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)`` of the part without dropout, from ``(batch, fields, dim)``."""

    def deep_input(self, embedded: Tensor) -> Tensor:
        """What the deep part reads, ``(batch, width)``; all embeddings unless a model says otherwise."""
        return embedded.flatten(1)

    def score(self, embedded: Tensor) -> Tensor:
        """Logits ``(batch,)``."""
        return self.shallow(embedded) + self.deep(self.deep_input(embedded)).squeeze(-1)

    def score_pair(self, embedded: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of two stochastic passes."""
        shallow = self.shallow(embedded)
        first, second = cast(DeepModule, self.deep).forward_pair(self.deep_input(embedded))
        return shallow + first.squeeze(-1), shallow + second.squeeze(-1)


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
