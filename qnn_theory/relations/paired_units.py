"""Containment by hidden units in pairs: two blocks of a hidden layer whose maps are equal up to their signs.

``silu(b) - silu(-b) = b``, so two blocks of gated units ``a silu(b)`` are products ``a b``: a layer ``P (A x ⊙ silu(B x))`` with 2 d
units has every function of ``A x ⊙ B x``, and of ``P (A x ⊙ B x)``. The search for maps does not look for such values, as blocks of
columns are zero or nothing to it. Here the target's hidden layer is replaced by one or two of its blocks, mixed by the map after
it or added as they are; the usual search finds a map into that smaller format, and the proof is that of any map.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as with_fields
from fractions import Fraction
from typing import Any

from qnn_theory.algebra.deadline import check
from qnn_theory.grammar.expr import Activation, Affine, Expr, Multiple, Sum, bias_name, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import Parameter, parameters, width
from qnn_theory.relations.containment.parameter_map import Assignment, Combination, Formula, ParameterMap
from qnn_theory.relations.containment.search import find_map
from qnn_theory.relations.idle_units import hidden_leaves, is_whole

_LEAF_LIMIT = 3


@dataclass(frozen=True, slots=True)
class _Choice:
    """Values of a hidden layer ``P of`` that make it smaller.

    Attributes:
        layer: the map P after the hidden units.
        leaves: the names of the maps that the units read, each with its sign in the second block.
        sign: of the second block in what P adds up; 0 where the second block is idle.
        mixed: whether P is still a free map; else its blocks are identities.
        free: whether the second block has maps of its own, not those of the first up to a sign.
    """

    layer: Affine
    leaves: Mapping[str, int]
    sign: int
    mixed: bool
    free: bool = False


def contained_by_paired_units(source: Format, target: Format, *, tries: int) -> ParameterMap | None:
    """A map from the parameters of `source` to those of `target` that uses hidden units in blocks, or None.

    Args:
        source: the format whose functions are to be written in the other.
        target: the other format.
        tries: as in `find_map`.
    """
    a, b = normal_form(source.expr), normal_form(target.expr)
    if width(a) != width(b):
        return None
    seen: set[Expr] = set()
    for choice in _choices(b):
        check()
        special = normal_form(_special(b, choice))
        if special in seen:
            continue
        seen.add(special)
        found = find_map(source, Format(target.id, special), tries=tries)
        if found is not None and is_whole(found):
            own = {assignment.parameter.name: assignment for assignment in found.assignments}
            return ParameterMap(tuple(_assignment(p, own, choice) for p in parameters(b)))
    return None


def _choices(expr: Expr) -> Iterator[_Choice]:
    uses = [node.name for node in walk(expr) if isinstance(node, Affine)]
    for node in dict.fromkeys(walk(expr)):
        leaves = hidden_leaves(node, uses) if isinstance(node, Affine) and uses.count(node.name) == 1 else None
        if leaves is None or not isinstance(node, Affine) or not _whole_blocks(node, leaves):
            continue
        names = tuple(dict.fromkeys(leaf.name for leaf in leaves))
        if len(names) > _LEAF_LIMIT or not any(isinstance(inner, Activation) for inner in walk(node.of)):
            continue
        blocks, square = int(leaves[0].width), node.width == 1
        same = dict.fromkeys(names, 1)
        if square:
            yield _Choice(node, same, 0, mixed=False)
        if blocks == 1:
            continue
        for signs in itertools.product((1, -1), repeat=len(names)):
            signed = dict(zip(names, signs, strict=True))
            if signed != same:
                for sign in (1, -1):
                    if square:
                        yield _Choice(node, signed, sign, mixed=False)
                    yield _Choice(node, signed, sign, mixed=True)
        if square:
            for sign in (1, -1):
                yield _Choice(node, same, sign, mixed=False, free=True)


def _whole_blocks(node: Affine, leaves: list[Affine]) -> bool:
    widths = {leaf.width for leaf in leaves}
    return len(widths) == 1 and min(widths).denominator == 1 and width(node.of) == min(widths)


def _special(expr: Expr, choice: _Choice) -> Expr:
    """The layer at the values of the choice; the maps of a free second block have names of their own."""
    layer = choice.layer
    first = _block(layer.of, choice, second=False)
    if choice.sign:
        second = _block(layer.of, choice, second=True)
        inside: Expr = Sum(terms=(first, second if choice.sign > 0 else Multiple(factor=Fraction(-1), of=second)))
    else:
        inside = first
    value = with_fields(layer, of=inside) if choice.mixed else inside
    return replace(expr, lambda node: value if node == layer else node)


def _block(expr: Expr, choice: _Choice, *, second: bool) -> Expr:
    def rule(node: Expr) -> Expr:
        match node:
            case Affine(name=name) if name in choice.leaves:
                if second and choice.free:
                    return with_fields(node, name=_second(name), width=Fraction(1))
                narrow = with_fields(node, width=Fraction(1))
                negative = second and choice.leaves[name] < 0
                return Multiple(factor=Fraction(-1), of=narrow) if negative else narrow
            case _:
                return node

    return replace(expr, rule)


def _second(name: str) -> str:
    return f"{name}_second_block" if not name.startswith("W") else f"W_second_block{name[1:]}"


def _assignment(parameter: Parameter, own: Mapping[str, Assignment], choice: _Choice) -> Assignment:
    """The parameter with its blocks put together."""
    leaf = next((name for name in choice.leaves if parameter.name in (name, bias_name(name))), None)
    if leaf is not None:
        blocks = int(parameter.axes[0])
        other = own.get(_second(leaf) if parameter.name == leaf else bias_name(_second(leaf))) if choice.free else None
        sign = choice.leaves[leaf] if choice.sign else 0
        return _stacked(parameter, own.get(parameter.name), sign, other if choice.free else None, choice.free, blocks)
    if parameter.name == choice.layer.name:
        return _side_by_side(parameter, own.get(parameter.name) if choice.mixed else None, choice)
    if parameter.name in own:
        return own[parameter.name]
    return Assignment(parameter, ((Combination(),),))


def _stacked(
    parameter: Parameter, first: Assignment | None, sign: int, other: Assignment | None, free: bool, blocks: int
) -> Assignment:
    """``[W; ± W; 0]``: the rows of the first block, of the second, and of idle units."""
    text = _text(first)
    signed = "0" if not sign else _text(other) if free else text if sign > 0 or text == "0" else f"-({text})"
    shown = [text, signed, "0"][: min(blocks, 3)]

    def compute(values: Mapping[str, Any], dim: int) -> Any:
        shape = [int(axis * dim) for axis in parameter.axes]
        size = shape[0] // blocks
        rows = _value(first, values, dim) or _zeros([size, *shape[1:]])
        again = (_value(other, values, dim) or _zeros([size, *shape[1:]])) if free else _times(sign, rows)
        parts = [*rows, *(again if sign else _zeros([size, *shape[1:]]))] if blocks > 1 else rows
        return [*parts, *_zeros([shape[0] - len(parts), *shape[1:]])]

    whole = text if blocks == 1 else f"[{'; '.join(shown)}]"
    return Assignment(parameter, ((Combination(((Fraction(1), Formula(whole, compute)),)),),))


def _side_by_side(parameter: Parameter, own: Assignment | None, choice: _Choice) -> Assignment:
    """``[P | ± P | 0]`` or ``[I | ± I | 0]``: the columns that read the first block, the second, and idle units."""
    blocks = int(parameter.axes[1])
    text = _text(own) if choice.mixed else "I"
    signed = "0" if not choice.sign or text == "0" else text if choice.sign > 0 else f"-({text})" if choice.mixed else "-I"
    shown = [text, signed, "0"][: min(blocks, 3)]

    def compute(values: Mapping[str, Any], dim: int) -> Any:
        rows, columns = (int(axis * dim) for axis in parameter.axes)
        size = columns // blocks
        if choice.mixed:
            block = _value(own, values, dim) or _zeros([rows, size])
        else:
            block = [[int(i == j) for j in range(size)] for i in range(rows)]
        second = _times(choice.sign, block)
        lines = [[*line, *again] if blocks > 1 else list(line) for line, again in zip(block, second, strict=True)]
        return [[*line, *[0] * (columns - len(line))] for line in lines]

    whole = text if blocks == 1 else f"[{' | '.join(shown)}]"
    return Assignment(parameter, ((Combination(((Fraction(1), Formula(whole, compute)),)),),))


def _text(own: Assignment | None) -> str:
    return "0" if own is None else own.text.split(" = ", 1)[1]


def _value(own: Assignment | None, values: Mapping[str, Any], dim: int) -> Any:
    return None if own is None else own.value(values, dim, int)


def _times(factor: int, value: Any) -> Any:
    """A list of numbers of any ring, times 1, -1 or 0."""
    if isinstance(value, list):
        return [_times(factor, part) for part in value]
    return value if factor > 0 else -1 * value if factor < 0 else 0


def _zeros(shape: list[int]) -> Any:
    return [_zeros(shape[1:]) for _ in range(shape[0])] if shape else 0
