"""Kernels by simulation, for formats that have no rule: the overlaps are drawn instead of the weights.

Given a vector for both rows, the outputs of an affine map at its start are Gaussian with the vectors' overlaps as covariance. So
a draw of a network of width d is a draw of d coordinates a layer, without any matrix: exact in law at that width, for any
activation anywhere. (A bilinear map's outputs are Gaussian up to a relative 1/d² in the fourth moment.) All numbers of agreeing
fields see the same random numbers, so their errors go together.

The limit of large d is one network of quasi-random coordinates. A finite width is a mean over draws, less the best linear
combination of what the same coordinates would have under the limit's covariances, whose mean is known: to first order that is all
the noise there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, assert_never

import numpy as np

from qnn_theory.grammar.expr import (
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
)
from qnn_theory.grammar.widths import head_major_order
from qnn_theory.kernels.moments.functions import activation_value, normal_quantile
from qnn_theory.kernels.moments.layer_rules import NoRuleError
from qnn_theory.kernels.setting import Setting

NUMBERS = 1 << 15
"""Coordinates that are drawn, over all draws of the network, and in the limit."""
DRAWS = 128
NODES = 12
"""Numbers of agreeing fields that are simulated; a polynomial joins them."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Kernels by simulation.

    Attributes:
        leading: the limit of large d; shape (layer, s).
        values: at the width of the setting.
        errors: standard errors of `values`, those of the limit included.
        shift: what the last two differ by, relative to the limit, for s = f after the last layer.
        spread: the variance over draws of one row's mean square after the last layer, relative to its square.
        log_spreads: the variance over draws of the logarithm of one row's gain, after each layer.
    """

    leading: Any
    values: Any
    errors: Any
    shift: float
    spread: float
    log_spreads: Any


def simulate(setting: Setting, *, width_correction: bool = True, same_only: bool = False, seed: int = 0) -> Simulated:
    """The kernels of a stack after each layer for s = 0 .. f agreeing fields, or for s = f only."""
    nodes = np.array([setting.fields]) if same_only else _nodes(setting.fields)
    leading = np.empty((setting.depth, len(nodes)))
    values, errors = np.empty_like(leading), np.empty_like(leading)
    spread, log_spreads = 0.0, np.zeros(setting.depth)
    for column, s in enumerate(nodes):
        halves = [_Rows(setting, 1, int(s), _Lattice(shift)) for shift in (seed, seed + 1)]
        found = np.array([rows.moments()[:, 0] for rows in halves])  # (half, layer, product)
        limit, uncertain = found.mean(axis=0), np.abs(found[0] - found[1])[:, 1] / 2
        leading[:, column], values[:, column], errors[:, column] = limit[:, 1], limit[:, 1], uncertain
        if not width_correction:
            continue
        given = [(a + b) / 2 for a, b in zip(halves[0].covariances, halves[1].covariances, strict=True)]
        dim = setting.fields * setting.embedding_dim
        draws = max(DRAWS, math.ceil(NUMBERS / dim))
        rows = _Rows(setting, draws, int(s), np.random.default_rng(seed))
        free = rows.moments()
        fixed = _Rows(setting, draws, int(s), np.random.default_rng(seed), given=given).moments()
        controls = np.concatenate(fixed - limit[:, None], axis=1)
        middle = controls.mean(axis=0)
        for layer in range(setting.depth):
            drawn = free[layer, :, 1]
            fit = np.linalg.lstsq(controls - middle, drawn - drawn.mean(), rcond=1e-9)[0]
            rest = drawn - drawn.mean() - (controls - middle) @ fit
            values[layer, column] = drawn.mean() - middle @ fit
            errors[layer, column] = math.hypot(errors[layer, column], rest.std() / math.sqrt(draws))
        if s == setting.fields and drawn.mean():
            spread = float(drawn.var() / drawn.mean() ** 2)
            before = (rows.first[:, 0] ** 2).mean(axis=-1)
            with np.errstate(divide="ignore", invalid="ignore"):
                log_spreads = np.log(free[:, :, 0] / before).var(axis=1)
    join = np.ones((1, 1)) if same_only else _interpolation(nodes, setting.fields)
    last = leading[-1, -1]
    return Simulated(
        leading=leading @ join.T,
        values=values @ join.T,
        errors=errors @ np.abs(join).T,
        shift=float((values[-1, -1] - last) / last) if last else 0.0,
        spread=spread,
        log_spreads=log_spreads,
    )


def _nodes(fields: int) -> Any:
    """Some numbers of agreeing fields, denser at the ends."""
    count = min(NODES, fields + 1)
    angles = np.pi * np.arange(count) / max(count - 1, 1)
    found = np.unique(np.rint(fields * (1 - np.cos(angles)) / 2).astype(int))
    return found if len(found) > 1 else np.arange(fields + 1)


def _interpolation(nodes: Any, fields: int) -> Any:
    """The matrix that takes values at the nodes to values at 0 .. fields (Lagrange)."""
    s = np.arange(fields + 1)
    matrix = np.ones((fields + 1, len(nodes)))
    for j, node in enumerate(nodes):
        for other in np.delete(nodes, j):
            matrix[:, j] *= (s - other) / (node - other)
    return matrix


class _Lattice:
    """Quasi-random numbers in the place of a generator: each array is another dimension of a Kronecker sequence.

    Coordinates take the sequence's points in a random order, the same in every array: what belongs to one coordinate is
    a point of the sequence, and coordinates that a format brings together have nothing to do with each other.
    """

    def __init__(self, seed: int) -> None:
        self._shifts = np.random.default_rng(seed)
        self._dimension = 0
        self._order: Any = None

    def random(self, shape: tuple[int, ...]) -> Any:
        """Uniform numbers; the last axis runs along the sequence."""
        result = np.empty(shape)
        if self._order is None:
            self._order = self._shifts.permutation(shape[-1])
        for index in np.ndindex(*shape[:-1]):
            for start in range(0, shape[-1], len(self._order)):
                self._dimension += 1
                step = math.sqrt(_prime(self._dimension)) % 1
                part = self._order[: shape[-1] - start]
                result[index][start : start + len(part)] = (part * step + self._shifts.random()) % 1
        return result

    def standard_normal(self, shape: tuple[int, ...]) -> Any:
        """Normal numbers."""
        return normal_quantile(self.random(shape))

    def uniform(self, low: float, high: float, shape: tuple[int, ...]) -> Any:
        """Uniform numbers between two bounds."""
        return low + (high - low) * self.random(shape)


@dataclass(slots=True)
class _Rows:
    """Two rows on their way through a stack, for many draws of it; arrays of shape (draw, row, coordinate).

    With a lattice this is the limit: one draw that is as wide as the lattice is long, scaled to the setting's width.
    """

    setting: Setting
    draws: int
    agreeing: int
    random: np.random.Generator | _Lattice
    given: list[Any] | None = None
    covariances: list[Any] = field(default_factory=list)
    first: Any = None
    maps: dict[tuple[str, int], tuple[Any, Any]] = field(default_factory=dict)

    def moments(self) -> Any:
        """The means of ``h(u) h(u)``, ``h(u) h(v)`` and ``h(v) h(v)`` after each layer; shape (layer, draw, 3)."""
        value = self.first = self._embedded()
        result = []
        for _ in range(self.setting.depth):
            self.maps = {}
            value = self.visit(self.setting.format.expr, value, 0)
            found = np.einsum("nri,nsi->nrs", value, value) / value.shape[-1]
            result.append(np.stack([found[:, 0, 0], found[:, 0, 1], found[:, 1, 1]], axis=1))
        return np.array(result)

    def _embedded(self) -> Any:
        setting = self.setting
        fields, dim = setting.fields, setting.fields * setting.embedding_dim
        if isinstance(self.random, _Lattice):
            repeats = max(1, NUMBERS // dim)
            order = np.argsort(np.random.default_rng(0).random((repeats, fields)), axis=1)
            agrees = np.repeat(order < self.agreeing, setting.embedding_dim, axis=1).reshape(1, -1)
        else:
            order = np.argsort(self.random.random((self.draws, fields)), axis=1)
            agrees = np.repeat(order < self.agreeing, setting.embedding_dim, axis=1)
        drawn = self.random.standard_normal((self.draws, 2, agrees.shape[-1])) * setting.embedding_std
        drawn[:, 1] = np.where(agrees, drawn[:, 0], drawn[:, 1])
        return drawn

    def visit(self, node: Expr, x: Any, row: int) -> Any:
        """The value of an expression."""
        match node:
            case Input():
                return x
            case FirstInput():
                return self.first
            case Constant(value=number, width=width):
                return np.full((*x.shape[:2], int(width * x.shape[-1])), float(number))
            case Affine(name=name, of=of, width=width):
                value = self.visit(of, x, row)
                out = int(width * x.shape[-1])
                overlaps = self.overlaps(value, value) * (2 / (out + value.shape[-1]))
                return self.mapped(name, row, (value,), overlaps, out)
            case Bilinear(name=name, left=left, right=right, width=width, bias=bias):
                sides = self.visit(left, x, row), self.visit(right, x, row)
                size = sides[0].shape[-1]
                scale = self.dim_of(x) / x.shape[-1]  # of the width that is meant to the one that is simulated
                overlaps = self.overlaps(sides[0], sides[0]) * self.overlaps(sides[1], sides[1]) / (3 * size) * scale
                if (name, row) in self.maps:
                    return self.mapped(name, row, sides, overlaps, 0)
                out = int(width * x.shape[-1])
                value = self.mapped(name, row, sides, overlaps, out)
                if bias:
                    value = value + self.random.uniform(-1, 1, (len(x), 1, out)) / math.sqrt(size * scale)
                    self.maps[name, row] = (sides, value)
                return value
            case Scale(of=of, initial=initial):
                return initial * self.visit(of, x, row)
            case Sum(terms=terms):
                return sum(self.visit(term, x, row) for term in terms)
            case Product(factors=factors):
                value = self.visit(factors[0], x, row)
                for factor in factors[1:]:
                    value = value * self.visit(factor, x, row)
                return value
            case Power(of=of, exponent=exponent):
                return self.visit(of, x, row) ** exponent
            case Multiple(factor=factor, of=of):
                return float(factor) * self.visit(of, x, row)
            case Activation(kind=kind, of=of):
                return activation_value(kind, self.visit(of, x, row))
            case Concat(parts=parts):
                return np.concatenate([self.visit(part, x, row) for part in parts], axis=-1)
            case RowSum(rows=rows, of=of):
                return sum(self.visit(of, x, m) for m in range(1, rows + 1))
            case Slice(index=index, blocks=blocks, of=of):
                value = self.visit(of, x, row)
                size = value.shape[-1] // blocks
                return value[..., index * size : (index + 1) * size]
            case HeadMajor(heads=heads, embedding_dim=embedding_dim, of=of):
                value = self.visit(of, x, row)
                order = head_major_order(value.shape[-1], heads=heads, embedding_dim=embedding_dim)
                return value[..., list(order)]
            case _:
                assert_never(node)

    def dim_of(self, x: Any) -> float:
        """The width that a vector of the simulated one stands for."""
        return float(x.shape[-1] * self.setting.fields * self.setting.embedding_dim / self.first.shape[-1])

    def overlaps(self, left: Any, right: Any) -> Any:
        """Σ_i left_i(u) right_i(v)."""
        return np.einsum("nri,nsi->nrs", left, right)

    def mapped(self, name: str, row: int, sides: tuple[Any, ...], covariance: Any, out: int) -> Any:
        """The outputs of a map: Gaussian, the same for the same map of the same vectors."""
        if (name, row) in self.maps:
            known, value = self.maps[name, row]
            if all(np.array_equal(a, b) for a, b in zip(known, sides, strict=True)):
                return value
            raise NoRuleError(
                f"The kernels have a rule for a map of one vector where other activations than of maps occur, however: {name} is "
                "applied to several vectors."
            )
        if self.given is None:
            self.covariances.append(covariance)
        else:
            covariance = np.broadcast_to(self.given[len(self.covariances)], covariance.shape)
            self.covariances.append(covariance)
        noise = self.random.standard_normal((len(covariance), 2, out))
        v, c, w = covariance[:, 0, 0], covariance[:, 0, 1], covariance[:, 1, 1]
        root = np.sqrt(v)
        slope = np.divide(c, root, out=np.zeros_like(root), where=root > 0)
        rest = np.sqrt(np.maximum(w - slope**2, 0)) * (self.agreeing < self.setting.fields)
        other = slope[:, None] * noise[:, 0] + rest[:, None] * noise[:, 1]
        value = np.stack([root[:, None] * noise[:, 0], other], axis=1)
        self.maps[name, row] = (sides, value)
        return value


_PRIMES = [p for p in range(2, 2000) if all(p % q for q in range(2, math.isqrt(p) + 1))]


def _prime(number: int) -> int:
    if number > len(_PRIMES):
        raise NoRuleError(f"Simulated kernels have at most {len(_PRIMES)} random numbers a coordinate, however: more.")
    return _PRIMES[number - 1]
