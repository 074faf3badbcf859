"""Truncated Laurent series in t, t > 0 and small, with a rest that is O(t^n) uniformly on every compact set of inputs.

A format at parameters that are such series is one itself, as long as no activation has to be expanded that cannot be:

* ``relu(t^k z + ...)`` is ``t^k relu(z) + O(t^(k+1))``, because relu is homogeneous and 1-Lipschitz; so for prelu;
* a smooth activation of something small is its Taylor polynomial at 0, as far as its coefficients are rational numbers;
* ``silu``, ``gelu`` and ``mish`` stay at a bounded distance of relu, so of something large they are relu, up to O(1);
* all of them are Lipschitz: of ``z + O(t)`` they are the activation of z, up to O(t).

What coefficients are, and what an activation makes of one, is the caller's: residues at many points, or polynomials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from qnn_theory.algebra.modular import Residues
from qnn_theory.grammar.evaluate import ParameterValues
from qnn_theory.grammar.expr import Activation, ActivationKind

EXPONENTIALLY_SMALL = 8
"""The power of t that stands for what is smaller than every power."""

# f(u) = Σ c_k u^k + O(u^n): the coefficients up to the first one that is no rational number, and n.
_TAYLOR: dict[ActivationKind, tuple[dict[int, Fraction], int]] = {
    "sigmoid": ({0: Fraction(1, 2), 1: Fraction(1, 4), 3: Fraction(-1, 48), 5: Fraction(1, 480)}, 7),
    "tanh": ({1: Fraction(1), 3: Fraction(-1, 3), 5: Fraction(2, 15)}, 7),
    "silu": ({1: Fraction(1, 2), 2: Fraction(1, 4), 4: Fraction(-1, 48), 6: Fraction(1, 480)}, 8),
    "gelu": ({1: Fraction(1, 2)}, 2),
    "mish": ({1: Fraction(3, 5)}, 2),
}
_BOUNDED: dict[ActivationKind, tuple[int, int]] = {"sigmoid": (0, 1), "tanh": (-1, 1)}
"""Activations with limits, far below and far above."""


class NoSeriesError(Exception):
    """A function of t that is not known to have a Laurent series."""


class Series:
    """``Σ_k c_k t^k + O(t^order)``; without an order it is exact.

    Args:
        coefficients: power -> coefficient, a scalar; zeros are dropped, and so is what the rest swallows.
        order: the power of the rest.
    """

    __slots__ = ("coefficients", "order")

    def __init__(self, coefficients: Mapping[int, Any], order: int | None = None) -> None:
        kept = {k: c for k, c in coefficients.items() if (order is None or k < order) and not is_zero(c)}
        self.coefficients, self.order = kept, order

    @property
    def lowest(self) -> int | None:
        """The lowest power that may occur; None for 0."""
        powers = [*self.coefficients, *(() if self.order is None else (self.order,))]
        return min(powers, default=None)

    def __add__(self, other: Any) -> Series:
        other = as_series(other)
        total = dict(self.coefficients)
        for k, c in other.coefficients.items():
            total[k] = total[k] + c if k in total else c
        return Series(total, _smallest(self.order, other.order))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Series:
        other = as_series(other)
        if self.lowest is None or other.lowest is None:
            return Series({})
        total: dict[int, Any] = {}
        for k, c in self.coefficients.items():
            for m, e in other.coefficients.items():
                total[k + m] = total[k + m] + c * e if k + m in total else c * e
        rests = [
            None if order is None else order + least
            for order, least in ((self.order, other.lowest), (other.order, self.lowest))
        ]
        return Series(total, _smallest(*rests))

    __rmul__ = __mul__

    def shifted(self, power: int) -> Series:
        """The series times a power of t."""
        order = None if self.order is None else self.order + power
        return Series({k + power: c for k, c in self.coefficients.items()}, order)


def as_series(value: Any) -> Series:
    """A scalar as the series that does not depend on t."""
    return value if isinstance(value, Series) else Series({0: value})


def is_zero(value: Any) -> bool:
    """Whether a scalar is zero: everywhere, for residues at many points."""
    return not value.values.any() if isinstance(value, Residues) else bool(value == 0)


def activation_of_series(
    base: Callable[[Activation, Any, ParameterValues], Any],
    sign_of: Callable[[Any], int | None],
    constant: Callable[[Fraction], Any],
) -> Callable[[Activation, Any, ParameterValues], Any]:
    """The rule for `evaluate` that activates series.

    Args:
        base: what an activation makes of a coefficient.
        sign_of: the sign of a coefficient that is a number, None for one that depends on inputs or parameters.
        constant: turns a rational number into a coefficient.
    """

    def rule(node: Activation, value: Any, own: ParameterValues) -> Series:
        u = as_series(value)
        slope = as_series(own[str(node.slope)]) if node.slope is not None else None
        if slope is not None and (slope.order is not None or set(slope.coefficients) - {0}):
            raise NoSeriesError
        known = {} if slope is None else {str(node.slope): slope.coefficients.get(0, 0)}
        if u.order is None and set(u.coefficients) <= {0}:
            return Series({0: base(node, u.coefficients.get(0, constant(Fraction(0))), known)})
        low = u.lowest
        if low is None or low not in u.coefficients:
            if low is None or low < 0:
                raise NoSeriesError
            lead, sign = None, None
        else:
            lead = u.coefficients[low]
            sign = sign_of(lead)
        alone = u.order is None and len(u.coefficients) == 1
        if node.kind in ("relu", "prelu"):
            if sign is not None:
                return u if sign > 0 else Series({}) if slope is None else u * slope
            if lead is None:
                return Series({}, low)
            return Series({low: base(node, lead, known)}, None if alone else low + 1)
        if low > 0:
            return _taylor(node.kind, u, low, constant)
        if lead is None:
            raise NoSeriesError
        if low == 0:
            later = _smallest(u.order, *(k for k in u.coefficients if k > 0))
            return Series({0: base(node, lead, known)}, later)
        if node.kind in _BOUNDED:
            if sign is None:
                return Series({}, 0)
            return Series({0: constant(Fraction(_BOUNDED[node.kind][sign > 0]))}, EXPONENTIALLY_SMALL)
        if node.kind not in ("silu", "gelu", "mish"):
            raise NoSeriesError
        if sign is not None:
            return Series(u.coefficients if sign > 0 else {}, _smallest(u.order, EXPONENTIALLY_SMALL))
        return Series({low: base(Activation(kind="relu", of=node.of), lead, {})}, low + 1)

    return rule


def _taylor(kind: ActivationKind, u: Series, low: int, constant: Callable[[Fraction], Any]) -> Series:
    if kind not in _TAYLOR:
        raise NoSeriesError
    coefficients, rest = _TAYLOR[kind]
    total, power = Series({}, low * rest), Series({0: constant(Fraction(1))})
    for k in range(max(coefficients) + 1):
        if k in coefficients:
            total = total + power * constant(coefficients[k])
        power = power * u
    return total


def _smallest(*orders: int | None) -> int | None:
    return min((order for order in orders if order is not None), default=None)
