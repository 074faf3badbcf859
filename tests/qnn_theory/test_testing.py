"""The strategies that users build property tests with."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Activation, Affine, RowSum, uses_activation, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.widths import check_dim, divisor, parameters, width
from qnn_theory.testing import (
    expressions,
    formats,
    integer_parameters,
    layers,
    parameter_count,
    points,
    random_formats,
    widths,
)


@given(formats(polynomial=True), formats(polynomial=False))
def test_formats_are_filtered(polynomial: Format, gated: Format) -> None:
    assert not uses_activation(polynomial.expr)
    assert uses_activation(gated.expr)


@given(st.data(), formats())
def test_widths_are_accepted(data: st.DataObject, format: Format) -> None:
    dim = data.draw(widths(format, largest=6))
    assert 1 <= dim <= 6
    check_dim(format.expr, dim)


def test_a_width_that_cannot_be_is_an_error() -> None:
    with pytest.raises(ValueError, match="must reach the 2 that T13 needs, however: largest=1"):
        widths("T13", largest=1)


@given(layers(formats(), largest=4), st.data())
def test_layers_can_be_evaluated(layer: tuple, data: st.DataObject) -> None:
    format, dim, values = layer
    assert set(values) == {parameter.name for parameter in parameters(format.expr)}
    x = [Fraction(v) for v in data.draw(points(dim))]
    assert len(evaluate(format.expr, x, values, activation=relu_of_numbers)) == int(width(format.expr) * dim)


@given(st.data())
def test_parameters_are_small_integers_in_their_shapes(data: st.DataObject) -> None:
    values = data.draw(integer_parameters("T25", dim=4, bound=2))
    assert (len(values["W_b"]), len(values["W_b"][0]), len(values["b_b"])) == (2, 4, 2)
    assert all(abs(entry) <= 2 for row in values["W_a"] for entry in row)
    assert parameter_count("T25", dim=4) == 4 * 2 + 4 + 2 * 4 + 2


@settings(max_examples=60)
@given(expressions())
def test_random_expressions_are_layers(expr: object) -> None:
    format = Format("random", expr)
    assert width(format.expr) == 1
    assert 2 % divisor(format.expr) == 0 or divisor(format.expr) == 4
    assert format.latex


@pytest.mark.parametrize(
    "node",
    [
        "Affine",
        "Bilinear",
        "Scale",
        "Sum",
        "Product",
        "Power",
        "Multiple",
        "Constant",
        "Activation",
        "Concat",
        "RowSum",
        "Slice",
    ],
)
def test_random_expressions_reach_the_whole_grammar(node: str) -> None:
    def reached(expr: object) -> bool:
        return any(type(n).__name__ == node for n in walk(expr))

    assert reached(
        find(expressions(), reached, settings=settings(max_examples=2000, phases=[Phase.generate], derandomize=True))
    )


def repeats(expr: object) -> bool:
    names = [node.name for node in walk(expr) if isinstance(node, Affine)]
    return len(names) > len(set(names))


def test_maps_are_shared() -> None:
    assert repeats(
        find(expressions(), repeats, settings=settings(max_examples=4000, phases=[Phase.generate], derandomize=True))
    )


@given(expressions(share=False))
def test_unless_told_otherwise_and_rows_are_not_nested(expr: object) -> None:
    assert not repeats(expr)
    for node in walk(expr):
        assert not isinstance(node, RowSum) or not any(isinstance(n, RowSum) for n in walk(node.of))


@given(random_formats(activations=()))
def test_polynomials_on_request(format: Format) -> None:
    assert not any(isinstance(node, Activation) for node in walk(format.expr))
    assert qt.get_format(format) is format
