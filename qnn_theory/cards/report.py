"""Format cards and overviews: everything the toolkit knows of a format, as a table that can be printed or read by programs."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from qnn_theory.cards.tables import Cell, Table, formula_latex
from qnn_theory.costs import ROWS, cost, network_cost
from qnn_theory.dimension.effective_dimension import EffectiveDimension, effective_dimension
from qnn_theory.feature_spaces.closed_forms import degree_formula, dimension_formula
from qnn_theory.feature_spaces.feature_space import feature_space
from qnn_theory.feature_spaces.quadratic_form import quadratic_forms, quadratic_rank_formulas
from qnn_theory.feature_spaces.symbolic import expanded
from qnn_theory.grammar.expr import ACTIVATION_KINDS, Activation, ActivationKind, RowSum, walk
from qnn_theory.grammar.format import Format, with_mid_activation, with_post_activation
from qnn_theory.grammar.latex import to_latex
from qnn_theory.grammar.text import to_text
from qnn_theory.grammar.widths import divisor
from qnn_theory.paper_claims.claim import Claim
from qnn_theory.registry import formats, get_format
from qnn_theory.relations.certificates import heading
from qnn_theory.relations.relation import Relation, relation
from qnn_theory.smoothness_classes.one_sided import Witness
from qnn_theory.smoothness_classes.smoothness import Smoothness, smoothness

_EXPANDED_WIDTH = 2
_CARD_WIDTH = 4
_EXPANDED_CHARACTERS = 600  # of one output; longer ones are cut on the terminal, not in JSON
_KINKED: tuple[ActivationKind, ...] = ("relu", "relu6", "prelu")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_SMOOTH = frozenset({"gelu", "silu", "mish", "sigmoid", "tanh"})


def read_format(text: str) -> Format:
    """A format from an id with activations attached: ``T9``, ``T4+relu`` (post-activation), ``T19~gelu+relu`` (mid and post).

    Raises:
        KeyError: unknown id.
        ValueError: an unknown activation.
    """
    base, *attached = re.split(r"(?=[+~])", text)
    format = get_format(base)
    for part in attached:
        kind = part[1:]
        if kind not in ACTIVATION_KINDS:
            raise ValueError(
                f"After + (post) or ~ (mid) stands one of {', '.join(ACTIVATION_KINDS)}, however: {kind!r} in {text!r}."
            )
        format = with_post_activation(format, kind) if part[0] == "+" else with_mid_activation(format, kind)
    return format


def smallest_width(format: Format, at_least: int) -> int:
    """The smallest input width of at least this number that the format accepts."""
    step = divisor(format.expr)
    return step * math.ceil(at_least / step)


def formats_table() -> Table:
    """All registered formats: formula, cost and smoothness class of one layer."""
    rows, data = [], []
    for format in formats():
        price, order = cost(format), smoothness(format).order
        rows.append(
            (
                Cell(format.id),
                Cell(to_text(format.expr), f"${format.latex}$"),
                _formula_cell(price.parameters),
                _formula_cell(price.flops),
                _class_cell(order),
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
                "smoothness": _class_data(order),
                "source": format.source,
                "note": format.note,
            }
        )
    headers = ("id", "formula", "parameters", "FLOPs", "class", "note")
    return Table(title="Neuron formats, one layer of width d", headers=headers, rows=tuple(rows), data=data)


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


def relation_table(found: Relation) -> Table:
    """How two formats relate, one row a direction: a parameter map with its proof, or a separation."""
    directions = (found.certificate.forward, found.certificate.backward)
    return Table(
        title=found.text,
        headers=("", ""),
        rows=tuple((Cell(heading(direction)), Cell("\n".join(direction.lines))) for direction in directions),
        data={
            "first": found.first,
            "second": found.second,
            "kind": found.kind,
            "statement": found.text,
            "certificate": found.certificate.to_dict(),
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


def format_card(format: str | Format, *, dim: int | None = None, depth: int = 1, relations: bool = False) -> Table:
    """Everything known of one format.

    Args:
        format: an id (activations may be attached, see `read_format`) or a `Format`.
        dim: the width at which sizes and dimensions are computed; the smallest from 4 up that the format accepts.
        depth: the number of layers that support, effective dimension and smoothness are computed for.
        relations: place the format among all registered ones as well, which takes seconds.

    Raises:
        KeyError: unknown id.
        ValueError: a width or depth the format cannot have.
    """
    chosen = format if isinstance(format, Format) else read_format(format)
    width = smallest_width(chosen, _CARD_WIDTH) if dim is None else dim
    card = _Card()
    _definition(card, chosen)
    _support(card, chosen, width, depth)
    _dimension(card, effective_dimension(chosen, dim=width, depth=depth))
    _smooth(card, chosen, depth)
    _price(card, chosen)
    if relations:
        _relations(card, chosen)
    return Table(
        title=f"{chosen.id} (d = {width}, depth {depth} where a number is given)",
        headers=("", ""),
        rows=tuple((Cell(row.label), Cell(row.text, row.latex)) for row in card.rows),
        data={"id": chosen.id, "dim": width, "depth": depth, **card.data},
    )


def _definition(card: _Card, format: Format) -> None:
    text = to_text(format.expr)
    card.add("formula", text, f"${to_latex(format.expr)}$")
    card.add("source", format.source)
    card.add("note", format.note)
    width = smallest_width(format, _EXPANDED_WIDTH)
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
    if any(isinstance(node, Activation) and node.kind in _SMOOTH for node in walk(format.expr)):
        card.add("monomials", "none: a smooth activation is a polynomial on no region")
        card.data |= {"support": None, "quadratic_form": None}
        return
    space = feature_space(format, dim=dim, depth=depth)
    where = "" if space.piece == "everywhere" else f" (piece: {space.piece})"
    count, degree = dimension_formula(format), degree_formula(format)
    card.add(
        "monomials, one layer",
        f"{formula_text(count)}; the degree of L layers is {formula_text(degree)}{where}",
        f"${sympy.latex(count)}$; the degree of $L$ layers is ${sympy.latex(degree)}${where}",
    )
    card.add("monomials", f"{space.dimension} of degree up to {space.degree}")
    card.add("missing", "\n".join(space.missing) or "nothing")
    card.data["support"] = {
        "formula": str(count),
        "degree_formula": str(degree),
        "size": space.dimension,
        "degree": space.degree,
        "per_coordinate": list(space.counts),
        "by_degree": list(space.counts_by_degree),
        "missing": list(space.missing),
        "piece": space.piece,
    }
    _quadratic_form(card, format, dim)


def _quadratic_form(card: _Card, format: Format, dim: int) -> None:
    forms = quadratic_forms(format, dim=dim)
    blocks = quadratic_rank_formulas(format)
    ranks = [formula_text(block.rank.formula) for block in blocks]
    outputs = [f"from {block.start} to {block.stop} of the outputs" for block in blocks]
    card.add(
        "rank of the quadratic form",
        (ranks[0] if len(ranks) == 1 else "; ".join(f"{r} ({where})" for r, where in zip(ranks, outputs, strict=True)))
        + f"; the forms of all outputs span {forms.span} dimensions",
    )
    card.data["quadratic_form"] = {
        "ranks": list(forms.ranks),
        "homogeneous_ranks": list(forms.homogeneous_ranks),
        "pencil_rank": forms.pencil_rank,
        "span": forms.span,
        "formulas": [
            {"start": str(block.start), "stop": str(block.stop), "rank": str(block.rank.formula)} for block in blocks
        ],
    }


def _dimension(card: _Card, found: EffectiveDimension) -> None:
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
    found = smoothness(format, depth=depth)
    bound = "" if found.exact else " (at least)"
    card.add("smoothness", class_text(found.order) + bound, _class_cell(found.order).as_latex + bound)
    lines = [kink.description for kink in found.kinks]
    card.add("kinks", "\n".join(lines), "\n".join(_kink_latex(found, k) for k in range(len(lines))))
    card.data["smoothness"] = smoothness_data(found)
    if isinstance(format.expr, Activation):
        return
    after = {kind: smoothness(format, depth=depth, post_activation=kind) for kind in _KINKED}
    card.data["smoothness"]["post_activation"] = {kind: _class_data(result.order) for kind, result in after.items()}
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


def smoothness_data(found: Smoothness) -> dict[str, Any]:
    """A smoothness result as plain data."""
    return {
        "order": _class_data(found.order),
        "exact": found.exact,
        "kinks": [
            {
                "layer": kink.layer,
                "surface": kink.surface,
                "order": kink.order,
                "jump": None if kink.jump is None else str(kink.jump),
            }
            for kink in found.kinks
        ],
        "witness": None if found.witness is None else _witness_data(found.witness),
    }


def _witness_data(witness: Witness) -> dict[str, Any]:
    """All that is needed to see the jump with pen and paper; numbers as text, so that fractions stay exact."""
    return {
        "layer": witness.layer,
        "activation": to_text(witness.node),
        "threshold": witness.threshold,
        "parameters": [_as_text(parameters) for parameters in witness.parameters],
        "point": _as_text(witness.point),
        "direction": _as_text(witness.direction),
        "derivative": witness.derivative,
        "right_minus_left": _as_text(witness.jump),
        "exact": witness.exact,
    }


def _as_text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _as_text(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(inner) for inner in value]
    return str(value)


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


def class_text(order: Any) -> str:
    """``C^0``, ``C^1`` or ``analytic``."""
    return f"C^{order}" if isinstance(order, int) else "analytic"


def _class_data(order: Any) -> int | str:
    return order if isinstance(order, int) else "analytic"


def _class_cell(order: Any) -> Cell:
    return Cell(class_text(order), f"$C^{{{order}}}$" if isinstance(order, int) else r"$C^{\omega}$")


def formula_text(formula: Any) -> str:
    """A formula in d for the terminal: ``2·d² + d/2``."""
    text = re.sub(r"\*\*(\d+)", lambda power: power.group(1).translate(_SUPERSCRIPTS), str(formula))
    return text.replace("**", "^").replace("*", "·")


def _formula_cell(formula: Any) -> Cell:
    return Cell(formula_text(formula), f"${sympy.latex(formula)}$")


def formula_as_latex(formula: Any) -> str:
    """LaTeX of a SymPy expression whose symbols carry plain names such as ``(W_a x)_i``."""
    names = {symbol: formula_latex(symbol.name) for symbol in formula.free_symbols}
    return str(sympy.latex(formula, symbol_names=names))
