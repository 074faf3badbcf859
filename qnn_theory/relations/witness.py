"""Witnesses: one explicit function of a format, with parameters as sparse and small as a property allows."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.polynomials import to_flint
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.expr import Activation, Expr, walk
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import width

Entry = tuple[str, tuple[int, ...]]
_ALL_ENTRIES_LIMIT = 12


@dataclass(frozen=True, slots=True)
class Witness:
    """One function of a format.

    Attributes:
        dim: the input width d it is written at.
        entries: the parameter entries that are not zero, with their values; indices from 0, the row of a row sum first.
        outputs: the outputs that matter, counted from 0, with their formulas.
    """

    dim: int
    entries: tuple[tuple[Entry, Fraction], ...]
    outputs: tuple[tuple[int, str], ...]

    @property
    def parameters_text(self) -> str:
        """``W_a[1,2] = 1, all others 0`` with indices from 1, as in a formula."""
        shown = ", ".join(f"{entry_text(name, index)} = {value}" for (name, index), value in self.entries)
        return f"{shown}, all others 0" if shown else "all parameters 0"

    @property
    def function_text(self) -> str:
        """``y_1 = x_1*x_2 + x_1``."""
        return ", ".join(f"y_{i + 1} = {text}" for i, text in self.outputs)

    def values(self, expr: Expr, *, dim: int | None = None) -> dict[str, Any]:
        """The parameter values as nested lists, at the witness's d or, padded with zeros, at a larger one."""
        known = dict(self.entries)
        return fill_parameters(
            expr, dim=dim or self.dim, entry=lambda name, index: known.get((name, index), Fraction(0))
        )


def entry_text(name: str, index: tuple[int, ...]) -> str:
    """``W_a[1,2]`` for the entry (0, 1)."""
    return f"{name}[{','.join(str(i + 1) for i in index)}]" if index else name


def random_entries(expr: Expr, *, dim: int, seed: str, signed: bool = False) -> dict[Entry, Fraction]:
    """A small integer for every parameter entry; positive unless `signed`."""
    generator = random.Random(seed)
    numbers = [-3, -2, -1, 1, 2, 3] if signed else range(1, 10)
    found: dict[Entry, Fraction] = {}

    def draw(name: str, index: tuple[int, ...]) -> None:
        found[name, index] = Fraction(generator.choice(numbers))

    fill_parameters(expr, dim=dim, entry=draw)
    return found


def nested(expr: Expr, entries: Mapping[Entry, Fraction], *, dim: int) -> dict[str, Any]:
    """Parameter values as nested lists; entries that are not given are zero."""
    return fill_parameters(expr, dim=dim, entry=lambda name, index: entries.get((name, index), Fraction(0)))


def entries_of(values: Mapping[str, Any]) -> dict[Entry, Any]:
    """The entries of parameter values that are nested lists, as `nested` takes them."""
    found: dict[Entry, Any] = {}

    def visit(name: str, value: Any, index: tuple[int, ...]) -> None:
        if isinstance(value, list | tuple):
            for i, part in enumerate(value):
                visit(name, part, (*index, i))
        else:
            found[name, index] = value

    for name, value in values.items():
        visit(name, value, ())
    return found


def shrink(
    entries: Mapping[Entry, Fraction], holds: Callable[[Mapping[Entry, Fraction]], bool]
) -> dict[Entry, Fraction]:
    """Set as many entries to zero as the property allows, parameter by parameter and half by half; the rest to 1 or -1.

    Args:
        entries: entries at which the property holds.
        holds: the property.
    """
    kept = {entry: value for entry, value in entries.items() if value}
    for _, group in itertools.groupby(sorted(kept), key=lambda entry: entry[0]):
        kept = _without(kept, list(group), holds)
    units = {entry: Fraction(1 if value > 0 else -1) for entry, value in kept.items()}
    if units == kept or holds(units):
        return units
    if len(kept) <= _ALL_ENTRIES_LIMIT:
        for entry, unit in units.items():
            if kept[entry] != unit and holds(kept | {entry: unit}):
                kept[entry] = unit
    return kept


def _without(
    kept: dict[Entry, Fraction], group: Sequence[Entry], holds: Callable[[Mapping[Entry, Fraction]], bool]
) -> dict[Entry, Fraction]:
    check()
    fewer = {entry: value for entry, value in kept.items() if entry not in set(group)}
    if holds(fewer):
        return fewer
    if len(group) == 1:
        return kept
    middle = len(group) // 2
    return _without(_without(kept, group[:middle], holds), group[middle:], holds)


def witness(expr: Expr, entries: Mapping[Entry, Fraction], *, dim: int, outputs: Sequence[int]) -> Witness:
    """The function at these entries, with the formulas of some outputs written out."""
    atoms = sum(int(width(node) * dim) for node in walk(expr) if isinstance(node, Activation)) * _copies(expr)
    inputs = [f"x_{i + 1}" for i in range(dim)]
    check()
    ring = flint.fmpq_mpoly_ctx.get([*inputs, *(f"u{i}" for i in range(atoms))], "lex")
    generators = ring.gens()
    known: dict[str, str] = {}

    def activate(node: Activation, value: Any, values: Any) -> Any:
        value = value + 0 * generators[0]
        if value == 0 and node.kind in ("relu", "relu6", "prelu", "gelu", "silu", "mish", "tanh"):
            return value
        slope = f", slope {values[str(node.slope)]}" if node.kind == "prelu" else ""
        text = f"{node.kind}({_restored(str(value), known)}{slope})"
        key = next((name for name, old in known.items() if old == text), f"u{len(known)}")
        known[key] = text
        return generators[dim + int(key[1:])]

    values = fill_parameters(expr, dim=dim, entry=lambda name, index: to_flint(entries.get((name, index), Fraction(0))))
    results = evaluate(expr, generators[:dim], values, activation=activate, constant=to_flint)
    return Witness(
        dim=dim,
        entries=tuple(sorted((entry, value) for entry, value in entries.items() if value)),
        outputs=tuple((i, _restored(str(results[i]), known)) for i in outputs),
    )


def _restored(text: str, known: Mapping[str, str]) -> str:
    for name in sorted(known, key=lambda name: -int(name[1:])):
        text = text.replace(name, known[name])
    return text


def _copies(expr: Expr) -> int:
    return max((node.rows for node in walk(expr) if hasattr(node, "rows")), default=1)
