"""An evaluator of expressions that the checker owns, over any ring.

Every activation is made of steps, which tend to 0 on one side and to 1 on the other: relu(u) = u H(u), relu6(u) = u H(u) -
(u - 6) H(u - 6), silu(u) = u s(u), tanh(u) = 2 s(2 u) - 1, gelu(u) = u p(u), mish(u) = u m(u). Who evaluates says what a step is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any, NamedTuple, TypeAlias

import flint

from qnn_theory.checking.bounds import never_negative
from qnn_theory.checking.reading import NotCheckedError
from qnn_theory.grammar import expr as g
from qnn_theory.grammar.widths import head_major_order, parameters, width

_STEPS = {"relu": "H", "relu6": "H", "prelu": "H", "sigmoid": "s", "tanh": "s", "silu": "s", "gelu": "p", "mish": "m"}
_TERMS = 5_000_000
_POLYNOMIALS = (flint.fmpq_mpoly, flint.nmod_mpoly)


class Step(NamedTuple):
    """One step: its kind (H, s, p or m), its activation, the row and the coordinate; `second` is the one of u - 6 in relu6."""

    kind: str
    node: g.Activation
    row: str
    coordinate: int
    second: bool = False


Rule: TypeAlias = Callable[[Step, Any], tuple[Any, Any]]
"""From a step and its argument u, the argument to go on with, which is u as a rule, and the value of the step."""

_deadline: ContextVar[float] = ContextVar("deadline", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let no evaluation begin or go on after so much CPU time.

    Raises:
        NotCheckedError: the time is over.
    """
    token = _deadline.set(time.process_time() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def shapes(expr: g.Expr, dim: int) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter; row m of a row sum has its own, named ``W[m]`` from 1 on."""
    found = {
        f"{p.name}{row}": tuple(int(axis * dim) for axis in p.axes)
        for p in parameters(expr)
        for row in (("",) if p.rows is None else tuple(f"[{m + 1}]" for m in range(p.rows)))
    }
    if sum(map(math.prod, found.values())) > 20_000 or int(width(expr) * dim) > 1000:
        raise NotCheckedError(f"a layer with so many parameters at d = {dim}")
    return found


def filled(shape: tuple[int, ...], entry: Callable[[tuple[int, ...]], Any], at: tuple[int, ...] = ()) -> Any:
    """Nested lists of a shape."""
    return [filled(shape[1:], entry, (*at, i)) for i in range(shape[0])] if shape else entry(at)


def times(a: Any, b: Any) -> Any:
    """A product, unless it could have too many terms."""
    if isinstance(a, _POLYNOMIALS) and isinstance(b, _POLYNOMIALS) and len(a) * len(b) > _TERMS:
        raise NotCheckedError(f"a product of polynomials with {len(a)} and {len(b)} terms")
    return a * b


def dot(weights: Sequence[Any], inner: Sequence[Any]) -> Any:
    """Σ w_j u_j."""
    return reduce(add, (times(w, u) for w, u in zip(weights, inner, strict=True)))


def outputs(
    expr: g.Expr, x: Sequence[Any], values: Mapping[str, Any], rule: Rule, number: Callable[[Fraction], Any]
) -> list[Any]:
    """The outputs of one layer; `number` makes a scalar of a rational number, `rule` gives the value of each step."""

    def activated(node: g.Activation, row: str, index: int, u: Any) -> Any:
        argument = 2 * u if node.kind == "tanh" else u
        v, step = rule(Step(_STEPS[node.kind], node, row, index), argument)
        match node.kind:
            case "sigmoid":
                return step
            case "tanh":
                return 2 * step - 1
            case "prelu":
                return times(v, step + values[str(node.slope)] * (1 - step))
            case "relu6":
                w, second = rule(Step("H", node, row, index, second=True), u - 6)
                return times(v, step) - times(w, second)
        return times(v, step)

    def visit(node: g.Expr, row: str) -> list[Any]:
        if time.process_time() > _deadline.get():
            raise NotCheckedError("it takes longer than the time that was given")
        match node:
            case g.Input() | g.FirstInput():
                return list(x)
            case g.Constant(value=value):
                return [number(value)] * int(node.width * len(x))
            case g.Affine(name=name, of=of):
                inner = visit(of, row)
                result = [dot(line, inner) for line in values[name + row]]
                return list(map(add, result, values[g.bias_name(name) + row])) if node.bias else result
            case g.Bilinear(name=name, left=left, right=right):
                a, b = visit(left, row), visit(right, row)
                result = [dot(a, [dot(line, b) for line in matrix]) for matrix in values[name + row]]
                return list(map(add, result, values[g.bias_name(name) + row])) if node.bias else result
            case g.Scale(name=name, of=of):
                return list(map(times, values[name + row], visit(of, row)))
            case g.Sum(terms=parts):
                return [reduce(add, column) for column in zip(*(visit(p, row) for p in parts), strict=True)]
            case g.Product(factors=parts):
                return [reduce(times, column) for column in zip(*(visit(p, row) for p in parts), strict=True)]
            case g.Power(of=of, exponent=exponent):
                return [reduce(times, [value] * exponent) for value in visit(of, row)]
            case g.Multiple(factor=factor, of=of):
                return [number(factor) * value for value in visit(of, row)]
            case g.Activation(of=of):
                inner = visit(of, row)
                flat = node.kind == "relu" and never_negative(of)
                return inner if flat else [activated(node, row, i, u) for i, u in enumerate(inner)]
            case g.Concat(parts=parts):
                return [value for part in parts for value in visit(part, row)]
            case g.RowSum(rows=rows, of=of):
                copies = [visit(of, f"[{m + 1}]" if g.has_parameters(of) else "") for m in range(rows)]
                return [reduce(add, column) for column in zip(*copies, strict=True)]
            case g.Slice(index=index, blocks=blocks, of=of):
                inner = visit(of, row)
                size = len(inner) // blocks
                return inner[index * size : (index + 1) * size]
            case g.HeadMajor(heads=heads, embedding_dim=size, of=of):
                inner = visit(of, row)
                return [inner[i] for i in head_major_order(len(inner), heads=heads, embedding_dim=size)]

    return visit(expr, "")


def step_kinds(expr: g.Expr) -> set[str]:
    """The kinds of steps in an expression; relu(u) is u where u is never negative."""
    nodes = (n for n in g.walk(expr) if isinstance(n, g.Activation))
    return {_STEPS[n.kind] for n in nodes if not (n.kind == "relu" and never_negative(n.of))}


def degree(expr: g.Expr, *, of_parameters: int) -> int:
    """An upper bound of the degree in x (`of_parameters` = 0), or in x, parameters and steps (1)."""
    match expr:
        case g.Constant():
            return 0
        case g.Product(factors=parts):
            return sum(degree(part, of_parameters=of_parameters) for part in parts)
        case g.Power(of=of, exponent=exponent):
            return exponent * degree(of, of_parameters=of_parameters)
        case g.Bilinear(left=left, right=right):
            return of_parameters + sum(degree(side, of_parameters=of_parameters) for side in (left, right))
        case g.Affine(of=of) | g.Scale(of=of):
            return of_parameters + degree(of, of_parameters=of_parameters)
        case g.Activation(of=of):
            return 2 * of_parameters + max(degree(of, of_parameters=of_parameters), of_parameters)
    return max((degree(child, of_parameters=of_parameters) for child in g.children(expr)), default=1)
