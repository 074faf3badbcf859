"""Maps that read the target's parameters off coefficients of expressions in the source's parameters."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from qnn_theory.checking.evaluation import RejectedError, Size, entries_of, filled, outputs
from qnn_theory.checking.reading import exact_keys, many, rational, read_formula, whole
from qnn_theory.grammar.expr import Expr, bias_name, uses_activation

_SLOT = {"role", "weight", "bias", "first", "width", "factor", "outer", "inner"}
_COPY = {"weight", "weights", "bias", "biases", "scale", "constant"}


def read_off(
    target: Expr,
    data: Any,
    values: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    dim: int,
    number: Callable[[Fraction], Any],
    inputs: Sequence[Any],
) -> dict[str, Any]:
    """The target's parameters: coefficients that slots take, outer maps that are copied, fixed maps; all others are 0.

    A slot stands for a term ``factor x^outer ⊙ M`` of the target, M affine in x^p, bilinear in x^p and x^q, or a learned vector.
    """
    exact_keys(data, {"readings", "copies", "fixed"}, "a map by coefficients has exactly its keys")
    wanted = entries_of(target, dim)
    result = {name: filled(shape, lambda at: number(Fraction(0))) for name, shape in wanted.items()}

    def multiplied_out(formula: Any) -> list[dict[tuple[int, ...], Any]]:
        expr = read_formula(formula, "the formula of a reading")
        if uses_activation(expr) or any(shapes.get(n) != s for n, s in entries_of(expr, dim).items()):
            raise RejectedError("a reading is a polynomial in the source's parameters")
        return [_coefficients(number(Fraction(0)) + f, inputs) for f in outputs(expr, inputs, values, _no_gate, number)]

    def put(name: Any, index: tuple[int, ...], value: Any) -> None:
        shape = wanted.get(name) if isinstance(name, str) else None
        if shape is None or len(shape) != len(index) or any(i >= n for i, n in zip(index, shape, strict=True)):
            raise RejectedError(f"the target has no parameter entry {str(name)[:40]} {list(index)} at d = {dim}")
        place: Any = result
        for step in (name, *index[:-1]):
            place = place[step]
        place[index[-1]] = value

    def rows_of(name: Any) -> range:
        shape = wanted.get(name) if isinstance(name, str) else None
        if shape is None or len(shape) != 2:
            raise RejectedError(f"the target has no map {str(name)[:40]}")
        return range(shape[0])

    for weight, value in (_pair(entry) for entry in _list(data["fixed"])):
        for k in rows_of(weight):
            put(weight if value == "x" else bias_name(weight), (k, k) if value == "x" else (k,), number(Fraction(1)))
    for at, reading in enumerate(_list(data["readings"])):
        if reading in data["readings"][:at]:
            raise RejectedError("a reading is given twice")
        exact_keys(reading, {"of", "slots"}, "a reading has exactly its keys")
        found = multiplied_out(reading["of"])
        taken: set[tuple[int, tuple[int, ...]]] = set()
        for slot in many(reading["slots"], "slots"):
            factor = rational(exact_keys(slot, _SLOT, "a slot has exactly its keys")["factor"])
            if not factor:
                raise RejectedError("the factor of a slot is not 0")
            for name, index, output, monomial in _entries(slot, dim):
                if (output, monomial) not in taken and output < len(found):
                    taken.add((output, monomial))
                    put(name, index, found[output].get(monomial, number(Fraction(0))) * number(1 / factor))
    for copy in _list(data["copies"]):
        exact_keys(copy, _COPY, "a copy has exactly its keys")
        weight, names, biases = copy["weight"], many(copy["weights"], "weights"), _list(copy["biases"])
        own = (
            [values.get(name) for name in (*names, *biases)]
            if all(isinstance(n, str) for n in (*names, *biases))
            else [None]
        )
        rows = len(rows_of(weight))
        if None in own or any(len(shapes[n]) != 2 or shapes[n][0] < rows for n in (*names, *biases)):
            raise RejectedError("a copy is of the source's maps, with as many rows")
        if any(len(shapes.get(bias_name(name), ())) != 1 for name in biases):
            raise RejectedError("a copy adds biases that the source has not")
        scale, constant = (None if copy[key] is None else multiplied_out(copy[key]) for key in ("scale", "constant"))
        if any(len(column) < rows for column in (scale, constant) if column is not None):
            raise RejectedError("a copy is scaled by too few numbers")
        one = (0,) * dim
        for k in rows_of(weight):
            times = number(Fraction(1)) if scale is None else scale[k].get(one, number(Fraction(0)))
            row = [entry for name in names for entry in values[name][k]]
            for j, entry in enumerate(row):
                put(weight, (k, j), times * entry)
            if copy["bias"] is True:
                total = number(Fraction(0)) if constant is None else constant[k].get(one, number(Fraction(0)))
                for name in biases:
                    total = total + times * values[bias_name(name)][k]
                put(bias_name(weight), (k,), total)
    return result


def _entries(slot: Mapping[str, Any], dim: int) -> Iterator[tuple[str, tuple[int, ...], int, tuple[int, ...]]]:
    """(parameter, index, output, monomial): which coefficient each entry is."""
    role, weight, outer = slot["role"], slot["weight"], whole(slot["outer"], 0, 100, "a power")
    first, rows = rational(slot["first"]) * dim, rational(slot["width"]) * dim
    inner = [whole(p, 1, 100, "a power") for p in _list(slot["inner"])]
    if role not in ("affine", "bilinear", "scale") or not isinstance(weight, str) or len(inner) > 2:
        raise RejectedError(f"a slot is affine, bilinear or a scale, however: {str(slot)[:80]}")
    if first.denominator != 1 or rows.denominator != 1 or not 0 <= first <= 1000 or not 0 < rows <= 1000:
        raise RejectedError(f"a slot has no outputs {slot['first']} d to {slot['width']} d further")

    def monomial(*powers: tuple[int, int]) -> tuple[int, ...]:
        return tuple(sum(p for i, p in powers if i == j) for j in range(dim))

    for k in range(int(rows)):
        own = ((k, outer),) if outer else ()
        if own and k >= dim:
            raise RejectedError("a slot with a power of x has no more outputs than x")
        if role == "scale":
            yield weight, (k,), int(first) + k, monomial(*own)
            continue
        for columns in itertools.product(range(dim), repeat=len(inner)):
            yield weight, (k, *columns), int(first) + k, monomial(*own, *zip(columns, inner, strict=True))
        if slot["bias"] is True:
            yield bias_name(weight), (k,), int(first) + k, monomial(*own)


def _coefficients(polynomial: Any, inputs: Sequence[Any]) -> dict[tuple[int, ...], Any]:
    """Monomial in the inputs -> what it is multiplied with."""
    if isinstance(polynomial, Size):
        return _AnyMonomial(polynomial)
    first = next(iter(inputs[0].to_dict())).index(1)
    last = first + len(inputs)
    found: dict[tuple[int, ...], dict[tuple[int, ...], Any]] = {}
    for exponents, c in polynomial.to_dict().items():
        rest = (*exponents[:first], *(0 for _ in inputs), *exponents[last:])
        found.setdefault(tuple(map(int, exponents[first:last])), {})[rest] = c
    ring = polynomial.context()
    return {m: ring.from_dict(terms) for m, terms in found.items()}


class _AnyMonomial(dict[tuple[int, ...], Any]):
    """Every monomial has a coefficient of at most this size."""

    def __init__(self, size: Size) -> None:
        self.size = size

    def get(self, monomial: Any, default: Any = None) -> Any:
        """The size."""
        return self.size


def _no_gate(*_: Any) -> Any:
    raise RejectedError("a reading is a polynomial in the source's parameters")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise RejectedError(f"this is a list, however: {str(value)[:60]}")
    return value


def _pair(value: Any) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str) or value[1] not in ("1", "x"):
        raise RejectedError(f"a fixed map is [name, '1' or 'x'], however: {str(value)[:60]}")
    return value[0], value[1]
