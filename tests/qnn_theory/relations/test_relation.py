"""Relations: the whole order by hand, certificates checked in exact arithmetic, formats that a user adds."""

from __future__ import annotations

import itertools
import json
import re
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_theory.algebra.linear_algebra import PrimeField
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import Multiple, Sum, affine, bilinear, mean, relu, scale, uses_activation, walk, x
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.normal_form import rolled_values, unrolled_values
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import divisor
from qnn_theory.registry import qnn_alpha
from qnn_theory.relations.certificates import Containment, Undecided
from qnn_theory.relations.containment.parameter_map import Combination, ParameterMap
from qnn_theory.relations.containment.proof import prove_map
from qnn_theory.relations.containment.search import find_map
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.relation import ContainmentOrder, Relation, decide, relation
from qnn_theory.relations.separation import find_separation
from qnn_theory.testing import expressions
from tests.qnn_theory.paper_ids import PAPER
from tests.qnn_theory.relation_table import COVERS, EQUIVALENT, contained_in

IDS = [format.id for format in qt.formats()]
EXPECTED = contained_in(PAPER)
CONTAINED = [(a, b) for a in PAPER for b in PAPER if b in EXPECTED[a]]


def user(expr, id: str = "mine") -> Format:
    return Format(id, expr, source="a user")


# ---------------------------------------------------------------------------------------------- the registered formats


def test_the_order_of_the_papers_formats_is_the_one_by_hand() -> None:
    order = qt.containment_order(PAPER)
    assert order.open == ()
    named = {ids[0]: ids for ids in order.classes}
    assert {ids for ids in order.classes if len(ids) > 1} == set(EQUIVALENT)
    assert {id for ids in order.classes for id in ids} == set(PAPER)
    edges = {(order.classes[i][0], order.classes[j][0]) for i, j in order.edges}
    assert edges == {(small, large) for small, larger in COVERS.items() for large in larger}
    assert set(named) >= set(COVERS)


def test_containment_is_transitive_and_separations_respect_it() -> None:
    """If a ⊆ b and b ⊆ c then a ⊆ c, over all triples; each of the three was decided on its own."""
    inside = {
        (a, b): isinstance(decide(qt.get_format(a), qt.get_format(b), minimal=False), Containment)
        for a, b in itertools.permutations(IDS, 2)
    }
    for a, b, c in itertools.permutations(IDS, 3):
        assert not (inside[a, b] and inside[b, c]) or inside[a, c]


@pytest.mark.parametrize(("a", "b"), CONTAINED, ids="-".join)
def test_maps_hold_in_exact_arithmetic(a: str, b: str) -> None:
    """At random rational parameters and points, at widths that no proof used, module-free and without polynomials."""
    first, second = qt.get_format(a), qt.get_format(b)
    found = decide(first, second, minimal=False)
    assert isinstance(found, Containment)
    step = int(np.lcm(divisor(first.expr), divisor(second.expr)))
    dim = step * -(-5 // step)
    generator = np.random.default_rng(sum(map(ord, a + b)))

    def number() -> Fraction:
        return Fraction(int(generator.integers(-9, 10)), int(generator.integers(1, 5)))

    values = fill_parameters(first.expr, dim=dim, entry=lambda name, index: number())
    mapped = rolled_values(second.expr, found.map.apply(unrolled_values(first.expr, values), dim=dim))
    for _ in range(3):
        point = [number() for _ in range(dim)]
        ours = evaluate(first.expr, point, values, activation=relu_of_numbers)
        assert evaluate(second.expr, point, mapped, activation=relu_of_numbers) == ours


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ("T9", "T22", "equivalent"),
        ("T9", "T5", "contained"),
        ("T5", "T9", "contains"),
        ("T5", "T18", "incomparable"),
        ("T9", "T19", "incomparable"),
        ("T19", "QNN-alpha", "contained"),
        ("T18-paper", "T18", "incomparable"),
        ("T10", "T7", "incomparable"),
    ],
)
def test_relations_by_hand(a: str, b: str, kind: str) -> None:
    found = qt.relation(a, b)
    assert isinstance(found, Relation)
    assert (found.first, found.second, found.kind) == (a, b, kind)
    turned = {"contained": "contains", "contains": "contained"}
    assert qt.relation(b, a).kind == turned.get(kind, kind)
    assert str(found.certificate)


@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
def test_every_format_is_equivalent_to_itself(format: Format) -> None:
    assert qt.relation(format, format).kind == "equivalent"


def test_outputs_wider_than_the_input_relate() -> None:
    """Output d + i has no input of its own to be compared with."""
    square, affine_, gate = affine("W_a") ** 2, affine("W_b"), relu(affine("W_b"))
    wide = [user(first | second) for first in (square, square + x, gate) for second in (square, affine_, gate)]
    for a, b in itertools.combinations_with_replacement(wide, 2):
        kind = qt.relation(a, b).kind
        assert (kind == "equivalent") == (a.expr == b.expr)
        assert kind != "open"


def test_the_map_of_t22_is_the_one_on_paper() -> None:
    forward = qt.relation("T22", "T9").certificate.forward
    assert isinstance(forward, Containment)
    assert forward.map.lines == ("W_a' = W_a", "b_a' = b_a + alpha - 1")
    backward = qt.relation("T22", "T9").certificate.backward
    assert isinstance(backward, Containment)
    assert "alpha' = 0" in backward.map.lines


# ------------------------------------------------------------------------------------------------------- separations


SEPARATED = [(a, b) for a, b in itertools.permutations(PAPER, 2) if b not in EXPECTED[a]]


@pytest.mark.parametrize(("a", "b"), SEPARATED[::29], ids="-".join)
def test_witness_is_the_function_that_the_certificate_prints(a: str, b: str) -> None:
    found = decide(qt.get_format(a), qt.get_format(b))
    assert isinstance(found, Separation)
    if found.witness is None:
        assert found.invariant == "output width"
        return
    expr = qt.get_format(a).expr
    generator = np.random.default_rng(3)
    symbols = {f"x_{i + 1}": sympy.Symbol(f"x_{i + 1}") for i in range(found.witness.dim)}
    for _ in range(4):
        point = [Fraction(int(v)) for v in generator.integers(-5, 6, size=found.witness.dim)]
        exact = evaluate(expr, point, found.witness.values(expr), activation=relu_of_numbers)
        numbers = {symbols[f"x_{i + 1}"]: sympy.Rational(v.numerator, v.denominator) for i, v in enumerate(point)}
        for output, text in found.witness.outputs:
            printed = sympy.sympify(text.replace("^", "**"), locals={**symbols, "relu": lambda u: sympy.Max(u, 0)})
            assert printed.subs(numbers) == sympy.Rational(exact[output].numerator, exact[output].denominator)


POLYNOMIAL = [id for id in IDS if not uses_activation(qt.get_format(id).expr)]


def values_of(format: Format, output: int, dim: int, points: list[list[int]], generator) -> list[int]:
    """The values of one output of a random function of a format at integer points, modulo the field's prime."""
    prime = PrimeField().prime
    parameters = fill_parameters(format.expr, dim=dim, entry=lambda name, index: int(generator.integers(1, prime)))
    half = pow(2, -1, prime)
    constant = lambda f: f.numerator * (half if f.denominator == 2 else 1)  # noqa: E731
    return [evaluate(format.expr, point, parameters, constant=constant)[output] % prime for point in points]


def test_linear_rules_by_values_alone() -> None:
    """Witnesses are outside the affine span of values of random functions of b: no coefficient is ever looked at."""
    linear = ("degree", "divisibility", "monomial", "fixed coefficient", "related coefficients")
    field = PrimeField()
    checked: set[str] = set()
    for a, b in [(a, b) for a, b in SEPARATED if a in POLYNOMIAL and b in POLYNOMIAL][::13]:
        found = decide(qt.get_format(a), qt.get_format(b))
        assert isinstance(found, Separation)
        if found.invariant not in linear:
            continue
        assert found.witness is not None
        dim, expr = found.witness.dim, qt.get_format(a).expr
        generator = np.random.default_rng(5)
        points = [[int(v) for v in generator.integers(-40, 41, size=dim)] for _ in range(40)]
        output = found.witness.outputs[0][0]
        members = [values_of(qt.get_format(b), output, dim, points, generator) for _ in range(40)]
        witness = found.witness.values(expr)
        own = np.array([int(evaluate(expr, point, witness)[output]) % field.prime for point in points])
        base = np.array(members[0])
        differences = [(np.array(m) - base) % field.prime for m in members[1:]]
        inside = field.rank(np.array(differences))
        assert inside < 39
        assert field.rank(np.array([*differences, (own - base) % field.prime])) == inside + 1, (a, b)
        checked.add(found.invariant)
    assert {"degree", "divisibility", "monomial"} <= checked


def test_rank_rules_by_hessians() -> None:
    """T1 ⊄ T5, T7 ⊄ T8 and T8 ⊄ T7 once more, from second derivatives at random integers."""
    generator = np.random.default_rng(11)
    dim = 6
    symbols = sympy.symbols(f"x_1:{dim + 1}")

    def matrix(id: str, values) -> sympy.Matrix:
        """The matrix of y_1 as a quadratic form in (1, x)."""
        y = evaluate(qt.get_format(id).expr, list(symbols), values)[0]
        at_zero = dict.fromkeys(symbols, 0)
        gradient = [sympy.diff(y, s).subs(at_zero) for s in symbols]
        return sympy.Matrix(
            dim + 1,
            dim + 1,
            lambda i, j: (
                2 * y.subs(at_zero)
                if i == j == 0
                else gradient[max(i, j) - 1]
                if min(i, j) == 0
                else sympy.diff(y, symbols[i - 1], symbols[j - 1])
            ),
        )

    def random_matrix(id: str) -> sympy.Matrix:
        return matrix(
            id, fill_parameters(qt.get_format(id).expr, dim=dim, entry=lambda n, i: int(generator.integers(-5, 6)))
        )

    def witness_matrix(a: str, b: str) -> sympy.Matrix:
        found = decide(qt.get_format(a), qt.get_format(b))
        assert isinstance(found, Separation)
        assert found.invariant == "rank"
        assert found.witness is not None
        expr = qt.get_format(a).expr
        return matrix(a, found.witness.values(expr, dim=dim))

    for _ in range(3):
        assert random_matrix("T5")[1:, 1:].rank() <= 2
        assert random_matrix("T8")[1:, 1:].rank() <= 2
        assert random_matrix("T7").extract([0, 2, 3], [1, 4, 5, 6]).rank() <= 2
    assert witness_matrix("T1", "T5")[1:, 1:].rank() > 2
    assert witness_matrix("T7", "T8")[1:, 1:].rank() > 2
    assert witness_matrix("T8", "T7").extract([0, 2, 3], [1, 4, 5, 6]).rank() > 2


def test_equations_have_no_solution_and_limits_are_not_excluded() -> None:
    found = decide(qt.get_format("T10"), qt.get_format("T7"))
    assert isinstance(found, Separation)
    assert found.invariant == "equations"
    assert not found.closed
    equations = [text.split(" (at ")[0].split(" = ") for text in found.rule.split("satisfy ")[1].split("), ")]
    names: dict[str, sympy.Symbol] = {}

    def read(text: str) -> sympy.Expr:
        for token in set(re.findall(r"[Wb]_[a-c]\[[\d,]+\]", text)):
            names.setdefault(token, sympy.Symbol(f"p{len(names)}"))
            text = text.replace(token, names[token].name)
        return sympy.sympify(text)

    system = [read(left) - read(right) for left, right in equations]
    assert sympy.groebner(system, *names.values(), order="grevlex").exprs == [1]
    # No equation is idle: without any one of them there is a solution.
    for k in range(len(system)):
        rest = system[:k] + system[k + 1 :]
        assert sympy.groebner(rest, *names.values(), order="grevlex").exprs != [1]


def test_no_invariant_separates_what_a_map_contains() -> None:
    """Soundness: an invariant that fired on a contained pair would be wrong."""
    for a, b in CONTAINED[::3]:
        assert find_separation(qt.get_format(a), qt.get_format(b), minimal=False, effort="quick") is None


# ---------------------------------------------------------------------------------------------- formats that users add


@pytest.mark.parametrize(
    ("expr", "other", "kind"),
    [
        (x * affine("W_a") + scale("alpha", x) + affine("W_b"), "T10", "equivalent"),
        (4 * affine("W_a") ** 2, "T4", "equivalent"),
        (scale("alpha", affine("W_a") * affine("W_b")), "T5", "equivalent"),
        (affine("W_b", affine("W_a")), "Linear", "equivalent"),
        (mean(affine("W_a"), affine("W_b"), affine("W_c")), "Linear", "equivalent"),
        (
            relu(affine("W_a"))
            + Multiple(factor=Fraction(-1), of=relu(Multiple(factor=Fraction(-1), of=affine("W_a")))),
            "Linear",
            "equivalent",
        ),
        (x * relu(affine("W_a") + affine("W_b")) + x, "T19", "equivalent"),
        (bilinear("A", bias=False), "T2", "contained"),
        (x**2, "T3", "contained"),
        (x**3, "T1", "incomparable"),
        (affine("W_a") * affine("W_b") * affine("W_c"), "T9", "contains"),
        (relu(affine("W_a")), "Linear", "incomparable"),
        (mean(*(x * relu(affine(f"W_{k}")) for k in "abc")) + x, "QNN-alpha", "contained"),
    ],
    ids=lambda value: qt.Format("u", value).latex if not isinstance(value, str) else value,
)
def test_a_users_format_is_placed_without_new_code(expr, other: str, kind: str) -> None:
    assert relation(user(expr), other).kind == kind


def test_post_activations() -> None:
    t4, t9, t22 = map(qt.get_format, ("T4", "T9", "T22"))
    assert relation("T4", with_post_activation(t4, "relu")).kind == "equivalent"
    assert relation("T9", with_post_activation(t9, "relu")).kind == "incomparable"
    assert relation("T9", with_post_activation(t9, "gelu")).kind == "incomparable"
    for kind in ("relu", "gelu", "prelu"):
        assert relation(with_post_activation(t22, kind), with_post_activation(t9, kind)).kind == "equivalent"


def test_mid_activations() -> None:
    t19, t24 = map(qt.get_format, ("T19", "T24"))
    leaky = with_mid_activation(t19, "prelu")
    assert relation(t19, leaky).kind == "contained"
    assert relation("T9", leaky).kind == "contained"
    assert relation(with_mid_activation(t19, "silu"), with_mid_activation(t24, "silu")).kind in ("contained", "open")
    assert isinstance(decide(with_mid_activation(t19, "silu"), with_mid_activation(t24, "silu")), Containment)


def test_rows_and_heads() -> None:
    assert relation(qnn_alpha(rows=3, mid_activation=None), "T9").kind == "equivalent"
    assert relation(qnn_alpha(rows=2), "T26").kind == "equivalent"
    assert relation(qnn_alpha(rows=2, heads=2), qnn_alpha(rows=2)).kind == "equivalent"
    assert relation(qnn_alpha(rows=2), qnn_alpha(rows=3)).kind == "contained"


def test_an_open_pair_says_so() -> None:
    found = relation(*(f'{kind}(affine("A")) + {kind}(affine("B"))' for kind in ("silu", "mish")))
    assert found.kind == "open"
    open_ones = [d for d in (found.certificate.forward, found.certificate.backward) if isinstance(d, Undecided)]
    assert open_ones
    assert "no parameter map" in str(found.certificate)


@given(expressions(depth=2))
def test_a_layer_is_equivalent_to_itself_with_its_sums_turned(expr) -> None:
    turned = user(
        Sum(terms=expr.terms[::-1]) if isinstance(expr, Sum) else Multiple(factor=Fraction(1), of=expr), "turned"
    )
    found = find_map(user(expr), turned)
    if any(type(node).__name__ in ("Power", "Activation", "HeadMajor") for node in walk(expr)) and found is None:
        return  # the search makes no promise for maps inside powers and activations of curved arguments
    assert found is not None
    prove_map(user(expr), turned, found)


# --------------------------------------------------------------------------------------------------------- soundness


def test_a_wrong_map_is_not_proved() -> None:
    found = find_map(qt.get_format("T22"), qt.get_format("T9"))
    assert found is not None
    broken = ParameterMap(
        tuple(
            a if a.parameter.name == "W_a" else type(a)(a.parameter, ((Combination(a.blocks[0][0].terms[:-1]),),))
            for a in found.assignments
        )
    )
    with pytest.raises(ValueError, match="they differ at d="):
        prove_map(qt.get_format("T22"), qt.get_format("T9"), broken)


def test_order_of_some_formats_and_errors() -> None:
    order = qt.containment_order(("T4", "T5", "T1", "T9"))
    assert isinstance(order, ContainmentOrder)
    assert order.classes == (("T4",), ("T5",), ("T1",), ("T9",))
    assert order.edges == ((0, 1), (1, 2), (3, 1))
    with pytest.raises(KeyError, match="nearest is 'T9'"):
        qt.relation("T99", "T1")


@given(st.sampled_from(IDS), st.sampled_from(IDS))
def test_certificates_are_plain_data(a: str, b: str) -> None:
    found = qt.relation(a, b)
    assert json.loads(json.dumps(found.certificate.to_dict())) == found.certificate.to_dict()
    assert found.text
    assert a in found.text
