"""Parameter maps: the target's parameters as blocks of sums of terms in the source's.

The language of the terms is described in `relations.containment.terms`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fractions import Fraction
from typing import Any

from qnn_theory.checking.evaluation import filled, outputs, shapes, step_kinds
from qnn_theory.checking.reading import RejectedError, exact_keys, rational, read_formula
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
        blocks = _list(data[name], "the blocks of a parameter")
        for row in blocks:
            inner = _list(row, "a row of blocks")
            if shape and (shape[0] % len(blocks) or (len(inner) > 1 and (len(shape) < 2 or shape[1] % len(inner)))):
                raise RejectedError(f"{name} cannot be cut into {len(blocks)} x {len(inner)} blocks at d = {dim}")
            size_ = (
                (shape[0] // len(blocks), *((shape[1] // len(inner), *shape[2:]) if shape[1:] else ())) if shape else ()
            )
            parts = []
            for block in inner:
                total = filled(size_, lambda at: number(Fraction(0)))
                for pair in _list(block, "a block", empty=True):
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


def _list(value: Any, what: str, *, empty: bool = False) -> list[Any]:
    if not isinstance(value, list) or not (value or empty) or len(value) > 1000:
        raise RejectedError(f"{what} must be a list, however: {str(value)[:60]}")
    return value


def _shape(value: Any) -> tuple[int, ...]:
    return (
        (len(value), *_shape(value[0]))
        if isinstance(value, list) and value
        else ()
        if not isinstance(value, list)
        else (0,)
    )


def _plus(total: Any, value: Any, factor: Any) -> Any:
    if isinstance(total, list):
        return [_plus(t, v, factor) for t, v in zip(total, value, strict=True)]
    return total + factor * value


# Operation -> the numbers of axes of its arguments; 0 is a whole number of its own.
_SIGNATURES: dict[str, tuple[tuple[int, ...], ...]] = {
    "one": (),
    "ones": ((0,),),
    "identity": ((0,),),
    "columns": ((2,), (0,)),
    "rows": ((1, 2, 3), (0,), (0,)),
    "hadamard": ((1,), (1,)),
    "apply": ((2,), (1,)),
    "compose": ((2,), (2,)),
    "scale_rows": ((1,), (2,)),
    "scale_columns": ((2,), (1,)),
    "outer": ((2,), (2,)),
    "diagonals": ((2,), (2,)),
    "scale_forms": ((1,), (3,)),
}


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
    signature = _SIGNATURES.get(name)
    if signature is None or len(signature) != len(rest):
        raise RejectedError(f"there is no operation {name[:40]!r} with {len(rest)} arguments")
    found: list[Any] = []
    for axes, argument in zip(signature, rest, strict=True):
        if axes == (0,):
            if type(argument) is not int or not 0 <= argument <= 1000:
                raise RejectedError(f"{name} takes a small whole number, however: {str(argument)[:40]}")
            found.append(argument)
        else:
            value = _term(argument, values, dim, number)
            if len(_shape(value)) not in axes:
                raise RejectedError(f"{name} cannot be applied to a value of shape {_shape(value)}")
            found.append(value)
    zero, one = number(Fraction(0)), number(Fraction(1))
    try:
        match name, found:
            case "one", []:
                return one
            case "ones", [parts]:
                return [one] * _share(dim, parts)
            case "identity", [parts]:
                return [[one if i == j else zero for j in range(_share(dim, parts))] for i in range(_share(dim, parts))]
            case "columns", [m, c]:
                return [row[range(len(row))[c * dim] : range(len(row) + 1)[(c + 1) * dim]] for row in m]
            case "rows", [v, j, parts]:
                part = _share(dim, parts)
                return v[range(len(v))[j * part] : range(len(v) + 1)[(j + 1) * part]]
            case "hadamard", [v, w]:
                return [a * b for a, b in zip(v, w, strict=True)]
            case "apply", [m, v]:
                return [sum((a * b for a, b in zip(row, v, strict=True)), start=zero) for row in m]
            case "compose", [m, n]:
                transposed = list(zip(*n, strict=True))
                return [[sum((a * b for a, b in zip(r, c, strict=True)), start=zero) for c in transposed] for r in m]
            case "scale_rows", [v, m]:
                return [[f * e for e in row] for f, row in zip(v, m, strict=True)]
            case "scale_columns", [m, v]:
                return [[e * f for e, f in zip(row, v, strict=True)] for row in m]
            case "outer", [m, n]:
                return [[[a * b for b in s] for a in r] for r, s in zip(m, n, strict=True)]
            case "diagonals", [m, n]:
                return [[[f * e for e in line] for f, line in zip(row, n, strict=True)] for row in m]
            case "scale_forms", [v, forms]:
                return [[[f * e for e in line] for line in form] for f, form in zip(v, forms, strict=True)]
    except (ValueError, IndexError) as error:
        raise RejectedError(f"{name} cannot be applied at d = {dim}: {error}") from None
    raise RejectedError(f"there is no operation {name!r}")


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


def _share(dim: int, parts: int) -> int:
    if parts < 1 or dim % parts:
        raise ValueError(f"d = {dim} has no {parts} equal parts")
    return dim // parts
