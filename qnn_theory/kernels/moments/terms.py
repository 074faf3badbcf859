"""Monomials of a layer, taken apart into what is independent."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from qnn_theory.kernels.moments.functions import Gate
from qnn_theory.kernels.moments.laws import Value
from qnn_theory.kernels.moments.network import Network
from qnn_theory.kernels.moments.polynomials import Monomial


def split(of: Network, monomial: Monomial) -> tuple[Monomial, list[tuple[Any, tuple[Any, ...]]]]:
    """A monomial as a moment of the inputs and terms of a number with groups of jointly Gaussian factors."""
    base: list[tuple[int, int]] = []
    factor: Value = 1
    groups: dict[tuple[int, int], dict[tuple[int, int], tuple[int, dict[Gate, int]]]] = {}
    biases: dict[tuple[int, int], int] = {}
    sums: dict[int, list[int]] = {}
    for name, exponent in monomial:
        variable = of.variables[name]
        row = name & 1 if of.rows == 2 else 0
        match variable.role:
            case "input" | "first" | "tangent":
                base.append((name, exponent))
            case "scale" | "slope":
                factor = factor * of.number(variable.value**exponent)
            case "bias":
                key = (variable.map, variable.piece)
                biases[key] = biases.get(key, 0) + exponent
            case "rows":
                sums.setdefault(name & ~1, [0, 0])[row] += exponent
            case "gaussian" | "gate":
                gaussian = variable if variable.role == "gaussian" else of.variables[variable.of]
                group = groups.setdefault((gaussian.map, gaussian.piece), {})
                power, gates = group.get((gaussian.argument, row), (0, {}))
                if variable.gate is None:
                    power += exponent
                else:
                    gates = {**gates, variable.gate: gates.get(variable.gate, 0) + exponent}
                group[gaussian.argument, row] = (power, gates)
    for (label, _), exponent in biases.items():
        factor = factor * of.bias_moment(label, exponent)
    frozen = tuple(
        (label, tuple((name, power, tuple(gates.items())) for name, (power, gates) in sorted(group.items())))
        for (label, _), group in groups.items()
    )
    terms = [(factor, frozen)] if not (isinstance(factor, int) and factor == 0) else []
    for name, (first, second) in sums.items():
        variable = of.variables[name]
        rows, power, gates = variable.value
        alternatives = []
        for blocks, count in _blocks(first, second).items():
            content = tuple(
                (
                    variable.map,
                    tuple(
                        ((variable.argument, row), power * times, tuple((gate, e * times) for gate, e in gates))
                        for row, times in enumerate(block)
                        if times
                    ),
                )
                for block in blocks
            )
            alternatives.append((count * math.perm(rows, len(blocks)), content))
        terms = [(f * g, a + b) for f, a in terms for g, b in alternatives if g]
    return tuple(base), terms


@lru_cache(maxsize=1024)
def _blocks(first: int, second: int) -> dict[tuple[tuple[int, int], ...], int]:
    """The ways to share factors among rows: blocks of numbers of factors in row u and in row v, with their number of ways."""
    if not first + second:
        return {(): 1}
    lead = (1, 0) if first else (0, 1)  # the block of one of the factors
    total: dict[tuple[tuple[int, int], ...], int] = {}
    left = (first - lead[0], second - lead[1])
    for i in range(left[0] + 1):
        for j in range(left[1] + 1):
            ways = math.comb(left[0], i) * math.comb(left[1], j)
            for rest, count in _blocks(left[0] - i, left[1] - j).items():
                key = tuple(sorted((*rest, (lead[0] + i, lead[1] + j))))
                total[key] = total.get(key, 0) + ways * count
    return total
