"""Random pairs: maps hold on the torch modules, witnesses are functions of the source, special cases are never separated."""

from __future__ import annotations

import re
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_models.testing import assert_contained
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Activation, Affine, Expr, affine, relu, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.rewrite import replace
from qnn_theory.relations.certificates import Containment
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.relation import decide
from qnn_theory.testing import expressions
from tests.qnn_theory.relations.practitioners import FORMATS
from tests.qnn_theory.relations.test_any_pair import special_cases

EXACT = ("relu", "relu6", "prelu")
SMOOTH = ("sigmoid", "silu", "gelu", "tanh")
LIGHT = [formula for name, formula in FORMATS.items() if "ffn" not in name]


def random_format(data: st.DataObject, name: str) -> Format:
    kinds = data.draw(st.sampled_from([("relu",), EXACT, SMOOTH, ()]))
    return Format(name, data.draw(expressions(depth=2, activations=kinds)))


@settings(max_examples=25)
@given(st.data())
def test_maps_hold_on_the_torch_modules(data: st.DataObject) -> None:
    """Half of the pairs are a format and a special case of it, so that there is a map to be found."""
    target = random_format(data, "target")
    special = data.draw(st.booleans())
    source = Format("source", data.draw(special_cases(target.expr))) if special else random_format(data, "source")
    found = decide(source, target, budget=10.0)
    if isinstance(found, Containment):
        assert_contained(source, target, map=found.map, draws=2)


@settings(max_examples=25)
@given(st.data())
def test_witnesses_are_functions_of_the_source(data: st.DataObject) -> None:
    kinds = data.draw(st.sampled_from([("relu",), EXACT, ()]))
    source, target = (Format(name, data.draw(expressions(depth=2, activations=kinds))) for name in ("source", "target"))
    found = decide(source, target, budget=10.0)
    if not isinstance(found, Separation) or found.witness is None:
        return
    shown = found.witness
    point = [Fraction(data.draw(st.integers(-40, 40)), 8) for _ in range(shown.dim)]
    values = evaluate(source.expr, point, shown.values(source.expr), activation=relu_of_numbers)
    for output, text in shown.outputs:
        assert values[output] == _value(text, point), (text, point)


def _value(text: str, point: list[Fraction]) -> Fraction:
    """The number that the text of a witness's output stands for, by Python's own arithmetic."""
    names = {f"x_{k + 1}": value for k, value in enumerate(point)} | {
        "Fraction": Fraction,
        "relu": lambda u: max(u, Fraction(0)),
        "relu6": lambda u: min(max(u, Fraction(0)), Fraction(6)),
        "prelu": lambda u, slope: u if u > 0 else slope * u,
    }
    python = re.sub(r"(?<![\w.])(\d+)", r"Fraction(\1)", text.replace(", slope ", ", ").replace("^", "**"))
    python = re.sub(r"\*\*Fraction\((\d+)\)", r"**\1", python)
    return Fraction(eval(python, {"__builtins__": {}}, names))


@settings(max_examples=15)
@given(st.data())
def test_special_cases_of_practitioners_formats_are_never_separated(data: st.DataObject) -> None:
    formula = data.draw(st.sampled_from(LIGHT))
    target = qt.get_format(formula)
    source = Format("special case", data.draw(tied_cases(target.expr)))
    found = decide(source, target, budget=10.0)
    assert not isinstance(found, Separation), (formula, source.expr, found.lines)


@st.composite
def tied_cases(draw: st.DrawFn, expr: Expr) -> Expr:
    """The expression with maps of x made equal, opposite, numbers or x, with other slopes, or with narrower hidden layers."""
    maps = list(dict.fromkeys(n for n in walk(expr) if isinstance(n, Affine) and n.bias))
    slopes = [n.slope for n in walk(expr) if isinstance(n, Activation) and n.slope is not None]
    if slopes and draw(st.booleans()):
        slope = draw(st.integers(-1, 2))

        def bent(node: Expr) -> Expr:
            return relu(node.of) - slope * relu(-node.of) if isinstance(node, Activation) and node.slope else node

        expr = replace(expr, bent)
    if len(maps) < 2 or draw(st.booleans()):
        return draw(special_cases(expr))
    one, other = draw(st.permutations(maps))[:2]
    if one.width != other.width or one.of != other.of:
        return draw(special_cases(expr))
    sign, number = draw(st.sampled_from([1, -1, 2])), draw(st.integers(-1, 1))
    same = affine(other.name, other.of, width=other.width)
    return replace(expr, lambda node: sign * same + number if node == one else node)


def test_the_texts_of_witnesses_are_read_as_they_stand() -> None:
    """The property test above could not fail if any text were read as any number."""
    point = [Fraction(1, 2), Fraction(-3)]
    assert _value("1/2*x_1*relu(-x_2) - x_1^2", point) == Fraction(1, 2)
    assert _value("prelu(x_2, slope 3) + relu6(4*x_1^2 + 9)", point) == -3
