"""One-sided Taylor expansions through a kink: evidence that a stack of layers is not smoother than claimed.

A witness is a choice of parameters, a point on the kink set and a direction. The outputs along the line through the point are
expanded on both sides of it; the first coefficient that differs is the first derivative that jumps. Arithmetic is exact over
the rationals where the kink can be met at a rational point and only relu, relu6, prelu occur; otherwise coefficients are
balls (arb) of radius about 2^-100 that contain the exact values, and a jump counts when its ball excludes zero. There, an
argument counts as lying on the threshold when its ball contains it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, assert_never

import flint

from qnn_theory.grammar.evaluate import ParameterValues, evaluate
from qnn_theory.grammar.expr import Activation, Expr
from qnn_theory.grammar.stacking import fill_parameters

Scalar: TypeAlias = Any  # flint.fmpq or flint.arb; flint ships no types
Coefficients: TypeAlias = tuple[Scalar, ...]
Number: TypeAlias = Fraction | float

_PRECISION = 220  # bits
_RADIUS = 2.0**-100  # of the ball around an irrational kink
_ZERO_RADIUS = 2.0**-40  # a ball around zero up to this radius is taken for zero
_SATURATED = 100  # beyond, a smooth activation is flat to the precision kept
_DRAWS = {True: 60, False: 400}  # over the rationals, a kink that is not met soon is mostly irrational


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An activation to meet at one of its thresholds."""

    layer: int  # from 1
    node: Activation
    threshold: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A point where a derivative jumps.

    Attributes:
        parameters: one mapping a layer, values nested in the parameter's shape.
        point: the input x on the kink set.
        direction: the direction v; derivatives are along ``x + s v`` at ``s = 0``.
        layer: the layer (from 1) whose activation is met.
        node: that activation.
        threshold: the value its argument takes at the point.
        derivative: the order of the first derivative that jumps.
        jump: right minus left derivative, one entry per output.
        exact: rational numbers throughout; otherwise midpoints of balls of radius about 2^-100.
    """

    parameters: tuple[dict[str, Any], ...]
    point: tuple[Number, ...]
    direction: tuple[Number, ...]
    layer: int
    node: Activation
    threshold: int
    derivative: int
    jump: tuple[Number, ...]
    exact: bool


def find_witness(
    expr: Expr, *, widths: Sequence[int], targets: Sequence[Target], derivative: int, exact: bool
) -> Witness | None:
    """Search for a point where a derivative of order `derivative` jumps.

    Args:
        expr: one layer; all layers of the stack are alike.
        widths: the widths along the stack, as `stacking.layer_widths` gives them.
        targets: the activations and thresholds to try, in turn.
        derivative: the order wanted.
        exact: work over the rationals; otherwise with balls, which smooth activations and irrational kinks need.

    Returns:
        The witness, or None when none was met in a bounded number of seeded draws.

    Raises:
        ArithmeticError: a lower derivative jumps, so the caller's bound is wrong.
    """
    generator = random.Random(20250523)
    for draw in range(_DRAWS[exact] if targets else 0):
        with flint.ctx.workprec(_PRECISION):
            try:
                found = _attempt(expr, tuple(widths), targets[draw % len(targets)], derivative, exact, generator)
            except _UndecidedError:
                continue
        if found is not None and found.derivative < derivative:
            raise ArithmeticError(
                f"A derivative of order {found.derivative} jumps, however the rules claim that none below "
                f"{derivative} does."
            )
        if found is not None and found.derivative == derivative:
            return found
    return None


class _UndecidedError(Exception):
    """A sign or a slope that the balls cannot tell; the draw is given up."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One entry that the search may move: of the input point (layer 0), or of a layer's parameter."""

    layer: int
    name: str
    index: tuple[int, ...]


class _Stack:
    """A stack at given parameters; every number is an exact scalar or a ball."""

    def __init__(self, expr: Expr, widths: tuple[int, ...], exact: bool, generator: random.Random) -> None:
        self.expr, self.widths, self.exact = expr, widths, exact
        self.places: list[_Place] = []

        # Large numbers for generic position, small ones so that a deep stack stays below the upper kink of relu6.
        scale = 2 ** generator.randrange(5)

        def draw() -> Scalar:
            value = flint.fmpq(generator.choice((-1, 1)) * generator.randint(1, 9), scale)
            return value if exact else flint.arb(value)

        def entry(layer: int) -> Callable[[str, tuple[int, ...]], Scalar]:
            def fill(name: str, index: tuple[int, ...]) -> Scalar:
                self.places.append(_Place(layer, name, index))
                return draw()

            return fill

        self.point = [draw() for _ in range(widths[0])]
        self.direction = [draw() for _ in range(widths[0])]
        self.places += [_Place(0, "x", (i,)) for i in range(widths[0])]
        self.parameters = [
            fill_parameters(expr, dim=width, entry=entry(layer)) for layer, width in enumerate(widths[:-1], start=1)
        ]

    def get(self, place: _Place) -> Scalar:
        return self._access(place, None)

    def set(self, place: _Place, value: Scalar) -> None:
        self._access(place, value)

    def _access(self, place: _Place, value: Scalar | None) -> Scalar:
        holder: Any = {"x": self.point} if place.layer == 0 else self.parameters[place.layer - 1]
        keys: tuple[Any, ...] = (place.name, *place.index)
        for key in keys[:-1]:
            holder = holder[key]
        if value is not None:
            holder[keys[-1]] = value
        return holder[keys[-1]]

    def run(self, x: list[Any], see: Callable[[int, Activation, Any], None]) -> list[Any]:
        """The outputs; `see` is told every activation's layer, node and argument."""
        zero: TwoSided = x[0] * 0

        def constant(number: Fraction) -> TwoSided:
            value = flint.fmpq(number.numerator, number.denominator)
            return zero + (value if self.exact else flint.arb(value))

        values = x
        for layer, parameters in enumerate(self.parameters, start=1):

            def rule(node: Activation, value: Any, own: ParameterValues, layer: int = layer) -> Any:
                see(layer, node, value)
                slope = own[node.slope] if node.slope is not None else None
                return value.activate(node, slope)

            values = evaluate(self.expr, values, parameters, x0=x, activation=rule, constant=constant)
        return values

    def arguments(self, target: Target) -> list[Scalar]:
        """The arguments of the target's units at the point."""
        seen: list[Scalar] = []

        def see(layer: int, node: Activation, value: Any) -> None:
            if layer == target.layer and node == target.node:
                seen.append(value.plus[0])

        self.run([TwoSided((value,), (value,)) for value in self.point], see)
        return seen

    def along_line(self, order: int) -> list[TwoSided]:
        """The outputs along the line through the point, expanded to this order on both sides."""
        zero = self.point[0] * 0
        lines = []
        for value, slope in zip(self.point, self.direction, strict=True):
            coefficients = (value, slope, *([zero] * (order - 1)))[: order + 1]
            lines.append(TwoSided(coefficients, coefficients))
        return self.run(lines, lambda layer, node, value: None)


def _attempt(
    expr: Expr, widths: tuple[int, ...], target: Target, derivative: int, exact: bool, generator: random.Random
) -> Witness | None:
    stack = _Stack(expr, widths, exact, generator)
    units = len(stack.arguments(target))
    unit = generator.randrange(units)
    near = [place for place in stack.places if place.layer in (target.layer, target.layer - 1)]
    place = generator.choice(near if near and generator.random() < 0.8 else stack.places)
    if not _meet(stack, target, unit, place):
        return None
    outputs = stack.along_line(derivative)
    for order in range(derivative + 1):
        jumps = [math.factorial(order) * (out.plus[order] - out.minus[order]) for out in outputs]
        if any(_sign(jump) for jump in jumps):
            return Witness(
                parameters=tuple(_numbers(parameters) for parameters in stack.parameters),
                point=tuple(_numbers(stack.point)),
                direction=tuple(_numbers(stack.direction)),
                layer=target.layer,
                node=target.node,
                threshold=target.threshold,
                derivative=order,
                jump=tuple(_numbers(jumps)),
                exact=exact,
            )
    return None


def _meet(stack: _Stack, target: Target, unit: int, place: _Place) -> bool:
    """Move one entry until the argument of one unit is the threshold: exactly where it is affine in the entry."""
    start = stack.get(place)

    def distance(value: Scalar) -> Scalar:
        stack.set(place, value)
        return stack.arguments(target)[unit] - target.threshold

    at_start, beyond = distance(start), distance(start + 1)
    if not _sign(beyond - at_start):
        return False
    if stack.exact:
        return bool(distance(start - at_start / (beyond - at_start)) == 0)
    root = _root(distance, start)
    if root is None:
        return False
    stack.set(place, root)
    return True


def _root(distance: Callable[[Scalar], Scalar], start: Scalar) -> Scalar | None:
    """A ball that contains a root: secant steps, then a certified change of sign. None when the steps run away."""
    old, new = start, start + 1
    at_old, at_new = distance(old), distance(new)
    for _ in range(14):
        if not _sign(at_new - at_old):
            break
        old, new = new, (new - at_new * (new - old) / (at_new - at_old)).mid()
        at_old, at_new = at_new, distance(new)
        if abs(at_new) < _RADIUS / 16 and _apart(distance(new - _RADIUS), distance(new + _RADIUS)):
            return new + flint.arb(0, _RADIUS)
    return None


def _apart(a: Scalar, b: Scalar) -> bool:
    """Whether two values certainly have opposite signs."""
    return bool((a < 0 and b > 0) or (a > 0 and b < 0))


def _sign(value: Scalar) -> int:
    """-1, 0 or 1; a small ball around zero is zero."""
    if isinstance(value, flint.arb):
        if not value.contains(0):
            return 1 if value > 0 else -1
        if not value.rad() < _ZERO_RADIUS:
            raise _UndecidedError
        return 0
    return int(value > 0) - int(value < 0)


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _numbers(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_numbers(inner) for inner in value]
    if isinstance(value, flint.arb):
        return float(value.mid())
    return Fraction(int(value.p), int(value.q))


@dataclass(frozen=True, slots=True)
class TwoSided:
    """Two truncated power series in s: the value for small s < 0 and for small s > 0."""

    minus: Coefficients
    plus: Coefficients

    def __add__(self, other: Any) -> TwoSided:
        if isinstance(other, TwoSided):
            return TwoSided(_sum(self.minus, other.minus), _sum(self.plus, other.plus))
        return TwoSided((self.minus[0] + other, *self.minus[1:]), (self.plus[0] + other, *self.plus[1:]))

    __radd__ = __add__

    def __mul__(self, other: Any) -> TwoSided:
        if isinstance(other, TwoSided):
            return TwoSided(_product(self.minus, other.minus), _product(self.plus, other.plus))
        return TwoSided(tuple(c * other for c in self.minus), tuple(c * other for c in self.plus))

    __rmul__ = __mul__

    def activate(self, node: Activation, slope: Scalar | None) -> TwoSided:
        """The activation of the node, on each side by the branch that its argument takes there."""
        return TwoSided(_activate(node, self.minus, slope, side=-1), _activate(node, self.plus, slope, side=1))


def _sum(a: Coefficients, b: Coefficients) -> Coefficients:
    return tuple(p + q for p, q in zip(a, b, strict=True))


def _product(a: Coefficients, b: Coefficients) -> Coefficients:
    return tuple(sum((a[j] * b[k - j] for j in range(1, k + 1)), a[0] * b[k]) for k in range(len(a)))


def _above(argument: Coefficients, threshold: int, side: int) -> int:
    """Sign of argument - threshold for small s on this side; 0 when they agree to the order kept."""
    for power, coefficient in enumerate((argument[0] - threshold, *argument[1:])):
        sign = _sign(coefficient)
        if sign:
            return int(sign * side**power)
    return 0


def _activate(node: Activation, argument: Coefficients, slope: Scalar | None, *, side: int) -> Coefficients:
    zeros = tuple(c * 0 for c in argument)
    match node.kind:
        case "relu":
            return argument if _above(argument, 0, side) > 0 else zeros
        case "prelu":
            return argument if _above(argument, 0, side) > 0 else tuple(slope * c for c in argument)
        case "relu6":
            if _above(argument, 0, side) <= 0:
                return zeros
            return argument if _above(argument, 6, side) < 0 else (zeros[0] + 6, *zeros[1:])
        case "gelu" | "silu" | "mish" | "sigmoid" | "tanh":
            return _compose(_taylor(node, argument), argument)
        case _:
            assert_never(node.kind)


def _taylor(node: Activation, argument: Coefficients) -> list[Scalar]:
    """Taylor coefficients of a smooth activation at the argument's value."""
    if not abs(argument[0]) < _SATURATED:
        raise _UndecidedError
    count = len(argument)
    u = flint.arb_series([argument[0], 1], count)
    one = flint.arb_series([1], count)
    logistic = one / (one + (-u).exp())
    match node.kind:
        case "sigmoid":
            series = logistic
        case "silu":
            series = u * logistic
        case "tanh":
            series = _tanh(u, one)
        case "mish":
            series = u * _tanh((one + u.exp()).log(), one)
        case "gelu":
            series = u * (one + (u / flint.arb(2).sqrt()).erf()) / 2
        case _:
            raise ValueError(f"{node.kind} is not smooth.")
    coefficients = list(series.coeffs())
    return coefficients + [flint.arb(0)] * (count - len(coefficients))


def _tanh(u: Any, one: Any) -> Any:
    return one - 2 * one / ((2 * u).exp() + one)


def _compose(outer: list[Scalar], argument: Coefficients) -> Coefficients:
    """Horner's rule on the argument less its value."""
    inner = (argument[0] * 0, *argument[1:])
    zeros = tuple(c * 0 for c in argument)
    result = (outer[-1], *zeros[1:])
    for coefficient in reversed(outer[:-1]):
        result = _product(result, inner)
        result = (result[0] + coefficient, *result[1:])
    return result
