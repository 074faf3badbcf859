"""Overviews over many formats or statements: all registered formats, the two directions of a relation, the paper's claims."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from qnn_theory.cards.formulas import class_cell, class_data, formula_cell
from qnn_theory.cards.tables import Cell, Table
from qnn_theory.costs import cost
from qnn_theory.grammar.readings.text import to_text
from qnn_theory.named_references import references
from qnn_theory.paper_claims.claim import Claim
from qnn_theory.registry import formats
from qnn_theory.relations.certificates import Containment, heading
from qnn_theory.relations.limits.limit import Barrier, limit_heading
from qnn_theory.relations.relation import Relation
from qnn_theory.smoothness_classes.smoothness import smoothness


def formats_table() -> Table:
    """All registered formats: formula, cost and smoothness class of one layer."""
    rows, data = [], []
    for format in formats():
        price, order = cost(format), smoothness(format).order
        rows.append(
            (
                Cell(format.id),
                Cell(to_text(format.expr), f"${format.latex}$"),
                formula_cell(price.parameters),
                formula_cell(price.flops),
                class_cell(order),
                Cell(format.note),
            )
        )
        data.append(
            {
                "id": format.id,
                "formula": to_text(format.expr),
                "latex": format.latex,
                "parameters": str(price.parameters),
                "flops": str(price.flops),
                "smoothness": class_data(order),
                "source": format.source,
                "note": format.note,
            }
        )
    headers = ("id", "formula", "parameters", "FLOPs", "class", "note")
    return Table(title="Neuron formats, one layer of width d", headers=headers, rows=tuple(rows), data=data)


def references_table() -> Table:
    """The named layers of the literature: formula, citation, the registered formats that express the same functions."""
    rows, data = [], []
    for reference in references():
        format, same = reference.format, ", ".join(reference.same_as)
        note = "; ".join(filter(None, (format.note, same and f"the functions of {same}")))
        formula = Cell(to_text(format.expr), f"${format.latex}$")
        rows.append((Cell(format.id), formula, Cell(f"{format.source}: {reference.work}"), Cell(note)))
        data.append(
            {
                "id": format.id,
                "formula": to_text(format.expr),
                "latex": format.latex,
                "source": format.source,
                "work": reference.work,
                "note": format.note,
                "same_as": list(reference.same_as),
            }
        )
    headers = ("name", "formula", "source", "note")
    return Table(
        title="Well-known layers, by name wherever an id is accepted", headers=headers, rows=tuple(rows), data=data
    )


def relation_table(found: Relation) -> Table:
    """How two formats relate, one row a direction: a parameter map with its proof, or a separation; then the same with limits."""
    directions = (found.certificate.forward, found.certificate.backward)
    limit = found.limit
    beside = [
        d
        for exact, d in zip(directions, (limit.forward, limit.backward), strict=True)
        if not isinstance(exact, Containment)
    ]
    rows = [(Cell(heading(d)), Cell("\n".join(d.lines))) for d in directions]
    rows += [
        (Cell(limit_heading(d)), Cell(d.lines[-1] if isinstance(d, Barrier) else "\n".join(d.lines))) for d in beside
    ]
    return Table(
        title=f"{found.text}; {limit.text}",
        headers=("", ""),
        rows=tuple(rows),
        data={
            "first": found.first,
            "second": found.second,
            "kind": found.kind,
            "statement": found.text,
            "certificate": found.certificate.to_dict(),
            "limit": limit.to_dict(),
        },
    )


def claims_table(claims: Sequence[Claim]) -> Table:
    """The paper's claims with verdict, evidence, and the computation behind it."""
    fields = ("id", "verdict", "statement", "source", "evidence", "computed_by")
    verdicts = Counter(claim.verdict for claim in claims)
    return Table(
        title="Claims of the paper: " + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()),
        headers=("claim", "verdict", "statement and evidence"),
        rows=tuple(
            (
                Cell(claim.id),
                Cell(claim.verdict),
                Cell(f"{claim.statement} [{claim.source}]\n{claim.evidence} (computed by {claim.computed_by})"),
            )
            for claim in claims
        ),
        data=[{name: getattr(claim, name) for name in fields} for claim in claims],
    )
