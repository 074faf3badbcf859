"""Containments: that the target, at parameters which a map makes of the source's, is the source.

The identity is multiplied out over the rationals with every parameter and input an indeterminate at two small d, and modulo
p = 2^61 - 1 on random lines through all parameters and inputs at a larger d. An activation is an unknown of its own: equal
arguments share it; relu(u) is g u with g² = g, and 1 - g stands for -u. What holds for all values of the unknowns holds for the
functions.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence, Set
from fractions import Fraction
from typing import Any, TypeAlias

import flint

from qnn_theory.checking.evaluation import (
    NotCheckedError,
    RejectedError,
    Size,
    activations,
    entries_of,
    filled,
    outputs,
    size,
)
from qnn_theory.checking.reading import exact_keys, rational
from qnn_theory.grammar.expr import Expr, RowSum, walk
from qnn_theory.grammar.widths import divisor, width

PRIME = 2**61 - 1
_TERMS = 2_000_000
_LINES = 2
RANDOM = random.SystemRandom()

Apply: TypeAlias = Callable[..., dict[str, Any]]
"""From the target, a map, the source's parameters and their shapes, d, numbers and the inputs to the target's parameters."""


def check_map(source: Expr, target: Expr, data: Any, apply: Apply | None = None) -> str:
    """Reject a map under which the target is not the source; else say how it was proved.

    Raises:
        RejectedError: it is not, or the map is malformed.
        NotCheckedError: the expressions are too large to be multiplied out.
    """
    if data is None:
        raise NotCheckedError("a map without its data")
    if width(source) != width(target):
        raise RejectedError("the two formats have different numbers of outputs")
    step = math.lcm(divisor(source), divisor(target))
    small = (step, 2 * step) if step > 1 else (2, 3)
    large = max(3 * step, step * -(-6 // step))
    for dim in small:
        _compare(source, target, data, dim, apply or mapped, lines=False)
    degrees = [_compare(source, target, data, large, apply or mapped, lines=True) for _ in range(_LINES)]
    error = math.prod(min(1.0, degree / PRIME) for degree in degrees)
    return (
        f"map, multiplied out at d = {small[0]}, {small[1]} and on random lines at d = {large}; error below {error:.0e}"
    )


def _compare(source: Expr, target: Expr, data: Any, dim: int, apply: Apply, *, lines: bool) -> int:
    shapes = entries_of(source, dim)
    names = [f"x{i}" for i in range(dim)]
    places = [(name, at) for name, shape in shapes.items() for at in _indices(shape)]
    atoms = [f"g{i}" for e in (source, target) for i in range(_count(e, dim))]
    gates = [f"g{i}" for i in range(len(atoms))]
    sizes = {name: filled(shape, lambda at: Size(1, 1)) for name, shape in shapes.items()}
    mapped_sizes = apply(target, data, sizes, shapes, dim, lambda f: Size(1, 0), [Size(1, 1)] * dim)
    bound = size(source, dim) + size(target, dim, mapped_sizes)
    if bound.terms > _TERMS and not lines:
        raise NotCheckedError(f"a map between formats with up to {bound.terms} terms at d = {dim}")
    ring: Any
    if lines:
        ring = flint.nmod_mpoly_ctx.get(["t", *names, *gates], modulus=PRIME, ordering="degrevlex")
        t, *rest = ring.gens()
        inputs, free = rest[:dim], rest[dim:]
        numbers = [RANDOM.randrange(PRIME) * t + RANDOM.randrange(PRIME) for _ in range(dim + len(places))]
        first_gate = 1 + dim

        def number(f: Fraction) -> Any:
            return 0 * t + f.numerator * pow(f.denominator, -1, PRIME)
    else:
        ring = flint.fmpq_mpoly_ctx.get([*names, *(f"p{i}" for i in range(len(places))), *gates], "degrevlex")
        generators = ring.gens()
        first_gate = dim + len(places)
        numbers, free = list(generators[:first_gate]), list(generators[first_gate:])
        inputs = numbers[:dim]

        def number(f: Fraction) -> Any:
            return 0 * generators[0] + flint.fmpq(f.numerator, f.denominator)

    known = dict(zip(places, numbers[dim:], strict=True))
    values = {name: filled(shape, lambda at, name=name: known[name, at]) for name, shape in shapes.items()}  # type: ignore[misc]
    rule = _Rule(free, number)
    left = outputs(source, numbers[:dim], values, rule, number)
    right = outputs(target, numbers[:dim], apply(target, data, values, shapes, dim, number, inputs), rule, number)
    indicators = {first_gate + k for k in rule.indicators}
    for k, (one, other) in enumerate(zip(left, right, strict=True)):
        if not _vanishes(one - other, indicators):
            raise RejectedError(f"under the map, y_{k + 1} of the two formats differ at d = {dim}")
    return bound.degree


class _Rule:
    """What activations do: one unknown for each argument of relu, up to a rational factor, and of a smooth step, up to its sign.

    sigmoid(u) = s(u), tanh(u) = 2 s(2 u) - 1 and silu(u) = u s(u) share their step, gelu(u) = u p(u) has one of its own; for both
    steps s(-u) = 1 - s(u). Every other kind has an unknown for each argument.
    """

    def __init__(self, free: Sequence[Any], number: Callable[[Fraction], Any]) -> None:
        self._free, self._number = list(free), number
        self._known: dict[tuple[str, str], tuple[Any, Any]] = {}

    @property
    def indicators(self) -> set[int]:
        """Which of the unknowns are 0 or 1."""
        return {k for k, (kind, _) in enumerate(self._known) if kind == "relu"}

    def __call__(self, atom: Any, value: Any, values: Mapping[str, Any]) -> Any:
        node = atom[0]
        match node.kind:
            case "relu" | "prelu":
                gate = self._gate(value)
                return gate * value if node.kind == "relu" else value * (values[node.slope] * (1 - gate) + gate)
            case "sigmoid":
                return self._step("s", value)
            case "tanh":
                return 2 * self._step("s", 2 * value) - 1
            case "silu":
                return value * self._step("s", value)
            case "gelu":
                return value * self._step("p", value)
            case _:
                return self._unknown(node.kind, str(value), 1)[1]

    def _gate(self, value: Any) -> Any:
        lead = value.leading_coefficient() if value != 0 else 0
        if value == 0 or value.is_constant():
            return int(value != 0 and _sign(lead, 1) > 0)
        first, gate = self._unknown("relu", str(value * (1 / lead)), lead)
        return gate if _sign(lead, first) > 0 else 1 - gate

    def _step(self, kind: str, value: Any) -> Any:
        if value == 0:
            return self._number(Fraction(1, 2))
        lead = value.leading_coefficient()
        turned = lead < 0 if isinstance(lead, flint.fmpq) else int(lead) > PRIME // 2
        known = self._unknown(kind, str(-value if turned else value), 1)[1]
        return 1 - known if turned else known

    def _unknown(self, kind: str, argument: str, lead: Any) -> tuple[Any, Any]:
        if (kind, argument) not in self._known:
            self._known[kind, argument] = (lead, self._free[len(self._known)])
        return self._known[kind, argument]


def _sign(number: Any, relative_to: Any) -> int:
    """The sign of a ratio: a rational number, or a residue that is the one of a simple rational number."""
    if isinstance(number, flint.fmpq):
        ratio = number / relative_to
        return int(ratio > 0) - int(ratio < 0)
    residue = int(number) * pow(int(relative_to), -1, PRIME) % PRIME
    old, new, old_factor, factor = PRIME, residue, 0, 1
    while new > 1 << 29:
        old, new, old_factor, factor = new, old % new, factor, old_factor - old // new * factor
    if abs(factor) > 1 << 29:
        raise NotCheckedError("a map with arguments of relu that differ by an intricate factor")
    return 0 if new == 0 else 1 if factor > 0 else -1


def _vanishes(difference: Any, indicators: Set[int]) -> bool:
    reduced: dict[tuple[int, ...], Any] = {}
    for monomial, coefficient in difference.to_dict().items():
        key = tuple(min(int(e), 1) if k in indicators else int(e) for k, e in enumerate(monomial))
        reduced[key] = reduced.get(key, 0) + coefficient
    return not any(c % PRIME if isinstance(c, int) else c != 0 for c in reduced.values())  # residues come as integers


def _count(expr: Expr, dim: int) -> int:
    rows = max((node.rows for node in walk(expr) if isinstance(node, RowSum)), default=1)
    return rows * sum(int(width(node) * dim) for node in activations(expr))


def _indices(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [(i, *rest) for i in range(shape[0]) for rest in _indices(shape[1:])] if shape else [()]


def mapped(
    target: Expr,
    data: Any,
    values: Mapping[str, Any],
    shapes: Mapping[str, tuple[int, ...]],
    dim: int,
    number: Callable[[Fraction], Any],
    inputs: Sequence[Any] = (),
) -> dict[str, Any]:
    """The target's parameters: blocks of rows of blocks of columns of sums of [coefficient, term]."""
    wanted = entries_of(target, dim)
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
                    value = _term(pair[1], values, shapes, dim, number)
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


def _term(
    data: Any, values: Mapping[str, Any], shapes: Mapping[str, Any], dim: int, number: Callable[[Fraction], Any]
) -> Any:
    """The value of a term; the language is described in `relations.containment.terms`."""
    if not isinstance(data, list) or not data or not isinstance(data[0], str):
        raise RejectedError(f"a term is a list that starts with its operation, however: {str(data)[:60]}")
    name, *rest = data
    if name == "parameter":
        if len(rest) != 1 or not isinstance(rest[0], str) or rest[0] not in values:
            raise RejectedError(f"the source has no parameter {str(rest)[1:-1][:60]}")
        return values[rest[0]]
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
            value = _term(argument, values, shapes, dim, number)
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


def _share(dim: int, parts: int) -> int:
    if parts < 1 or dim % parts:
        raise ValueError(f"d = {dim} has no {parts} equal parts")
    return dim // parts
