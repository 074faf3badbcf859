"""Every single change of a registered format's expression makes some check fail.

Mutants drop a term or a factor, change a power or a factor, unshare or merge maps, drop a bias or an activation, swap joined
parts, change a width or the number of rows. The checks are those that the tests of the registry run: the formula by hand, the
count of parameters, the monomials, and the relations by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace as with_fields
from fractions import Fraction

import pytest

import qnn_theory as qt
from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Concat,
    Expr,
    HeadMajor,
    Input,
    Multiple,
    Power,
    Product,
    RowSum,
    Scale,
    Sum,
    children,
)
from qnn_theory.grammar.format import Format
from tests.qnn_theory import format_checks
from tests.qnn_theory.paper_ids import PAPER
from tests.qnn_theory.relation_table import contained_in

FORMATS = {id: qt.get_format(id) for id in PAPER}


def mutants(expr: Expr) -> Iterator[tuple[str, Expr]]:
    """Every expression that differs from this one in one place, with what was done."""
    yield from here(expr)
    for k, child in enumerate(children(expr)):
        for what, changed in mutants(child):
            yield what, with_child(expr, k, changed)


def here(expr: Expr) -> Iterator[tuple[str, Expr]]:
    """Changes of the outermost node."""
    match expr:
        case Sum(terms=parts) | Product(factors=parts) | Concat(parts=parts):
            field = {Sum: "terms", Product: "factors", Concat: "parts"}[type(expr)]
            for k in range(len(parts)):
                rest = parts[:k] + parts[k + 1 :]
                yield (
                    f"drop part {k + 1} of a {type(expr).__name__}",
                    rest[0] if len(rest) == 1 else with_fields(expr, **{field: rest}),
                )
            if isinstance(expr, Concat):
                yield "swap joined parts", Concat(parts=parts[::-1])
            if isinstance(expr, Sum):
                yield "multiply instead of add", Product(factors=parts)
            if isinstance(expr, Product):
                yield "add instead of multiply", Sum(terms=parts)
        case Power(of=of, exponent=exponent):
            yield "raise a power", Power(of=of, exponent=exponent + 1)
            yield "drop a power", of
        case Multiple(factor=factor, of=of):
            yield "change a factor", Multiple(factor=factor + 1, of=of)
            yield "drop a factor", of
        case Activation(of=of):
            yield "drop an activation", of
            yield "square instead of an activation", Power(of=of, exponent=2)
        case Affine(name=name, of=of, width=width):
            yield "drop a bias", with_fields(expr, bias=False)
            yield "rename a map (unshare)", with_fields(expr, name="W_z")
            if name != "W_a":
                yield "merge with W_a (share)", with_fields(expr, name="W_a")
            yield "change a width", with_fields(expr, width=width / 2 if width == 1 else Fraction(1))
            yield "square the argument", with_fields(expr, of=Power(of=of, exponent=2))
        case Bilinear():
            yield "drop a bias", with_fields(expr, bias=False)
            yield "square one side", with_fields(expr, right=Power(of=expr.right, exponent=2))
        case Scale(of=of):
            yield "drop a scale", of
        case RowSum(rows=rows):
            yield "add a row", with_fields(expr, rows=rows + 1)
            yield "drop the rows", expr.of
        case HeadMajor(of=of):
            yield "drop the permutation", of
        case Input():
            yield "square an input", Power(of=expr, exponent=2)
        case _:
            return


def with_child(expr: Expr, k: int, changed: Expr) -> Expr:
    match expr:
        case Sum(terms=parts) | Product(factors=parts) | Concat(parts=parts):
            field = {Sum: "terms", Product: "factors", Concat: "parts"}[type(expr)]
            return with_fields(expr, **{field: (*parts[:k], changed, *parts[k + 1 :])})
        case Bilinear():
            return with_fields(expr, **{("left", "right")[k]: changed})
        case _:
            return with_fields(expr, of=changed)


def mutated_formats(format: Format) -> list[tuple[str, Format]]:
    """The mutants that are formats; those whose widths or names do not fit cannot be written in the first place."""
    found = []
    for what, expr in mutants(format.expr):
        try:
            found.append((what, with_fields(format, expr=expr)))
        except ValueError:
            continue
    return found


CHECKS: dict[str, Callable[[Format], bool]] = {
    "formula": format_checks.is_the_papers_formula,
    "parameters": format_checks.has_the_papers_number_of_parameters,
    "monomials": format_checks.has_the_monomials_of_its_formula,
}


def fails(check: Callable[[Format], bool], format: Format) -> bool:
    try:
        return not check(format)
    except (ValueError, KeyError, IndexError):
        return True


@pytest.mark.parametrize("id", FORMATS)
def test_every_mutant_is_caught_by_the_formula(id: str) -> None:
    format = FORMATS[id]
    assert all(check(format) for check in CHECKS.values())
    found = mutated_formats(format)
    assert len(found) >= 3
    for what, mutant in found:
        assert fails(CHECKS["formula"], mutant), f"{id}: {what} is caught by no check: {mutant.latex}"


@pytest.mark.slow
def test_mutants_are_caught_without_the_formula(capsys: pytest.CaptureFixture[str]) -> None:
    """What else catches the mutants of T1 to T25: counts, monomials, the order by hand, or a relation to the original.

    A mutant that none of them catches must be proved to have the same functions (a map under another name, for instance).
    """
    ids = [f"T{k}" for k in range(1, 26)]
    in_order = format_checks.relates_as_by_hand(contained_in(list(FORMATS)), {id: FORMATS[id] for id in ids})
    checks = {"parameters": CHECKS["parameters"], "monomials": CHECKS["monomials"], "order": in_order}
    caught: dict[str, list[str]] = {}
    for id in ids:
        for what, mutant in mutated_formats(FORMATS[id]):
            by = next((name for name, check in checks.items() if fails(check, mutant)), None)
            if by is None:
                by = f"relation: {qt.relation(with_fields(mutant, id=f'{id} mutant'), id).kind}"
            caught.setdefault(by, []).append(f"{id}: {what}")
    with capsys.disabled():
        for name, mutants in caught.items():
            print(f"{name}: {len(mutants)}", "" if name in checks else "; ".join(mutants))
    assert "relation: open" not in caught
    same = caught.pop("relation: equivalent")
    assert len(same) < sum(map(len, caught.values())) / 5
