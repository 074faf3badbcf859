"""Hidden units in pairs: what they can express is found, and what they cannot is not."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest

import qnn_theory as qt
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.normal_form import rolled_values, unrolled_values
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.relations.certificates import Containment
from qnn_theory.relations.containment.proof import prove_map
from qnn_theory.relations.paired_units import contained_by_paired_units
from qnn_theory.relations.relation import decide

FFN = 'affine("P", affine("A", width=2) * {}(affine("B", width=2)))'
MLP = 'affine("V", relu(affine("U", width={})))'


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("T5", FFN.format("silu")),  # silu(b) - silu(-b) = b
        ("T3", FFN.format("silu")),
        ("T9", FFN.format("gelu")),
        ("Linear", FFN.format("sigmoid")),  # a (s(b) + s(-b)) = a
        ('affine("P", affine("U") ** 2)', FFN.format("silu")),
        ("Linear", MLP.format(2)),
        ('relu6(affine("W"))', MLP.format(2)),
        ('relu(affine("W")) + relu(-affine("W"))', MLP.format(2)),
        ("Linear", MLP.format(2) + " + x"),
        ("T26", f"x * {MLP.format(2)}"),  # halves, and the bias is the residual's 1
        ('x * affine("V", affine("U", width=1/4)) + x', "T25"),
        ('relu(affine("W"))', MLP.format(3)),
    ],
)
def test_what_pairs_express_is_found(source: str, target: str) -> None:
    a, b = qt.get_format(source), qt.get_format(target)
    found = contained_by_paired_units(a, b, tries=48)
    assert found is not None
    prove_map(a, b, found)
    generator = random.Random(source)
    for dim in (4, 8):
        values = fill_parameters(a.expr, dim=dim, entry=lambda name, index: Fraction(generator.randint(-4, 4), 4))
        mapped = rolled_values(b.expr, found.apply(unrolled_values(a.expr, values), dim=dim))
        point = [Fraction(generator.randint(-8, 8), 4) for _ in range(dim)]
        ours, theirs = (
            [float(y) for y in evaluate(f.expr, point, own, activation=lambda node, u, _: _in_floats(node.kind, u))]
            for f, own in ((a, values), (b, mapped))
        )
        assert ours == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("Linear", MLP.format(1)),  # rank d/2: two units a direction
        ("T4", FFN.format("sigmoid")),  # grows linearly
        ("T5", 'affine("P", affine("A") * silu(affine("B")))'),  # d/2 products
        ("T26", f"x * {MLP.format(1)}"),
        ('x * affine("V", affine("U", width=1/2)) + x', "T25"),
    ],
)
def test_what_pairs_do_not_express_is_not_found(source: str, target: str) -> None:
    assert contained_by_paired_units(qt.get_format(source), qt.get_format(target), tries=16) is None


def test_relations_use_it() -> None:
    found = decide(qt.get_format("T9"), qt.get_format(FFN.format("silu")))
    assert isinstance(found, Containment)
    assert "P' = [I | -I]" in found.map.lines


def _in_floats(kind: str, u: Fraction | float) -> float:
    value = float(u)
    match kind:
        case "relu":
            return max(value, 0.0)
        case "relu6":
            return min(max(value, 0.0), 6.0)
        case "gelu":
            return value * (1 + math.erf(value / math.sqrt(2))) / 2
        case _:
            step = 1 / (1 + math.exp(-value))
            return value * step if kind == "silu" else step
