"""Smoothness classes against a table made by hand, one-sided finite differences, and random expressions."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import mpmath
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import (
    ACTIVATION_KINDS,
    Activation,
    Affine,
    Bilinear,
    Concat,
    Expr,
    Multiple,
    RowSum,
    Scale,
    activation,
    affine,
    mean,
    relu,
    scale,
    uses_activation,
    walk,
    x,
)
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.intervals import Interval, interval
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.stacking import fill_parameters, layer_widths
from qnn_theory.smoothness_classes.kinks import Kink
from qnn_theory.smoothness_classes.one_sided import Target, Witness, find_witness
from qnn_theory.smoothness_classes.smoothness import ANALYTIC, smoothness

KINKED = ("relu", "relu6", "prelu")
GATED = [format for format in qt.formats() if uses_activation(format.expr)]
POLYNOMIAL = [format for format in qt.formats() if not uses_activation(format.expr)]

# (format, post, mid, depth) -> class, each by an argument of one line.
BY_HAND = [
    ("T9", None, None, 3, ANALYTIC),  # a polynomial
    ("T4", "relu", None, 2, ANALYTIC),  # relu of a square is the square
    ("T4", "prelu", None, 1, ANALYTIC),
    ("T4", "relu6", None, 1, 0),  # the square passes 6
    ("T15", "relu", None, 1, 0),  # the half without the square
    ("T9", "gelu", None, 2, ANALYTIC),
    ("T9", "relu", None, 1, 0),
    ("T19", None, None, 1, 0),  # x relu(w x + b), x not zero where w x + b is
    ("T19", None, "tanh", 3, ANALYTIC),
    ("T19", None, "relu6", 1, 0),
    ("T19", "mish", None, 1, 0),
    ("T24", None, "silu", 1, ANALYTIC),
    ("T24", "relu", "silu", 1, 0),
    ("T28", None, None, 1, 1),  # relu(u)^2 is C^1
    ("T28", None, None, 2, 1),
    ("T28", "relu", None, 1, 0),
    ("T28", None, "relu6", 1, 0),  # relu6(u)^2 has an angle at u = 6
    ("T28", None, "prelu", 1, 1),
    ("T29", None, None, 1, 0),
    ("T3", "relu", None, 1, 0),
    ("QNN-alpha", None, None, 2, 0),
    ("QNN-alpha", None, "gelu", 2, ANALYTIC),
]

SPECIAL = [
    ("x relu(x)", x * relu(x), 1),
    ("x^2 relu(x)", x**2 * relu(x), 2),
    ("relu(x)^3", relu(x) ** 3, 2),
    ("x relu(alpha x)", x * relu(scale("alpha")), 1),
    ("x relu(W x)", x * relu(affine("W_a")), 0),
    ("u relu(u)", affine("W_a") * relu(affine("W_a")), 1),
    ("relu(x^3)", relu(x**3), 2),
    ("relu(x^2)", relu(x**2), ANALYTIC),
    ("relu(-x^2)", relu(-1 * x**2), ANALYTIC),
    ("relu(x^2 u)", relu(x**2 * affine("W_a")), 0),
    ("u relu(x^2 u)", affine("W_a") * relu(x**2 * affine("W_a")), 1),
    ("relu(relu(u) + x^2)", relu(relu(affine("W_a")) + x**2), 0),
    ("relu(sum of squares)", relu(affine("W_a") ** 2 + x**2), ANALYTIC),
    ("relu6(sigmoid)", activation("relu6", activation("sigmoid", affine("W_a"))), ANALYTIC),
    ("relu6(2 relu6)", activation("relu6", 2 * activation("relu6", affine("W_a"))), 0),
    ("x relu6(x)", x * activation("relu6", x), 0),
    ("x prelu(x)", x * activation("prelu", x), 1),
    ("relu(gelu(u))", relu(activation("gelu", affine("W_a"))), 0),
    ("u relu(tanh(u))", affine("W_a") * relu(activation("tanh", affine("W_a"))), 1),
    ("tanh(x relu(x))", activation("tanh", x * relu(x)), 1),
    ("W(relu(u)^2)", affine("W_b", relu(affine("W_a")) ** 2), 1),
    ("W relu(u)^2 relu(v)", affine("W_b", relu(affine("W_a")) ** 2 * relu(affine("W_c"))), 0),
    ("row sum of squares", RowSum(rows=2, of=x * relu(affine("W")) ** 2), 1),
    ("relu(x) joined to x^2 relu(x)", relu(x) | x**2 * relu(x), 0),
    (
        "relu of joined squares",
        relu(affine("W_a", width=Fraction(1, 2)) ** 2 | affine("W_b", width=Fraction(1, 2)) ** 2),
        ANALYTIC,
    ),
    ("x relu(x + x)", x * relu(x + x), 1),
    ("mean of x relu(x) and u relu(u)", mean(x * relu(x), affine("W_a") * relu(affine("W_a"))), 1),
]


@pytest.mark.parametrize(("id", "post", "mid", "depth", "order"), BY_HAND)
def test_classes_derived_by_hand(id: str, post: Any, mid: Any, depth: int, order: object) -> None:
    result = smoothness(id, depth=depth, post_activation=post, mid_activation=mid)
    assert (result.order, result.exact) == (order, True)


@pytest.mark.parametrize(("name", "expr", "order"), SPECIAL, ids=[name for name, _, _ in SPECIAL])
def test_special_positions(name: str, expr: Expr, order: object) -> None:
    result = smoothness(Format("special", expr))
    assert (result.order, result.exact) == (order, True)
    if result.witness is not None:
        assert_jumps(Format("special", expr), result.witness)


def test_an_analytic_format_has_no_kink() -> None:
    assert all(smoothness(format).order is ANALYTIC for format in POLYNOMIAL)
    assert smoothness("T9").kinks == ()
    assert smoothness("T9").first_jump is None
    assert smoothness("T9").witness is None
    assert ANALYTIC > 10**6
    assert not ANALYTIC < 3
    assert max(2, ANALYTIC) is ANALYTIC
    assert str(ANALYTIC) == "ANALYTIC"


def test_the_later_layers_smooth_what_they_square() -> None:
    """T3 squares its input: the kink of layer 1's relu leaves layer 2 as C^1, its own relu stays."""
    squared = Format("squared", affine("W_a", relu(affine("W_b"))) + affine("W_c", relu(affine("W_b")) ** 2))
    assert smoothness(squared).order == 0
    first = [kink for kink in smoothness("T3", depth=2, post_activation="relu").kinks if kink.layer == 1]
    assert [kink.order for kink in first] == [1]
    assert first[0].jump is None


# --- the oracle: one-sided finite differences of plain high-precision arithmetic


def apply(node: Activation, u: Any, parameters: Any) -> Any:
    """Activations of mpmath numbers, written independently of `qnn_theory`."""
    match node.kind:
        case "relu":
            return max(u, mpmath.mpf(0))
        case "relu6":
            return min(max(u, mpmath.mpf(0)), mpmath.mpf(6))
        case "prelu":
            return u if u > 0 else u * parameters[node.slope]
        case "gelu":
            return u * mpmath.ncdf(u)
        case "silu":
            return u / (1 + mpmath.exp(-u))
        case "mish":
            return u * mpmath.tanh(mpmath.log1p(mpmath.exp(u)))
        case "sigmoid":
            return 1 / (1 + mpmath.exp(-u))
        case "tanh":
            return mpmath.tanh(u)
    raise NotImplementedError(node.kind)


def to_mp(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: to_mp(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_mp(inner) for inner in value]
    return mpmath.mpf(value.numerator) / value.denominator if isinstance(value, Fraction) else mpmath.mpf(value)


def outputs(expr: Expr, parameters: Sequence[Any], point: list[Any]) -> list[Any]:
    values = point
    for layer in parameters:
        values = evaluate(expr, values, layer, x0=point, activation=apply, constant=to_mp)
    return values


def one_sided_derivative(expr: Expr, witness: Witness, order: int, side: int) -> list[Any]:
    """The derivative along the direction at s = ±0, from a difference quotient of extrapolated accuracy."""
    parameters, point, direction = to_mp(list(witness.parameters)), to_mp(witness.point), to_mp(witness.direction)
    step = mpmath.mpf(10) ** -80 * side  # short against derivatives of 10^40 in a deep stack
    # An inexact witness lies 1e-16 beside the kink: steps are long against that, and start beside it.
    if not witness.exact:
        step = mpmath.mpf(10) ** -6 * side
    samples = [
        outputs(
            expr,
            parameters,
            [
                p + (k + (0 if witness.exact else mpmath.mpf("0.01"))) * step * v
                for p, v in zip(point, direction, strict=True)
            ],
        )
        for k in range(order + 3)
    ]

    def quotient(values: list[Any]) -> Any:
        differences = [mpmath.binomial(order, k) * (-1) ** (order - k) * values[k] for k in range(order + 1)]
        return mpmath.fsum(differences) / step**order

    columns = list(zip(*samples, strict=True))
    # Removes the error that is linear in the step.
    return [quotient(c[:-1]) + (quotient(c[:-1]) - quotient(c[1:])) * mpmath.mpf(order) / 2 for c in columns]


def assert_jumps(format: Format, witness: Witness) -> None:
    """The derivative named by the witness jumps as it says, and no lower one does."""
    with mpmath.workdps(100 * (witness.derivative + 2)):
        for order in range(witness.derivative + 1):
            right, left = (one_sided_derivative(format.expr, witness, order, side) for side in (1, -1))
            for a, b, jump in zip(right, left, to_mp(witness.jump), strict=True):
                size = 1 + abs(a) + abs(b)
                measured = a - b
                expected = jump if order == witness.derivative else mpmath.mpf(0)
                assert abs(measured - expected) <= size * mpmath.mpf(10) ** (-9 if witness.exact else -2)
        assert any(abs(jump) > 0 for jump in witness.jump)


@pytest.mark.parametrize("post", [None, *KINKED])
@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_one_layer_jumps_as_claimed(format: Format, post: Any) -> None:
    result = smoothness(format, post_activation=post)
    assert result.exact
    if result.witness is not None:
        assert result.witness.derivative == result.order + 1
        assert_jumps(with_post_activation(format, post), result.witness)


@pytest.mark.parametrize("mid", ACTIVATION_KINDS)
@pytest.mark.parametrize("format", GATED, ids=lambda f: f.id)
def test_every_mid_activation(format: Format, mid: Any) -> None:
    result = smoothness(format, mid_activation=mid)
    assert result.exact
    assert (result.order is ANALYTIC) == (mid not in KINKED)
    after = smoothness(format, mid_activation=mid, post_activation="relu")
    assert (after.order, after.exact) == (0, True)


@pytest.mark.parametrize(
    "format",
    [f for f in qt.formats() if f.id in ("T4", "T9", "T13", "T19", "T28", "T18-paper", "CrossNetV2", "QNN-alpha")],
    ids=lambda f: f.id,
)
@pytest.mark.parametrize("post", [None, "relu", "relu6", "silu"])
def test_stacks_jump_as_claimed(format: Format, post: Any) -> None:
    for depth in (2, 3):
        result = smoothness(format, depth=depth, post_activation=post)
        assert result.exact
        if result.witness is not None and result.witness.exact:
            assert_jumps(with_post_activation(format, post), result.witness)


@pytest.mark.slow
@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_every_combination_is_exact(format: Format, depth: int) -> None:
    for mid in (None, *ACTIVATION_KINDS) if uses_activation(format.expr) else (None,):
        for post in (None, *ACTIVATION_KINDS):
            assert smoothness(format, depth=depth, post_activation=post, mid_activation=mid).exact, (mid, post)


# --- the formula of the first jump


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


# --- random expressions


@st.composite
def expressions(draw: st.DrawFn, depth: int = 4) -> Expr:
    """Expressions with shared maps, nested activations, squares, signs."""
    if depth == 0:
        return draw(st.sampled_from([x, affine("W_a"), affine("W_b"), scale("alpha")]))
    inner = expressions(depth=draw(st.integers(0, depth - 1)))
    match draw(st.integers(0, 7)):
        case 0:
            return draw(inner) + draw(inner)
        case 1 | 2:
            return draw(inner) * draw(inner)
        case 3:
            return draw(inner) ** draw(st.integers(2, 3))
        case 4:
            return Multiple(factor=Fraction(draw(st.sampled_from([-1, 2]))), of=draw(inner))
        case 5:
            return affine(f"U_{draw(st.integers(1, 10**6))}", draw(inner))
        case _:
            return activation(draw(st.sampled_from(KINKED)), draw(inner))


@given(expr=expressions(), depth=st.integers(1, 2))
def test_random_stacks_are_never_rougher_than_claimed(expr: Expr, depth: int) -> None:
    format = Format("random", expr)
    result = smoothness(format, depth=depth)
    targets = [
        Target(layer=layer, node=node, threshold=threshold)
        for layer in range(1, depth + 1)
        for node in walk(expr)
        if isinstance(node, Activation)
        for threshold in ((0, 6) if node.kind == "relu6" else (0,))
    ]
    derivative = 4 if result.order is ANALYTIC else result.order + 1
    for target in targets:
        # Raises where a lower derivative jumps at any of the points met.
        found = find_witness(
            expr, widths=layer_widths(format, dim=2, depth=depth), targets=[target], derivative=derivative, exact=True
        )
        if result.order is ANALYTIC:
            assert found is None
    if result.witness is not None and result.witness.exact:
        assert_jumps(format, result.witness)


@given(expr=expressions(), data=st.data())
def test_intervals_hold_the_values(expr: Expr, data: st.DataObject) -> None:
    numbers = st.fractions(min_value=-3, max_value=3, max_denominator=4)
    seed = data.draw(st.randoms(use_true_random=False))
    parameters = fill_parameters(expr, dim=2, entry=lambda name, index: Fraction(seed.randint(-9, 9), 3))
    point = data.draw(st.lists(numbers, min_size=2, max_size=2))
    bounds = interval(expr)
    for value in evaluate(expr, point, parameters, activation=lambda node, u, own: Fraction(apply_exact(node, u, own))):
        assert bounds.low is None or bounds.low <= value
        assert bounds.high is None or value <= bounds.high


def apply_exact(node: Activation, u: Fraction, parameters: Any) -> Fraction:
    match node.kind:
        case "relu":
            return max(u, Fraction(0))
        case "relu6":
            return min(max(u, Fraction(0)), Fraction(6))
        case _:
            return u if u > 0 else u * parameters[node.slope]


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("gelu", -0.17, None), ("silu", -0.2785, None), ("mish", -0.30885, None), ("sigmoid", 0, 1), ("tanh", -1, 1)],
)
def test_ranges_of_smooth_activations_hold_and_are_tight(kind: Any, low: float, high: float | None) -> None:
    bounds = interval(activation(kind, affine("W_a")))
    values = [float(apply(Activation(kind, x), mpmath.mpf(k) / 100, {})) for k in range(-1000, 1000)]
    assert float(bounds.low) <= min(values) <= float(bounds.low) + 0.001
    assert bounds.high is None or max(values) <= float(bounds.high)
    assert float(bounds.low) == pytest.approx(low, abs=0.001)
    assert (None if bounds.high is None else float(bounds.high)) == high


def test_interval_of_inputs_is_used() -> None:
    assert interval(relu(x), Interval(Fraction(0), None)) == Interval(Fraction(0), None)
    assert interval(x * x).at_least(0)
    assert interval(x * (-1 * x)).at_most(0)
    assert interval(x + x, Interval(Fraction(1), Fraction(2))) == Interval(Fraction(2), Fraction(4))


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(KeyError, match="nearest is 'T9'"):
        smoothness("T99")
    with pytest.raises(ValueError, match="depth is a positive integer, however: depth=0"):
        smoothness("T9", depth=0)


def test_mid_and_post_are_those_of_the_format_builders() -> None:
    assert (
        smoothness("T19", mid_activation="relu6").order
        == smoothness(with_mid_activation(qt.get_format("T19"), "relu6")).order
    )
