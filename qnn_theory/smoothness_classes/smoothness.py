r"""Smoothness class of a format: how often it is continuously differentiable, where it has kinks, how large the first jump is.

Claim: for all parameter values the stack is C^r, and where `exact` is set, for an open set of parameters it is not C^(r+1);
`witness` is such a choice of parameters, with a point and a direction along which derivative r + 1 jumps.

The bound follows one kink set at a time. Near the set {s = 0}, where s is the argument of an activation (or one of its
factors), every sub-expression is on both sides a smooth function f^- and f^+ of s; an interpreter computes how fast each
vanishes, f^± = c^± s^v + ..., and at which order they differ, f^+ - f^- = C s^m + .... Sums take the smallest order, a product
gains the vanishing orders of the other factors, so x ⊙ relu(x) has m = 2 and is C^1. An argument that keeps its sign has no
kink: relu of a square is the square. Then f^+ - f^- divides by s^m, so f = f^- + relu(s)^m·(...) is C^(m-1); the m-th
derivative along v jumps by m!·C·(∂_v s)^m.

Exactness is shown by `one_sided.find_witness`. Source of the question: li2025qnn argues with smoothness but does not define it.
Checked in tests/qnn_theory/test_smoothness.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from fractions import Fraction
from functools import lru_cache, total_ordering
from typing import Any, Literal, TypeAlias, assert_never

import sympy

from qnn_theory.grammar.expr import (
    Activation,
    ActivationKind,
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
    walk,
)
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.intervals import Interval, as_monomial, interval
from qnn_theory.grammar.rewrite import replace as rewrite
from qnn_theory.grammar.stacking import layer_widths
from qnn_theory.grammar.text import coordinate_text
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import get_format
from qnn_theory.smoothness_classes.one_sided import Target, Witness, find_witness

Formula: TypeAlias = Any  # a SymPy expression; SymPy ships no types
_NOTHING = sympy.Integer(0)


@total_ordering
class Analytic(Enum):
    """The order of a function without a kink; above every integer."""

    ANALYTIC = "analytic"

    def __repr__(self) -> str:
        return "ANALYTIC"

    __str__ = __repr__

    def __lt__(self, other: object) -> bool:
        return False if isinstance(other, int | Analytic) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return isinstance(other, int) if isinstance(other, int | Analytic) else NotImplemented


ANALYTIC = Analytic.ANALYTIC

_KINKED = frozenset({"relu", "relu6", "prelu"})
# Smooth activations that vanish with their argument, with the slope there: h(u) = h'(0) u + ....
_SLOPE_AT_ZERO = {
    "gelu": sympy.Rational(1, 2),
    "silu": sympy.Rational(1, 2),
    "mish": sympy.Rational(3, 5),
    "tanh": sympy.Integer(1),
}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Kink:
    """One kink set of a stack.

    Attributes:
        layer: the layer (from 1) whose activation causes it; x in `surface` is that layer's input.
        base: the expression that crosses the threshold.
        threshold: 0, or 6 for the upper kink of relu6.
        surface: the set as text, for instance ``(W_a x)_i = 0``; the bias belongs to the map.
        order: the output is C^order across it.
        jump: by how much derivative order + 1 along v of output i jumps, on the far side of the surface (where the argument is
            above the threshold) less the near side; in a stack, of output k by way of output i of the layer; None where a
            later layer smooths.
        legend: what each symbol of `jump` stands for.
    """

    layer: int
    base: Expr
    threshold: int
    surface: str
    order: int
    jump: Formula | None
    legend: Mapping[Formula, Meaning]

    @property
    def description(self) -> str:
        """Surface, class and jump in one line."""
        text = f"layer {self.layer}: {self.surface}: C^{self.order}"
        return text if self.jump is None else f"{text}, derivative {self.order + 1} along v jumps by {self.jump}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothness:
    """Smoothness class of a stack of layers of one format.

    Attributes:
        order: the largest r such that the stack is C^r, or `ANALYTIC`; 0 is continuous but not C^1.
        exact: whether `order` cannot be raised; otherwise it is a lower bound.
        kinks: the kink sets, the least smooth first; empty when analytic.
        witness: parameters, point and direction where derivative order + 1 jumps.
    """

    order: int | Analytic
    exact: bool
    kinks: tuple[Kink, ...]
    witness: Witness | None

    @property
    def first_jump(self) -> Formula | None:
        """The jump of derivative order + 1 across the first kink set, as a formula; None when analytic."""
        return next((kink.jump for kink in self.kinks if kink.jump is not None), None)


def smoothness(
    format: str | Format,
    *,
    depth: int = 1,
    post_activation: ActivationKind | None = None,
    mid_activation: ActivationKind | None = None,
) -> Smoothness:
    """Smoothness class of a stack of layers.

    Args:
        format: a registered id or a format of your own.
        depth: number of layers.
        post_activation: activation after every layer, the last one included.
        mid_activation: takes the place of every activation inside the format.

    Returns:
        The class, with its kink sets and a witness.

    Raises:
        KeyError: unknown id.
        ValueError: depth below 1.
    """
    chosen = get_format(format)
    if mid_activation is not None:
        chosen = with_mid_activation(chosen, mid_activation)
    return _smoothness(with_post_activation(chosen, post_activation), depth)


@lru_cache(maxsize=4096)
def _smoothness(format: Format, depth: int) -> Smoothness:
    widths = layer_widths(format, dim=_witness_width(format), depth=depth)
    expr = rewrite(format.expr, _into_parts)
    found = _kinks(expr, depth)
    if not found:
        return Smoothness(order=ANALYTIC, exact=True, kinks=(), witness=None)
    found.sort(key=lambda pair: (pair[0].order, pair[0].jump is None, pair[0].layer))
    order = found[0][0].order
    targets = [target for kink, targets in found if kink.order == order for target in targets]
    smooth = any(isinstance(node, Activation) and node.kind not in _KINKED for node in walk(expr))
    witness = None
    for exact in (False,) if smooth else (True, False):
        witness = find_witness(expr, widths=widths, targets=targets, derivative=order + 1, exact=exact)
        if witness is not None:
            break
    return Smoothness(order=order, exact=witness is not None, kinks=tuple(kink for kink, _ in found), witness=witness)


def _witness_width(format: Format) -> int:
    step = divisor(format.expr)
    return step * math.ceil(2 / step)


def _into_parts(node: Expr) -> Expr:
    """An activation of joined parts is the joined activations of the parts."""
    match node:
        case Activation(of=Concat(parts=parts)):
            return Concat(parts=tuple(replace(node, of=part) for part in parts))
        case _:
            return node


@dataclass(frozen=True, slots=True)
class _Source:
    """A kink set {base = threshold}, of one coordinate of `base` in one layer."""

    layer: int
    base: Expr
    threshold: int


@dataclass(frozen=True, slots=True)
class _Local:
    """A function near a kink set: ``f^± = c^± s^vanishing + ...`` and ``f^+ - f^- = jump s^jump_order + ...``.

    `vanishing` and `jump_order` may be smaller than the true orders, never larger; no jump is None.
    """

    vanishing: int
    minus: Formula
    plus: Formula
    jump_order: int | None = None
    jump: Formula = _NOTHING


_ZERO = _Local(10**9, _NOTHING, _NOTHING)
_ZERO_RANGE = Interval(Fraction(0), Fraction(0))
_Pair: TypeAlias = tuple[_Local, _Local]  # of the coordinate that kinks, and of every other coordinate


def _kinks(expr: Expr, depth: int) -> list[tuple[Kink, list[Target]]]:
    """All kink sets that reach the output, with the activations that cause each."""
    inherited: dict[_Source, _Pair] = {}
    causes: dict[_Source, list[Target]] = {}
    own_jumps: dict[_Source, _OwnJump] = {}
    inputs = Interval()
    for layer in range(1, depth + 1):
        named = rewrite(expr, _name_rows)
        if layer == 1:
            named = rewrite(named, lambda node: Input() if isinstance(node, FirstInput) else node)
        analysis = _Analysis(layer, inputs, inherited)
        sources = dict.fromkeys(inherited)
        for original, node in zip(walk(expr), walk(named), strict=True):
            if isinstance(node, Activation) and isinstance(original, Activation):
                for source in analysis.sources_of(node):
                    target = Target(layer=layer, node=original, threshold=source.threshold)
                    causes.setdefault(source, []).append(target)
                    sources.setdefault(source)
        outputs: dict[_Source, _Pair] = {}
        for source in sources:
            pair = (analysis.local(named, source, "i", same=True), analysis.local(named, source, "i", same=False))
            if source.layer == layer:
                own_jumps[source] = _own_jump(analysis, source, pair)
            if any(local.jump_order is not None for local in pair):
                outputs[source] = (_forget(pair[0], layer), _forget(pair[1], layer))
        inherited = outputs
        inputs = interval(named, inputs)
    return [(_kink(source, pair, own_jumps[source], depth), causes[source]) for source, pair in inherited.items()]


@dataclass(frozen=True, slots=True)
class _OwnJump:
    """The jump at the output of the layer that causes it."""

    order: int | None = None
    formula: Formula = _NOTHING
    index: str = "i"  # of the coordinate that kinks
    legend: Mapping[Formula, Meaning] = field(default_factory=dict)


def _own_jump(analysis: _Analysis, source: _Source, pair: _Pair) -> _OwnJump:
    order = _first(pair)
    if order is None:
        return _OwnJump()
    same, other = pair
    local = same if same.jump_order == order else other
    # Coordinate j kinks where an affine map brings it to output i; otherwise coordinate i itself does.
    index = "j" if any("j" in analysis.legend[symbol].index for symbol in local.jump.free_symbols) else "i"
    formula = math.factorial(order) * local.jump * analysis.derivative(source.base, index) ** order
    legend = {symbol: meaning for symbol, meaning in analysis.legend.items() if symbol in formula.free_symbols}
    return _OwnJump(order, formula, index, legend)


def _kink(source: _Source, pair: _Pair, own: _OwnJump, depth: int) -> Kink:
    order = _first(pair)
    if order is None:
        raise ValueError(f"A kink set reaches the output, however: {source} does not.")
    formula: Formula | None = own.formula if order == own.order else None
    legend = own.legend
    if formula is not None and source.layer < depth:
        # Lower derivatives agree, so the later layers pass the jump on by their Jacobian.
        jacobian = sympy.Symbol(f"∂y_k/∂(layer {source.layer})_i", real=True)
        formula = jacobian * formula
        legend = {**legend, jacobian: Meaning("mixed", index=("k", "i"))}
    return Kink(
        layer=source.layer,
        base=source.base,
        threshold=source.threshold,
        surface=f"{coordinate_text(source.base, own.index)} = {source.threshold}",
        order=order - 1,
        jump=formula,
        legend=legend,
    )


def _forget(local: _Local, layer: int) -> _Local:
    """The output of a layer as the input of the next: its coefficients become opaque, its zeros stay."""

    def opaque(coefficient: Formula, name: str) -> Formula:
        return coefficient if coefficient == 0 else sympy.Symbol(f"{name}({layer})", nonzero=True)

    if local.minus == local.plus:
        side = opaque(local.plus, "c")
        minus, plus = side, side
    else:
        minus, plus = opaque(local.minus, "c⁻"), opaque(local.plus, "c⁺")
    return replace(local, minus=minus, plus=plus, jump=opaque(local.jump, "C"))


def _name_rows(node: Expr) -> Expr:
    """Inside a row sum, W is written W[m]."""
    if not isinstance(node, RowSum):
        return node

    def mark(inner: Expr) -> Expr:
        return replace(inner, name=f"{inner.name}[m]") if isinstance(inner, Affine | Bilinear | Scale) else inner

    return replace(node, of=rewrite(node.of, mark))


class _Analysis:
    """One layer, read near one kink set at a time."""

    def __init__(self, layer: int, inputs: Interval, inherited: Mapping[_Source, _Pair]) -> None:
        self.layer, self.inputs, self.inherited = layer, inputs, inherited
        self.legend: dict[Formula, Meaning] = {}

    def range(self, expr: Expr) -> Interval:
        return interval(expr, self.inputs)

    def symbol(self, text: str, meaning: Meaning) -> Formula:
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

    def sources_of(self, node: Activation) -> Iterable[_Source]:
        """The kink sets of one activation: where its argument changes sign, and where it passes 6."""
        argument = self.range(node.of)
        if node.kind not in _KINKED:
            return
        if not (argument.at_least(0) or argument.at_most(0)):
            for base, exponent in _bases(node.of).items():
                values = self.range(base)
                if exponent % 2 and not (values.at_least(0) or values.at_most(0)):
                    yield _Source(self.layer, base, 0)
        if node.kind == "relu6" and not (argument.at_most(6) or argument.at_least(6)):
            yield _Source(self.layer, node.of, 6)

    def local(self, expr: Expr, source: _Source, index: str, *, same: bool) -> _Local:
        """The expression near the kink set.

        Args:
            expr: the expression.
            source: the kink set.
            index: name of the coordinate looked at.
            same: whether that is the coordinate that kinks.
        """
        if same and source.layer == self.layer and expr == source.base:
            if source.threshold == 0:
                return _Local(1, sympy.Integer(1), sympy.Integer(1))
            level = sympy.Integer(source.threshold)
            return _Local(0, level, level)
        if self.range(expr) == _ZERO_RANGE:
            return _ZERO
        match expr:
            case Input():
                if source in self.inherited:
                    return self.inherited[source][0 if same else 1]
                value = self.value(expr, index)
                return _Local(0, value, value)
            case FirstInput() | Constant():
                value = self.value(expr, index)
                return _Local(0, value, value)
            case Affine(name=name, of=of):
                return self._mixed(expr, index, name, self._inner(of, source), source)
            case Bilinear(left=left, right=right):
                pairs = [self._inner(side, source) for side in (left, right)]
                orders = [order for pair in pairs if (order := _first(pair)) is not None]
                return self._opaque(expr, index, min(orders, default=None))
            case Scale(name=name, of=of):
                return _times(self.local(of, source, index, same=same), self.scale(name, index))
            case Multiple(factor=factor, of=of):
                inner = self.local(of, source, index, same=same)
                return _times(inner, sympy.Rational(factor.numerator, factor.denominator))
            case Sum(terms=terms):
                return _sum([self.local(term, source, index, same=same) for term in terms])
            case Product(factors=factors):
                return _product([self.local(factor, source, index, same=same) for factor in factors])
            case Power(of=of, exponent=exponent):
                return _product([self.local(of, source, index, same=same)] * exponent)
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

    def _inner(self, of: Expr, source: _Source) -> _Pair:
        return self.local(of, source, "j", same=True), self.local(of, source, "j", same=False)

    def _mixed(self, expr: Expr, index: str, name: str, inner: _Pair, source: _Source) -> _Local:
        """W of an expression: every output sees the coordinate that kinks."""
        same, other = inner
        value = self.value(expr, index)
        order = _first(inner)
        if order is not None and other.jump_order is None:
            weight = self.symbol(f"{name}[{index},j]", Meaning("weight", name=name, index=(index, "j")))
            return _Local(0, value, value, order, weight * same.jump)
        return self._opaque(expr, index, order)

    def _opaque(self, expr: Expr, index: str, order: int | None) -> _Local:
        value = self.value(expr, index)
        if order is None:
            return _Local(0, value, value)
        jump = self.symbol(f"[jump of {coordinate_text(expr, index)}]", Meaning("mixed", node=expr, index=(index,)))
        return _Local(0, value, value, order, jump)

    def _worst(self, expr: Expr, index: str, locals_: list[_Local]) -> _Local:
        jumping = [local for local in locals_ if local.jump_order is not None]
        least = min(locals_, key=lambda local: local.vanishing)
        if not jumping:
            return least
        first = min(jumping, key=lambda local: local.jump_order or 0)
        return replace(least, jump_order=first.jump_order, jump=first.jump)

    def _activation(self, node: Activation, source: _Source, index: str, *, same: bool) -> _Local:
        inner = self.local(node.of, source, index, same=same)
        value = self.value(node, index)
        if node.kind not in _KINKED:
            if inner.vanishing and node.kind in _SLOPE_AT_ZERO:
                return _times(inner, _SLOPE_AT_ZERO[node.kind])
            slope = self.symbol(
                f"{node.kind}'({coordinate_text(node.of, index)})", Meaning("mixed", node=node, index=(index,))
            )
            at_zero = node.kind == "sigmoid" and inner.vanishing
            return _Local(
                0,
                value,
                value,
                inner.jump_order,
                inner.jump * (sympy.Rational(1, 4) if at_zero else slope),
            )
        argument_range = self.range(node.of)
        if same and source == _Source(self.layer, node.of, 6) and node.kind == "relu6":
            return _Local(0, sympy.Integer(6), sympy.Integer(6), 1, sympy.Integer(-1))
        if argument_range.at_least(0) and (node.kind != "relu6" or argument_range.at_most(6)):
            return inner
        below: Formula = 0
        if node.slope is not None:
            below = self.symbol(node.slope, Meaning("slope", name=node.slope))
        if inner.vanishing:
            return _kinked(inner, below)
        argument = self.value(node.of, index)
        step = sympy.Integer(1) if argument_range.at_least(0) else sympy.Heaviside(argument)
        slope = below + (1 - below) * step
        if node.kind == "relu6" and not argument_range.at_most(6):
            slope -= sympy.Heaviside(argument - 6)
        return _Local(0, value, value, inner.jump_order, inner.jump * slope)

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
                return _NOTHING
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


def _first(pair: _Pair) -> int | None:
    return min((local.jump_order for local in pair if local.jump_order is not None), default=None)


def _times(local: _Local, factor: Formula) -> _Local:
    return replace(local, minus=factor * local.minus, plus=factor * local.plus, jump=factor * local.jump)


def _sum(terms: list[_Local]) -> _Local:
    vanishing = min(term.vanishing for term in terms)
    order = min((term.jump_order for term in terms if term.jump_order is not None), default=None)
    lead = [term for term in terms if term.vanishing == vanishing]
    return _Local(
        vanishing,
        sum((term.minus for term in lead), sympy.Integer(0)),
        sum((term.plus for term in lead), sympy.Integer(0)),
        order,
        sum((term.jump for term in terms if order is not None and term.jump_order == order), sympy.Integer(0)),
    )


def _product(factors: list[_Local]) -> _Local:
    """f^+ g^+ - f^- g^- = (f^+ - f^-) g^+ + f^- (g^+ - g^-), at the lowest order that occurs."""
    vanishing = sum(factor.vanishing for factor in factors)
    parts: list[tuple[int, Formula]] = []
    for k, factor in enumerate(factors):
        if factor.jump_order is not None:
            before = sympy.Mul(*(other.minus for other in factors[:k]))
            after = sympy.Mul(*(other.plus for other in factors[k + 1 :]))
            parts.append((factor.jump_order + vanishing - factor.vanishing, factor.jump * before * after))
    order = min((order for order, _ in parts), default=None)
    return _Local(
        vanishing,
        sympy.Mul(*(factor.minus for factor in factors)),
        sympy.Mul(*(factor.plus for factor in factors)),
        order,
        sum((jump for at, jump in parts if at == order), sympy.Integer(0)),
    )


def _kinked(inner: _Local, below: Formula) -> _Local:
    """max(a, 0) + below·min(a, 0) of an argument a that vanishes on the kink set."""
    odd = inner.vanishing % 2

    def bend(value: Formula) -> Formula:
        return sympy.Max(value, 0) + below * sympy.Min(value, 0)

    plus = bend(inner.plus)
    minus = -bend(-inner.minus) if odd else bend(inner.minus)
    if inner.minus == inner.plus:
        if not odd:  # the argument keeps its sign, which is that of its first coefficient
            factor = below + (1 - below) * sympy.Heaviside(inner.plus)
            return _Local(inner.vanishing, plus, plus, inner.jump_order, factor * inner.jump)
        return _Local(inner.vanishing, minus, plus, inner.vanishing, (1 - below) * sympy.Abs(inner.plus))
    return _Local(inner.vanishing, minus, plus, inner.vanishing, plus - minus)
