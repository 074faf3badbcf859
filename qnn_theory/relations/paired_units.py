"""Containment by hidden units in pairs: two blocks of a hidden layer whose maps are equal up to their signs.

``silu(b) - silu(-b) = b``, so two blocks of gated units ``a silu(b)`` are products ``a b``: a layer ``P (A x ⊙ silu(B x))`` with
2 d units has every function ``A x ⊙ B x`` and ``P (A x ⊙ B x)``. The search for maps does not look for such values: it cuts
parameters into few blocks of columns. Here the target's hidden layer is replaced by one or two of its blocks, which the map after
it mixes, adds or takes from one another; the usual search finds a map into that smaller format, and the proof is that of any map.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import replace as with_fields
from fractions import Fraction

from qnn_theory.algebra.deadline import check
from qnn_theory.grammar.expr import Activation, Affine, Constant, Expr, Multiple, Scale, Sum, bias_name, walk
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.rewrite import replace
from qnn_theory.grammar.widths import Parameter, parameters, width
from qnn_theory.relations.containment.parameter_map import Assignment, Combination, Formula, ParameterMap, zero
from qnn_theory.relations.containment.search import find_map
from qnn_theory.relations.containment.terms import Term
from qnn_theory.relations.idle_units import hidden_leaves

_LEAF_LIMIT = 3
_BLOCK_LIMIT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """Values of a hidden layer ``P of`` that make it smaller.

    Attributes:
        layer: the map P after the hidden units.
        leaves: the names of the maps that the units read, each with its sign in the second block.
        size: the width of one block.
        blocks: how many blocks the hidden layer has.
        sign: of the second block in what P adds up; 0 where the second block is idle.
        mixed: whether P is still a free map of one block; else it is an identity of each, with its bias.
        free: whether the second block has maps of its own, not those of the first up to a sign.
    """

    layer: Affine
    leaves: Mapping[str, int]
    size: Fraction
    blocks: int
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
    sizes = {Fraction(1), *(node.width for node in walk(a) if isinstance(node, Affine))}
    seen: set[Expr] = set()
    for choice in _choices(b, sizes):
        check()
        special = normal_form(_special(b, choice))
        if special in seen:
            continue
        seen.add(special)
        found = find_map(source, Format(target.id, special), tries=tries)
        if found is not None:
            own = {assignment.parameter.name: assignment for assignment in found.assignments}
            return ParameterMap(tuple(_assignment(p, own, choice) for p in parameters(b)))
    return None


def _choices(expr: Expr, sizes: set[Fraction]) -> Iterator[_Choice]:
    uses = [node.name for node in walk(expr) if isinstance(node, Affine)]
    for node in dict.fromkeys(walk(expr)):
        leaves = hidden_leaves(node, uses) if isinstance(node, Affine) else None
        if leaves is None or not isinstance(node, Affine) or len(leaves) > _LEAF_LIMIT:
            continue
        hidden = width(node.of)
        if any(leaf.width != hidden for leaf in leaves) or not any(isinstance(n, Activation) for n in walk(node.of)):
            continue
        for size in sorted(sizes):
            blocks = hidden / size
            if blocks.denominator == 1 and blocks <= _BLOCK_LIMIT:
                yield from _choices_of(node, [leaf.name for leaf in leaves], size, int(blocks))


def _choices_of(layer: Affine, names: list[str], size: Fraction, blocks: int) -> Iterator[_Choice]:
    same = dict.fromkeys(names, 1)
    ways = [False, True] if layer.width == size else [True]

    def choice(leaves: Mapping[str, int], sign: int, *, mixed: bool, free: bool = False) -> _Choice:
        return _Choice(layer=layer, leaves=leaves, size=size, blocks=blocks, sign=sign, mixed=mixed, free=free)

    if layer.width == size:
        yield choice(same, 0, mixed=False)
    if blocks == 1:
        return
    for signs in itertools.product((1, -1), repeat=len(names)):
        if -1 in signs:
            for sign, mixed in itertools.product((1, -1), ways):
                yield choice(dict(zip(names, signs, strict=True)), sign, mixed=mixed)
    if layer.width == size:
        for sign in (1, -1):
            yield choice(same, sign, mixed=False, free=True)


def _special(expr: Expr, choice: _Choice) -> Expr:
    """The layer at the values of the choice; the maps of a free second block have names of their own."""
    layer = choice.layer
    value = _block(layer.of, choice, second=False)
    if choice.sign:
        second = _block(layer.of, choice, second=True)
        value = Sum(terms=(value, second if choice.sign > 0 else Multiple(factor=Fraction(-1), of=second)))
    if choice.mixed:
        value = with_fields(layer, of=value)
    elif layer.bias:
        value = Sum(terms=(value, Scale(name=bias_name(layer.name), of=Constant(Fraction(1), layer.width))))
    return replace(expr, lambda node: value if node == layer else node)


def _block(expr: Expr, choice: _Choice, *, second: bool) -> Expr:
    def rule(node: Expr) -> Expr:
        if not (isinstance(node, Affine) and node.name in choice.leaves):
            return node
        if second and choice.free:
            return with_fields(node, name=_second(node.name), width=choice.size)
        narrow = with_fields(node, width=choice.size)
        return Multiple(factor=Fraction(-1), of=narrow) if second and choice.leaves[node.name] < 0 else narrow

    return replace(expr, rule)


def _second(name: str) -> str:
    return f"W_second_block{name[1:]}" if name.startswith("W") else f"{name}_second_block"


def _assignment(parameter: Parameter, own: Mapping[str, Assignment], choice: _Choice) -> Assignment:
    """A parameter of the target, its blocks put together from those of the smaller format."""
    found = own.get(parameter.name)
    leaf = next((name for name in choice.leaves if parameter.name in (name, bias_name(name))), None)
    if leaf is not None:
        again = found
        if choice.free:
            again = own.get(_second(leaf) if parameter.name == leaf else bias_name(_second(leaf)))
        sign = 0 if not choice.sign else 1 if choice.free else choice.leaves[leaf]
        return _stacked(parameter, [_rows(found), _times(sign, _rows(again))], choice.blocks)
    if parameter.name == choice.layer.name:
        identity = ((Combination(((Fraction(1), Formula("I", Term("identity", (1,)))),)),),)
        block = _rows(found) if choice.mixed else identity
        return _beside(parameter, [block, _times(choice.sign, block)], choice.blocks)
    return zero(parameter, row_blocks=1, column_blocks=1) if found is None else Assignment(parameter, found.blocks)


_Rows = tuple[tuple[Combination, ...], ...]


def _rows(own: Assignment | None) -> _Rows:
    return ((Combination(),),) if own is None else own.blocks


def _times(factor: int, rows: _Rows) -> _Rows:
    """The blocks times 1, -1 or 0."""
    return tuple(
        tuple(Combination(tuple((factor * c, formula) for c, formula in block.terms if factor)) for block in row)
        for row in rows
    )


def _stacked(parameter: Parameter, parts: list[_Rows], blocks: int) -> Assignment:
    """``[W; ± W; 0]``: the rows of the first block, of the second, and of idle units, each cut into as many."""
    count = max(map(len, parts))
    columns = max(len(row) for part in parts for row in part)
    empty = ((Combination(),) * columns,) * count
    whole = [part if len(part) == count else empty for part in parts]  # a part of one row is zero
    return Assignment(parameter, tuple(row for part in [*whole, *[empty] * blocks][:blocks] for row in part))


def _beside(parameter: Parameter, parts: list[_Rows], blocks: int) -> Assignment:
    """``[P | ± P | 0]``: the columns that read the first block, the second, and idle units."""
    first, second = parts
    return Assignment(
        parameter,
        tuple(
            (*one, *two, *(Combination(),) * (len(one) * (blocks - 2)))[: len(one) * blocks]
            for one, two in zip(first, second, strict=True)
        ),
    )
