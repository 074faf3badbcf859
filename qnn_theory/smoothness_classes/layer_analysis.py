"""One layer read near one kink set at a time: an interpreter of the grammar by the composition rules of `near_kink`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, assert_never

import sympy

from qnn_theory.grammar.expr import (
    PIECEWISE,
    Activation,
    Affine,
    Bilinear,
    Concat,
    Constant,
    Expr,
    FirstInput,
    HeadMajor,
    Input,
    Multiple,
    Power,
    Product,
    RowSum,
    Scale,
    Slice,
    Sum,
    children,
)
from qnn_theory.grammar.intervals import Interval, as_monomial, interval
from qnn_theory.grammar.readings.text import coordinate_text
from qnn_theory.smoothness_classes.near_kink import (
    ZERO,
    Formula,
    Local,
    Pair,
    kinked,
    lowest_jump_order,
    product,
    sum_of,
    times,
)

KINKED = frozenset(PIECEWISE)  # what is polynomial in pieces has its kinks between them
# Smooth activations that vanish with their argument, with the slope there: h(u) = h'(0) u + ....
_SLOPE_AT_ZERO = {
    "gelu": sympy.Rational(1, 2),
    "silu": sympy.Rational(1, 2),
    "mish": sympy.Rational(3, 5),
    "tanh": sympy.Integer(1),
}
_ZERO_RANGE = Interval(Fraction(0), Fraction(0))


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a symbol of a jump formula stands for.

    Attributes:
        kind: ``value`` is a coordinate of `node`, ``derivative`` its derivative along v, ``weight`` an entry of a map,
            ``scale`` an entry of a learned vector, ``slope`` the slope of a prelu, ``mixed`` what is not written out.
        node: the expression, for a value or a derivative.
        name: the parameter, for the others.
        index: the coordinates, such as ``("i",)`` or ``("i", "j")``.
    """

    kind: Literal["value", "derivative", "weight", "scale", "slope", "mixed"]
    node: Expr | None = None
    name: str = ""
    index: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A kink set {base = threshold}, of one coordinate of `base` in one layer."""

    layer: int
    base: Expr
    threshold: int


class LayerAnalysis:
    """One layer, read near one kink set at a time."""

    def __init__(self, layer: int, inputs: Interval, inherited: Mapping[Source, Pair]) -> None:
        self.layer, self.inputs, self.inherited = layer, inputs, inherited
        self.legend: dict[Formula, Meaning] = {}

    def range(self, expr: Expr) -> Interval:
        """The values that a coordinate of an expression can take."""
        return interval(expr, self.inputs)

    def symbol(self, text: str, meaning: Meaning) -> Formula:
        """A symbol of a jump formula, entered in the legend."""
        symbol = sympy.Symbol(text, real=True)
        self.legend[symbol] = meaning
        return symbol

    def value(self, expr: Expr, index: str) -> Formula:
        """One coordinate, written out down to maps and activations."""
        match expr:
            case Sum(terms=terms):
                return sympy.Add(*(self.value(term, index) for term in terms))
            case Product(factors=factors):
                return sympy.Mul(*(self.value(factor, index) for factor in factors))
            case Power(of=of, exponent=exponent):
                return self.value(of, index) ** exponent
            case Multiple(factor=factor, of=of):
                return sympy.Rational(factor.numerator, factor.denominator) * self.value(of, index)
            case Scale(name=name, of=of):
                return self.scale(name, index) * self.value(of, index)
            case Constant(value=number):
                return sympy.Rational(number.numerator, number.denominator)
            case _:
                return self.symbol(coordinate_text(expr, index), Meaning("value", node=expr, index=(index,)))

    def scale(self, name: str, index: str) -> Formula:
        """One entry of a learned vector."""
        return self.symbol(f"{name}_{index}", Meaning("scale", name=name, index=(index,)))

    def sources_of(self, node: Activation) -> Iterable[Source]:
        """The kink sets of one activation: where its argument changes sign, and where it passes 6."""
        argument = self.range(node.of)
        if node.kind not in KINKED:
            return
        if not (argument.at_least(0) or argument.at_most(0)):
            for base, exponent in _bases(node.of).items():
                values = self.range(base)
                if exponent % 2 and not (values.at_least(0) or values.at_most(0)):
                    yield Source(self.layer, base, 0)
        if node.kind == "relu6" and not (argument.at_most(6) or argument.at_least(6)):
            yield Source(self.layer, node.of, 6)

    def local(self, expr: Expr, source: Source, index: str, *, same: bool) -> Local:
        """The expression near the kink set.

        Args:
            expr: the expression.
            source: the kink set.
            index: name of the coordinate looked at.
            same: whether that is the coordinate that kinks.
        """
        if same and source.layer == self.layer and expr == source.base:
            if source.threshold == 0:
                return Local(1, sympy.Integer(1), sympy.Integer(1))
            level = sympy.Integer(source.threshold)
            return Local(0, level, level)
        if self.range(expr) == _ZERO_RANGE:
            return ZERO
        match expr:
            case Input():
                if source in self.inherited:
                    return self.inherited[source][0 if same else 1]
                value = self.value(expr, index)
                return Local(0, value, value)
            case FirstInput() | Constant():
                value = self.value(expr, index)
                return Local(0, value, value)
            case Affine(name=name, of=of):
                return self._mixed(expr, index, name, self._inner(of, source), source)
            case Bilinear(left=left, right=right):
                pairs = [self._inner(side, source) for side in (left, right)]
                orders = [order for pair in pairs if (order := lowest_jump_order(pair)) is not None]
                return self._opaque(expr, index, min(orders, default=None))
            case Scale(name=name, of=of):
                return times(self.local(of, source, index, same=same), self.scale(name, index))
            case Multiple(factor=factor, of=of):
                inner = self.local(of, source, index, same=same)
                return times(inner, sympy.Rational(factor.numerator, factor.denominator))
            case Sum(terms=terms):
                return sum_of([self.local(term, source, index, same=same) for term in terms])
            case Product(factors=factors):
                return product([self.local(factor, source, index, same=same) for factor in factors])
            case Power(of=of, exponent=exponent):
                return product([self.local(of, source, index, same=same)] * exponent)
            case RowSum(rows=rows, of=of):
                inner = self.local(of, source, index, same=same)
                if rows == 1:
                    return inner
                value = self.value(expr, index)  # the other rows do not vanish
                return replace(inner, vanishing=0, minus=value, plus=value)
            case Concat() | Slice() | HeadMajor():
                # The coordinate that kinks may end up at any place.
                locals_ = [
                    self.local(part, source, index, same=which) for part in children(expr) for which in (True, False)
                ]
                return self._worst(expr, index, locals_)
            case Activation():
                return self._activation(expr, source, index, same=same)
            case _:
                assert_never(expr)

    def _inner(self, of: Expr, source: Source) -> Pair:
        return self.local(of, source, "j", same=True), self.local(of, source, "j", same=False)

    def _mixed(self, expr: Expr, index: str, name: str, inner: Pair, source: Source) -> Local:
        """W of an expression: every output sees the coordinate that kinks."""
        same, other = inner
        value = self.value(expr, index)
        order = lowest_jump_order(inner)
        if order is not None and other.jump_order is None:
            weight = self.symbol(f"{name}[{index},j]", Meaning("weight", name=name, index=(index, "j")))
            return Local(0, value, value, order, weight * same.jump)
        return self._opaque(expr, index, order)

    def _opaque(self, expr: Expr, index: str, order: int | None) -> Local:
        value = self.value(expr, index)
        if order is None:
            return Local(0, value, value)
        jump = self.symbol(f"[jump of {coordinate_text(expr, index)}]", Meaning("mixed", node=expr, index=(index,)))
        return Local(0, value, value, order, jump)

    def _worst(self, expr: Expr, index: str, locals_: list[Local]) -> Local:
        jumping = [local for local in locals_ if local.jump_order is not None]
        least = min(locals_, key=lambda local: local.vanishing)
        if not jumping:
            return least
        first = min(jumping, key=lambda local: local.jump_order or 0)
        return replace(least, jump_order=first.jump_order, jump=first.jump)

    def _activation(self, node: Activation, source: Source, index: str, *, same: bool) -> Local:
        inner = self.local(node.of, source, index, same=same)
        value = self.value(node, index)
        if node.kind not in KINKED:
            if inner.vanishing and node.kind in _SLOPE_AT_ZERO:
                return times(inner, _SLOPE_AT_ZERO[node.kind])
            slope = self.symbol(
                f"{node.kind}'({coordinate_text(node.of, index)})", Meaning("mixed", node=node, index=(index,))
            )
            at_zero = node.kind == "sigmoid" and inner.vanishing
            return Local(
                0,
                value,
                value,
                inner.jump_order,
                inner.jump * (sympy.Rational(1, 4) if at_zero else slope),
            )
        argument_range = self.range(node.of)
        if same and source == Source(self.layer, node.of, 6) and node.kind == "relu6":
            return Local(0, sympy.Integer(6), sympy.Integer(6), 1, sympy.Integer(-1))
        if argument_range.at_least(0) and (node.kind != "relu6" or argument_range.at_most(6)):
            return inner
        below: Formula = 0
        if node.slope is not None:
            below = self.symbol(node.slope, Meaning("slope", name=node.slope))
        if inner.vanishing:
            return kinked(inner, below)
        argument = self.value(node.of, index)
        step = sympy.Integer(1) if argument_range.at_least(0) else sympy.Heaviside(argument)
        slope = below + (1 - below) * step
        if node.kind == "relu6" and not argument_range.at_most(6):
            slope -= sympy.Heaviside(argument - 6)
        return Local(0, value, value, inner.jump_order, inner.jump * slope)

    def derivative(self, expr: Expr, index: str) -> Formula:
        """The derivative along v of one coordinate, written out as far as products go."""
        match expr:
            case Input():
                return self.symbol(f"v_{index}", Meaning("derivative", node=expr, index=(index,)))
            case Sum(terms=terms):
                return sum((self.derivative(term, index) for term in terms), sympy.Integer(0))
            case Product(factors=factors):
                values = [self.value(factor, index) for factor in factors]
                slopes = [self.derivative(factor, index) for factor in factors]
                return sum(
                    (sympy.Mul(*values[:k], slope, *values[k + 1 :]) for k, slope in enumerate(slopes)),
                    sympy.Integer(0),
                )
            case Power(of=of, exponent=exponent):
                return exponent * self.value(of, index) ** (exponent - 1) * self.derivative(of, index)
            case Multiple(factor=factor, of=of):
                return sympy.Rational(factor.numerator, factor.denominator) * self.derivative(of, index)
            case Scale(name=name, of=of):
                return self.scale(name, index) * self.derivative(of, index)
            case Constant():
                return sympy.Integer(0)
            case Activation(kind="relu", of=of):
                return sympy.Heaviside(self.value(of, index)) * self.derivative(of, index)
            case Affine(name=name, of=Input()):
                return self.symbol(f"({name} v)_{index}", Meaning("derivative", node=expr, index=(index,)))
            case _:
                return self.symbol(
                    f"∂_v{coordinate_text(expr, index)}", Meaning("derivative", node=expr, index=(index,))
                )


def _bases(expr: Expr) -> Counter[Expr]:
    """The factors whose zeros are those of the expression, with exponents; what keeps its sign may be among them."""
    found = Counter[Expr]()
    for base, exponent in as_monomial(expr)[1].items():
        match base:
            case Scale(of=of) | Activation(kind="gelu" | "silu" | "mish" | "tanh" | "prelu", of=of):
                found += Counter({inner: count * exponent for inner, count in _bases(of).items()})
            case _:
                found[base] += exponent
    return found
