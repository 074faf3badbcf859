"""Containment by special values of the target's parameters that make it another, simpler format.

* a bilinear map with diagonal matrices is an affine map of a product: ``uᵀ diag(v_k) w = (V (u ⊙ w))_k``;
* a prelu of slope 0 is a relu, of slope 1 nothing, so what it holds can cancel;
* a map that occurs once, beside other affine terms, takes them up: ``relu(A x - B x) + B x`` is ``relu(A x) + B x``.

The usual search finds a map into the simpler format; the proof is that of any map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import TypeAlias

from qnn_theory.algebra.deadline import check
from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Constant,
    Expr,
    Input,
    Multiple,
    Product,
    Sum,
    bias_name,
    relu,
    walk,
)
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import Parameter, parameters, width
from qnn_theory.relations.containment.parameter_map import Assignment, Combination, Formula, ParameterMap, zero
from qnn_theory.relations.containment.search import find_map
from qnn_theory.relations.containment.terms import Term

Own: TypeAlias = Mapping[str, Assignment]
Complete: TypeAlias = Callable[[Parameter, Own], Assignment | None]
"""The value of a parameter of the target, from those of the simpler format; None where they are the same or it is zero."""


def contained_by_special_values(source: Format, target: Format, *, tries: int) -> ParameterMap | None:
    """A map from the parameters of `source` to those of `target` that gives some of them special values, or None.

    Args:
        source: the format whose functions are to be written in the other.
        target: the other format.
        tries: as in `find_map`.
    """
    b = normal_form(target.expr)
    if width(normal_form(source.expr)) != width(b):
        return None
    for special, complete in (*_diagonal(b), *_slopes(b), *_taken_up(b)):
        check()
        found = find_map(source, Format(target.id, special), tries=tries)
        if found is not None:
            own = {assignment.parameter.name: assignment for assignment in found.assignments}
            return ParameterMap(tuple(_assignment(parameter, own, complete) for parameter in parameters(b)))
    return None


def _assignment(parameter: Parameter, own: Own, complete: Complete) -> Assignment:
    special = complete(parameter, own)
    if special is not None:
        return special
    found = own.get(parameter.name)
    return zero(parameter, row_blocks=1, column_blocks=1) if found is None else Assignment(parameter, found.blocks)


def _diagonal(expr: Expr) -> Iterator[tuple[Expr, Complete]]:
    """Bilinear maps with diagonal matrices."""
    names = {node.name: width(node.left) for node in walk(expr) if isinstance(node, Bilinear)}
    names = {name: size for name, size in names.items() if size.numerator == 1}
    if not names:
        return

    def rule(node: Expr) -> Expr:
        if not (isinstance(node, Bilinear) and node.name in names):
            return node
        return Affine(node.name, Product(factors=(node.left, node.right)), width=node.width, bias=node.bias)

    def complete(parameter: Parameter, own: Own) -> Assignment | None:
        found = own.get(parameter.name)
        if parameter.name not in names or found is None or any(len(row) > 1 for row in found.blocks):
            return None
        unit = Term("identity", (names[parameter.name].denominator,))
        return Assignment(parameter, tuple((_diagonals(block, unit),) for (block,) in found.blocks))

    yield replace(expr, rule), complete


def _diagonals(block: Combination, unit: Term) -> Combination:
    terms = []
    for coefficient, formula in block.terms:
        if not isinstance(formula.compute, Term):
            raise TypeError(f"A building block is a term, however: {formula.compute!r}.")
        rows = Term("diagonals", (formula.compute, unit))
        terms.append((coefficient, Formula(f"diag({formula.stem}[k])", rows, formula.block, formula.blocks)))
    return Combination(tuple(terms))


def _slopes(expr: Expr) -> Iterator[tuple[Expr, Complete]]:
    """All prelus with slope 0, or all with slope 1."""
    slopes = {node.slope for node in walk(expr) if isinstance(node, Activation) and node.kind == "prelu"}
    if not slopes:
        return
    for slope in (0, 1):

        def rule(node: Expr, slope: int = slope) -> Expr:
            if not (isinstance(node, Activation) and node.slope in slopes):
                return node
            return node.of if slope else relu(node.of)

        def complete(parameter: Parameter, own: Own, slope: int = slope) -> Assignment | None:
            if parameter.name not in slopes:
                return None
            one = ((Fraction(slope), Formula("1", Term("one"))),) if slope else ()
            return Assignment(parameter, ((Combination(one),),))

        yield normal_form(replace(expr, rule)), complete


def _taken_up(expr: Expr) -> Iterator[tuple[Expr, Complete]]:
    """Sums of affine terms with a map of their own, one at a time."""
    uses = [node.name for node in walk(expr) if isinstance(node, Affine | Bilinear)]
    for node in dict.fromkeys(walk(expr)):
        if not isinstance(node, Sum):
            continue
        parts = [_affine_term(term) for term in node.terms]
        if None in parts:
            continue
        terms = [part for part in parts if part is not None]
        free = next((p for p in terms if isinstance(p[1], Affine) and p[1].bias and uses.count(p[1].name) == 1), None)
        if free is None or not any(isinstance(of, Affine) and of is not free[1] for _, of in terms):
            continue
        others = [term for term in terms if term is not free]
        yield _with_taken_up(expr, node, free, others)


def _with_taken_up(
    expr: Expr, node: Sum, free: tuple[Fraction, Expr], others: list[tuple[Fraction, Expr]]
) -> tuple[Expr, Complete]:
    factor, own_map = free
    name = own_map.name if isinstance(own_map, Affine) else ""

    def complete(parameter: Parameter, own: Own) -> Assignment | None:
        if parameter.name not in (name, bias_name(name)):
            return None
        is_bias = parameter.name != name
        total: list[list[tuple[Fraction, Formula]]] = []
        found = own.get(parameter.name)
        rows = len(found.blocks) if found is not None else 1
        for row in range(rows):
            terms: list[tuple[Fraction, Formula]] = []
            if found is not None:
                terms += [(c / factor, f) for c, f in found.blocks[row][0].terms]
            for other, of in others:
                terms += [(-other / factor * c, f) for c, f in _read(of, own, row, rows, is_bias=is_bias)]
            total.append(terms)
        return Assignment(parameter, tuple((Combination(_collected(terms)),) for terms in total))

    return replace(expr, lambda inner: own_map if inner == node else inner), complete


def _read(of: Expr, own: Own, row: int, rows: int, *, is_bias: bool) -> tuple[tuple[Fraction, Formula], ...]:
    """One block of rows of the weight or the bias of an affine term."""
    match of:
        case Affine(name=name, bias=bias):
            found = own.get(bias_name(name) if is_bias else name)
            if found is None or (is_bias and not bias):
                return ()
            return found.blocks[row][0].terms if len(found.blocks) == rows else ()
        case Input():
            if is_bias:
                return ()
            unit = Term("identity", (1,))
            if rows == 1:
                return ((Fraction(1), Formula("I", unit)),)
            return ((Fraction(1), Formula("I", Term("rows", (unit, row, rows)), row, rows)),)
        case Constant(value=value) if is_bias:
            return ((value, Formula("1", Term("ones", (rows,)))),)
        case _:
            return ()


def _collected(terms: list[tuple[Fraction, Formula]]) -> tuple[tuple[Fraction, Formula], ...]:
    total: dict[Formula, Fraction] = {}
    for coefficient, formula in terms:
        total[formula] = total.get(formula, Fraction(0)) + coefficient
    return tuple((coefficient, formula) for formula, coefficient in total.items() if coefficient)


def _affine_term(term: Expr) -> tuple[Fraction, Expr] | None:
    """(factor, a map of x, x or a number), or None."""
    factor, of = (term.factor, term.of) if isinstance(term, Multiple) else (Fraction(1), term)
    plain = isinstance(of, Input | Constant) or (isinstance(of, Affine) and isinstance(of.of, Input))
    return (factor, of) if plain and factor and width(of) == 1 else None
