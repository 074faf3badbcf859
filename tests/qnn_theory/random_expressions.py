"""A hypothesis strategy for expressions with kinks."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from qnn_theory.grammar.expr import Expr, Multiple, activation, affine, scale, x

_KINKED = ("relu", "relu6", "prelu")


@st.composite
def expressions(draw: st.DrawFn, depth: int = 4) -> Expr:
    """Expressions with shared maps, nested activations, squares, signs, constants."""
    if depth == 0:
        return draw(st.sampled_from([x, affine("W_a"), affine("W_b"), scale("alpha")]))
    inner = expressions(depth=draw(st.integers(0, depth - 1)))
    match draw(st.integers(0, 8)):
        case 0:
            return draw(inner) + draw(inner)
        case 1 | 2:
            return draw(inner) * draw(inner)
        case 3:
            return draw(inner) ** draw(st.integers(2, 3))
        case 4:
            return Multiple(factor=Fraction(draw(st.sampled_from([-1, 2]))), of=draw(inner))
        case 5:
            return affine(f"U_{draw(st.integers(1, 10**6))}", draw(inner))
        case 6:
            number = draw(st.sampled_from([-1, 2]))
            return draw(st.sampled_from([1, -1])) * draw(inner) + number
        case _:
            return activation(draw(st.sampled_from(_KINKED)), draw(inner))
