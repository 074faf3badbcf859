"""Which parameters an expression is jointly affine in, once the others are fixed: those follow from a linear system."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import assert_never

from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Concat,
    Constant,
    Expr,
    FirstInput,
    HeadMajor,
    Input,
    Multiple,
    Power,
    Product,
    RowSum,
    Scale,
    Slice,
    Sum,
    bias_name,
    walk,
)


def free_sets(expr: Expr, names: set[str]) -> list[set[str]]:
    """Sets of parameters that the target is jointly affine in, the others fixed; the largest first."""
    units = map_of_each(expr)
    present = sorted({units[name] for name in names})
    _, found = _conflicts(expr)
    candidates = [unit for unit in present if frozenset((unit,)) not in found]
    result: list[set[str]] = []
    for size in range(len(candidates), -1, -1):
        for chosen in itertools.combinations(candidates, size):
            if any(frozenset(pair) in found for pair in itertools.combinations(chosen, 2)):
                continue
            if not any(set(chosen) <= larger for larger in result):
                result.append(set(chosen))
    return [{name for name in names if units[name] in chosen} for chosen in result]


def map_of_each(expr: Expr) -> dict[str, str]:
    """Parameter name -> name of the map it belongs to (a bias belongs to its weight's)."""
    result: dict[str, str] = {}
    for node in walk(expr):
        match node:
            case Affine(name=name) | Bilinear(name=name):
                result |= {name: name, bias_name(name): name}
            case Scale(name=name):
                result[name] = name
            case Activation(slope=slope) if slope is not None:
                result[slope] = slope
    return result


def _conflicts(expr: Expr) -> tuple[set[str], set[frozenset[str]]]:
    """The maps an expression depends on, and the sets of one or two of them that it is not jointly affine in."""

    def all_pairs(names: set[str]) -> set[frozenset[str]]:
        return {frozenset((p, q)) for p in names for q in names}

    def across(parts: Sequence[set[str]]) -> set[frozenset[str]]:
        return {
            frozenset((p, q)) for i, left in enumerate(parts) for right in parts[i + 1 :] for p in left for q in right
        }

    match expr:
        case Input() | FirstInput() | Constant():
            return set(), set()
        case Affine(name=name, of=of) | Scale(name=name, of=of):
            names, found = _conflicts(of)
            return names | {name}, found | across([{name}, names])
        case Bilinear(name=name, left=left, right=right):
            (left_names, left_found), (right_names, right_found) = _conflicts(left), _conflicts(right)
            found = left_found | right_found | across([{name}, left_names, right_names])
            return left_names | right_names | {name}, found
        case Sum(terms=parts) | Concat(parts=parts):
            inner = [_conflicts(part) for part in parts]
            return set().union(*(n for n, _ in inner)), set().union(*(f for _, f in inner))
        case Product(factors=parts):
            inner = [_conflicts(part) for part in parts]
            found = set().union(*(f for _, f in inner)) | across([n for n, _ in inner])
            return set().union(*(n for n, _ in inner)), found
        case Power(of=of, exponent=exponent):
            names, found = _conflicts(of)
            return names, found | (all_pairs(names) if exponent > 1 else set())
        case Activation(of=of, slope=slope):
            names, found = _conflicts(of)
            names = names | ({slope} if slope is not None else set())
            return names, found | all_pairs(names)
        case Multiple(of=of) | RowSum(of=of) | Slice(of=of) | HeadMajor(of=of):
            return _conflicts(of)
        case _:
            assert_never(expr)
