"""The formula of the first jump is the jump that is measured."""

from __future__ import annotations

from typing import Any

import mpmath
import pytest
import sympy

import qnn_theory as qt
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import Affine, Bilinear, Concat, Expr, RowSum, Scale, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.rewrite import replace
from qnn_theory.smoothness_classes.kinks import Kink
from qnn_theory.smoothness_classes.smoothness import smoothness
from tests.qnn_theory.high_precision import apply, to_mp


def value_of(expr: Expr, parameters: Any, point: list[Any], index: int) -> Any:
    return evaluate(expr, point, parameters, activation=apply, constant=to_mp)[index]


def unmark(expr: Expr) -> Expr:
    def rule(node: Expr) -> Expr:
        if isinstance(node, Affine | Bilinear | Scale):
            return type(node)(
                **{**{f: getattr(node, f) for f in node.__dataclass_fields__}, "name": node.name.removesuffix("[m]")}
            )
        return node

    return replace(expr, rule)


def numeric_jump(kink: Kink, parameters: Any, row: Any, point: list[Any], direction: list[Any], i: int, j: int) -> Any:
    """The formula at a point; `row` holds the parameters of the row that kinks."""
    step = mpmath.mpf(10) ** -30
    values = {}
    for symbol, meaning in kink.legend.items():
        at = [{"i": i, "j": j}[name] for name in meaning.index]
        if meaning.node is not None:
            inside = "[m]" in str(symbol) and not any(isinstance(node, RowSum) for node in walk(meaning.node))
            chosen, node = (row if inside else parameters), unmark(meaning.node)
        match meaning.kind:
            case "value":
                values[symbol] = value_of(node, chosen, point, at[0])
            case "derivative":
                ahead, behind = (
                    value_of(node, chosen, [p + sign * step * v for p, v in zip(point, direction, strict=True)], at[0])
                    for sign in (1, -1)
                )
                values[symbol] = (ahead - behind) / (2 * step)
            case "weight":
                values[symbol] = parameters[meaning.name][at[0]][at[1]]
            case "scale":
                values[symbol] = parameters[meaning.name][at[0]]
            case "slope":
                values[symbol] = parameters[meaning.name]
            case _:
                pytest.skip("the formula names a quantity that it does not write out")
    return sympy.lambdify(
        list(values),
        kink.jump,
        [{"Heaviside": lambda u, *_: mpmath.mpf(u > 0), "Max": max, "Min": min, "Abs": abs}, "mpmath"],
    )(*values.values())


@pytest.mark.parametrize("post", [None, "relu", "prelu", "relu6"])
@pytest.mark.parametrize(
    "format", [f for f in qt.formats() if not any(isinstance(n, Concat) for n in walk(f.expr))], ids=lambda f: f.id
)
def test_the_formula_of_the_first_jump_is_the_measured_jump(format: Format, post: Any) -> None:
    result = smoothness(format, post_activation=post)
    if result.witness is None:
        return
    witness = result.witness
    with mpmath.workdps(100):
        (parameters,) = to_mp(list(witness.parameters))
        point, direction = to_mp(witness.point), to_mp(witness.direction)
        matches = 0
        for kink in result.kinks:
            if kink.order != result.order or kink.threshold != witness.threshold:
                continue
            base = unmark(kink.base)
            rows = len(parameters["W"]) if kink.surface.startswith("(W[m]") else 1
            for m in range(rows):
                row = (
                    {name: value[m] for name, value in parameters.items() if isinstance(value, list)}
                    if rows > 1
                    else parameters
                )
                bases = evaluate(base, point, row, activation=apply, constant=to_mp)
                for j, at in enumerate(bases):
                    if abs(at - kink.threshold) > mpmath.mpf(10) ** -12:
                        continue
                    ahead = evaluate(
                        base,
                        [p + mpmath.mpf(10) ** -13 * v for p, v in zip(point, direction, strict=True)],
                        row,
                        activation=apply,
                        constant=to_mp,
                    )[j]
                    side = mpmath.sign(ahead - at)
                    for i, jump in enumerate(witness.jump):
                        if i != j and not kink.surface.endswith(("_j = 0", "_j = 6")):
                            continue
                        expected = numeric_jump(kink, parameters, row, point, direction, i, j)
                        expected *= side  # right minus left, where the formula is beyond minus before the surface
                        assert abs(expected - to_mp(jump)) <= mpmath.mpf(10) ** -9 * (1 + abs(expected))
                        matches += 1
        assert matches


def test_known_formulas() -> None:
    assert str(smoothness("T19").first_jump) == "(W_a v)_i*x_i"
    assert smoothness("T19").kinks[0].surface == "(W_a x)_i = 0"
    assert str(smoothness("T28").first_jump) == "(W_a v)_i**2*x_i"
    assert str(smoothness("T25").first_jump) == "(W_b v)_j*W_a[i,j]*x_i"
    assert "jumps by (W_a v)_i*x_i" in smoothness("T19").kinks[0].description
