"""A neuron format: a name for an expression, with where it is from; and the formats made of another by its activations."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from qnn_theory.grammar.expr import Activation, ActivationKind, Expr, activation
from qnn_theory.grammar.readings.latex import to_latex
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import check_expr


@dataclass(frozen=True, slots=True)
class Format:
    """A neuron format: one layer, as an expression of its input.

    Attributes:
        id: the name it is looked up by, for instance ``T9``.
        expr: the expression every interpreter reads.
        source: author-year key of where the formula is from; empty for a format of your own.
        note: kin, and where printed and released form differ.

    Raises:
        ValueError: the expression's widths or parameter names do not fit.
    """

    id: str
    expr: Expr
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        try:
            check_expr(self.expr)
        except ValueError as error:
            raise ValueError(f"{self.id}: {error}") from None

    @property
    def latex(self) -> str:
        """The formula in LaTeX, in the paper's notation (biases belong to the maps and are not printed)."""
        return to_latex(self.expr)


def with_post_activation(format: Format, kind: ActivationKind | None) -> Format:
    """The format followed by an activation, or the format itself for None."""
    if kind is None:
        return format
    post = activation(kind, format.expr, slope="post_slope" if kind == "prelu" else None)
    return Format(id=f"{format.id}+{kind}", expr=post, source=format.source, note=format.note)


def with_mid_activation(format: Format, kind: ActivationKind) -> Format:
    """The format with every activation inside it replaced by another kind (figure 5's question, for any format)."""
    counter = itertools.count(1)

    def swap(node: Expr) -> Expr:
        if not isinstance(node, Activation):
            return node
        return activation(kind, node.of, slope=f"slope_{next(counter)}" if kind == "prelu" else None)

    return Format(id=f"{format.id}~{kind}", expr=replace(format.expr, swap), source=format.source, note=format.note)
