"""Certificates as files: a relation as JSON that `qnn_theory.checking` accepts or rejects without knowing how it was found.

A file holds what has to be believed and nothing else: the two formulas, the verdict, for each direction the map or the witness
with exact rationals, and the rule's numbers. Prose is left out: the checker writes its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from qnn_theory.checking.document import seal
from qnn_theory.feature_spaces.pieces import is_piecewise_polynomial, piece
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.formula_text import to_formula
from qnn_theory.registry import get_format
from qnn_theory.relations.certificates import Containment, Direction
from qnn_theory.relations.containment.parameter_map import Assignment, ParameterMap
from qnn_theory.relations.containment.terms import Term
from qnn_theory.relations.invariants.pair import Separation, generic_point
from qnn_theory.relations.relation import Relation, relation

NAME = "relation of two formats"
VERSION = 1


def certificate_data(first: str | Format, second: str | Format, found: Relation | None = None) -> dict[str, Any]:
    """The relation of two formats and its certificate, as plain values for JSON.

    Args:
        first: an id, a formula or a `Format`.
        second: the other one.
        found: their relation, where it is known already.

    Raises:
        KeyError: unknown id.
        ValueError: a formula that cannot be read, or a format that is too large for `relation`.
    """
    a, b = get_format(first), get_format(second)
    found = relation(a, b) if found is None else found
    document = {
        "certificate": NAME,
        "version": VERSION,
        "first": {"name": a.id, "formula": to_formula(a.expr)},
        "second": {"name": b.id, "formula": to_formula(b.expr)},
        "kind": found.kind,
        "forward": direction_data(found.certificate.forward, a),
        "backward": direction_data(found.certificate.backward, b),
    }
    return document | {"seal": seal(document)}


def certificate_text(first: str | Format, second: str | Format, found: Relation | None = None) -> str:
    """`certificate_data` as the content of a file."""
    return json.dumps(certificate_data(first, second, found), indent=1, ensure_ascii=False) + "\n"


def direction_data(direction: Direction, source: Format) -> dict[str, Any]:
    """One direction: whether the source is contained in the other format."""
    match direction:
        case Containment(map=map, gates=gates):
            return {
                "verdict": "contained",
                "map": map_data(map) if isinstance(map, ParameterMap) and not gates else None,
            }
        case Separation(invariant=invariant, data=data):
            return {
                "verdict": "not contained",
                "rule": invariant,
                "data": None if data is None else dict(data),
                "witness": _witness_data(direction, source),
            }
        case _:
            return {"verdict": "open"}


def map_data(map: ParameterMap) -> dict[str, Any] | None:
    """Parameter -> blocks of rows -> blocks of columns -> [coefficient, term]; None if a formula is no `Term`."""
    terms = [
        formula.compute
        for assignment in map.assignments
        for row in assignment.blocks
        for block in row
        for _, formula in block.terms
    ]
    if not all(isinstance(term, Term) for term in terms):
        return None
    return {assignment.parameter.name: _assignment_data(assignment) for assignment in map.assignments}


def _assignment_data(assignment: Assignment) -> list[Any]:
    return [
        [
            [
                [str(coefficient), formula.compute.data]
                for coefficient, formula in block.terms
                if isinstance(formula.compute, Term)
            ]
            for block in row
        ]
        for row in assignment.blocks
    ]


def _witness_data(separation: Separation, source: Format) -> dict[str, Any] | None:
    shown = separation.witness
    if shown is None:
        return None
    result: dict[str, Any] = {
        "dim": shown.dim,
        "entries": [[name, list(index), str(value)] for (name, index), value in shown.entries],
    }
    if is_piecewise_polynomial(source.expr):
        result["function"] = _function_data(separation, source, generic_point(shown.dim))
    return result


def _function_data(separation: Separation, source: Format, point: list[Fraction]) -> Mapping[str, Any] | None:
    """Output (from 0) -> [exponents, coefficient], around the point; None where the point is on a kink."""
    shown = separation.witness
    if shown is None:
        return None
    pieces = piece(source.expr, dim=shown.dim, values=shown.values(source.expr), point=point)
    if pieces is None:
        return None
    return {
        str(output): sorted([list(m), str(c)] for m, c in pieces[output].items() if c) for output, _ in shown.outputs
    }
