"""The shapes that baselines share: options by name, type and default, each said once, and the parts that they describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never, get_args

from qnn_models.models.baselines.parts.mlp import MLP, Branch
from qnn_models.models.qnn_alpha import QNNAlpha
from qnn_models.runtime.seeds import derive_optional

__all__ = ["DeepKind", "Embedded", "WithDeep", "WithDropout", "WithMLP", "WithNormedMLP", "require"]

DeepKind: TypeAlias = Literal["mlp", "qnn-alpha"]


def require(holds: bool, rule: str, **values: object) -> None:
    """Raise the error of a rule of options that does not hold.

    Raises:
        ValueError: it does not; names rule and values.
    """
    if not holds:
        raise ValueError(f"{rule}, however: {', '.join(f'{name}={value!r}' for name, value in values.items())}.")


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Options of every model that embeds its fields.

    Attributes:
        embedding_dim: width e of each embedding.
    """

    embedding_dim: int = 16


@dataclass(frozen=True, kw_only=True)
class WithDropout(Embedded):
    """A stochastic model's.

    Attributes:
        dropout: dropout probability; of what, the model says.
    """

    dropout: float = 0.1


@dataclass(frozen=True, kw_only=True)
class WithMLP(WithDropout):
    """A model's that has an `MLP`, with dropout after each hidden layer.

    Attributes:
        hidden_units: width of the hidden layers.
        hidden_layers: their number.
    """

    hidden_units: int = 400
    hidden_layers: int = 3

    def mlp(self, inputs: int, *, outputs: int | None = 1, batch_norm: bool = False) -> MLP:
        """The MLP on this input width."""
        return MLP(
            inputs,
            hidden_units=self.hidden_units,
            hidden_layers=self.hidden_layers,
            outputs=outputs,
            dropout=self.dropout,
            batch_norm=batch_norm,
        )


@dataclass(frozen=True, kw_only=True)
class WithNormedMLP(WithMLP):
    """A model's whose `MLP` may have BatchNorm.

    Attributes:
        batch_norm: BatchNorm before each ReLU.
    """

    batch_norm: bool = False

    def normed_mlp(self, inputs: int, *, outputs: int | None = 1) -> MLP:
        """The MLP on this input width, with BatchNorm where the options say so."""
        return self.mlp(inputs, outputs=outputs, batch_norm=self.batch_norm)

    def deep_part(self, fields: int, seed: int | None) -> Branch:
        """What stands beside a shallow part, ``(batch, fields * embedding_dim) -> (batch, 1)``."""
        return self.normed_mlp(fields * self.embedding_dim)


@dataclass(frozen=True, kw_only=True)
class WithDeep(WithNormedMLP):
    """A model's whose deep part is an `MLP`, or QNN-α in its place (li2025qnn, table 5).

    Attributes:
        deep: ``mlp`` or ``qnn-alpha``, whose gates then have the dropout and the BatchNorm.
        qnn_layers: layers of QNN-α.
        rows: its rows M.

    Raises:
        ValueError: another kind.
    """

    deep: DeepKind = "mlp"
    qnn_layers: int = 2
    rows: int = 4

    def __post_init__(self) -> None:
        require(self.deep in get_args(DeepKind), "The deep part is mlp or qnn-alpha", deep=self.deep)

    def deep_part(self, fields: int, seed: int | None) -> Branch:
        """The deep part of this kind."""
        match self.deep:
            case "mlp":
                return self.normed_mlp(fields * self.embedding_dim)
            case "qnn-alpha":
                return QNNAlpha(
                    num_fields=fields,
                    embedding_dim=self.embedding_dim,
                    layers=self.qnn_layers,
                    rows=self.rows,
                    dropout=self.dropout,
                    batch_norm=self.batch_norm,
                    seed=derive_optional(seed, "deep"),
                )
            case _:
                assert_never(self.deep)
