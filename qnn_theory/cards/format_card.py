"""The card of one format: everything the toolkit knows of it, as a table that can be printed or read by programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import sympy

from qnn_theory.algebra.closed_form import ClosedForm
from qnn_theory.cards.formulas import class_cell, class_data, class_text, formula_as_latex, formula_text
from qnn_theory.cards.nearest import nearest
from qnn_theory.cards.signal_rows import (
    EMBEDDING_DIM,
    EMBEDDING_STD,
    FIELDS,
    gain_text,
    orders_text,
    start_signals,
)
from qnn_theory.cards.smoothness_data import smoothness_data
from qnn_theory.cards.tables import Cell, Table, formula_latex
from qnn_theory.costs import ROWS, D, cost, network_cost
from qnn_theory.dimension.closed_form import effective_dimension_closed_form
from qnn_theory.dimension.effective_dimension import effective_dimension
from qnn_theory.feature_spaces.closed_forms import degree_formula, dimension_closed_form
from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.feature_spaces.quadratic_form import quadratic_forms, quadratic_rank_formulas
from qnn_theory.feature_spaces.symbolic import expanded
from qnn_theory.grammar.expr import PIECEWISE, Activation, RowSum, uses_activation, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.readings.latex import to_latex
from qnn_theory.grammar.readings.text import to_text
from qnn_theory.grammar.stacking import layer_widths, parameter_count
from qnn_theory.grammar.widths import smallest_width
from qnn_theory.registry import formats, get_format
from qnn_theory.relations.relation import relation
from qnn_theory.smoothness_classes.smoothness import KINKED_DEPTH_LIMIT, Smoothness, smoothness

_EXPANDED_WIDTH = 2
_CARD_WIDTH = 4
_EXPANDED_CHARACTERS = 600  # of one output; longer ones are cut on the terminal, not in JSON


def format_card(
    format: str | Format, *, dim: int | None = None, depth: int = 1, relations: bool = False, neighbours: bool = True
) -> Table:
    """Everything known of one format.

    Args:
        format: an id, activations attached or not, a formula, or a `Format`.
        dim: the width at which sizes and dimensions are computed; the smallest from 4 up that the format accepts.
        depth: the number of layers that support, effective dimension and smoothness are computed for. Where the size is out of
            reach, one layer's numbers are those of the closed forms in d, and the others say why they are missing.
        relations: place the format among all registered ones as well, which takes seconds.
        neighbours: name the nearest formats and references; instant for registered ones, a few seconds for others.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have.
    """
    chosen = get_format(format)
    width = smallest_width(chosen.expr, _CARD_WIDTH) if dim is None else dim
    layer_widths(chosen, dim=width, depth=depth)
    card = _Card()
    _definition(card, chosen)
    _support(card, chosen, width, depth)
    _dimension(card, chosen, width, depth)
    _smooth(card, chosen, depth)
    _price(card, chosen)
    _start(card, chosen)
    if neighbours:
        _neighbours(card, chosen)
    if relations:
        _relations(card, chosen)
    return Table(
        title=f"{chosen.id} (d = {width}, depth {depth} where a number is given)",
        headers=("", ""),
        rows=tuple((Cell(row.label), Cell(row.text, row.latex)) for row in card.rows),
        data={"id": chosen.id, "dim": width, "depth": depth, **card.data},
    )


@dataclass(frozen=True, slots=True)
class _Row:
    label: str
    text: str
    latex: str | None = None


class _Card:
    """A card in the making: rows to read, and the same as data."""

    def __init__(self) -> None:
        self.rows: list[_Row] = []
        self.data: dict[str, Any] = {}

    def add(self, label: str, text: str, latex: str | None = None) -> None:
        if text:
            self.rows.append(_Row(label, text, latex))


def _definition(card: _Card, format: Format) -> None:
    text = to_text(format.expr)
    card.add("formula", text, f"${to_latex(format.expr)}$")
    card.add("source", format.source)
    card.add("note", format.note)
    width = smallest_width(format.expr, _EXPANDED_WIDTH)
    outputs = expanded(format, dim=width)
    first = f"y_1 = {outputs[0]}"
    shown = first if len(first) <= _EXPANDED_CHARACTERS else first[:_EXPANDED_CHARACTERS] + " …"
    card.add(f"expanded, d = {width}", shown, f"$y_1 = {formula_as_latex(outputs[0])}$")
    card.data |= {
        "formula": text,
        "latex": to_latex(format.expr),
        "source": format.source,
        "note": format.note,
        "expanded": {"dim": width, "outputs": [str(output) for output in outputs]},
    }


def _support(card: _Card, format: Format, dim: int, depth: int) -> None:
    if any(isinstance(node, Activation) and node.kind not in PIECEWISE for node in walk(format.expr)):
        card.add("monomials", "none: a smooth activation is a polynomial on no region")
        card.data |= {"support": None, "quadratic_form": None}
        return
    piece = "all gates active" if uses_activation(format.expr) else "everywhere"
    where = f" (piece: {piece})" if uses_activation(format.expr) else ""
    closed, degree = dimension_closed_form(format), degree_formula(format)
    count = sympy.factor(closed.formula)
    card.add(
        "monomials, one layer",
        f"{formula_text(count)}; the degree of L layers is {formula_text(degree)}{where}",
        f"${sympy.latex(count)}$; the degree of $L$ layers is ${sympy.latex(degree)}${where}",
    )
    card.data["support"] = {"formula": str(count), "degree_formula": str(degree), "piece": piece}
    _monomials(card, format, closed, dim, depth)
    _quadratic_form(card, format, dim)


def _monomials(card: _Card, format: Format, closed: ClosedForm, dim: int, depth: int) -> None:
    try:
        space = feature_space(format, dim=dim, depth=depth)
    except ValueError as beyond:
        size = _at(closed, dim) if depth == 1 else None
        card.add("monomials", str(beyond) if size is None else f"{size}, by the closed form{_evidence(closed)}")
        card.data["support"] |= {"size": size, "beyond": str(beyond)}
        return
    card.add("monomials", f"{space.dimension} of degree up to {space.degree}")
    card.add("missing", "\n".join(space.missing) or "nothing")
    card.data["support"] |= {
        "size": space.dimension,
        "degree": space.degree,
        "per_coordinate": list(space.counts),
        "by_degree": list(space.counts_by_degree),
        "missing": list(space.missing),
    }


def _at(closed: ClosedForm, dim: int) -> int:
    return int(closed.formula.subs(D, dim))


def _evidence(closed: ClosedForm) -> str:
    """Where a closed form comes from: it is found and checked, not proved."""
    fitted, checked = (", ".join(map(str, widths)) for widths in (closed.fitted_on, closed.checked_on))
    return f" {formula_text(closed.formula)} (found on d = {fitted}, checked on d = {checked})"


def _quadratic_form(card: _Card, format: Format, dim: int) -> None:
    blocks = quadratic_rank_formulas(format)
    try:
        forms = quadratic_forms(format, dim=dim)
    except ValueError:
        forms = None  # the formulas say what matters at any d
    ranks = [formula_text(block.rank.formula) for block in blocks]
    outputs = [f"from {block.start} to {block.stop} of the outputs" for block in blocks]
    card.add(
        "rank of the quadratic form",
        (ranks[0] if len(ranks) == 1 else "; ".join(f"{r} ({where})" for r, where in zip(ranks, outputs, strict=True)))
        + (f"; the forms of all outputs span {forms.span} dimensions" if forms else ""),
    )
    formulas = [{"start": str(b.start), "stop": str(b.stop), "rank": str(b.rank.formula)} for b in blocks]
    card.data["quadratic_form"] = {"formulas": formulas}
    if forms:
        card.data["quadratic_form"] |= {
            "ranks": list(forms.ranks),
            "homogeneous_ranks": list(forms.homogeneous_ranks),
            "pencil_rank": forms.pencil_rank,
            "span": forms.span,
        }


def _dimension(card: _Card, format: Format, dim: int, depth: int) -> None:
    try:
        found = effective_dimension(format, dim=dim, depth=depth)
    except ValueError as beyond:
        card.data["effective_dimension"] = {"dimension": None, "beyond": str(beyond)}
        if depth > 1:
            card.add("effective dimension", str(beyond))
            return
        closed = effective_dimension_closed_form(format)
        size, count = _at(closed, dim), parameter_count(format.expr, (dim, dim))
        card.add(
            "effective dimension",
            f"{size} of {count} parameters, {count - size} redundant, by the closed form{_evidence(closed)}",
        )
        card.data["effective_dimension"] |= {"parameters": count, "dimension": size, "redundant": count - size}
        return
    card.add(
        "effective dimension",
        f"{found.dimension} of {found.parameters} parameters, {found.redundant} redundant ({found.arithmetic})",
    )
    reasons = [f"{symmetry.directions}: {symmetry.statement}" for symmetry in found.symmetries]
    if found.unexplained:
        reasons.append(f"{found.unexplained}: without a name")
    card.add("redundant directions", "\n".join(reasons))
    card.data["effective_dimension"] = {
        "parameters": found.parameters,
        "dimension": found.dimension,
        "redundant": found.redundant,
        "symmetries": [
            {"kind": s.kind, "parameters": list(s.parameters), "directions": s.directions, "statement": s.statement}
            for s in found.symmetries
        ],
        "unexplained": found.unexplained,
        "arithmetic": found.arithmetic,
    }


def _smooth(card: _Card, format: Format, depth: int) -> None:
    try:
        found = smoothness(format, depth=depth)
    except ValueError as beyond:
        card.add("smoothness", str(beyond))
        card.data["smoothness"] = {"order": None, "beyond": str(beyond)}
        return
    bound = "" if found.exact else " (at least)"
    card.add("smoothness", class_text(found.order) + bound, class_cell(found.order).as_latex + bound)
    lines = [kink.description for kink in found.kinks]
    card.add("kinks", "\n".join(lines), "\n".join(_kink_latex(found, k) for k in range(len(lines))))
    card.data["smoothness"] = smoothness_data(found)
    if isinstance(format.expr, Activation):
        return
    if depth > KINKED_DEPTH_LIMIT:
        return
    after = {kind: smoothness(format, depth=depth, post_activation=kind) for kind in PIECEWISE}
    card.data["smoothness"]["post_activation"] = {kind: class_data(result.order) for kind, result in after.items()}
    card.add(
        "with post-activation",
        ", ".join(
            f"{kind}: {class_text(result.order)}{' (it never acts)' if _surfaces(result) == _surfaces(found) else ''}"
            for kind, result in after.items()
        )
        + "; the smooth ones change no class",
    )


def _surfaces(found: Smoothness) -> set[tuple[int, str]]:
    return {(kink.layer, kink.surface) for kink in found.kinks}


def _kink_latex(found: Smoothness, index: int) -> str:
    kink = found.kinks[index]
    surface, _, level = kink.surface.rpartition(" = ")
    text = f"${formula_latex(surface)} = {level}$ (layer {kink.layer}): $C^{{{kink.order}}}$"
    return text if kink.jump is None else f"{text}, jump ${formula_as_latex(kink.jump)}$"


def _price(card: _Card, format: Format) -> None:
    price = cost(format)
    entries = [
        ("parameters", price.parameters),
        ("FLOPs, forward", price.flops),
        ("FLOPs, training step", price.training_flops),
        ("element-wise operations", price.elementwise_flops),
        ("kept for the backward pass", price.activation_elements),
    ]
    for label, formula in entries:
        card.add(label, formula_text(formula), f"${sympy.latex(formula)}$")
    network = network_cost(format, rows=ROWS if any(isinstance(node, RowSum) for node in walk(format.expr)) else None)
    card.add(
        "whole network",
        f"parameters: {formula_text(network.parameters)}, and {formula_text(network.embedding_parameters)} embeddings\n"
        f"FLOPs, forward: {formula_text(network.flops)}\n"
        f"bytes kept for the backward pass: {formula_text(network.activation_bytes)}\n"
        "with f fields of width e, L layers, batch B, V ids"
        + (", M rows" if ROWS in network.parameters.free_symbols else ""),
    )
    card.data["network"] = {
        "parameters": str(network.parameters),
        "embedding_parameters": str(network.embedding_parameters),
        "flops": str(network.flops),
        "training_flops": str(network.training_flops),
        "activation_bytes": str(network.activation_bytes),
        "embedding_bytes": str(network.embedding_bytes),
        "optimizer_bytes": str(network.optimizer_bytes),
    }
    card.data["cost"] = {
        "parameters": str(price.parameters),
        "flops": str(price.flops),
        "training_flops": str(price.training_flops),
        "elementwise_flops": str(price.elementwise_flops),
        "activation_elements": str(price.activation_elements),
    }


def _start(card: _Card, format: Format) -> None:
    signals, why = start_signals(format)
    where = f"{FIELDS} fields of width {EMBEDDING_DIM}, embeddings of standard deviation {EMBEDDING_STD}"
    card.add("gain at the start", f"{gain_text(signals, why)}\nof the variance; {where}, leading order in 1/d")
    for signal in signals:
        card.add(f"interaction orders, depth {signal.depth}", orders_text(signal))
    card.data["start"] = {
        "fields": FIELDS,
        "embedding_dim": EMBEDDING_DIM,
        "embedding_std": EMBEDDING_STD,
        "depths": [asdict(signal) for signal in signals],
        "beyond": why or None,
    }


def _neighbours(card: _Card, format: Format) -> None:
    try:
        found = nearest(format)
    except ValueError as beyond:
        card.add("nearest formats", str(beyond))
        card.data["nearest"] = {"beyond": str(beyond)}
        return
    by_label = {
        "the same functions": found.equivalent,
        "smallest above": found.above,
        "largest below": found.below,
        "not placed": found.open,
    }
    for label, neighbours in by_label.items():
        card.add(label, ", ".join(neighbour.text for neighbour in neighbours))
    card.data["nearest"] = {
        name: [{"id": n.id, "source": n.source} for n in getattr(found, name)]
        for name in ("equivalent", "above", "below", "open")
    }


def _relations(card: _Card, format: Format) -> None:
    by_kind: dict[str, list[str]] = {}
    for other in formats():
        if other.id != format.id:
            by_kind.setdefault(relation(format, other).kind, []).append(other.id)
    labels = {
        "equivalent": "equivalent to",
        "contained": "contained in",
        "contains": "contains",
        "incomparable": "incomparable with",
        "open": "open",
    }
    for kind, label in labels.items():
        card.add(label, ", ".join(by_kind.get(kind, [])))
    card.data["relations"] = by_kind
