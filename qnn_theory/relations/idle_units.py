"""Containment by idle units: a hidden layer does what a narrower one does when the map after it ignores the other units.

The search cuts parameters into blocks of rows, not of columns, so it does not see ``V' = [V | 0]``. Here the target's hidden
layers are narrowed to a width of the source's, the usual search finds a map, and zeros widen it again; the proof is that of any
map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as with_fields
from fractions import Fraction

from qnn_theory.grammar.expr import Activation, Affine, Expr, Multiple, Power, Product, Sum, children, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import Parameter, parameters, width
from qnn_theory.relations.containment.parameter_map import Assignment, Combination, ParameterMap
from qnn_theory.relations.containment.search import find_map


def contained_by_idle_units(source: Format, target: Format, *, tries: int) -> ParameterMap | None:
    """A map from the parameters of `source` to those of `target` that leaves some hidden units of the target idle, or None.

    Args:
        source: the format whose functions are to be written in the other.
        target: the other format.
        tries: as in `find_map`.
    """
    a, b = normal_form(source.expr), normal_form(target.expr)
    hidden = _hidden_maps(b)
    ours = {node.width for node in walk(a) if isinstance(node, Affine)}
    if width(a) != width(b) or not hidden:
        return None
    for narrow in sorted(ours):
        wider = {name for name, wide in hidden.items() if wide > narrow}
        if not wider:
            continue
        found = find_map(source, Format(target.id, _narrowed(b, wider, narrow)), tries=tries)
        if found is not None and _is_whole(found):
            own = {assignment.parameter.name: assignment for assignment in found.assignments}
            wide = [_widened(own[parameter.name], parameter) for parameter in parameters(b)]
            if all(assignment is not None for assignment in wide):
                return ParameterMap(tuple(assignment for assignment in wide if assignment is not None))
    return None


def _hidden_maps(expr: Expr) -> dict[str, Fraction]:
    """Maps of x that only units of one hidden layer read, with the layer's width."""
    uses = [node.name for node in walk(expr) if isinstance(node, Affine)]
    found: dict[str, Fraction] = {}
    for node in walk(expr):
        if isinstance(node, Affine) and (leaves := hidden_leaves(node, uses)) is not None:
            found |= {leaf.name: leaf.width for leaf in leaves}
    return found


def hidden_leaves(node: Affine, uses: Sequence[str]) -> list[Affine] | None:
    """The maps of x that the units below a map read and nothing else does, or None where anything else is below.

    Args:
        node: the map after the hidden units.
        uses: the names of all maps of the layer, as often as they occur.
    """
    leaves = _leaves(node.of)
    if leaves is None or any(uses.count(name) > 1 for name in (node.name, *(leaf.name for leaf in leaves))):
        return None
    return leaves


def _leaves(expr: Expr) -> list[Affine] | None:
    """The maps below an expression of element-wise nodes, or None where anything else is below."""
    match expr:
        case Affine():
            return [expr]
        case Activation() | Product() | Sum() | Power() | Multiple():
            parts = [_leaves(child) for child in children(expr)]
            return None if None in parts else [leaf for part in parts if part is not None for leaf in part]
        case _:
            return None


def _narrowed(expr: Expr, names: set[str], narrow: Fraction) -> Expr:
    """The layer with these hidden maps at a smaller width."""
    return replace(
        expr, lambda node: with_fields(node, width=narrow) if isinstance(node, Affine) and node.name in names else node
    )


def _is_whole(map: ParameterMap) -> bool:
    """Whether all coefficients are integers, so that the map can be computed over any ring."""
    return all(
        coefficient.denominator == 1
        for assignment in map.assignments
        for row in assignment.blocks
        for combination in row
        for coefficient, _ in combination.terms
    )


def _widened(own: Assignment, parameter: Parameter) -> Assignment | None:
    """The assignment with blocks of zeros added below and to the right; None where the blocks would differ in size."""
    small, zero = own.parameter, Combination()
    if small.axes == parameter.axes:
        return own
    times = [wide / narrow for wide, narrow in zip(parameter.axes, small.axes, strict=True)] + [Fraction(1)]
    if any(count.denominator != 1 for count in times):
        return None
    rows = [(*row, *(zero,) * (len(row) * (int(times[1]) - 1))) for row in own.blocks]
    empty = (zero,) * len(rows[0])
    return Assignment(parameter, (*rows, *(empty,) * (len(rows) * (int(times[0]) - 1))))
