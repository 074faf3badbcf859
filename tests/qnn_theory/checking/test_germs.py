"""Germs, families and hyperplanes: what every function of a format has is never said to be lacking in it."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qnn_theory as qt
from qnn_theory.checking.evaluation import filled, shapes
from qnn_theory.checking.functions import Family, fmpq, germ, in_span
from qnn_theory.checking.reading import NotCheckedError, RejectedError
from qnn_theory.checking.separations import check_separation
from qnn_theory.grammar.expr import Expr
from tests.qnn_theory.random_expressions import expressions

DIM = 3

# Each contained in the next one, close to what a rule separates.
CONTAINED = [
    ("relu(affine('A'))", "relu(affine('A'))"),
    ("x * relu(affine('A')) + x", "x * relu(affine('A')) + x"),
    ("relu6(affine('A'))", "relu6(affine('A'))"),
    ("relu6(affine('A'))", "relu(affine('A')) - relu(affine('B'))"),
    ("relu6(affine('A'))", "relu(affine('A')) - relu(affine('A') - 6)"),
    ("relu(affine('A')) + relu(-affine('A'))", "prelu(affine('A'))"),
    ("relu(affine('A')) + affine('A')", "relu(affine('A')) + affine('A')"),
    ("relu(affine('A'))", "relu(-affine('A')) + affine('A')"),
    ("relu(affine('A')) + relu(affine('B'))", "relu(affine('A')) + relu(affine('B'))"),
    ("relu(affine('A'))", "relu(affine('A')) + relu(-2 * affine('B'))"),
    ("tanh(affine('A'))", "2 * sigmoid(2 * affine('A')) - 1"),
    ("2 * sigmoid(2 * affine('A')) - 1", "tanh(affine('A'))"),
    ("x * tanh(affine('A'))", "x * affine('A') * sigmoid(affine('B')) + x"),
    ("x * sigmoid(affine('A'))", "x * sigmoid(-affine('A'))"),
    ("affine('A') * silu(affine('B'))", "affine('A') * affine('B') * sigmoid(affine('B'))"),
    ("silu(affine('A')) - silu(-2 * affine('A'))", "silu(affine('A')) - silu(affine('B'))"),
    ("sigmoid(affine('A')) + sigmoid(affine('A') + 1)", "sigmoid(affine('A')) + sigmoid(affine('B'))"),
    ("x * mish(affine('A'))", "x * mish(affine('A'))"),
    ("x * gelu(affine('A'))", "x * gelu(affine('A'))"),
    ("prelu(affine('A'))", "relu(affine('A')) - relu(affine('B'))"),
    ("affine('A')", "relu(affine('A')) - relu(-affine('A'))"),
]
# With what differs: the same attempts are accepted.
NOT_CONTAINED = [
    ("x * relu(affine('A'))", "x * affine('A')", "hyperplanes"),
    ("x * relu(affine('A')) + x", "relu(affine('A')) + x", "hyperplanes"),
    ("relu(affine('A')) + relu(-affine('A'))", "relu(affine('A'))", "sides"),
    ("relu(affine('A'))", "relu(affine('A')) + affine('A')", "sides"),
    ("sigmoid(affine('A'))", "tanh(affine('A'))", "sides"),
    ("x * silu(affine('A'))", "x * sigmoid(affine('A'))", "sides"),
    ("relu(affine('A'))", "relu6(affine('A'))", "hyperplanes"),
    ("relu(affine('A'))", "relu(affine('A')) - relu(affine('A') - 6)", "sides"),
]


def function(expr: Expr, generator: random.Random) -> tuple[dict[str, Any], list[Any], list[Fraction]]:
    """Parameters, as values and as a certificate's entries, with the hyperplane on which the first argument is 0."""
    entries: list[Any] = []
    values = {}
    for name, shape in shapes(expr, DIM).items():

        def entry(at: tuple[int, ...], name: str = name) -> Any:
            number = Fraction(generator.choice([-3, -2, -1, 1, 2, 3]))
            entries.append([name, list(at), str(number)])
            return fmpq(number)

        values[name] = filled(shape, entry)
    row = [Fraction(int(v.p), int(v.q)) for v in (values["b_A"][0], *values["A"][0])]
    return values, entries, [c / row[1] for c in row]


def attempts(source: Expr, target: Expr, generator: random.Random) -> set[str]:
    """The rules that accept a separation by what the source's function is on the two sides of its hyperplane."""
    values, entries, plane = function(source, generator)
    accepted = set()
    for far in (False, True):
        own = [Fraction(0), *plane[1:]] if far else plane
        at = [Fraction(generator.randint(-9, 9)) for _ in range(DIM)]
        at[0] = -own[0] - sum((c * p for c, p in zip(own[2:], at[1:], strict=True)), Fraction(0))
        germs = []
        for sign in (1, -1):
            along = [Fraction(sign)] + [Fraction(0)] * (DIM - 1)
            try:
                found, _ = germ(source, values, at, along, far=far)
            except RejectedError:
                break  # smooth activations have no germs near a point
            texts = {"0": [[list(m), str(c)] for m, c in found[0].items()]}
            germs.append({"far": far, "at": [*map(str, at)], "along": [*map(str, along)], "outputs": texts})
        if len(germs) < 2:
            continue
        witness = {"dim": DIM, "entries": entries, "germs": germs}
        shown = {"output": 0, "hyperplanes": [[*map(str, own)]]}
        for rule, data in (("sides", shown), *(("hyperplanes", shown | {"limit": n}) for n in range(4))):
            try:
                check_separation(source, target, rule, data, witness)
            except (RejectedError, NotCheckedError):
                continue
            accepted.add(rule)
    return accepted


@pytest.mark.parametrize(("source", "target"), CONTAINED)
def test_what_is_contained_has_such_sides(source: str, target: str) -> None:
    generator = random.Random(source + target)
    for _ in range(3):
        assert not attempts(qt.get_format(source).expr, qt.get_format(target).expr, generator)


@pytest.mark.parametrize(("source", "target", "rule"), NOT_CONTAINED)
def test_what_has_other_sides_is_told_apart(source: str, target: str, rule: str) -> None:
    generator = random.Random(source + target)
    assert any(rule in attempts(qt.get_format(source).expr, qt.get_format(target).expr, generator) for _ in range(3))


@given(expressions(), st.randoms(use_true_random=False), st.booleans())
def test_the_family_holds_every_germ(expr: Expr, generator: random.Random, far: bool) -> None:
    """Whatever a function is near a point or far out is a combination of random members; else a true function is excluded."""
    dim = 2
    try:
        values = {
            name: filled(shape, lambda at: fmpq(Fraction(generator.randint(-3, 3))))
            for name, shape in shapes(expr, dim).items()
        }
        at, along = ([Fraction(generator.randint(-9, 9), 2) for _ in range(dim)] for _ in range(2))
        found, _ = germ(expr, values, at, along, far=far)
        family = Family(expr, dim)
    except (RejectedError, NotCheckedError, ValueError):
        return
    members = [family.member() for _ in range(2)]
    size = max(len(set(f) | set(g)) for f, g in zip(*members, strict=True)) + 4
    if size > 60:
        return
    members += [family.member() for _ in range(size)]
    for k, polynomial in enumerate(found):
        assert in_span([member[k] for member in members], polynomial, affine=True)


def accepted_reasons(source: str, target: str) -> set[str]:
    """The reasons for which a difference that is not 0 is taken to separate two formats."""
    a, b = qt.get_format(source).expr, qt.get_format(target).expr
    found = set()
    for seed in range(2):
        _, entries, _ = function(a, random.Random(f"{source}|{seed}"))
        witness = {"dim": DIM, "entries": entries, "germs": []}
        line = ["1", "2", "-1"]
        for reason in ("pieces", "poles", "rate"):
            data: dict[str, Any] = {"output": 0, "degree": 4, "direction": line, "around": line, "reason": reason}
            try:
                check_separation(a, b, "no polynomial", data | {"value": "1"}, witness)
            except (RejectedError, NotCheckedError) as error:
                value = str(error).split(" is ")[-1]  # the message tells the value that it should be
            try:
                check_separation(a, b, "no polynomial", data | {"value": value}, witness)
            except (RejectedError, NotCheckedError):
                continue
            found.add(reason)
    return found


@pytest.mark.parametrize(
    ("source", "target"),
    [
        *CONTAINED,
        ("gelu(affine('A')) - gelu(-affine('A'))", "affine('A') * silu(affine('B'))"),
        ("silu(affine('A')) - silu(-affine('A'))", "affine('A') * gelu(affine('B'))"),
        ("x * sigmoid(affine('A')) + x * sigmoid(-affine('A'))", "x * affine('W') + x"),
        ("affine('A') * mish(affine('B'))", "affine('A') * mish(2 * affine('B'))"),
        ("relu(affine('A')) - relu(-affine('A'))", "affine('A')"),
    ],
)
def test_no_difference_separates_what_is_contained(source: str, target: str) -> None:
    assert not accepted_reasons(source, target)


@pytest.mark.parametrize(
    ("source", "target", "reason"),
    [
        ("x * silu(affine('A'))", "x * affine('W') + x", "pieces"),
        ("silu(affine('A')) + relu(affine('A'))", "relu(affine('A'))", "pieces"),
        ("silu(affine('A'))", "affine('B') * gelu(affine('A'))", "poles"),
        ("gelu(affine('A'))", "affine('B') * silu(affine('A'))", "rate"),
    ],
)
def test_a_difference_separates_for_its_reason(source: str, target: str, reason: str) -> None:
    assert accepted_reasons(source, target) == {reason}


@pytest.mark.parametrize(("source", "target"), CONTAINED)
def test_what_is_contained_obeys_every_equation_and_rank(source: str, target: str) -> None:
    """Each coefficient as an equation with the value that most functions of the target have, and ranks of their matrix."""
    a, b = qt.get_format(source).expr, qt.get_format(target).expr
    values, entries, _ = function(a, random.Random(source))
    family = Family(b, DIM)
    monomials = sorted({m for f in family.member() for m in f} | {(0, 1, 1), (2, 0, 0), (0, 0, 0)})
    for far in (False, True):
        at, along = [Fraction(7), Fraction(-5), Fraction(3)], [Fraction(1)] * DIM
        try:
            found, _ = germ(a, values, at, along, far=far)
        except RejectedError:
            continue
        texts = {str(k): [[list(m), str(c)] for m, c in f.items()] for k, f in enumerate(found)}
        germs = [{"far": far, "at": [*map(str, at)], "along": [*map(str, along)], "outputs": texts}]
        witness = {"dim": DIM, "entries": entries, "germs": germs}
        tries: list[tuple[str, dict[str, Any]]] = [
            ("coefficients", {"output": 0, "terms": [[list(m), "1"]], "value": value, "gates": gates})
            for m in monomials
            for value in ("0", "1", "2", "1/2")
            for gates in ("free", "constant")
        ]
        rows = [[k, [0] * DIM] for k in range(DIM)]
        columns = [list(m) for m in monomials]
        tries += [
            ("rank", {"rows": rows, "columns": columns, "form": None, "bound": bound, "rank": rank})
            for rank in range(4)
            for bound in range(rank)
        ]
        for rule, data in tries:
            with pytest.raises((RejectedError, NotCheckedError)):
                check_separation(a, b, rule, data, witness)
