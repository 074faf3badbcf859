"""What a registered format must satisfy, as plain functions: used on the registry, and on mutants that must fail."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import parameters
from qnn_theory.relations.relation import decide
from tests.qnn_theory.paper_formulas import FORMULAS, shapes

DIM = 4


def is_the_papers_formula(format: Format) -> bool:
    """The expression and the formula written with numpy agree at random integers, exactly."""
    if {p.name: p.shape(DIM) for p in parameters(format.expr)} != shapes(format.id, DIM):
        return False
    generator = np.random.default_rng(7)
    for _ in range(8):
        values = {
            name: generator.integers(-3, 4, size=shape).astype(object) for name, shape in shapes(format.id, DIM).items()
        }
        x = generator.integers(-3, 4, size=DIM).astype(object)
        exact = evaluate(format.expr, [Fraction(v) for v in x], values, activation=relu_of_numbers)
        if list(FORMULAS[format.id](x * Fraction(1), values)) != exact:
            return False
    return True


def has_the_papers_number_of_parameters(format: Format) -> bool:
    """The parameters of a layer, counted by hand."""
    count = 0

    def add(name: str, index: tuple[int, ...]) -> None:
        nonlocal count
        count += 1

    fill_parameters(format.expr, dim=DIM, entry=add)
    return count == sum(int(np.prod(shape)) for shape in shapes(format.id, DIM).values())


def has_the_monomials_of_its_formula(format: Format) -> bool:
    """The number of monomials of the first and last output, from interpolating the numpy formula on all-active parameters."""
    space = feature_space(format, dim=2)
    values = {name: _positive(name, shape) for name, shape in shapes(format.id, 2).items()}
    grid = [(Fraction(i), Fraction(j)) for i in range(1, 7) for j in range(1, 7)]
    outputs = [FORMULAS[format.id](np.array(point, dtype=object), values) for point in grid]
    for output in (0, len(outputs[0]) - 1):
        if _interpolated(grid, [row[output] for row in outputs]) != set(space.per_coordinate[output]):
            return False
    return True


def relates_as_by_hand(expected: dict[str, set[str]], registry: dict[str, Format]) -> Callable[[Format], bool]:
    """Whether a format is contained in exactly the formats of a table made by hand."""

    def check(format: Format) -> bool:
        return all(
            (type(decide(format, other, minimal=False)).__name__ == "Containment") == (id in expected[format.id])
            for id, other in registry.items()
            if id != format.id
        )

    return check


def _positive(name: str, shape: tuple[int, ...]) -> Any:
    generator = np.random.default_rng(len(name) + sum(map(ord, name)))
    return generator.integers(1, 50, size=shape).astype(object)


def _interpolated(grid: list[tuple[Fraction, Fraction]], values: list[Any]) -> set[tuple[int, int]]:
    """The monomials of a polynomial in two variables, from its values on a 6 × 6 grid (degrees up to 5 in each)."""
    side = 6
    table = np.array(values, dtype=object).reshape(side, side)
    nodes = [point[1] for point in grid[:side]]
    inverse = _inverse([[node**k for k in range(side)] for node in nodes])
    coefficients = inverse @ table @ inverse.T
    return {(i, j) for i in range(side) for j in range(side) if coefficients[i, j] != 0}


def _inverse(matrix: list[list[Fraction]]) -> Any:
    size = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(size))] for i, row in enumerate(matrix)]
    for column in range(size):
        pivot = next(r for r in range(column, size) if rows[r][column])
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for r in range(size):
            if r != column:
                rows[r] = [v - rows[r][column] * w for v, w in zip(rows[r], rows[column], strict=True)]
    return np.array([row[size:] for row in rows], dtype=object)
