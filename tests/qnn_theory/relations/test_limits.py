"""Limits: what is approached, with the family tried out in floating point, and what must not be said to be approached or not."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import pytest
from click.testing import CliRunner

import qnn_theory as qt
from qnn_theory.algebra.polynomials import PRIME
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import Activation, Expr, activation, affine, relu, scale, x
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form, rolled_values, unrolled_values
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import divisor
from qnn_theory.relations.certificates import Containment, Undecided
from qnn_theory.relations.containment.parameter_map import Assignment, Combination, ParameterMap
from qnn_theory.relations.limits.closed_classes import why_closed
from qnn_theory.relations.limits.family import Family
from qnn_theory.relations.limits.limit import Approach, Barrier, LimitDirection, limit_direction
from qnn_theory.relations.limits.proof import prove_family
from qnn_theory.relations.limits.search import find_family
from qnn_theory.relations.limits.series import NoSeriesError, Series, activation_of_series
from qnn_theory.relations.relation import containment_order, decide, relation

SWIGLU = 'affine("A") * silu(affine("B"))'
GLU = 'affine("A") * sigmoid(affine("B"))'

# Derived by hand. Approached: a is a limit of functions of b, and none of them.
APPROACHED = [
    ("T10", "T7"),  # x A + B = ((1 - x)/(-2t) + ...)(x + 1 + t ...) + x²/(-2t) + ...
    ("T17", "T7"),
    ("T5", SWIGLU),  # silu(t z) / t -> z/2
    ("T5", 'affine("A") * tanh(affine("B"))'),
    ("T5", 'affine("A") * gelu(affine("B"))'),
    ("T5", 'affine("A") * mish(affine("B"))'),  # mish'(0) = 3/5
    ("T8", f"{SWIGLU} + affine('C')"),
    ("T5", f"{GLU} + affine('C')"),  # sigmoid(t z) = 1/2 + t z/4 + ..., and C takes the 1/2
    ("T24", f"{SWIGLU} + x"),  # t silu(z / t) -> relu(z)
    ("T19", 'x * affine("V", gelu(affine("U"))) + x'),
    ("T9", 'x * affine("V", mish(affine("U"))) + x'),
    ("Linear", 'affine("V", tanh(affine("U")))'),
    ('affine("V", relu(affine("U")))', 'affine("V", silu(affine("U")))'),
    ("T4", 'affine("V", silu(affine("U", width=2)))'),  # (silu(t z) + silu(-t z)) / t² -> z²/2
    ("T5", 'affine("B") * relu(affine("A")) + affine("C")'),  # relu(1 + t u) v / t - v / t = u v on every compact set
]

# Not approached: the separation survives.
BARRED = [
    ("T5", "T4", "a square is never negative"),
    ("T1", "T5", "rank"),
    ("T7", "T10", "monomial"),
    ("T5", "T9", "divisibility"),
    ("T9", "T24", "T24 is closed: one product and a fixed part"),
    ("T19", "T28", "T28 is closed: two squares of relus cannot cancel"),
    ("T19", "T5", "polynomials of degree 2"),
    ("T26", "T19", "two kinks and one relu"),
    (SWIGLU, "T5", "no polynomial"),
    ("T10", 'affine("A") ** 2 + affine("B", x ** 2)', "homogeneous part of rank 1 off the diagonal"),
]

# Nothing may be said to survive: each exact separation is lost in a limit, or its being lost is not excluded by what is known.
NOT_BARRED = [
    ("T10", "T7"),
    ("T5", SWIGLU),
    # (relu(u + t)² - relu(u)²) / t -> 2 relu(u): smoother functions approach a kink
    ('affine("V", relu(affine("U")))', 'affine("V", relu(affine("U", width=2)) ** 2)'),
    # A B with B -> 0 and A -> oo: T14's second half is 0 in the limit, the first is not
    ('affine("W_a", width=1/2) * affine("W_b", width=1/2) | 0 * affine("W_c", width=1/2)', "T14"),
    # ((u + t³ v)³ - u³) / (3 t³) -> u² v
    ('affine("A") ** 2 * affine("B")', 'affine("A") ** 3 + affine("B") ** 3'),
    ('affine("A") ** 2 * affine("B")', 'affine("V", affine("U", width=2) ** 3)'),
    ("T19", "x * silu(affine('A')) + x"),
]


@pytest.mark.parametrize(("a", "b"), APPROACHED, ids=lambda f: f[:40])
def test_what_is_approached(a: str, b: str) -> None:
    limit = _limit(a, b)
    assert isinstance(limit, Approach)
    _try_out(qt.get_format(a), qt.get_format(b), limit.family)


@pytest.mark.parametrize(("a", "b", "why"), BARRED, ids=lambda f: f[:40])
def test_what_is_not_approached(a: str, b: str, why: str) -> None:
    limit = relation(a, b).limit
    assert isinstance(limit.forward, Barrier), (limit.text, why)
    assert limit.forward.why in limit.forward.lines[-1]
    assert "limits of functions are not excluded" not in " ".join(limit.forward.lines)
    assert find_family(qt.get_format(a), qt.get_format(b), tries=20) is None


@pytest.mark.parametrize(("a", "b"), NOT_BARRED, ids=lambda f: f[:40])
def test_what_must_not_be_said_to_survive(a: str, b: str) -> None:
    limit = _limit(a, b, budget=3)
    assert isinstance(limit, Approach | Undecided)
    if isinstance(limit, Approach):
        _try_out(qt.get_format(a), qt.get_format(b), limit.family)


def test_exact_containment_is_containment_in_the_closure() -> None:
    limit = relation("T9", "T5").limit
    assert isinstance(limit.forward, Containment)
    assert limit.kind == "contained"
    assert relation("T9", "T22").limit.kind == "equivalent"


def test_the_order_with_limits_differs_in_two_pairs_of_the_polynomial_formats() -> None:
    """T10 (and T17, its equal) below T7; 2 pairs of formats with relus stay open."""
    exact, limit = containment_order(), containment_order(limit=True)
    edges = [{(o.classes[i][0], o.classes[j][0]) for i, j in o.edges} for o in (exact, limit)]
    assert edges[1] - edges[0] == {("T10", "T7")}
    assert limit.classes == exact.classes
    assert set(limit.open) == {("T26", "T30"), ("T27", "T30")}


@pytest.mark.parametrize(
    ("formula", "closed"),
    [
        ("T9", True),
        ("T4", True),
        ("T16", True),
        ("T28", True),
        ("QNN-alpha", True),
        ("x * relu(affine('A')) * affine('B') ** 2 + x", True),
        ("T14", False),  # one map in both halves
        ("x * (relu(affine('A')) - relu(affine('B')))", False),  # terms of both signs
        ("affine('A') ** 2 + affine('B') ** 3", False),  # an odd power
        ("affine('A') ** 2 - affine('B') ** 2", False),
        ("affine('B') * relu(affine('A')) + affine('C')", False),
        ("affine('A') * affine('A', affine('B'))", False),
        ("affine('V', affine('U', width=1/2))", False),  # a composition; closed, but by no rule here
        ("x * silu(affine('A'))", False),
        ("x * relu(affine('A')) + x ** 2 * relu(affine('B'))", False),  # two factors: of which sign depends on x
        ("affine('A') ** 2 + relu(affine('A'))", False),
        ("prelu(affine('A'))", False),
        ("scale('s', prelu(x))", False),  # x t at the slope -1/t tends to relu(-x)
    ],
)
def test_closed_classes(formula: str, closed: bool) -> None:
    assert (why_closed(normal_form(qt.get_format(formula).expr)) is not None) is closed


def test_numbers_that_vanish_modulo_a_prime_of_the_rules_bar_nothing() -> None:
    """W with PRIME in front is W, yet its members modulo PRIME are 0: the exact relation is open, and so is the limit."""
    linear, large = qt.get_format("affine('W')"), Format("large", _times(PRIME, affine("W")))
    assert isinstance(decide(linear, large, budget=5), Undecided)
    assert isinstance(relation(linear, large, budget=5).limit.forward, Undecided)


def _times(number: int, expr: Expr) -> Expr:
    """A multiple by more than a single number of a format may be."""
    large, rest = divmod(number, 2**20)
    return 2**20 * _times(large, expr) + rest * expr if large else rest * expr


def test_a_wrong_family_is_refused() -> None:
    """Each change of a proved family to another power or number is none: the proof is no rubber stamp."""
    a, b = qt.get_format("T5"), qt.get_format(SWIGLU)
    family = find_family(a, b)
    assert family is not None
    prove_family(a, b, family)
    for shift in (-1, 1):
        moved = Family(tuple((power + shift, part) for power, part in family.parts))
        with pytest.raises(ValueError, match="family must"):
            prove_family(a, b, moved)
    for place in range(len(family.parts)):
        power, part = family.parts[place]
        for number, assignment in enumerate(part.assignments):
            if not any(c.terms for row in assignment.blocks for c in row):
                continue
            blocks = tuple(
                tuple(Combination(tuple((2 * c, f) for c, f in block.terms)) for block in row)
                for row in assignment.blocks
            )
            changed = list(part.assignments)
            changed[number] = Assignment(assignment.parameter, blocks)
            parts = list(family.parts)
            parts[place] = (power, ParameterMap(tuple(changed)))
            with pytest.raises(ValueError, match="family must"):
                prove_family(a, b, Family(tuple(parts)))


@pytest.mark.parametrize("kind", ["relu", "sigmoid", "tanh", "silu", "gelu", "mish"])
@pytest.mark.parametrize(
    "coefficients",
    [{1: 2, 2: -3}, {0: 0.7, 1: 1.5}, {-1: 2, 0: -1, 1: 1}, {-1: -2, 1: 4}, {-2: 1, -1: -5}, {0: -0.3, 2: 1}, {2: -1}],
    ids=str,
)
@pytest.mark.parametrize("known", [True, False], ids=["a number", "unknown sign"])
def test_series_of_activations_hold_in_floating_point(kind: Any, coefficients: dict[int, float], known: bool) -> None:
    """``f(Σ c_k t^k)`` minus its truncated series is O(t^order): its ratio to t^order stays bounded as t gets smaller."""
    node = activation(kind, x)
    rule = activation_of_series(
        lambda node, value, own: _ACTIVATIONS[node.kind](value),
        lambda value: (1 if value > 0 else -1) if known else None,
        float,
    )
    found = rule(node, Series(coefficients), {})
    for t in (0.05, 0.02, 0.01):
        exact = _ACTIVATIONS[kind](sum(c * t**k for k, c in coefficients.items()))
        cut = sum(c * t**k for k, c in found.coefficients.items())
        if found.order is None:
            assert math.isclose(exact, cut, rel_tol=1e-9)
        else:
            assert abs(exact - cut) <= 150 * t**found.order + 1e-9, (t, exact, cut, found.order)


def test_what_has_no_series_is_refused() -> None:
    rule = activation_of_series(lambda node, value, own: value, lambda value: None, float)
    with pytest.raises(NoSeriesError):
        rule(activation("silu", x), Series({}, -1), {})
    with pytest.raises(NoSeriesError):
        rule(activation("prelu", x), Series({0: 1.0}), {"slope": Series({1: 1.0})})


def test_series_multiply_their_rests() -> None:
    one = Series({-1: flint.fmpq(2)}, 1)
    product = one * Series({1: flint.fmpq(3), 2: flint.fmpq(1)}, 3)
    assert (product.coefficients, product.order) == ({0: 6, 1: 2}, 2)
    assert (one * 0).coefficients == {}
    assert (one + Series({0: flint.fmpq(1)}, 0)).order == 0


def test_the_command_shows_both_orders_side_by_side() -> None:
    from studies.cli import main

    shown = CliRunner().invoke(main, ["relate", "T10", "T7"])
    assert shown.exit_code == 0
    assert "incomparable" in shown.output
    assert "with limits T10 is contained in T7" in shown.output
    assert "T10 ⊆ cl T7 (family)" in shown.output


def test_formats_that_are_no_text_have_limits_too() -> None:
    mine = Format("mine", scale("s", affine("A") * activation("silu", affine("B"))))
    found = relation("T5", mine).limit
    assert isinstance(found.forward, Approach)
    assert found.to_dict()["forward"]["verdict"] == "contained in the closure"
    assert relation(Format("other", relu(affine("A"))), mine, budget=1).limit.second == "mine"


_ACTIVATIONS: dict[str, Any] = {
    "relu": lambda u: max(u, 0.0),
    "sigmoid": lambda u: 0.5 * (1 + math.tanh(u / 2)),
    "tanh": math.tanh,
    "silu": lambda u: u * 0.5 * (1 + math.tanh(u / 2)),
    "gelu": lambda u: u * 0.5 * math.erfc(-u / math.sqrt(2)),
    "mish": lambda u: u * math.tanh(math.log1p(math.exp(-abs(u))) + max(u, 0.0)),
}


def _limit(a: str, b: str, *, budget: float | None = None) -> LimitDirection:
    """Whether a is contained in the closure of b, with nothing known of the exact relation."""
    source, target = qt.get_format(a), qt.get_format(b)
    return limit_direction(source, target, Undecided(source=source.id, target=target.id), budget)


def _try_out(source: Format, target: Format, family: Family) -> None:
    """At random parameters and points, the target at the family's parameters comes as near to the source as t is small."""
    dim = math.lcm(divisor(source.expr), divisor(target.expr)) * 2
    generator = np.random.default_rng(7)

    def rule(node: Activation, value: Any, own: Any) -> float:
        return float(_ACTIVATIONS[node.kind](float(value)))

    def number() -> Fraction:
        return Fraction(int(generator.integers(-8, 9)), 8)

    for _ in range(3):
        values = fill_parameters(source.expr, dim=dim, entry=lambda name, index: number())
        point = [number() for _ in range(dim)]
        ours = np.array(evaluate(source.expr, point, values, activation=rule), dtype=float)
        errors = []
        for t in (Fraction(1, 16), Fraction(1, 256), Fraction(1, 4096)):
            at = rolled_values(target.expr, family.at(unrolled_values(source.expr, values), t, dim=dim))
            theirs = np.array(evaluate(target.expr, point, at, activation=rule), dtype=float)
            errors.append(float(np.abs(theirs - ours).max()))
        assert errors[-1] < 5e-3, errors
        assert errors[-1] <= errors[0] + 1e-9, errors
