"""Regions of a gated stack: the feature space on one of them, and how many a straight line crosses, exactly.

On a line ``p + t v`` every value in the stack is a polynomial in t with rational coefficients as long as no gate changes state.
A gate changes where its argument has a real root of odd multiplicity (relu6: also where it reaches 6). Roots are kept as root
number i of an irreducible integer polynomial and enclosed in balls that are refined until they are apart, so the count holds no
rounding; two gates that switch at the same point are one boundary.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.monomials import Diagrams
from qnn_theory.algebra.polynomials import to_flint
from qnn_theory.feature_spaces.degrees import degree_bound
from qnn_theory.feature_spaces.feature_space import FeatureSpace, number_text, stack_support
from qnn_theory.feature_spaces.support import GateState, is_exact
from qnn_theory.grammar.evaluate import ParameterValues, Scalar, evaluate, relu_of_numbers
from qnn_theory.grammar.expr import PIECEWISE, Activation, Expr
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import fill_parameters, layer_widths, parameter_count
from qnn_theory.registry import get_format

PARAMETER_LIMIT = 50_000
DEGREE_LIMIT = 256
"""Of the polynomials along a line; it doubles with every quadratic layer."""

_START_BITS = 64
_LARGEST, _DENOMINATOR = 999, 97  # random parameters and points are k / 97 with |k| at most 999


@dataclass(frozen=True, slots=True)
class LineRegions:
    """The regions of a stack that one random line meets.

    Attributes:
        format_id: the format.
        dim: the input width d.
        depth: the number of layers.
        breakpoints: the positions t at which some gate changes state, in order, rounded to floats.
        patterns: the state of every gate between them, one tuple more than there are breakpoints.
    """

    format_id: str
    dim: int
    depth: int
    breakpoints: tuple[float, ...]
    patterns: tuple[tuple[GateState, ...], ...]

    @property
    def count(self) -> int:
        """How many regions the line crosses (1 for a polynomial format)."""
        return len(self.patterns)


def regions_on_line(format: str | Format, *, dim: int, depth: int = 1, seed: int = 0) -> LineRegions:
    """Follow a random line through a stack with random rational parameters.

    One layer of T19 is cut by its d gates at most d times; deeper gates have arguments of degree 2^(l-1) in t and may be met as
    often as that.

    Args:
        format: an id or a `Format`.
        dim: the input width d.
        depth: the number of layers.
        seed: seed of the parameters and of the line.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have, a smooth activation, which has no regions, or a size
            beyond `PARAMETER_LIMIT` or `DEGREE_LIMIT`.
    """
    chosen = get_format(format)
    widths = layer_widths(chosen, dim=dim, depth=depth)
    _check_size(chosen, widths)
    numbers = _random_numbers(chosen.id, dim=dim, depth=depth, seed=seed)
    weights = [
        fill_parameters(chosen.expr, dim=width, entry=lambda name, index: to_flint(next(numbers)))
        for width in widths[:-1]
    ]
    line = [flint.fmpq_poly([to_flint(next(numbers)), to_flint(next(numbers))]) for _ in range(dim)]
    boundaries: list[_Root] = []
    patterns: list[tuple[GateState, ...]] = []
    waiting: list[tuple[_Root | None, _Root | None]] = [(None, None)]
    while waiting:  # from left to right; an interval in which a gate changes is cut there and looked at again
        low, high = waiting.pop()
        try:
            patterns.append(_pattern_between(chosen.expr, line, weights, low, high))
        except _GateChangesError as change:
            ends = [low, *sorted(change.roots), high]
            waiting += reversed(list(itertools.pairwise(ends)))
        else:
            boundaries += [] if high is None else [high]
    return LineRegions(
        format_id=chosen.id,
        dim=dim,
        depth=depth,
        breakpoints=tuple(float(root.ball(_START_BITS).mid()) for root in boundaries),
        patterns=tuple(patterns),
    )


def region_feature_space(format: str | Format, *, dim: int, depth: int = 1, seed: int = 0) -> FeatureSpace:
    """The feature space of a stack on the region that holds a random point, for random parameters.

    Every monomial is also in `feature_space`, the region where all gates are active, except for the constants of a saturated
    relu6. A polynomial format has one region.

    Args:
        format: an id or a `Format`.
        dim: the input width d.
        depth: the number of layers.
        seed: seed of the parameters and of the point.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have, or a smooth activation.
    """
    chosen = get_format(format)
    widths = layer_widths(chosen, dim=dim, depth=depth)
    _check_size(chosen, widths)
    numbers = _random_numbers(chosen.id, dim=dim, depth=depth, seed=seed)
    point = [next(numbers) for _ in range(dim)]
    values: Sequence[Scalar] = point
    states: list[list[GateState]] = []
    for width in widths[:-1]:
        states.append([])

        def recorded(node: Activation, u: Scalar, parameters: ParameterValues) -> Scalar:
            # Both pieces of prelu hold the same monomials, and support reads "inactive" as zero.
            states[-1].append("active" if node.kind == "prelu" else _state(u, _thresholds(node)))
            return relu_of_numbers(node, u, parameters)

        weights = fill_parameters(chosen.expr, dim=width, entry=lambda name, index: next(numbers))
        values = evaluate(chosen.expr, values, weights, x0=point, activation=recorded)
    return FeatureSpace(
        format_id=chosen.id,
        dim=dim,
        depth=depth,
        coordinates=stack_support(chosen.expr, Diagrams(dim), patterns=[iter(layer) for layer in states]),
        piece="one region",
        exact=is_exact(chosen.expr),
    )


def _check_size(format: Format, widths: Sequence[int]) -> None:
    count = parameter_count(format.expr, widths)
    degree = degree_bound(format.expr, depth=len(widths) - 1)
    if count > PARAMETER_LIMIT or degree > DEGREE_LIMIT:
        raise ValueError(
            f"Regions are found for up to {PARAMETER_LIMIT} parameters and degree {DEGREE_LIMIT}, however: {format.id} at "
            f"d={widths[0]}, depth={len(widths) - 1} has {number_text(count)} and degree {number_text(degree)}; use a "
            "smaller size."
        )


class _GateChangesError(Exception):
    """Some gate changes state inside an interval."""

    def __init__(self, roots: list[_Root]) -> None:
        super().__init__(roots)
        self.roots = roots


def _pattern_between(
    expr: Expr, line: Sequence[Scalar], weights: Sequence[ParameterValues], low: _Root | None, high: _Root | None
) -> tuple[GateState, ...]:
    """The state of every gate on an open interval of the line; raises `_GateChangesError` where one changes."""
    pattern: list[GateState] = []

    def gate(node: Activation, u: Scalar, parameters: ParameterValues) -> Scalar:
        argument, thresholds = flint.fmpq_poly(u), _thresholds(node)
        inside = [
            root
            for threshold in thresholds
            for root in _sign_changes(argument - threshold)
            if (low is None or low < root) and (high is None or root < high)
        ]
        if inside:
            raise _GateChangesError(inside)
        values = (argument(t) for t in _samples(low, high))  # an even root may lie on the first ones
        state = _state(next(v for v in values if argument.degree() < 1 or v not in thresholds), thresholds)
        pattern.append(state)
        if state == "active":
            return argument
        if node.kind == "prelu":
            return argument * parameters[str(node.slope)]
        return flint.fmpq_poly([thresholds[-1] if state == "saturated" else 0])

    values = line
    for layer in weights:
        values = evaluate(expr, values, layer, x0=line, activation=gate, constant=to_flint)
    return tuple(pattern)


def _thresholds(node: Activation) -> tuple[int, ...]:
    match node.kind:
        case "relu" | "prelu":
            return (0,)
        case "relu6":
            return (0, 6)
        case _:
            raise ValueError(
                f"Only piecewise polynomial activations ({', '.join(PIECEWISE)}) have regions, however: {node.kind}, which is a "
                f"polynomial on no region; use with_mid_activation or drop the activation."
            )


def _state(value: Any, thresholds: tuple[int, ...]) -> GateState:
    if value <= thresholds[0]:
        return "inactive"
    return "saturated" if len(thresholds) > 1 and value >= thresholds[1] else "active"


@functools.total_ordering
class _Root:
    """Real root number `index` (from the left) of an irreducible integer polynomial."""

    def __init__(self, polynomial: tuple[int, ...], index: int) -> None:
        self.polynomial, self.index = polynomial, index

    def ball(self, bits: int) -> Any:
        """An enclosure of the root, narrower with more bits."""
        return _real_roots(self.polynomial, bits)[self.index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Root) and (self.polynomial, self.index) == (other.polynomial, other.index)

    def __hash__(self) -> int:
        return hash((self.polynomial, self.index))

    def __lt__(self, other: _Root) -> bool:
        if self.polynomial == other.polynomial:
            return self.index < other.index
        bits = _START_BITS
        while self.ball(bits).overlaps(other.ball(bits)):  # roots of different irreducible polynomials differ
            bits *= 2
        return bool(self.ball(bits) < other.ball(bits))


@functools.lru_cache(maxsize=4096)
def _real_roots(polynomial: tuple[int, ...], bits: int) -> tuple[Any, ...]:
    before = flint.ctx.prec
    flint.ctx.prec = bits
    try:
        found: Any = flint.fmpz_poly(list(polynomial)).complex_roots()  # the stubs leave out the multiplicities
        roots = [root.real for root, _ in found if root.imag == 0]
    finally:
        flint.ctx.prec = before
    return tuple(sorted(roots, key=functools.cmp_to_key(_left_to_right)))


def _left_to_right(a: Any, b: Any) -> int:
    return -1 if a < b else 1


def _sign_changes(polynomial: Any) -> list[_Root]:
    """The real roots of odd multiplicity of a rational polynomial."""
    if polynomial.degree() < 1:
        return []
    _, factors = polynomial.numer().factor()
    return [
        _Root(coefficients, index)
        for factor, multiplicity in factors
        if multiplicity % 2
        for coefficients in [tuple(int(c) for c in factor.coeffs())]
        for index in range(len(_real_roots(coefficients, _START_BITS)))
    ]


def _samples(low: _Root | None, high: _Root | None) -> Iterator[Any]:
    """Different rational points of an open interval."""
    bits = _START_BITS
    while low is not None and high is not None and low.ball(bits).overlaps(high.ball(bits)):
        bits *= 2
    left = None if low is None else _exact(low.ball(bits).upper())
    right = None if high is None else _exact(high.ball(bits).lower())
    for k in itertools.count(1):
        if left is not None and right is not None:
            yield left + (right - left) * flint.fmpq(k, k + 1)
        elif left is not None:
            yield left + k
        else:
            yield (right if right is not None else flint.fmpq(0)) - k


def _exact(point: Any) -> Any:
    """The rational value of a ball of radius zero."""
    mantissa, exponent = point.mid().man_exp()
    return flint.fmpq(mantissa) * flint.fmpq(2) ** int(exponent)


def _random_numbers(format_id: str, *, dim: int, depth: int, seed: int) -> Iterator[Fraction]:
    digest = hashlib.sha256(f"{format_id}|{dim}|{depth}|{seed}".encode()).digest()
    generator = random.Random(int.from_bytes(digest, "big"))
    while True:
        yield Fraction(generator.randint(-_LARGEST, _LARGEST), _DENOMINATOR)
