"""Hypothesis strategies for property tests of formats: registered formats, widths, integer parameters, random expressions.

Needs hypothesis (the ``testing`` extra) and, as all of `qnn_theory`, no torch. The assertions that run certificates on the torch
modules are in `qnn_models.testing`.

Example:
    >>> from hypothesis import given, strategies as st
    >>> from qnn_theory.testing import formats, layers
    >>> @given(layers(formats()))
    ... def test_outputs_are_finite(layer):
    ...     format, dim, values = layer
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from qnn_theory.grammar.expr import (
    ActivationKind,
    Concat,
    Expr,
    Multiple,
    Power,
    Product,
    RowSum,
    Slice,
    Sum,
    activation,
    affine,
    bilinear,
    constant,
    scale,
    uses_activation,
    x,
    x0,
)
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.stacking import parameter_count as count_of_stack
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import formats as registered
from qnn_theory.registry import get_format

_LARGEST_WIDTH = 8
_NUMBERS = (Fraction(-1), Fraction(1, 2), Fraction(3))


def formats(*, polynomial: bool | None = None) -> st.SearchStrategy[Format]:
    """A registered format.

    Args:
        polynomial: only formats without (True) or with (False) an activation inside.
    """
    chosen = [f for f in registered() if polynomial is None or polynomial != uses_activation(f.expr)]
    return st.sampled_from(chosen)


def widths(format: str | Format, *, largest: int = _LARGEST_WIDTH) -> st.SearchStrategy[int]:
    """An input width d that the format accepts.

    Args:
        format: an id or a `Format`.
        largest: the largest width; at least the smallest one that the format accepts.

    Raises:
        ValueError: the format accepts no width up to `largest`.
    """
    chosen = get_format(format)
    step = divisor(chosen.expr)
    if largest < step:
        raise ValueError(f"The largest width must reach the {step} that {chosen.id} needs, however: largest={largest}.")
    return st.integers(1, largest // step).map(lambda k: k * step)


def integer_parameters(format: str | Format, *, dim: int, bound: int = 3) -> st.SearchStrategy[dict[str, Any]]:
    """Small integers for every parameter, as nested lists in the parameter's shape; exact in float64 and as `Fraction`.

    Args:
        format: an id or a `Format`.
        dim: the input width d.
        bound: the largest size of an entry.
    """
    expr = get_format(format).expr
    sizes = [0]
    fill_parameters(expr, dim=dim, entry=lambda name, index: sizes.append(sizes.pop() + 1))

    def nested(numbers: list[int]) -> dict[str, Any]:
        stream = iter(numbers)
        return fill_parameters(expr, dim=dim, entry=lambda name, index: next(stream))

    return st.lists(st.integers(-bound, bound), min_size=sizes[0], max_size=sizes[0]).map(nested)


def points(dim: int, *, bound: int = 4) -> st.SearchStrategy[list[int]]:
    """A point with small integer coordinates."""
    return st.lists(st.integers(-bound, bound), min_size=dim, max_size=dim)


def layers(
    of: st.SearchStrategy[Format], *, largest: int = _LARGEST_WIDTH, bound: int = 3
) -> st.SearchStrategy[tuple[Format, int, dict[str, Any]]]:
    """A format with a width that it accepts and integer parameters.

    Args:
        of: where the format is from.
        largest: as in `widths`.
        bound: as in `integer_parameters`.
    """

    def with_width(format: Format) -> st.SearchStrategy[tuple[Format, int, dict[str, Any]]]:
        return widths(format, largest=largest).flatmap(
            lambda dim: integer_parameters(format, dim=dim, bound=bound).map(lambda values: (format, dim, values))
        )

    return of.flatmap(with_width)


@st.composite
def expressions(
    draw: st.DrawFn,
    *,
    depth: int = 3,
    activations: tuple[ActivationKind, ...] = ("relu",),
    share: bool = True,
) -> Expr:
    """A random valid layer of width d over the whole grammar.

    Args:
        draw: hypothesis' source of choices.
        depth: how deeply nodes are nested at most.
        activations: the kinds that may occur; none makes the layer a polynomial.
        share: whether a map may occur twice, under one name on one argument.
    """
    count = 0
    maps: list[Expr] = []

    def name() -> str:
        nonlocal count
        count += 1
        return f"W_{count}"

    def number() -> Fraction:
        return draw(st.sampled_from(_NUMBERS))

    def build(levels: int, width: Fraction, *, inside_rows: bool) -> Expr:
        if levels == 0:
            if width == 1:
                inputs: tuple[Expr, ...] = (x, x0, constant(number()))
                return draw(st.sampled_from(inputs))
            return affine(name(), width=width)
        choices: list[Callable[[], Expr]] = [
            lambda: new_map(levels, width),
            lambda: Sum(terms=(inner(), inner())),
            lambda: Product(factors=(inner(), inner())),
            lambda: inner() + number(),
            lambda: number() - inner(),
            lambda: inner() - inner(),
            lambda: Power(of=inner(), exponent=draw(st.integers(2, 3))),
            lambda: scale(name(), inner()),
            lambda: Multiple(factor=number(), of=inner()),
            lambda: bilinear(name(), width=width),
        ]
        if activations:
            choices.append(lambda: activation(draw(st.sampled_from(activations)), inner(), slope=None))
        if width == 1:
            choices.append(
                lambda: Concat(
                    parts=tuple(build(levels - 1, Fraction(1, 2), inside_rows=inside_rows) for _ in range(2))
                )
            )
        else:
            choices.append(
                lambda: Slice(
                    index=draw(st.integers(0, 1)), blocks=2, of=build(levels - 1, 2 * width, inside_rows=inside_rows)
                )
            )
        if not inside_rows:
            choices.append(lambda: RowSum(rows=2, of=build(levels - 1, width, inside_rows=True)))
        shared = [m for m in maps if m.width == width] if share and not inside_rows else []  # type: ignore[union-attr]
        if shared:
            choices.append(lambda: draw(st.sampled_from(shared)))

        def inner() -> Expr:
            return build(levels - 1, width, inside_rows=inside_rows)

        def new_map(levels: int, width: Fraction) -> Expr:
            of = x if draw(st.booleans()) else build(levels - 1, Fraction(1), inside_rows=inside_rows)
            made = affine(name(), of, width=width, bias=draw(st.booleans()))
            if not inside_rows:
                maps.append(made)
            return made

        return choices[draw(st.integers(0, len(choices) - 1))]()

    return build(depth, Fraction(1), inside_rows=False)


def random_formats(*, depth: int = 3, activations: tuple[ActivationKind, ...] = ("relu",)) -> st.SearchStrategy[Format]:
    """A random layer as a `Format` of its own.

    Args:
        depth: as in `expressions`.
        activations: as in `expressions`.
    """
    return expressions(depth=depth, activations=activations).map(lambda expr: Format("random", expr))


def parameter_count(format: str | Format, *, dim: int) -> int:
    """The number of parameter entries of one layer."""
    return count_of_stack(get_format(format).expr, (dim, dim))
