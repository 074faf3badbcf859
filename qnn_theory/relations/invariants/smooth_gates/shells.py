"""Separation inside a common shell: x ⊙ σ(E) is x ⊙ σ(E') only if E is E'.

Adding x, a factor that is not 0, sigmoid and tanh can be undone, and so can a product with x: functions are continuous, and x_i
is 0 on a hyperplane only. So two formats with the same shell relate as what is inside does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qnn_theory.grammar.expr import Activation, Expr, FirstInput, Input, Multiple, Product, Sum
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.readings.formula_text import to_formula
from qnn_theory.grammar.widths import width
from qnn_theory.relations.invariants.pair import Pair, Separation
from qnn_theory.relations.witness import witness


def by_shell(pair: Pair, find: Callable[[Format, Format], Separation | None]) -> Separation | None:
    """A separation of what is inside the common shell of both formats.

    Args:
        pair: the formats.
        find: how the formats inside are separated.
    """
    a, b, text = pair.source.expr, pair.target.expr, "E"
    while True:
        outer, other = _peeled(a), _peeled(b)
        if outer is None or other is None or outer[0] != other[0]:
            break
        text = text.replace("E", outer[0])
        a, b = outer[1], other[1]
    if text == "E" or width(a) != width(b):
        return None
    inner = find(Format(to_formula(a), a), Format(to_formula(b), b))
    if inner is None or inner.witness is None:
        return None
    outputs = [i for i, _ in inner.witness.outputs]
    return replace(
        inner,
        source=pair.source.id,
        target=pair.target.id,
        rule=f"{text} determines E, so the E are compared ({pair.target.id} has {inner.target}): {inner.rule}",
        finding=f"of E, {inner.witness.function_text}: {inner.finding}",
        witness=witness(pair.source.expr, dict(inner.witness.entries), dim=inner.witness.dim, outputs=outputs),
        closed=False,
        data=None,  # it is about other formats
    )


def _peeled(expr: Expr) -> tuple[str, Expr] | None:
    """The outermost part that can be undone, as a text with E for what is inside."""
    match expr:
        case Activation(kind="sigmoid" | "tanh" as kind, of=of):
            return f"{kind}(E)", of
        case Multiple(factor=factor, of=of) if factor:
            return f"({factor})·(E)", of
        case Product(factors=parts) if (rest := _without_input(parts)) is not None:
            return "x ⊙ (E)", rest[0] if len(rest) == 1 else Product(factors=rest)
        case Sum(terms=parts) if (rest := _without_input(parts)) is not None:
            return "(E) + x", rest[0] if len(rest) == 1 else Sum(terms=rest)
        case _:
            return None


def _without_input(parts: tuple[Expr, ...]) -> tuple[Expr, ...] | None:
    """All parts but one x; None without an x or without anything else."""
    place = next((i for i, part in enumerate(parts) if isinstance(part, Input | FirstInput)), None)
    return None if place is None or len(parts) < 2 else parts[:place] + parts[place + 1 :]
