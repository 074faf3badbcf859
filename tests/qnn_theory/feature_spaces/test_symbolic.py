"""The SymPy reading against `evaluate` on numbers, and against formulas written by hand."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
import sympy

from qnn_theory.algebra.closed_form import d
from qnn_theory.feature_spaces.symbolic import expanded, inputs, to_sympy
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import ACTIVATION_KINDS, activation, affine, x
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import formats


def symbol(name: str) -> sympy.Symbol:
    return sympy.Symbol(name)


def test_readable_names_and_hand_formulas() -> None:
    x1, x2 = inputs(2)
    w11, w12, b1 = map(symbol, ("W_a[1,1]", "W_a[1,2]", "b_a[1]"))
    assert to_sympy("T9", dim=2)[0] == x1 * (w11 * x1 + w12 * x2 + b1) + x1
    assert expanded("T9", dim=2)[0] == w11 * x1**2 + w12 * x1 * x2 + (b1 + 1) * x1
    assert to_sympy("T22", dim=1)[0] == x1 * (w11 * x1 + b1) + symbol("alpha[1]") * x1
    second_layer = to_sympy("Linear", dim=1, depth=2)[0]
    assert second_layer == symbol("W_a^(2)[1,1]") * (symbol("W_a^(1)[1,1]") * x1 + symbol("b_a^(1)[1]")) + symbol(
        "b_a^(2)[1]"
    )
    assert symbol("W[3,1,2]") in to_sympy("QNN-alpha", dim=2)[0].free_symbols
    assert d == symbol("d")


@pytest.mark.parametrize("format", formats(), ids=lambda format: format.id)
@pytest.mark.parametrize("depth", [1, 2])
def test_the_symbolic_reading_has_the_values_of_evaluate(format: Format, depth: int) -> None:
    dim = divisor(format.expr)
    generator = random.Random(7)
    point = [Fraction(generator.randint(-3, 3)) for _ in range(dim)]
    expressions = to_sympy(format, dim=dim, depth=depth)
    substitution: dict[sympy.Symbol, sympy.Expr] = dict(
        zip(inputs(dim), (sympy.Rational(v.numerator, v.denominator) for v in point), strict=True)
    )
    values, mark = point, ""
    for layer in range(depth):
        mark = f"^({layer + 1})" if depth > 1 else ""

        def entry(name: str, index: tuple[int, ...], mark: str = mark) -> Fraction:
            value = generator.randint(-3, 3)
            substitution[symbol(f"{name}{mark}[{','.join(str(i + 1) for i in index)}]")] = sympy.Integer(value)
            return Fraction(value)

        weights = fill_parameters(format.expr, dim=len(values), entry=entry)
        values = evaluate(format.expr, values, weights, x0=point, activation=relu_of_numbers)
    assert [expression.subs(substitution) for expression in expressions] == [
        sympy.Rational(v.numerator, v.denominator) for v in values
    ]


@pytest.mark.parametrize("kind", ACTIVATION_KINDS)
def test_activations_have_their_textbook_values(kind: str) -> None:
    (value,) = to_sympy(Format("one", activation(kind, x)), dim=1)
    slope = 0.25

    def textbook(u: float) -> float:
        return {
            "relu": max(u, 0.0),
            "relu6": min(max(u, 0.0), 6.0),
            "prelu": u if u > 0 else slope * u,
            "gelu": u * 0.5 * math.erfc(-u / math.sqrt(2)),
            "silu": u / (1 + math.exp(-u)),
            "mish": u * math.tanh(math.log1p(math.exp(u))),
            "sigmoid": 1 / (1 + math.exp(-u)),
            "tanh": math.tanh(u),
        }[kind]

    for u in (-2.5, -0.3, 0.7, 7.5):
        got = float(value.subs({inputs(1)[0]: sympy.Float(u), symbol("slope"): sympy.Float(slope)}))
        assert got == pytest.approx(textbook(u), rel=1e-12)


def test_expanding_does_not_change_the_value() -> None:
    for id in ("T5", "T19", "T25"):
        for before, after in zip(to_sympy(id, dim=2), expanded(id, dim=2), strict=True):
            numbers = {s: sympy.Rational(i + 1, 7) for i, s in enumerate(sorted(before.free_symbols, key=str))}
            assert sympy.simplify(before.subs(numbers) - after.subs(numbers)) == 0


def test_bare_expressions_are_read_too() -> None:
    assert to_sympy(affine("W_a", bias=False), dim=1) == [symbol("W_a[1,1]") * inputs(1)[0]]
