"""Containment F_a ⊆ F_b: search for a parameter map, then prove it as an identity.

The search knows no format. Where b is affine in some of its parameters once the others are fixed, the free ones are an unknown
rational combination of building blocks of a (`parameter_maps`) and follow from a linear system; the fixed ones, few,
run over the affine maps that occur in a, over x, x + 1, 1 and 0. What an activation does is an unknown of its own, one for each
argument: for relu, ``relu(u) = g u`` with ``g`` the indicator of u > 0, so that ``relu(-u) = (1 - g)(-u)``, equal arguments up
to a positive factor share their ``g``, and every identity in these unknowns is one of functions.

A map that was found is proved twice: with all parameters, inputs and indicators as indeterminates over the rationals at two
small d, and at random points modulo p at a larger d (tests/qnn_theory/test_relations.py checks every map a third way, in exact
rational numbers, and on the torch modules).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, assert_never

import flint
import numpy as np

from qnn_theory.algebra.modular import PRIME, Residues, random_residues, solve, to_fraction, to_residue
from qnn_theory.grammar.evaluate import ParameterValues, evaluate
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
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.stacking import fill_parameters
from qnn_theory.grammar.widths import Parameter, divisor, parameters, width
from qnn_theory.relations.parameter_maps import Assignment, BuildingBlocks, Combination, Formula, ParameterMap

_POINTS = 64
_SEED = 20250517

_Choice: TypeAlias = dict["_Slot", Combination]


@dataclass(frozen=True, slots=True)
class MapProof:
    """How a parameter map was proved.

    Attributes:
        symbolic_dims: the d at which the identity was expanded with every parameter and input as an indeterminate.
        modular_dims: the d at which it was evaluated at random points modulo a prime.
        error_bound: upper bound of the probability that a wrong identity passes the evaluation.
    """

    symbolic_dims: tuple[int, ...]
    modular_dims: tuple[int, ...]
    error_bound: float


def find_map(source: Format, target: Format, *, tries: int = 2000) -> ParameterMap | None:
    """A map from the parameters of `source` to those of `target` under which both are the same function, or None.

    None only says that the search found nothing. Row sums are written out: the copies of W are W[1], W[2], ....

    Args:
        source: the format whose functions are to be written in the other.
        target: the other format.
        tries: how many choices of the parameters that the target is not affine in are tried.
    """
    a, b = normal_form(source.expr), normal_form(target.expr)
    if width(a) != width(b):
        return None
    slopes: list[tuple[str, str]] = []
    # F_a ⊆ F_b gives act(F_a) ⊆ act(F_b): a common last activation is left out of the search.
    while isinstance(a, Activation) and isinstance(b, Activation) and a.kind == b.kind:
        if a.slope is not None and b.slope is not None:
            if b.slope in {parameter.name for parameter in parameters(b.of)}:
                break
            slopes.append((b.slope, a.slope))
        a, b = a.of, b.of
    for products in (False, True):
        found = _Search(a, b, products=products, tries=tries).run()
        if found is not None:
            return ParameterMap((*found.assignments, *(_same_slope(*names) for names in slopes)))
    return None


def _same_slope(target: str, source: str) -> Assignment:
    own = Formula(source, lambda values, dim: values[source])
    return Assignment(Parameter(name=target, role="slope", axes=()), ((Combination(((Fraction(1), own),)),),))


def prove_map(source: Format, target: Format, map: ParameterMap) -> MapProof:
    """Prove that `target` at the mapped parameters is `source`, for all parameters and inputs.

    Raises:
        ValueError: it is not.
    """
    a, b = normal_form(source.expr), normal_form(target.expr)
    step = math.lcm(divisor(a), divisor(b))
    symbolic = (step, 2 * step) if step > 1 else (2, 3)
    for dim in symbolic:
        if not _identity_holds(a, b, map, dim):
            raise ValueError(
                f"A map must turn {target.id} into {source.id} for all parameters, however: they differ at d={dim} under "
                f"{'; '.join(map.lines)}."
            )
    large = max(3 * step, step * -(-6 // step))
    points = 256
    sample = _Sample(a, large, points=points, seed=_SEED + 1)
    mapped = map.apply(sample.values, dim=large, constant=to_residue)
    for left, right in zip(sample.outputs, sample.evaluate(b, mapped), strict=True):
        if not _equal(left, right):
            raise ValueError(f"A map must turn {target.id} into {source.id}, however: they differ at d={large}.")
    # The entries of a map are of degree 2 at most in the source's parameters.
    degree = max(_degree(a), 2 * _degree(b))
    # A polynomial of degree k in indicators is not zero on at least 2^-k of their values.
    hit = (1 - degree / (PRIME - 1)) / 2 ** max(_gates(a), _gates(b))
    return MapProof(symbolic_dims=symbolic, modular_dims=(large,), error_bound=(1 - hit) ** points)


@dataclass(frozen=True, slots=True)
class _Slot:
    """One block of one parameter of the target."""

    parameter: Parameter
    row: int
    column: int


class _Sample:
    """Random parameters of the source and random inputs, its outputs there, and what its activations do."""

    def __init__(self, source: Expr, dim: int, *, points: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self._generator, self._points, self.dim = generator, points, dim
        self._atoms: dict[tuple[str, bytes], tuple[int, Residues]] = {}
        self.inputs = [random_residues(generator, points) for _ in range(dim)]
        self.values = fill_parameters(source, dim=dim, entry=lambda name, index: random_residues(generator, points))
        self.outputs = self.evaluate(source, self.values)

    def evaluate(self, expr: Expr, values: ParameterValues) -> list[Any]:
        """The outputs of a layer at the sample's inputs; activations of known arguments are known."""
        return evaluate(expr, self.inputs, values, activation=self._activate, constant=to_residue)

    def _activate(self, node: Activation, value: Any, values: ParameterValues) -> Any:
        vector = value.values if isinstance(value, Residues) else np.full(self._points, value % PRIME, dtype=np.int64)
        first = int(vector[0])
        number = to_fraction(first) if np.all(vector == first) else None
        if node.kind not in ("relu", "prelu"):
            return self._atom(node.kind, vector)[1]
        if number is not None:
            gate: Any = int(number > 0)
        else:
            # Arguments that are positive multiples of each other are one atom, a negative multiple is its complement.
            lead = int(vector[np.flatnonzero(vector)[0]])
            base, gate = self._atom("relu", vector * pow(lead, -1, PRIME) % PRIME, scale=lead)
            ratio = to_fraction(lead * pow(base, -1, PRIME) % PRIME)
            if ratio is None:
                gate = self._random(indicator=True)
            elif ratio < 0:
                gate = Residues(1 - gate.values)
        if node.kind == "relu":
            return gate * value
        slope = values[str(node.slope)]
        return value * (slope + gate + (PRIME - 1) * (slope * gate))

    def _atom(self, kind: str, vector: Any, *, scale: int = 1) -> tuple[int, Residues]:
        key = (kind, vector.tobytes())
        if key not in self._atoms:
            self._atoms[key] = (scale, self._random(indicator=kind == "relu"))
        return self._atoms[key]

    def _random(self, *, indicator: bool) -> Residues:
        if indicator:
            return Residues(self._generator.integers(0, 2, size=self._points))
        return random_residues(self._generator, self._points)


class _Search:
    """One search for a map from the parameters of `a` to those of `b`."""

    def __init__(self, a: Expr, b: Expr, *, products: bool, tries: int) -> None:
        self.a, self.b, self.tries = a, b, tries
        self.parts = math.lcm(*(width(node).denominator for node in (*walk(a), *walk(b))), *_slices(a), *_slices(b))
        step = math.lcm(divisor(a), divisor(b), self.parts)
        self.sample = _Sample(a, step * -(-3 // step), points=_POINTS, seed=_SEED)
        self.blocks = BuildingBlocks(parameters(a), parts=self.parts, products=products)
        self.parameters = {p.name: p for p in parameters(b)}
        self.scales = _scales(a, b)

    def run(self) -> ParameterMap | None:
        chosen: _Choice = {}
        for outputs, slots in self._components():
            found = self._solve_component(outputs, slots)
            if found is None:
                return None
            chosen |= found
        return ParameterMap(tuple(self._assignment(p, chosen) for p in self.parameters.values()))

    def _assignment(self, parameter: Parameter, chosen: _Choice) -> Assignment:
        rows, columns = self._shape(parameter)
        return Assignment(
            parameter,
            tuple(
                tuple(chosen.get(_Slot(parameter, r, c), Combination()) for c in range(columns)) for r in range(rows)
            ),
        )

    def _shape(self, parameter: Parameter) -> tuple[int, int]:
        """Into how many blocks of rows and of columns a parameter is cut."""
        rows = int(parameter.axes[0] * self.parts) if parameter.axes else 1
        joined = parameter.role == "affine" and parameter.axes[1] > 1 and parameter.axes[1].denominator == 1
        return rows, int(parameter.axes[1]) if joined else 1

    def _slots(self) -> list[_Slot]:
        result = []
        for p in self.parameters.values():
            rows, columns = self._shape(p)
            result += [_Slot(p, r, c) for r in range(rows) for c in range(columns)]
        return result

    def _candidates(self, slot: _Slot) -> list[Formula]:
        axes = slot.parameter.axes
        columns = self._shape(slot.parameter)[1]
        inner = (axes[1] / columns, *axes[2:]) if len(axes) > 1 else ()
        shape = (Fraction(1, self.parts), *inner) if axes else ()
        return self.blocks.of(slot.parameter.role, shape, row_block=slot.row)

    def _fill(self, choice: _Choice) -> dict[str, Any]:
        return {
            p.name: self._assignment(p, choice).value(self.sample.values, self.sample.dim, to_residue)
            for p in self.parameters.values()
        }

    def _components(self) -> list[tuple[list[int], list[_Slot]]]:
        """Output blocks that share no block of a parameter are separate problems."""
        slots = self._slots()
        count = int(width(self.b) * self.parts)
        if count == 1:
            return [([0], slots)]
        generator = np.random.default_rng(_SEED + 2)
        base = fill_parameters(self.b, dim=self.sample.dim, entry=lambda name, index: int(generator.integers(1, PRIME)))
        reference = self.sample.evaluate(self.b, base)
        size = len(reference) // count
        touched: dict[tuple[str, int], set[int]] = {}
        for slot in slots:
            key = (slot.parameter.name, slot.row)
            if key in touched:
                continue
            changed = dict(base)
            changed[slot.parameter.name] = _replaced_rows(
                base[slot.parameter.name], slot, self._shape(slot.parameter)[0], generator
            )
            outputs = self.sample.evaluate(self.b, changed)
            touched[key] = {i // size for i in range(len(reference)) if not _equal(reference[i], outputs[i])}
        groups: list[set[int]] = [{block} for block in range(count)]
        for blocks in touched.values():
            joined = [group for group in groups if group & blocks]
            if len(joined) > 1:
                groups = [group for group in groups if not group & blocks] + [set().union(*joined)]
        return [
            (sorted(group), [s for s in slots if touched[s.parameter.name, s.row] & group])
            for group in sorted(groups, key=min)
        ]

    def _solve_component(self, outputs: Sequence[int], slots: Sequence[_Slot]) -> _Choice | None:
        size = len(self.sample.outputs) // int(width(self.b) * self.parts)
        rows = [block * size + i for block in outputs for i in range(size)]
        target = [self.sample.outputs[i] for i in rows]
        tries = 0
        for free in _free_sets(self.b, {slot.parameter.name for slot in slots}):
            unknown = [slot for slot in slots if slot.parameter.name in free]
            fixed = [slot for slot in slots if slot.parameter.name not in free]
            columns = [(slot, formula) for slot in unknown for formula in self._candidates(slot)]
            for choice in self._fixed_choices(fixed):
                tries += 1
                if tries > self.tries:
                    return None
                solution = self._solve_free(choice, columns, rows, target)
                if solution is not None:
                    return self._tidied(choice | solution, rows, target)
        return None

    def _tidied(self, choice: _Choice, rows: Sequence[int], target: Sequence[Any]) -> _Choice:
        """The choice without the values that do not matter (a factor whose other factor is zero)."""
        for slot in list(choice):
            fewer = {other: value for other, value in choice.items() if other != slot}
            outputs = self.sample.evaluate(self.b, self._fill(fewer))
            if all(_equal(target[k], outputs[i]) for k, i in enumerate(rows)):
                choice = fewer
        return choice

    def _solve_free(
        self, choice: _Choice, columns: Sequence[tuple[_Slot, Formula]], rows: Sequence[int], target: Sequence[Any]
    ) -> _Choice | None:
        base_values = self._fill(choice)
        base = self.sample.evaluate(self.b, base_values)
        missing = self._stacked([_minus(target[k], base[i]) for k, i in enumerate(rows)])
        effects = []
        for slot, formula in columns:
            one = {slot: Combination(((Fraction(1), formula),))}
            name = slot.parameter.name
            value = self._assignment(slot.parameter, one).value(self.sample.values, self.sample.dim, to_residue)
            outputs = self.sample.evaluate(self.b, base_values | {name: value})
            effects.append(self._stacked([_minus(outputs[i], base[i]) for i in rows]))
        if not effects:
            return {} if not missing.any() else None
        solution = solve(effects, missing)
        if solution is None:
            return None
        terms: dict[_Slot, list[tuple[Fraction, Formula]]] = {}
        for (slot, formula), coefficient in zip(columns, solution, strict=True):
            if coefficient:
                terms.setdefault(slot, []).append((coefficient, formula))
        return {slot: Combination(_constants_last(found)) for slot, found in terms.items()}

    def _stacked(self, values: Sequence[Any]) -> Any:
        return np.concatenate(
            [v.values if isinstance(v, Residues) else np.full(_POINTS, v % PRIME, dtype=np.int64) for v in values]
        )

    def _fixed_choices(self, fixed: Sequence[_Slot]) -> Iterator[_Choice]:
        """Values of the parameters that the target is not affine in, the likely ones first."""
        units = _units(self.b)
        arguments = {
            node.of.name
            for node in walk(self.b)
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

    def _plain_choices(self, plain: Sequence[tuple[str, int]]) -> Iterator[_Choice]:
        for parts in itertools.product(*(self._unit_choices(name, row) for name, row in plain)):
            yield {slot: combination for part in parts for slot, combination in part.items()}

    def _gated_choices(self, gated: Sequence[tuple[str, int]]) -> Iterator[_Choice]:
        """Match the arguments of activations: in order and one to one where that is possible, then in any way."""
        options: dict[tuple[str, int], list[_Choice]] = {
            (name, row): self._forms(name, row, _activation_arguments(self.a)) for name, row in gated
        }
        count = min(len(forms) for forms in options.values())
        for scale in self.scales:
            for matched in range(min(count, len(gated)), -1, -1):
                for forms in itertools.combinations(range(count), matched):
                    for places in itertools.combinations(gated, matched):
                        choice: _Choice = {}
                        for place, form in zip(places, forms, strict=True):
                            choice |= _scaled(options[place][form], scale)
                        yield choice
        every = []
        for place in gated:
            likely = [_scaled(form, scale) for scale in self.scales for form in options[place]] + [{}]
            likely += self._simple_forms(*place)
            others = [form for form in self._forms(*place, _affine_parts(self.a)) if form not in likely]
            every.append(likely + others + [_scaled(form, Fraction(-1)) for form in (*options[place], *others)])
        for parts in itertools.product(*every):
            yield {slot: combination for part in parts for slot, combination in part.items()}

    def _unit_choices(self, name: str, row: int) -> list[_Choice]:
        """Values of one map (weight and bias together), one block of rows."""
        node = next(n for n in walk(self.b) if getattr(n, "name", getattr(n, "slope", None)) == name)
        match node:
            case Affine(of=Input()):
                scales = self.scales if _inside_power(self.b, name) else [Fraction(1)]
                forms = self._forms(name, row, _affine_parts(self.a))
                return [_scaled(f, s) for s in scales for f in forms] + self._simple_forms(name, row) + [{}]
            case Affine() | Bilinear():
                return [*self._same_shape_choices(name, row), {}]
            case _:
                slot = _Slot(self.parameters[name], row, 0)
                return [{slot: Combination(((Fraction(1), f),))} for f in self._candidates(slot)] + [{}]

    def _same_shape_choices(self, name: str, row: int) -> list[_Choice]:
        """The source's maps of the same shape, with their biases."""
        weight = self.parameters[name]
        result = []
        columns = self._shape(weight)[1]
        for p in parameters(self.a):
            if p.role != weight.role or p.axes[1:] != weight.axes[1:]:
                continue
            for block in range(int(p.axes[0] * self.parts)):
                choice: _Choice = {}
                for source, goal in ((p.name, name), (bias_name(p.name), bias_name(name))):
                    if goal not in self.parameters:
                        continue
                    for c in range(columns if goal == name else 1):
                        slot = _Slot(self.parameters[goal], row, c)
                        wanted = [
                            f
                            for f in self._candidates(slot)
                            if f.stem.removesuffix("[k]") == source and f.block in (None, block)
                        ]
                        if wanted:
                            choice[slot] = Combination(((Fraction(1), wanted[0]),))
                result.append(choice)
        return result

    def _simple_forms(self, name: str, row: int) -> list[_Choice]:
        """``x``, ``x + 1`` and ``1``."""
        slot = _Slot(self.parameters[name], row, 0)
        one: _Choice = {}
        if bias_name(name) in self.parameters:
            ones = Formula("1", lambda values, dim: [1] * (dim // self.parts))
            one = {_Slot(self.parameters[bias_name(name)], row, 0): Combination(((Fraction(1), ones),))}
        identity = [f for f in self._candidates(slot) if f.stem == "I"][:1]
        result = []
        for f in identity:
            just_x = {slot: Combination(((Fraction(1), f),))}
            result += [just_x, just_x | one]
        return [*result, one]

    def _forms(self, name: str, row: int, of: Sequence[Expr]) -> list[_Choice]:
        """Affine sub-expressions of the source as values of one map, one block of rows."""
        bias = bias_name(name)
        result: list[tuple[bool, _Choice]] = []
        for part in of:
            for block in range(int(width(part) * self.parts)):
                solved = self._affine_form(part, block, row, with_bias=bias in self.parameters)
                if solved is None:
                    continue
                weight_terms, bias_terms = solved
                choice = {_Slot(self.parameters[name], row, 0): weight_terms}
                if bias in self.parameters:
                    choice[_Slot(self.parameters[bias], row, 0)] = bias_terms
                result.append((block != row, choice))
        return [choice for _, choice in sorted(result, key=lambda pair: pair[0])]

    def _affine_form(
        self, part: Expr, block: int, row: int, *, with_bias: bool
    ) -> tuple[Combination, Combination] | None:
        """Weight and bias of an affine sub-expression, as combinations of the source's building blocks."""
        values = self.sample.evaluate(part, self.sample.values)
        size = self.sample.dim // self.parts
        target = self._stacked(values[block * size : (block + 1) * size])
        one = Fraction(1, self.parts)
        weights = self.blocks.of("affine", (one, Fraction(1)), row_block=row)
        biases = self.blocks.of("bias", (one,), row_block=row) if with_bias else []
        effects = []
        for f in weights:
            matrix = f.compute(self.sample.values, self.sample.dim)
            effects.append(self._stacked([_dot(line, self.sample.inputs) for line in matrix]))
        effects += [self._stacked(f.compute(self.sample.values, self.sample.dim)) for f in biases]
        solution = solve(effects, target)
        if solution is None:
            return None
        found = [(c, f) for c, f in zip(solution, [*weights, *biases], strict=True)]
        return (
            Combination(tuple((c, f) for c, f in found[: len(weights)] if c)),
            Combination(_constants_last([(c, f) for c, f in found[len(weights) :] if c])),
        )


def _identity_holds(a: Expr, b: Expr, map: ParameterMap, dim: int) -> bool:
    """Whether b at the mapped parameters is a, with everything an indeterminate over the rationals."""
    names = [f"x{i}" for i in range(dim)]
    entries: dict[tuple[str, tuple[int, ...]], str] = {}

    def name_of(name: str, index: tuple[int, ...]) -> str:
        entries[name, index] = f"p{len(entries)}"
        return entries[name, index]

    fill_parameters(a, dim=dim, entry=name_of)
    atoms = sum(int(width(node) * dim) for node in (*walk(a), *walk(b)) if isinstance(node, Activation))
    gate_names = [f"g{i}" for i in range(atoms)]
    ring = flint.fmpq_mpoly_ctx.get([*names, *entries.values(), *gate_names], "degrevlex")
    generators = dict(zip(ring.names(), ring.gens(), strict=True))
    values = fill_parameters(a, dim=dim, entry=lambda name, index: generators[entries[name, index]])
    known: dict[tuple[str, Any], Any] = {}

    def activate(node: Activation, value: Any, own: ParameterValues) -> Any:
        value = value + 0 * generators["x0"]
        if node.kind not in ("relu", "prelu"):
            return known.setdefault((node.kind, _key(value)), generators[f"g{len(known)}"])
        if value.is_constant():
            gate: Any = int(not value.is_zero() and value.leading_coefficient() > 0)
        else:
            lead = value.leading_coefficient()
            gate = known.setdefault(("relu", _key(value * (1 / lead))), generators[f"g{len(known)}"])
            gate = gate if lead > 0 else 1 - gate
        if node.kind == "relu":
            return gate * value
        slope = own[str(node.slope)]
        return value * (slope + gate - slope * gate)

    def run(expr: Expr, parameter_values: ParameterValues) -> list[Any]:
        return evaluate(
            expr,
            [generators[name] for name in names],
            parameter_values,
            activation=activate,
            constant=lambda number: flint.fmpq(number.numerator, number.denominator),
        )

    mapped = map.apply(values, dim=dim, constant=lambda number: flint.fmpq(number.numerator, number.denominator))
    first_gate = len(names) + len(entries)
    zero = 0 * generators["x0"]  # an output without an input or a parameter is a plain number
    return all(
        _vanishes(left - right + zero, first_gate) for left, right in zip(run(a, values), run(b, mapped), strict=True)
    )


def _vanishes(difference: Any, first_gate: int) -> bool:
    """Whether a polynomial is zero once ``g² = g`` is used for the indicators."""
    if difference == 0:
        return True
    reduced: dict[tuple[int, ...], Any] = {}
    for monomial, coefficient in difference.to_dict().items():
        key = (*monomial[:first_gate], *(min(e, 1) for e in monomial[first_gate:]))
        reduced[key] = reduced.get(key, 0) + coefficient
    return not any(reduced.values())


def _key(value: Any) -> Any:
    return frozenset((tuple(m), str(c)) for m, c in value.to_dict().items())


def _units(expr: Expr) -> dict[str, str]:
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


def _free_sets(expr: Expr, names: set[str]) -> list[set[str]]:
    """Sets of parameters that the target is jointly affine in, the others fixed; the largest first."""
    units = _units(expr)
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


def _affine_parts(expr: Expr) -> list[Expr]:
    """Sub-expressions that can be affine in x: they hold no product, power or activation."""
    curved = (Product, Power, Activation, Bilinear, Concat)
    parts = [n for n in dict.fromkeys(walk(expr)) if not any(isinstance(m, curved) for m in walk(n))]
    return [part for part in parts if not isinstance(part, Input | FirstInput)]


def _activation_arguments(expr: Expr) -> list[Expr]:
    return list(dict.fromkeys(node.of for node in walk(expr) if isinstance(node, Activation)))


def _inside_power(expr: Expr, name: str) -> bool:
    return any(
        isinstance(node, Power) and any(getattr(n, "name", None) == name for n in walk(node)) for node in walk(expr)
    )


def _slices(expr: Expr) -> list[int]:
    return [node.blocks for node in walk(expr) if isinstance(node, Slice)]


def _scales(a: Expr, b: Expr) -> list[Fraction]:
    """Factors to try on arguments of activations and powers: 1 and what the formats' own factors suggest."""
    factors = {node.factor for node in (*walk(a), *walk(b)) if isinstance(node, Multiple) and node.factor > 0}
    found = {Fraction(1)}
    for f in factors:
        found |= {f, 1 / f}
        root = Fraction(math.isqrt(f.numerator), math.isqrt(f.denominator))
        if root * root == f:
            found |= {root, 1 / root}
    return sorted(found, key=lambda f: (f != 1, f))


def _scaled(choice: _Choice, scale: Fraction) -> _Choice:
    return {slot: Combination(tuple((c * scale, f) for c, f in value.terms)) for slot, value in choice.items()}


def _constants_last(terms: Sequence[tuple[Fraction, Formula]]) -> tuple[tuple[Fraction, Formula], ...]:
    return tuple(sorted(terms, key=lambda term: term[1].stem in ("1", "I")))


def _replaced_rows(value: Any, slot: _Slot, blocks: int, generator: np.random.Generator) -> Any:
    """The value with random numbers in one block of rows."""

    def randomized(part: Any) -> Any:
        return [randomized(p) for p in part] if isinstance(part, list) else int(generator.integers(1, PRIME))

    if not isinstance(value, list):
        return randomized(value)
    size = len(value) // blocks
    return [randomized(row) if i // size == slot.row else row for i, row in enumerate(value)]


def _dot(a: Sequence[Any], b: Sequence[Any]) -> Any:
    total: Any = 0
    for left, right in zip(a, b, strict=True):
        total = left * right + total
    return total


def _minus(left: Any, right: Any) -> Any:
    if isinstance(left, Residues):
        return left - right
    return left + (PRIME - 1) * right


def _equal(left: Any, right: Any) -> bool:
    difference = _minus(left, right)
    return not difference.values.any() if isinstance(difference, Residues) else difference % PRIME == 0


def _gates(expr: Expr) -> int:
    """An upper bound of the degree of an output in the indicators of the activations."""
    match expr:
        case Input() | FirstInput() | Constant():
            return 0
        case Activation(of=of):
            return _gates(of) + 1
        case Bilinear(left=left, right=right):
            return _gates(left) + _gates(right)
        case Sum(terms=parts) | Concat(parts=parts):
            return max(map(_gates, parts))
        case Product(factors=parts):
            return sum(map(_gates, parts))
        case Power(of=of, exponent=exponent):
            return exponent * _gates(of)
        case Affine(of=of) | Scale(of=of) | Multiple(of=of) | RowSum(of=of) | Slice(of=of) | HeadMajor(of=of):
            return _gates(of)
        case _:
            assert_never(expr)


def _degree(expr: Expr) -> int:
    """An upper bound of the degree of an output in parameters and inputs together."""
    match expr:
        case Input() | FirstInput():
            return 1
        case Constant():
            return 0
        case Affine(of=of) | Scale(of=of) | Activation(of=of):
            return _degree(of) + 1
        case Bilinear(left=left, right=right):
            return _degree(left) + _degree(right) + 1
        case Sum(terms=parts) | Concat(parts=parts):
            return max(map(_degree, parts))
        case Product(factors=parts):
            return sum(map(_degree, parts))
        case Power(of=of, exponent=exponent):
            return exponent * _degree(of)
        case Multiple(of=of) | RowSum(of=of) | Slice(of=of) | HeadMajor(of=of):
            return _degree(of)
        case _:
            assert_never(expr)
