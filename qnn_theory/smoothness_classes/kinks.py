"""The kink sets of a stack that reach its output, each with the order of the first derivative that jumps and by how much."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy

from qnn_theory.grammar.expr import Activation, Affine, Bilinear, Expr, FirstInput, Input, RowSum, Scale, walk
from qnn_theory.grammar.intervals import Interval, interval
from qnn_theory.grammar.readings.text import coordinate_text
from qnn_theory.grammar.rewrite import replace as rewrite
from qnn_theory.smoothness_classes.layer_analysis import LayerAnalysis, Meaning, Source
from qnn_theory.smoothness_classes.near_kink import Formula, Local, Pair, lowest_jump_order
from qnn_theory.smoothness_classes.one_sided import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Kink:
    """One kink set of a stack.

    Attributes:
        layer: the layer (from 1) whose activation causes it; x in `surface` is that layer's input.
        base: the expression that crosses the threshold.
        threshold: 0, or 6 for the upper kink of relu6.
        surface: the set as text, for instance ``(W_a x)_i = 0``; the bias belongs to the map.
        order: the output is C^order across it.
        jump: by how much derivative order + 1 along v of output i jumps, on the far side of the surface (where the argument is
            above the threshold) less the near side; in a stack, of output k by way of output i of the layer; None where a
            later layer smooths.
        legend: what each symbol of `jump` stands for.
    """

    layer: int
    base: Expr
    threshold: int
    surface: str
    order: int
    jump: Formula | None
    legend: Mapping[Formula, Meaning]

    @property
    def description(self) -> str:
        """Surface, class and jump in one line."""
        text = f"layer {self.layer}: {self.surface}: C^{self.order}"
        return text if self.jump is None else f"{text}, derivative {self.order + 1} along v jumps by {self.jump}"


def kinks(expr: Expr, depth: int) -> list[tuple[Kink, list[Target]]]:
    """All kink sets that reach the output, with the activations that cause each."""
    inherited: dict[Source, Pair] = {}
    causes: dict[Source, list[Target]] = {}
    own_jumps: dict[Source, _OwnJump] = {}
    inputs = Interval()
    for layer in range(1, depth + 1):
        named = rewrite(expr, _name_rows)
        if layer == 1:
            named = rewrite(named, lambda node: Input() if isinstance(node, FirstInput) else node)
        analysis = LayerAnalysis(layer, inputs, inherited)
        sources = dict.fromkeys(inherited)
        for original, node in zip(walk(expr), walk(named), strict=True):
            if isinstance(node, Activation) and isinstance(original, Activation):
                for source in analysis.sources_of(node):
                    target = Target(layer=layer, node=original, threshold=source.threshold)
                    causes.setdefault(source, []).append(target)
                    sources.setdefault(source)
        outputs: dict[Source, Pair] = {}
        for source in sources:
            pair = (analysis.local(named, source, "i", same=True), analysis.local(named, source, "i", same=False))
            if source.layer == layer:
                own_jumps[source] = _own_jump(analysis, source, pair)
            if any(local.jump_order is not None for local in pair):
                outputs[source] = (_forget(pair[0], layer), _forget(pair[1], layer))
        inherited = outputs
        inputs = interval(named, inputs)
    return [(_kink(source, pair, own_jumps[source], depth), causes[source]) for source, pair in inherited.items()]


@dataclass(frozen=True, slots=True)
class _OwnJump:
    """The jump at the output of the layer that causes it."""

    order: int | None
    formula: Formula
    index: str  # of the coordinate that kinks
    legend: Mapping[Formula, Meaning]


def _own_jump(analysis: LayerAnalysis, source: Source, pair: Pair) -> _OwnJump:
    order = lowest_jump_order(pair)
    if order is None:
        return _OwnJump(None, sympy.Integer(0), "i", {})
    same, other = pair
    local = same if same.jump_order == order else other
    # Coordinate j kinks where an affine map brings it to output i; otherwise coordinate i itself does.
    index = "j" if any("j" in analysis.legend[symbol].index for symbol in local.jump.free_symbols) else "i"
    formula = math.factorial(order) * local.jump * analysis.derivative(source.base, index) ** order
    legend = {symbol: meaning for symbol, meaning in analysis.legend.items() if symbol in formula.free_symbols}
    return _OwnJump(order, formula, index, legend)


def _kink(source: Source, pair: Pair, own: _OwnJump, depth: int) -> Kink:
    order = lowest_jump_order(pair)
    if order is None:
        raise ValueError(f"A kink set reaches the output, however: {source} does not.")
    formula: Formula | None = own.formula if order == own.order else None
    legend = own.legend
    if formula is not None and source.layer < depth:
        # Lower derivatives agree, so the later layers pass the jump on by their Jacobian.
        jacobian = sympy.Symbol(f"∂y_k/∂(layer {source.layer})_i", real=True)
        formula = jacobian * formula
        legend = {**legend, jacobian: Meaning("mixed", index=("k", "i"))}
    return Kink(
        layer=source.layer,
        base=source.base,
        threshold=source.threshold,
        surface=f"{coordinate_text(source.base, own.index)} = {source.threshold}",
        order=order - 1,
        jump=formula,
        legend=legend,
    )


def _forget(local: Local, layer: int) -> Local:
    """The output of a layer as the input of the next: its coefficients become opaque, its zeros stay."""

    def opaque(coefficient: Formula, name: str) -> Formula:
        return coefficient if coefficient == 0 else sympy.Symbol(f"{name}({layer})", nonzero=True)

    if local.minus == local.plus:
        side = opaque(local.plus, "c")
        minus, plus = side, side
    else:
        minus, plus = opaque(local.minus, "c⁻"), opaque(local.plus, "c⁺")
    return replace(local, minus=minus, plus=plus, jump=opaque(local.jump, "C"))


def _name_rows(node: Expr) -> Expr:
    """Inside a row sum, W is written W[m]."""
    if not isinstance(node, RowSum):
        return node

    def mark(inner: Expr) -> Expr:
        return replace(inner, name=f"{inner.name}[m]") if isinstance(inner, Affine | Bilinear | Scale) else inner

    return replace(node, of=rewrite(node.of, mark))
