"""Likely values of the parameters that a format is not affine in: the maps that occur in the other, x, x + 1, 1 and 0."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction

from qnn_theory.algebra.modular import solve
from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Concat,
    Constant,
    Expr,
    FirstInput,
    Input,
    Multiple,
    Power,
    Product,
    Sum,
    bias_name,
    walk,
)
from qnn_theory.grammar.numbers import LARGEST_NUMBER
from qnn_theory.grammar.widths import parameters, width
from qnn_theory.relations.containment.building_blocks import dot
from qnn_theory.relations.containment.free_parameters import map_of_each
from qnn_theory.relations.containment.parameter_map import Combination, Formula, constants_last
from qnn_theory.relations.containment.problem import Choice, Problem, Slot
from qnn_theory.relations.containment.terms import Term


class Guesses:
    """The values to try, for one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.scales = _scales(problem.a, problem.b)

    def of(self, fixed: Sequence[Slot]) -> Iterator[Choice]:
        """Values of the parameters that the target is not affine in, the likely ones first."""
        units = map_of_each(self.problem.b)
        arguments = {
            node.of.name
            for node in walk(self.problem.b)
            if isinstance(node, Activation) and isinstance(node.of, Affine) and isinstance(node.of.of, Input)
        }
        gated: list[tuple[str, int]] = []
        plain: list[tuple[str, int]] = []
        for name, row in dict.fromkeys((units[slot.parameter.name], slot.row) for slot in fixed):
            (gated if name in arguments else plain).append((name, row))
        if not gated:
            yield from self._plain_choices(plain)
            return
        for gate_choice in self._gated_choices(gated):
            for choice in self._plain_choices(plain):
                yield gate_choice | choice

    def _plain_choices(self, plain: Sequence[tuple[str, int]]) -> Iterator[Choice]:
        for parts in itertools.product(*(self.unit_choices(name, row) for name, row in plain)):
            yield {slot: combination for part in parts for slot, combination in part.items()}

    def _gated_choices(self, gated: Sequence[tuple[str, int]]) -> Iterator[Choice]:
        """Match the arguments of activations: in order and one to one where that is possible, then in any way."""
        options: dict[tuple[str, int], list[Choice]] = {
            (name, row): self._forms(name, row, _activation_arguments(self.problem.a)) for name, row in gated
        }
        count = min(len(forms) for forms in options.values())
        for scale in self.scales:
            for matched in range(min(count, len(gated)), -1, -1):
                for forms in itertools.combinations(range(count), matched):
                    for places in itertools.combinations(gated, matched):
                        choice: Choice = {}
                        for place, form in zip(places, forms, strict=True):
                            choice |= _scaled(options[place][form], scale)
                        yield choice
        every = []
        for place in gated:
            likely = [_scaled(form, scale) for scale in self.scales for form in options[place]] + [{}]
            likely += self.simple_forms(*place)
            others = [form for form in self._forms(*place, _affine_parts(self.problem.a)) if form not in likely]
            every.append(
                likely
                + others
                + [_scaled(form, -scale) for scale in self.scales for form in (*options[place], *others)]
            )
        for parts in itertools.product(*every):
            yield {slot: combination for part in parts for slot, combination in part.items()}

    def unit_choices(self, name: str, row: int) -> list[Choice]:
        """Values of one map (weight and bias together), one block of rows."""
        node = next(n for n in walk(self.problem.b) if getattr(n, "name", getattr(n, "slope", None)) == name)
        match node:
            case Affine(of=Input()):
                scales = self.scales if _inside_power(self.problem.b, name) else [Fraction(1)]
                forms = self._forms(name, row, _affine_parts(self.problem.a))
                return [_scaled(f, s) for s in scales for f in forms] + self.simple_forms(name, row) + [{}]
            case Affine() | Bilinear():
                return [*self._same_shape_choices(name, row), {}]
            case _:
                slot = Slot(self.problem.parameters[name], row, 0)
                signs = (1, -1) if slot.parameter.role == "slope" else (1,)  # a prelu of slope -1 is |u|
                return [
                    *({slot: Combination(((Fraction(s), f),))} for s in signs for f in self.problem.candidates(slot)),
                    {},
                ]

    def _same_shape_choices(self, name: str, row: int) -> list[Choice]:
        """The source's maps of the same shape, with their biases."""
        weight = self.problem.parameters[name]
        result = []
        columns = self.problem.shape(weight)[1]
        for p in parameters(self.problem.a):
            if p.role != weight.role or p.axes[1:] != weight.axes[1:]:
                continue
            for block in range(int(p.axes[0] * self.problem.parts)):
                choice: Choice = {}
                for source, goal in ((p.name, name), (bias_name(p.name), bias_name(name))):
                    if goal not in self.problem.parameters:
                        continue
                    for c in range(columns if goal == name else 1):
                        slot = Slot(self.problem.parameters[goal], row, c)
                        wanted = [
                            f
                            for f in self.problem.candidates(slot)
                            if f.stem.removesuffix("[k]") == source and f.block in (None, block)
                        ]
                        if wanted:
                            choice[slot] = Combination(((Fraction(1), wanted[0]),))
                result.append(choice)
        return result

    def simple_forms(self, name: str, row: int) -> list[Choice]:
        """``x``, ``x + 1`` and ``1``."""
        slot = Slot(self.problem.parameters[name], row, 0)
        one: Choice = {}
        if bias_name(name) in self.problem.parameters:
            ones = Formula("1", Term("ones", (self.problem.parts,)))
            one = {Slot(self.problem.parameters[bias_name(name)], row, 0): Combination(((Fraction(1), ones),))}
        identity = [f for f in self.problem.candidates(slot) if f.stem == "I"][:1]
        result = []
        for f in identity:
            just_x = {slot: Combination(((Fraction(1), f),))}
            result += [just_x, just_x | one]
        return [*result, one]

    def _forms(self, name: str, row: int, of: Sequence[Expr]) -> list[Choice]:
        """Affine sub-expressions of the source as values of one map, one block of rows.

        Where the target reads the map W as ``f W + c``, also the values at which that is such a sub-expression.
        """
        bias = bias_name(name)
        of = [*of, *(_solved_for_map(part, *read) for read in _read_as(self.problem.b, name) for part in of)]
        result: list[tuple[bool, Choice]] = []
        for part in of:
            for block in range(int(width(part) * self.problem.parts)):
                solved = self._affine_form(part, block, row, with_bias=bias in self.problem.parameters)
                if solved is None:
                    continue
                weight_terms, bias_terms = solved
                choice = {Slot(self.problem.parameters[name], row, 0): weight_terms}
                if bias in self.problem.parameters:
                    choice[Slot(self.problem.parameters[bias], row, 0)] = bias_terms
                result.append((block != row, choice))
        return [choice for _, choice in sorted(result, key=lambda pair: pair[0])]

    def _affine_form(
        self, part: Expr, block: int, row: int, *, with_bias: bool
    ) -> tuple[Combination, Combination] | None:
        """Weight and bias of an affine sub-expression, as combinations of the source's building blocks."""
        values = self.problem.sample.evaluate(part, self.problem.sample.values)
        size = self.problem.sample.dim // self.problem.parts
        target = self.problem.stacked(values[block * size : (block + 1) * size])
        one = Fraction(1, self.problem.parts)
        weights = self.problem.blocks.of("affine", (one, Fraction(1)), row_block=row)
        biases = self.problem.blocks.of("bias", (one,), row_block=row) if with_bias else []
        effects = []
        for f in weights:
            matrix = f.compute(self.problem.sample.values, self.problem.sample.dim)
            effects.append(self.problem.stacked([dot(line, self.problem.sample.inputs) for line in matrix]))
        effects += [
            self.problem.stacked(f.compute(self.problem.sample.values, self.problem.sample.dim)) for f in biases
        ]
        solution = solve(effects, target)
        if solution is None:
            return None
        found = [(c, f) for c, f in zip(solution, [*weights, *biases], strict=True)]
        return (
            Combination(tuple((c, f) for c, f in found[: len(weights)] if c)),
            Combination(constants_last([(c, f) for c, f in found[len(weights) :] if c])),
        )


def _affine_parts(expr: Expr) -> list[Expr]:
    """Sub-expressions that can be affine in x: they hold no product, power or activation."""
    curved = (Product, Power, Activation, Bilinear, Concat)
    parts = [n for n in dict.fromkeys(walk(expr)) if not any(isinstance(m, curved) for m in walk(n))]
    return [part for part in parts if not isinstance(part, Input | FirstInput)]


def _read_as(expr: Expr, name: str) -> list[tuple[Fraction, Fraction]]:
    """The (f, c) other than (1, 0) for which the map `name` occurs as ``f W + c``: the -1 and 3 of ``3 - W``."""
    found: dict[tuple[Fraction, Fraction], None] = {}
    for node in walk(expr):
        terms = node.terms if isinstance(node, Sum) else (node,)
        varying = [term for term in terms if not isinstance(term, Constant)]
        if len(varying) != 1:
            continue
        factor, of = (
            (varying[0].factor, varying[0].of) if isinstance(varying[0], Multiple) else (Fraction(1), varying[0])
        )
        number = sum((term.value for term in terms if isinstance(term, Constant)), Fraction(0))
        if max(abs(number.numerator), number.denominator) > LARGEST_NUMBER:
            continue
        if isinstance(of, Affine) and of.name == name and factor and (factor, number) != (Fraction(1), Fraction(0)):
            found.setdefault((factor, number))
    return list(found)


def _solved_for_map(part: Expr, factor: Fraction, number: Fraction) -> Expr:
    """The W for which ``factor W + number`` is the part."""
    return Multiple(factor=1 / factor, of=Sum(terms=(part, Constant(value=-number, width=width(part)))))


def _activation_arguments(expr: Expr) -> list[Expr]:
    return list(dict.fromkeys(node.of for node in walk(expr) if isinstance(node, Activation)))


def _inside_power(expr: Expr, name: str) -> bool:
    return any(
        isinstance(node, Power) and any(getattr(n, "name", None) == name for n in walk(node)) for node in walk(expr)
    )


def _scales(a: Expr, b: Expr) -> list[Fraction]:
    """Factors to try on arguments of activations and powers: 1 and what the formats' own factors suggest."""
    factors = {node.factor for node in (*walk(a), *walk(b)) if isinstance(node, Multiple) and node.factor > 0}
    found = {Fraction(1)}
    kinds = {node.kind for node in (*walk(a), *walk(b)) if isinstance(node, Activation)}
    if "tanh" in kinds and kinds & {"sigmoid", "silu"}:  # tanh(u) = 2 sigmoid(2u) - 1
        factors |= {Fraction(2)}
    for f in factors:
        found |= {f, 1 / f}
        root = Fraction(math.isqrt(f.numerator), math.isqrt(f.denominator))
        if root * root == f:
            found |= {root, 1 / root}
    return sorted(found, key=lambda f: (f != 1, f))


def _scaled(choice: Choice, scale: Fraction) -> Choice:
    return {slot: Combination(tuple((c * scale, f) for c, f in value.terms)) for slot, value in choice.items()}
