"""Directions as plain entries of a file, and back.

A map is stored as text, block by block; what a text computes is looked up among the building blocks that the source offers, so
a text that means nothing is an error and never a wrong map.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cache
from importlib import resources
from typing import Any

from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.readings.formula_text import to_formula
from qnn_theory.registry import formats, is_registered
from qnn_theory.relations.certificates import Containment, Direction
from qnn_theory.relations.containment.parameter_map import Combination, Formula, ParameterMap
from qnn_theory.relations.containment.problem import Choice, Problem
from qnn_theory.relations.containment.proof import MapProof
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.witness import Witness

FILE = "order.json"


def registry_hash(of: Sequence[Format] | None = None) -> str:
    """A hash of the registered formats' names and formulas."""
    chosen = [format for format in formats() if is_registered(format)] if of is None else of
    text = json.dumps([[format.id, to_formula(format.expr)] for format in chosen])
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def stored(source: Format, target: Format) -> Direction | None:
    """What the file says of a pair of registered formats, or None where it says nothing."""
    entry = _entry(source, target)
    if entry is None:
        return None
    return _containment(entry, source, target) if entry["verdict"] == "contained" else _separation(entry)


def stored_verdict(source: Format, target: Format) -> str | None:
    """``contained``, ``not contained``, or None where the file says nothing."""
    entry = _entry(source, target)
    return None if entry is None else str(entry["verdict"])


def entries_of(directions: Sequence[Direction]) -> dict[str, Any]:
    """The content of the file; a direction that is open or that has another kind of map is left out and so computed anew."""
    tables: dict[str, dict[str, int]] = {"rules": {}, "findings": {}, "witnesses": {}, "data": {}}
    entries: list[dict[str, Any]] = []

    def number(table: str, value: Any) -> int:
        known = tables[table]
        return known.setdefault(json.dumps(value, ensure_ascii=False), len(known))

    for direction in directions:
        head = {"source": direction.source, "target": direction.target}
        if type(direction) is Containment and isinstance(direction.map, ParameterMap) and not direction.links:
            proof = direction.proof
            entries.append(
                head
                | {
                    "verdict": "contained",
                    "map": _texts(direction.map),
                    "symbolic_dims": list(proof.symbolic_dims),
                    "modular_dims": list(proof.modular_dims),
                    "error_bound": proof.error_bound,
                }
            )
        elif type(direction) is Separation:
            entries.append(
                head
                | {
                    "verdict": "not contained",
                    "invariant": direction.invariant,
                    "rule": number("rules", direction.rule),
                    "finding": number("findings", direction.finding),
                    "witness": number("witnesses", _witness_texts(direction.witness)),
                    "data": number("data", None if direction.data is None else dict(direction.data)),
                    "dims": list(direction.dims),
                    "closed": direction.closed,
                    "grows": direction.grows,
                }
            )
    return {
        "registry": registry_hash(),
        **{name: [json.loads(text) for text in table] for name, table in tables.items()},
        "directions": entries,
    }


def file_text(content: Mapping[str, Any]) -> str:
    """The content as JSON, a line for each text and each direction."""

    def lines(values: Sequence[Any]) -> str:
        return (
            "[\n" + ",\n".join(json.dumps(v, ensure_ascii=False, separators=(",", ":")) for v in values) + "\n]"
            if values
            else "[]"
        )

    parts = [f"{json.dumps(k)}: {json.dumps(v) if isinstance(v, str) else lines(v)}" for k, v in content.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


@cache
def _content() -> tuple[dict[str, Any], dict[tuple[str, str], dict[str, Any]]]:
    place = resources.files("qnn_theory") / "relations" / "registered_order" / FILE
    if not place.is_file():
        return {}, {}
    content = json.loads(place.read_text(encoding="utf-8"))
    if content["registry"] != registry_hash():
        return {}, {}
    return content, {(entry["source"], entry["target"]): entry for entry in content["directions"]}


def _entry(source: Format, target: Format) -> dict[str, Any] | None:
    if not (is_registered(source) and is_registered(target)):
        return None
    return _content()[1].get((source.id, target.id))


def _texts(map: ParameterMap) -> dict[str, Any]:
    return {
        assignment.parameter.name: [
            [[[str(coefficient), formula.text] for coefficient, formula in part.terms] for part in row]
            for row in assignment.blocks
        ]
        for assignment in map.assignments
    }


def _containment(entry: Mapping[str, Any], source: Format, target: Format) -> Containment:
    problem = Problem(normal_form(source.expr), normal_form(target.expr), products=True)
    chosen: Choice = {}
    for slot in problem.slots():
        terms = entry["map"][slot.parameter.name][slot.row][slot.column]
        if terms:
            offered = {formula.text: formula for formula in reversed(problem.candidates(slot))}
            chosen[slot] = Combination(tuple((Fraction(number), _named(offered, text)) for number, text in terms))
    return Containment(
        source=source.id,
        target=target.id,
        map=ParameterMap(tuple(problem.assignment(p, chosen) for p in problem.parameters.values())),
        proof=MapProof(
            symbolic_dims=tuple(entry["symbolic_dims"]),
            modular_dims=tuple(entry["modular_dims"]),
            error_bound=float(entry["error_bound"]),
        ),
    )


def _named(offered: Mapping[str, Formula], text: str) -> Formula:
    if text not in offered:
        raise ValueError(
            f"A stored map is made of the building blocks of its source, however: {text!r} is none of "
            f"{', '.join(offered)}; write the file anew with python -m qnn_theory.relations.write_order."
        )
    return offered[text]


def _separation(entry: Mapping[str, Any]) -> Separation:
    content = _content()[0]
    return Separation(
        source=entry["source"],
        target=entry["target"],
        invariant=entry["invariant"],
        rule=content["rules"][entry["rule"]],
        finding=content["findings"][entry["finding"]],
        witness=_witness(content["witnesses"][entry["witness"]]),
        dims=tuple(entry["dims"]),
        closed=entry["closed"],
        grows=entry["grows"],
        data=content["data"][entry["data"]],
    )


def _witness_texts(shown: Witness | None) -> Any:
    if shown is None:
        return None
    return {
        "dim": shown.dim,
        "entries": [[name, list(index), str(value)] for (name, index), value in shown.entries],
        "outputs": [list(output) for output in shown.outputs],
    }


def _witness(texts: Any) -> Witness | None:
    if texts is None:
        return None
    return Witness(
        dim=texts["dim"],
        entries=tuple(((name, tuple(index)), Fraction(value)) for name, index, value in texts["entries"]),
        outputs=tuple((number, text) for number, text in texts["outputs"]),
    )
