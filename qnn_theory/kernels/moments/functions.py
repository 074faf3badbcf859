"""Functions of one Gaussian number and their Hermite coefficients, of which kernels of activations are made.

For jointly normal (a, b) of mean 0, variances v and w and covariance C (Mehler; Price's theorem for the derivatives)

    E[∂^p F(a) ∂^q G(b)] = Σ_n C^n/n! F_(n+p) G_(n+q),      F_n = E[∂^n F(a)] = v^(-n/2) E[F(√v ξ) He_n(ξ)].

The sum is a power series in the correlation, so it is right for complex ones too. Coefficients of powers of relu are exact; those
of other functions are integrals by Gauss-Legendre between the places where the function has a kink, with an error near 1e-13.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from qnn_theory.grammar.expr import ActivationKind

Array: TypeAlias = Any  # a NumPy array, or a number

TERMS = 512
"""Hermite coefficients of a function that is integrated numerically."""
RELU_TERMS = 4096
_RANGE = 12.5  # e^(-x²/4) is below 1e-16 there
_NODES = 16  # of one panel
_PANEL = 0.2


@dataclass(frozen=True, slots=True)
class Gate:
    """An activation of a polynomial in one Gaussian number.

    Attributes:
        kind: relu, or a smooth activation; relu6 and prelu are made of relu.
        coefficients: of the polynomial, the constant first.
        order: 0 for the activation, 1 for its derivative.
    """

    kind: ActivationKind
    coefficients: tuple[float, ...]
    order: int = 0

    def __call__(self, z: Array) -> Array:
        """Its value at a Gaussian number."""
        return (_ACTIVATIONS, _DERIVATIVES)[self.order][self.kind](
            np.polynomial.polynomial.polyval(z, self.coefficients)
        )

    def kinks(self) -> tuple[float, ...]:
        """Where it is not smooth."""
        if self.kind != "relu":
            return ()
        roots = np.roots(self.coefficients[::-1])
        return tuple(float(root.real) for root in roots if abs(root.imag) < 1e-9)


PLAIN_RELU = Gate("relu", (0.0, 1.0))
PLAIN_STEP = Gate("relu", (0.0, 1.0), 1)


@dataclass(frozen=True, slots=True)
class Factor:
    """``z^power · Π gate(z)^exponent``, a function of one Gaussian number."""

    power: int
    gates: tuple[tuple[Gate, int], ...]

    def __call__(self, z: Array) -> Array:
        """Its value at a Gaussian number."""
        value = z**self.power
        for gate, exponent in self.gates:
            value = value * gate(z) ** exponent
        return value


def pair_moment(
    left: Factor, p: int, right: Factor, q: int, covariance: Array, variances: tuple[float, float]
) -> Array:
    """``E[∂^p F(a) ∂^q G(b)]`` for each covariance."""
    v, w = variances
    if v <= 0 or w <= 0:
        return _derivative_at_zero(left, p) * _derivative_at_zero(right, q) + 0 * covariance
    f, g = _coefficients(left, v), _coefficients(right, w)
    largest = float(np.max(np.abs(covariance))) / math.sqrt(v * w) if np.size(covariance) else 0.0
    count = min(len(f) - p, len(g) - q, _needed(largest))
    n = np.arange(count)
    log_factorial = _log_factorials()
    weight = np.exp(0.5 * (log_factorial[n + p] + log_factorial[n + q]) - log_factorial[n])
    terms = f[n + p] * g[n + q] * weight * v ** (-p / 2) * w ** (-q / 2)
    return _series(covariance / math.sqrt(v * w), terms)


def _series(at: Array, terms: Any) -> Array:
    """A power series by Horner's rule in blocks."""
    at = np.atleast_1d(at)
    block = 32
    padded = np.concatenate([terms, np.zeros(-len(terms) % block)]).reshape(-1, block)
    powers = np.cumprod(np.concatenate([np.ones((1, len(at))), np.tile(at, (block, 1))]), axis=0)
    parts = padded @ powers[:block]
    result = parts[-1]
    for part in parts[-2::-1]:
        result = result * powers[block] + part
    return result


def mean(of: Factor, p: int, variance: float) -> float:
    """``E[∂^p F(a)]``."""
    if variance <= 0:
        return _derivative_at_zero(of, p)
    return float(_coefficients(of, variance)[p] * math.sqrt(math.factorial(p)) * variance ** (-p / 2))


def _needed(correlation: float) -> int:
    if correlation < 1e-9:
        return 8
    if correlation > 0.998:
        return RELU_TERMS
    return min(RELU_TERMS, 24 + int(-45 / math.log(correlation)))


def _derivative_at_zero(of: Factor, p: int) -> float:
    if p == 0:
        return float(of(np.float64(0.0)))
    raise ValueError(
        "The width correction differentiates activations by the variance of their argument, however: it is 0; "
        "take embeddings and parameters that do not start at 0, or width_correction=False."
    )


@lru_cache(maxsize=4096)
def _coefficients(of: Factor, variance: float) -> Any:
    """``E[F(√v ξ) He_n(ξ)] / √(n!)``, n = 0, 1, ..."""
    match of.gates:
        case ():
            size = of.power + 9
            nodes, weights = np.polynomial.hermite_e.hermegauss(of.power + 9)
            values = of(math.sqrt(variance) * nodes) * weights / math.sqrt(2 * math.pi)
            exact = _hermite(nodes, size) @ values
            exact[np.arange(size) > of.power] = 0  # a polynomial has no more
            return np.concatenate([exact, np.zeros(RELU_TERMS)])
        case gates if all(gate in (PLAIN_RELU, PLAIN_STEP) for gate, _ in gates):
            k = of.power + sum(exponent for gate, exponent in gates if gate == PLAIN_RELU)
            return _relu_coefficients(k) * variance ** (k / 2)
        case _:
            return _integrated(of, variance)


@lru_cache(maxsize=64)
def _relu_coefficients(k: int) -> Any:
    r"""Of ``relu(ξ)^k``, the step for k = 0: half moments up to n = k, then those of the delta function's derivatives."""
    log_factorial = _log_factorials()
    result = np.zeros(RELU_TERMS)
    for n in range(k + 1):
        for j, c in enumerate(_hermite_polynomial(n)):
            result[n] += c * _half_moment(j + k)
        result[n] /= math.sqrt(math.factorial(n))
    m = np.arange(0, RELU_TERMS - k - 1, 2)  # He_m(0) = (-1)^(m/2) (m-1)!!, 0 for odd m
    log_double = log_factorial[m] - log_factorial[m // 2] - (m // 2) * math.log(2)
    sign = np.where(m // 2 % 2, -1.0, 1.0)
    n_of = m + k + 1
    size = math.lgamma(k + 1) + log_double - 0.5 * log_factorial[n_of] - 0.5 * math.log(2 * math.pi)
    result[n_of] = sign * np.exp(size)
    return result


def _half_moment(k: int) -> float:
    """``E[ξ^k; ξ > 0]``."""
    return 2 ** (k / 2 - 1) * math.gamma((k + 1) / 2) / math.sqrt(math.pi)


def _hermite_polynomial(n: int) -> Any:
    return np.polynomial.hermite_e.herme2poly([0] * n + [1])


def _integrated(of: Factor, variance: float) -> Any:
    root = math.sqrt(variance)
    kinks = sorted({k / root for gate, _ in of.gates for k in gate.kinks() if abs(k) < _RANGE * root})
    nodes, weights, table = _rule(tuple(kinks))
    values = np.asarray(of(root * nodes)) * weights * np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi)
    return table @ values


@lru_cache(maxsize=8)
def _rule(kinks: tuple[float, ...]) -> tuple[Any, Any, Any]:
    """Gauss-Legendre panels that end at the kinks, with all Hermite polynomials there."""
    edges = np.unique(np.concatenate([np.arange(-_RANGE, _RANGE + _PANEL / 2, _PANEL), np.array(kinks)]))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    points = (middle[:, None] + half[:, None] * nodes).ravel()
    return points, (half[:, None] * weights).ravel(), _hermite(points, TERMS)


def _hermite(points: Any, count: int) -> Any:
    """Orthonormal Hermite polynomials, one a row."""
    table = np.empty((count, len(points)))
    table[0] = 1
    if count > 1:
        table[1] = points
    for n in range(2, count):
        table[n] = (points * table[n - 1] - math.sqrt(n - 1) * table[n - 2]) / math.sqrt(n)
    return table


@lru_cache(maxsize=1)
def _log_factorials() -> Any:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, RELU_TERMS + 64)))])


_ERF_STEP = 1e-3
_ERF_END = 6.5  # erf is 1 in float64 from 6


@lru_cache(maxsize=1)
def _erf_table() -> Any:
    points = np.arange(-_ERF_END, _ERF_END + 2 * _ERF_STEP, _ERF_STEP)
    return points, np.array([math.erf(point) for point in points])


def _erf(z: Array) -> Array:
    """The error function by cubic Hermite interpolation, within 1e-14; NumPy has none."""
    points, table = _erf_table()
    inside = np.clip(z, -_ERF_END, _ERF_END)
    k = ((inside - points[0]) / _ERF_STEP).astype(np.int64)
    u = (inside - points[k]) / _ERF_STEP
    slope = 2 / math.sqrt(math.pi) * _ERF_STEP
    left, right = slope * np.exp(-(points[k] ** 2)), slope * np.exp(-(points[k + 1] ** 2))
    rise = table[k + 1] - table[k]
    return table[k] + u * (left + u * (3 * rise - 2 * left - right + u * (left + right - 2 * rise)))


def normal_quantile(p: Array) -> Array:
    """The inverse of the normal distribution function (Wichura's AS 241, within 1e-15)."""
    q = p - 0.5
    central = np.abs(q) <= 0.425
    r = 0.180625 - q * q
    middle = q * _ratio(r, *_QUANTILE_MIDDLE)
    tail = np.sqrt(-np.log(np.clip(np.minimum(p, 1 - p), 1e-300, None)))
    outer = np.where(tail <= 5, _ratio(tail - 1.6, *_QUANTILE_TAIL), _ratio(tail - 5, *_QUANTILE_FAR))
    return np.where(central, middle, np.sign(q) * outer)


def _ratio(r: Array, above: tuple[float, ...], below: tuple[float, ...]) -> Array:
    return np.polynomial.polynomial.polyval(r, above) / np.polynomial.polynomial.polyval(r, below)


_QUANTILE_MIDDLE = (
    (
        3.3871328727963666080,
        133.14166789178437745,
        1971.5909503065514427,
        13731.693765509461125,
        45921.953931549871457,
        67265.770927008700853,
        33430.575583588128105,
        2509.0809287301226727,
    ),
    (
        1.0,
        42.313330701600911252,
        687.18700749205790830,
        5394.1960214247511077,
        21213.794301586595867,
        39307.895800092710610,
        28729.085735721942674,
        5226.4952788528545610,
    ),
)
_QUANTILE_TAIL = (
    (
        1.42343711074968357734,
        4.63033784615654529590,
        5.76949722146069140550,
        3.64784832476320460504,
        1.27045825245236838258,
        0.241780725177450611770,
        0.0227238449892691845833,
        7.74545014278341407640e-4,
    ),
    (
        1.0,
        2.05319162663775882187,
        1.67638483018380384940,
        0.689767334985100004550,
        0.148103976427480074590,
        0.0151986665636164571966,
        5.47593808499534494600e-4,
        1.05075007164441684324e-9,
    ),
)
_QUANTILE_FAR = (
    (
        6.65790464350110377720,
        5.46378491116411436990,
        1.78482653991729133580,
        0.296560571828504891230,
        0.0265321895265761230930,
        0.00124266094738807843860,
        2.71155556874348757815e-5,
        2.01033439929228813265e-7,
    ),
    (
        1.0,
        0.599832206555887937690,
        0.136929880922735805310,
        0.0148753612908506148525,
        7.86869131145613259100e-4,
        1.84631831751005468180e-5,
        1.42151175831644588870e-7,
        2.04426310338993978564e-15,
    ),
)


def _sigmoid(z: Array) -> Array:
    return 0.5 * (1 + np.tanh(z / 2))


def _softplus(z: Array) -> Array:
    return np.logaddexp(0, z)


_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: np.maximum(z, 0),
    "gelu": lambda z: z * 0.5 * (1 + _erf(z / math.sqrt(2))),
    "silu": lambda z: z * _sigmoid(z),
    "mish": lambda z: z * np.tanh(_softplus(z)),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
}


_DERIVATIVES: dict[str, Callable[[Array], Array]] = {
    "relu": lambda z: np.where(z > 0, 1.0, 0.0),
    "gelu": lambda z: 0.5 * (1 + _erf(z / math.sqrt(2))) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
    "silu": lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z)),
    "mish": lambda z: np.tanh(_softplus(z)) + z * _sigmoid(z) / np.cosh(np.minimum(_softplus(z), 300)) ** 2,
    "sigmoid": lambda z: _sigmoid(z) * _sigmoid(-z),
    "tanh": lambda z: 1 / np.cosh(z) ** 2,
}


def activation_value(kind: ActivationKind, z: Array) -> Array:
    """An activation of numbers; relu6 and prelu at its start as torch has them."""
    match kind:
        case "relu6":
            return np.clip(z, 0, 6)
        case "prelu":
            return np.where(z > 0, z, PRELU_SLOPE * z)
        case _:
            return _ACTIVATIONS[kind](z)


PRELU_SLOPE = 0.25
"""Where torch starts the slope of a prelu, and so do the modules."""
