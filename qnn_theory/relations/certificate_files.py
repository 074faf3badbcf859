"""Certificates as files: a relation as JSON that `qnn_theory.checking` accepts or rejects without knowing how it was found.

A file holds what has to be believed and nothing else: the two formulas, the verdict, for each direction the map or the witness
with exact rationals, and the rule's numbers. Prose is left out: the checker writes its own.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

from qnn_theory.algebra.polynomials import to_flint
from qnn_theory.checking.document import seal
from qnn_theory.checking.functions import germ
from qnn_theory.grammar.cancelling.cancellation import cancelled
from qnn_theory.grammar.expr import Expr, FirstInput, Input, bias_name
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import unrolled_parameters, unrolled_values
from qnn_theory.grammar.readings.formula_text import to_formula
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.stacking import mapped_values
from qnn_theory.grammar.widths import parameters
from qnn_theory.registry import get_format
from qnn_theory.relations.certificates import CarriedSeparation, Containment, Direction
from qnn_theory.relations.constant_gates import ConstantGate
from qnn_theory.relations.containment.parameter_map import Assignment, ParameterMap
from qnn_theory.relations.containment.terms import Term, parameter
from qnn_theory.relations.function_classes.coefficient_map import CoefficientMap
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.relation import Relation, relation
from qnn_theory.relations.stacks.depth import LayerwiseMap
from qnn_theory.relations.stacks.stacked import stacked

NAME = "relation of two formats"
VERSION = 2


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
    names = [a.id, b.id]
    if found.depth > 1:  # stacks are formats without a name
        a, b = (stacked(format, found.depth) for format in (a, b))
        names = [to_formula(format.expr) for format in (a, b)]
    document = {
        "certificate": NAME,
        "version": VERSION,
        "first": {"name": names[0], "formula": to_formula(a.expr)},
        "second": {"name": names[1], "formula": to_formula(b.expr)},
        "kind": found.kind,
        "forward": direction_data(found.certificate.forward, a, b),
        "backward": direction_data(found.certificate.backward, b, a),
    }
    return document | {"seal": seal(document)}


def certificate_text(first: str | Format, second: str | Format, found: Relation | None = None) -> str:
    """`certificate_data` as the content of a file."""
    return json.dumps(certificate_data(first, second, found), indent=1, ensure_ascii=False) + "\n"


def direction_data(direction: Direction, source: Format, target: Format) -> dict[str, Any]:
    """One direction: whether the source is contained in the target."""
    ends = {source.id: source, target.id: target}

    def link(between: Containment, formula: str) -> dict[str, Any]:
        a, b = (ends.get(name) or get_format(name) for name in (between.source, between.target))
        return {"formula": formula_text(formula), "proof": direction_data(between, a, b)}

    def formula_text(name: str) -> str:
        return to_formula((ends.get(name) or get_format(name)).expr)

    match direction:
        case Containment(links=links) if links:
            return {"verdict": "contained", "links": [link(step, step.target) for step in links]}
        case Containment(map=CoefficientMap() as map):
            return {"verdict": "contained", **coefficients_data(map)}
        case Containment(map=map, gates=gates):
            if isinstance(map, LayerwiseMap) and not gates:
                map = map.written_out() or map
            constants = {name for gate in gates for name in (gate.map, bias_name(gate.map))}
            plain = map_data(map, without=constants) if isinstance(map, ParameterMap) else None
            if plain is not None:  # what cancels in the target is in no map, so it may be anything
                plain = {p.name: [[[]]] for p in unrolled_parameters(target.expr) if p.name not in constants} | plain
            return {"verdict": "contained", "map": plain} | ({"gates": [_gate_data(g) for g in gates]} if gates else {})
        case CarriedSeparation(carried=carried, below=below, above=above):
            inner = [ends.get(name) or get_format(name) for name in (carried.source, carried.target)]
            return {
                "verdict": "not contained",
                "below": None if below is None else link(below, below.source),
                "above": None if above is None else link(above, above.target),
                "separation": direction_data(carried, inner[0], inner[1]),
            }
        case Separation() if (simpler := _without_cancelling(target)) is not None:
            own = {p.name: own_parameter(p.name) for p in parameters(simpler.expr)}
            proof = {"verdict": "contained", "map": own}
            return {
                "verdict": "not contained",
                "below": None,
                "above": {"formula": to_formula(simpler.expr), "proof": proof},
                "separation": direction_data(direction, source, simpler),
            }
        case Separation(invariant=invariant, data=None):
            return {"verdict": "not contained", "rule": invariant, "data": None, "witness": None}
        case Separation(data=dict() as data):
            numbers = {key: value for key, value in data.items() if key not in ("rule", "germs")}
            shown = _witness_data(direction, source, data["germs"]) if "germs" in data else None
            return {"verdict": "not contained", "rule": data["rule"], "data": numbers, "witness": shown}
        case _:
            return {"verdict": "open"}


def coefficients_data(map: CoefficientMap) -> dict[str, Any]:
    """The map in the language of the checker: an affine form as the slope and the value of a formula.

    Parameters that read other coefficients are free there: that some values of them fit, it solves equations to see.
    """
    put: dict[str, Any] = {p.name: [[[]]] for p in map.parameters}
    free: list[str] = []
    for reading in map.readings:
        for slot in reading.slots:
            simple = len(reading.slots) == 1 and slot.role == "affine" and not slot.outer and slot.inner == (1,)
            for name, operation in ((slot.weight, "slope"), (bias_name(slot.weight), "value")):
                if name in put and simple:
                    put[name] = [[[[str(1 / slot.factor), [operation, to_formula(reading.of)]]]]]
                elif name in put:
                    free.append(name)
    for copy in map.copies:
        axes = {p.name: p.axes for p in (*parameters(map.source), *map.parameters)}
        columns = {axes[name][1] for name in copy.weights}
        blocks = axes[copy.weight][1] / max(columns)
        if copy.scale is not None or copy.constant is not None or len(columns) > 1 or blocks.denominator != 1:
            return {"map": None}
        row = [[["1", parameter(name).data]] for name in copy.weights]
        put[copy.weight] = [row + [[]] * (int(blocks) - len(row))]
        if copy.bias:
            put[bias_name(copy.weight)] = [[[["1", parameter(bias_name(name)).data] for name in copy.biases]]]
    for name, value in map.fixed:
        one = ["identity", 1] if value == "x" else ["ones", 1]
        put[name if value == "x" else bias_name(name)] = [[[["1", one]]]]
    kept = {name: value for name, value in put.items() if name not in free}
    return {"map": kept, "free": free} if free else {"map": kept}


def _without_cancelling(format: Format) -> Format | None:
    """The format without what cancels in it, which the checker knows as a sum; None if nothing does."""
    if unrolled_parameters(format.expr) != parameters(format.expr):
        return None  # a row sum is written out, and its names are none of the grammar's

    def rule(node: Expr) -> Expr:
        return Input() if isinstance(node, FirstInput) else node

    plain = replace(format.expr, rule)
    simpler = cancelled(plain)
    return None if simpler == plain else Format(format.id, simpler)


def own_parameter(name: str) -> list[Any]:
    """A parameter that is the source's of the same name."""
    return [[[["1", parameter(name).data]]]]


def _gate_data(gate: ConstantGate) -> dict[str, str]:
    numbers = {"value": str(gate.value), "low": str(gate.low), "high": str(gate.high)}
    return {"kind": gate.kind, "map": gate.map} | numbers


def map_data(map: ParameterMap, *, without: Collection[str] = ()) -> dict[str, Any] | None:
    """Parameter -> blocks of rows -> blocks of columns -> [coefficient, term]; None if a formula is no `Term`."""
    kept = [assignment for assignment in map.assignments if assignment.parameter.name not in without]
    terms = [
        formula.compute
        for assignment in kept
        for row in assignment.blocks
        for block in row
        for _, formula in block.terms
    ]
    if not all(isinstance(term, Term) for term in terms):
        return None
    return {assignment.parameter.name: _assignment_data(assignment) for assignment in kept}


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


def _witness_data(separation: Separation, source: Format, germs: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The witness's parameters, and its polynomials where the rule needs them."""
    shown = separation.witness
    if shown is None:
        return None
    values = shown.values(source.expr)
    return {
        "dim": shown.dim,
        "entries": [[name, list(index), str(value)] for (name, index), value in shown.entries],
        "germs": [dict(germ) | {"outputs": _polynomials(source, values, germ, shown.dim)} for germ in germs],
    }


def _polynomials(source: Format, values: dict[str, Any], place: Mapping[str, Any], dim: int) -> dict[str, Any]:
    """Output (from 0) -> [exponents, coefficient], at a point or far out."""
    at = [Fraction(number) for number in place["at"]]
    along = [Fraction(0)] * dim if place["along"] is None else [Fraction(number) for number in place["along"]]
    own = mapped_values(unrolled_values(source.expr, values), to_flint)
    found, _ = germ(source.expr, own, at, along, far=place["far"])
    return {str(i): sorted([list(m), str(c)] for m, c in found[i].items()) for i in place["outputs"]}
