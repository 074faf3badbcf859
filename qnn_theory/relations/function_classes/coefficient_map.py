"""Parameter maps that read a target's parameters off the source's coefficients.

``A'[k,i,j] = the coefficient of x_i*x_j in y_k of T16`` is as explicit as ``W' = W_a + I``: it is computed from the source's
parameters by multiplying out, and it is proved in the same way.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from qnn_theory.grammar.expr import Expr, bias_name
from qnn_theory.grammar.readings.formula_text import to_formula
from qnn_theory.grammar.widths import Parameter
from qnn_theory.relations.containment.parameter_map import Constant
from qnn_theory.relations.function_classes.expansion import expand

Index = tuple[int, ...]
Monomial = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A term ``factor x^outer ⊙ M`` of a target that is linear in the parameters of one map M.

    Attributes:
        role: what M is: affine in ``x^p``, bilinear in ``x^p`` and ``x^q``, or a learned vector.
        weight: the name of its weight.
        bias: whether it has a bias.
        first: the position of its first output, as a multiple of d.
        width: its output width.
        factor: the number in front of it.
        outer: the power of x that multiplies it.
        inner: the powers that it reads.
    """

    role: Literal["affine", "bilinear", "scale"]
    weight: str
    bias: bool
    first: Fraction
    width: Fraction
    factor: Fraction = Fraction(1)
    outer: int = 0
    inner: tuple[int, ...] = (1,)

    def entries(self, dim: int) -> Iterator[tuple[str, Index, int, Monomial]]:
        """(parameter, index, output, monomial): which coefficient an entry is, before it is divided by the factor."""
        first = int(self.first * dim)
        for k in range(int(self.width * dim)):
            if self.role == "scale":
                yield self.weight, (k,), first + k, _monomial(dim, [(k, self.outer)])
                continue
            outer = [(k, self.outer)] if self.outer else []
            for columns in itertools.product(range(dim), repeat=len(self.inner)):
                monomial = _monomial(dim, [*outer, *zip(columns, self.inner, strict=True)])
                yield self.weight, (k, *columns), first + k, monomial
            if self.bias:
                yield bias_name(self.weight), (k,), first + k, _monomial(dim, outer)

    @property
    def texts(self) -> tuple[tuple[str, str, str], ...]:
        """(parameter, its entry, the monomial whose coefficient it is) for the weight and the bias."""
        outer = [_power("x_k", self.outer)] if self.outer else []
        if self.role == "scale":
            return ((self.weight, f"{self.weight}'[k]", "*".join(outer) or "1"),)
        letters = ("i", "j")[-len(self.inner) :]
        inner = [_power(f"x_{letter}", p) for letter, p in zip(letters, self.inner, strict=True)]
        weight = (self.weight, f"{self.weight}'[k,{','.join(letters)}]", "*".join([*outer, *inner]))
        bias = bias_name(self.weight)
        return (weight, (bias, f"{bias}'[k]", "*".join(outer) or "1")) if self.bias else (weight,)


@dataclass(frozen=True, slots=True)
class Reading:
    """The coefficients of one expression in the source's parameters, and the slots that take them, each monomial once."""

    of: Expr
    slots: tuple[Slot, ...]

    def lines(self, text: str) -> list[str]:
        """What each parameter reads from the expression, which is called `text`."""
        result: list[str] = []
        for slot, taken in zip(self.slots, self._taken(), strict=True):
            start = f" from the output at {slot.first} d on" if slot.first else ""
            divided = "" if slot.factor == 1 else f" divided by {slot.factor}"
            for name, entry, monomial in slot.texts:
                size, double, earlier = taken[name]
                if earlier == size:
                    result.append(f"{entry} = 0")
                    continue
                once = " for i <= j, else 0" if double and len(set(slot.inner)) == 1 else ""
                once = once or (" once for each monomial" if double else "")
                once += ", 0 where it is read above" if earlier else ""
                result.append(f"{entry} = coefficient of {monomial} in y_k{divided}{start}{once}, y = {text}")
        return result

    def _taken(self) -> list[dict[str, tuple[int, int, int]]]:
        """Per slot and parameter: entries, those whose monomial the slot reads twice, those an earlier slot has read."""
        dim = math.lcm(*(n.denominator for slot in self.slots for n in (slot.first, slot.width)))
        dim *= -(-3 // dim)
        result: list[dict[str, tuple[int, int, int]]] = []
        before: set[tuple[int, Monomial]] = set()
        for slot in self.slots:
            counts = {name: (0, 0, 0) for name, _, _ in slot.texts}
            own: set[tuple[int, Monomial]] = set()
            for name, _, output, monomial in slot.entries(dim):
                size, double, earlier = counts[name]
                key = (output, monomial)
                counts[name] = (size + 1, double + (key in own), earlier + (key in before))
                own.add(key)
            before |= own
            result.append(counts)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """An outer map ``V`` of a narrow product ``V U``: the source's own outer maps side by side, times a vector.

    Attributes:
        weight: the target's V.
        weights: the names of the source's maps.
        bias: whether V has a bias, which is the sum of theirs.
        biases: those of the source's maps that have one.
        scale: what multiplies row k, a vector in the source's parameters; None is 1.
        constant: what is added to the bias and does not depend on x; None is 0.
    """

    weight: str
    weights: tuple[str, ...]
    bias: bool
    biases: tuple[str, ...]
    scale: Expr | None = None
    constant: Expr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CoefficientMap:
    """All parameters of a target as coefficients of expressions in a source's parameters; those not named are zero.

    Attributes:
        name: id of the source.
        source: the source, in normal form.
        parameters: the target's parameters.
        readings: what is read from which expression.
        copies: outer maps of narrow products.
        fixed: maps that are the constant 1 or the identity: (weight, "1" or "x").
        entry_degree: the largest degree of a coefficient in the source's parameters.
    """

    name: str
    source: Expr
    parameters: tuple[Parameter, ...]
    readings: tuple[Reading, ...]
    copies: tuple[Copy, ...] = ()
    fixed: tuple[tuple[str, str], ...] = ()
    entry_degree: int = 2

    @property
    def lines(self) -> tuple[str, ...]:
        """One line a parameter that is not zero, then the zeros."""
        result: list[str] = []
        named: set[str] = set()
        for reading in self.readings:
            of = self.name if reading.of == self.source else to_formula(reading.of)
            named |= {name for slot in reading.slots for name in (slot.weight, bias_name(slot.weight))}
            result += reading.lines(of)
        for copy in self.copies:
            named |= {copy.weight, bias_name(copy.weight)}
            scaled = "" if copy.scale is None else f", row k times that of {to_formula(copy.scale)}"
            result.append(f"{copy.weight}' = [{' | '.join((*copy.weights, '0'))}]{scaled}")
            if copy.bias:
                total = " + ".join(map(bias_name, copy.biases))
                total += scaled if total else ""
                added = "" if copy.constant is None else to_formula(copy.constant)
                result.append(f"{bias_name(copy.weight)}' = {', plus '.join(filter(None, (total, added))) or '0'}")
        for weight, value in self.fixed:
            named |= {weight, bias_name(weight)}
            result += (
                [f"{weight}' = 0", f"{bias_name(weight)}' = 1"]
                if value == "1"
                else [f"{weight}' = I", f"{bias_name(weight)}' = 0"]
            )
        zeros = [p.name for p in self.parameters if p.name not in named]
        return tuple(result + ([f"{', '.join(f'{name}' + chr(39) for name in zeros)} = 0"] if zeros else []))

    def apply(
        self, values: Mapping[str, Any], *, dim: int, constant: Constant = lambda number: number
    ) -> dict[str, Any]:
        """The target's parameter values, as nested lists.

        Args:
            values: the source's parameter values (rows of a row sum under names of their own).
            dim: the input width d.
            constant: turns a rational number into a scalar.

        Raises:
            ValueError: the source has a monomial that no slot takes.
        """
        result = {p.name: _zeros(p.shape(dim)) for p in self.parameters}
        for weight, value in self.fixed:
            if value == "x":
                for k in range(dim):
                    result[weight][k][k] = 1
            else:
                result[bias_name(weight)] = [1] * len(result[bias_name(weight)])
        for reading in self.readings:
            outputs = expand(reading.of, values, dim=dim, constant=constant)
            taken: set[tuple[int, Monomial]] = set()
            for slot in reading.slots:
                for name, index, output, monomial in slot.entries(dim):
                    if (output, monomial) in taken:
                        continue
                    taken.add((output, monomial))
                    coefficient = outputs[output].get(monomial, 0)
                    if not _is_zero(coefficient):
                        _put(result[name], index, coefficient * constant(1 / slot.factor))
        for copy in self.copies:
            self._copy(copy, values, result, dim, constant)
        return result

    def _copy(
        self, copy: Copy, values: Mapping[str, Any], result: dict[str, Any], dim: int, constant: Constant
    ) -> None:
        rows = len(result[copy.weight])

        def column(of: Expr | None, default: int) -> list[Any]:
            if of is None:
                return [default] * rows
            return [output.get((0,) * dim, 0) for output in expand(of, values, dim=dim, constant=constant)]

        scales, constants = column(copy.scale, 1), column(copy.constant, 0)
        for k in range(rows):
            row = [entry for name in copy.weights for entry in values[name][k]]
            for j, entry in enumerate(row):
                result[copy.weight][k][j] = scales[k] * entry
            if copy.bias:
                total: Any = constants[k]
                for name in copy.biases:
                    total = scales[k] * values[bias_name(name)][k] + total
                result[bias_name(copy.weight)][k] = total


def _is_zero(value: Any) -> bool:
    return isinstance(value, int) and value == 0


def _put(value: Any, index: Index, entry: Any) -> None:
    for i in index[:-1]:
        value = value[i]
    value[index[-1]] = entry


def _zeros(shape: tuple[int, ...]) -> Any:
    return [_zeros(shape[1:]) for _ in range(shape[0])] if shape else 0


def _monomial(dim: int, powers: list[tuple[int, int]]) -> Monomial:
    result = [0] * dim
    for index, power in powers:
        result[index] += power
    return tuple(result)


def _power(text: str, power: int) -> str:
    return text if power == 1 else f"{text}^{power}"
