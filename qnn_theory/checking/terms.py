"""Parameter maps: the target's parameters as blocks of sums of terms in the source's.

The language of the terms is described in `relations.containment.terms`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import Any

from qnn_theory.checking.evaluation import dot, filled, outputs, shapes, step_kinds, times
from qnn_theory.checking.reading import RejectedError, exact_keys, many, rational, read_formula, whole
from qnn_theory.grammar.expr import Expr


def mapped(
    target: Expr,
    data: Any,
    values: Mapping[str, Any],
    dim: int,
    number: Callable[[Fraction], Any],
    free: Collection[str] = (),
) -> dict[str, Any]:
    """The target's parameters but the free ones: blocks of rows of blocks of columns of sums of [coefficient, term]."""
    wanted = {name: shape for name, shape in shapes(target, dim).items() if name not in free}
    exact_keys(data, set(wanted), "a map sets every parameter of the target and no other")
    result = {}
    for name, shape in wanted.items():
        rows: list[Any] = []
        blocks = many(data[name], "the blocks of a parameter")
        for row in blocks:
            inner = many(row, "a row of blocks")
            if shape and (shape[0] % len(blocks) or (len(inner) > 1 and (len(shape) < 2 or shape[1] % len(inner)))):
                raise RejectedError(f"{name} cannot be cut into {len(blocks)} x {len(inner)} blocks at d = {dim}")
            size_ = (
                (shape[0] // len(blocks), *((shape[1] // len(inner), *shape[2:]) if shape[1:] else ())) if shape else ()
            )
            parts = []
            for block in inner:
                total = filled(size_, lambda at: number(Fraction(0)))
                for pair in many(block, "a block", least=0):
                    if not isinstance(pair, list) or len(pair) != 2:
                        raise RejectedError("a block is a list of [coefficient, term]")
                    value = _term(pair[1], values, dim, number)
                    if _shape(value) != size_:
                        raise RejectedError(f"a term for {name} has shape {_shape(value)}, not {size_}, at d = {dim}")
                    total = _plus(total, value, number(rational(pair[0])))
                parts.append(total)
            if not shape:
                if len(blocks) != 1 or len(inner) != 1:
                    raise RejectedError(f"{name} is one number, so it has one block")
                rows = parts[0]
            elif len(parts) > 1:
                rows += [[entry for part in parts for entry in part[k]] for k in range(size_[0])]
            else:
                rows += parts[0]
        result[name] = rows
    return result


def _shape(value: Any) -> tuple[int, ...]:
    return (len(value), *(_shape(value[0]) if value else ())) if isinstance(value, list) else ()


def _plus(total: Any, value: Any, factor: Any) -> Any:
    if isinstance(total, list):
        return [_plus(t, v, factor) for t, v in zip(total, value, strict=True)]
    return total + times(factor, value)


def _term(data: Any, values: Mapping[str, Any], dim: int, number: Callable[[Fraction], Any]) -> Any:
    """The value of a term."""
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise RejectedError(f"a term is a list that starts with its operation, however: {str(data)[:60]}")
    name, *rest = data
    if name == "parameter":
        if len(rest) != 1 or not isinstance(rest[0], str) or rest[0] not in values:
            raise RejectedError(f"the source has no parameter {str(rest)[1:-1][:60]}")
        return values[rest[0]]
    if name in ("slope", "value") and len(rest) == 1:
        return _of_formula(name, rest[0], values, dim, number)
    if name not in _OPERATIONS or len(_OPERATIONS[name][0]) != len(rest):
        raise RejectedError(f"there is no operation {name[:40]!r} with {len(rest)} arguments")
    signature, compute = _OPERATIONS[name]
    found: list[Any] = []
    for axes, argument in zip(signature, rest, strict=True):
        if axes == (0,):
            found.append(whole(argument, 0, 1000, f"an argument of {name}"))
            continue
        found.append(_term(argument, values, dim, number))
        if len(_shape(found[-1])) not in axes:
            raise RejectedError(f"{name} cannot be applied to a value of shape {_shape(found[-1])}")
    try:
        return compute(dim, number(Fraction(1)), *found)
    except (ValueError, IndexError) as error:
        raise RejectedError(f"{name} cannot be applied at d = {dim}: {error}") from None


def _scaled(vector: Any, rows: Any) -> Any:
    """Each row times a number; rows may be matrices."""
    return [_times(row, factor) for factor, row in zip(vector, rows, strict=True)]


def _times(value: Any, factor: Any) -> Any:
    return [_times(part, factor) for part in value] if isinstance(value, list) else times(factor, value)


def _cut(value: Any, first: int, size: int) -> Any:
    if first + size > len(value):
        raise ValueError(f"{len(value)} entries have no part from {first} to {first + size}")
    return value[first : first + size]


def _share(dim: int, parts: int) -> int:
    if parts < 1 or dim % parts:
        raise ValueError(f"d = {dim} has no {parts} equal parts")
    return dim // parts


def _unit(size: int, one: Any) -> Any:
    return [[one if i == j else 0 * one for j in range(size)] for i in range(size)]


# Operation -> the numbers of axes of its arguments, (0,) is a whole number; the value from d, the number 1 and the arguments.
_OPERATIONS: dict[str, tuple[tuple[tuple[int, ...], ...], Callable[..., Any]]] = {
    "one": ((), lambda d, one: one),
    "ones": (((0,),), lambda d, one, n: [one] * _share(d, n)),
    "identity": (((0,),), lambda d, one, n: _unit(_share(d, n), one)),
    "columns": (((2,), (0,)), lambda d, one, m, c: [_cut(row, c * d, d) for row in m]),
    "rows": (((1, 2, 3), (0,), (0,)), lambda d, one, v, j, n: _cut(v, j * _share(d, n), _share(d, n))),
    "hadamard": (((1,), (1,)), lambda d, one, v, w: _scaled(v, w)),
    "apply": (((2,), (1,)), lambda d, one, m, v: [dot(row, v) for row in m]),
    "compose": (((2,), (2,)), lambda d, one, m, n: [[dot(r, c) for c in zip(*n, strict=True)] for r in m]),
    "scale_rows": (((1,), (2,)), lambda d, one, v, m: _scaled(v, m)),
    "scale_columns": (((2,), (1,)), lambda d, one, m, v: [_scaled(v, row) for row in m]),
    "outer": (((2,), (2,)), lambda d, one, m, n: [[_times(s, a) for a in r] for r, s in zip(m, n, strict=True)]),
    "diagonals": (((2,), (2,)), lambda d, one, m, n: [_scaled(row, n) for row in m]),
    "scale_forms": (((1,), (3,)), lambda d, one, v, forms: _scaled(v, forms)),
}


def _of_formula(name: str, formula: Any, values: Mapping[str, Any], dim: int, number: Callable[[Fraction], Any]) -> Any:
    """The value of a formula in the source's parameters at x = 0, or the matrix of what it gains at the unit vectors."""
    expr = read_formula(formula, "a formula in a map")
    if step_kinds(expr) or any(_shape(values.get(n)) != shape for n, shape in shapes(expr, dim).items()):
        raise RejectedError("a formula in a map is a polynomial in the source's parameters")

    def at(j: int | None) -> list[Any]:
        x = [number(Fraction(int(i == j))) for i in range(dim)]
        return outputs(expr, x, values, lambda step, u: (u, u), number)

    start = at(None)
    if name == "value":
        return start
    columns = [at(j) for j in range(dim)]
    return [[column[k] - value for column in columns] for k, value in enumerate(start)]
