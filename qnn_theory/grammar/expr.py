"""The grammar: the closed set of nodes a neuron format is written with.

A format is one expression over these nodes. Every interpreter (SymPy reading, monomial support, cost, torch module, ...)
is one function with one `match` over `Expr` that ends in `assert_never`, so the type checker names every interpreter a
new node must visit.

Conventions, used by all interpreters:

* ``d`` is the width of the layer's input ``x``; every width in a format is a rational multiple of ``d``.
* An affine map owns its bias: the map named ``W_a`` has the weight ``W_a`` and the bias ``b_a``.
* The same name is the same parameter (T14, T15 and T20 share one map).
* Inside ``RowSum`` a parameter has one copy per row: its shape gains a leading axis of that length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, get_args

from qnn_theory.grammar.numbers import Number, exact, is_number

ActivationKind: TypeAlias = Literal["relu", "relu6", "prelu", "gelu", "silu", "mish", "sigmoid", "tanh"]
ACTIVATION_KINDS: tuple[ActivationKind, ...] = get_args(ActivationKind)
PIECEWISE: tuple[ActivationKind, ...] = ("relu", "relu6", "prelu")
"""The activations that are polynomials in pieces; the others are smooth."""

_FULL = Fraction(1)


class _Operators:
    """Lets formats be written as in the paper: ``x * affine("W_a", x) + x``; a number stands on either side.

    A number that is added becomes a `Constant` of the width of what it is added to; one that multiplies becomes a `Multiple`,
    and so does a sign: ``x - y`` is ``x + (-1) y``.
    """

    __slots__ = ()

    def __add__(self, other: Expr | Number) -> Expr:
        return _added(_as_expr(self), other)

    def __radd__(self, other: Expr | Number) -> Expr:
        return _added(_beside(_as_expr(self), other), self)

    def __sub__(self, other: Expr | Number) -> Expr:
        return _added(_as_expr(self), -_beside(_as_expr(self), other))

    def __rsub__(self, other: Expr | Number) -> Expr:
        return _added(_beside(_as_expr(self), other), -self)

    def __neg__(self) -> Expr:
        return _multiple(Fraction(-1), _as_expr(self))

    def __pos__(self) -> Expr:
        return _as_expr(self)

    def __mul__(self, other: Expr | Number) -> Expr:
        if is_number(other):
            return _multiple(exact(other), _as_expr(self))
        return Product(factors=(*_parts(self, Product), *_parts(other, Product)))

    def __rmul__(self, factor: Number) -> Expr:
        return _multiple(exact(factor), _as_expr(self))

    def __truediv__(self, divisor: Number) -> Expr:
        if isinstance(divisor, NODE_TYPES):
            raise TypeError("A format divides by numbers only, not by an expression; it would have poles.")
        number = exact(divisor)
        if not number:
            raise ValueError("A format is divided by a number other than 0, however: 0.")
        return _multiple(1 / number, _as_expr(self))

    def __pow__(self, exponent: int) -> Power:
        return Power(of=_as_expr(self), exponent=exponent)

    def __or__(self, other: Expr) -> Concat:
        return Concat(parts=(*_parts(self, Concat), *_parts(other, Concat)))


@dataclass(frozen=True, slots=True)
class Input(_Operators):
    """``x``, the layer's input; shape ``(d,)``."""


@dataclass(frozen=True, slots=True)
class FirstInput(_Operators):
    """``x0``, the input of the whole network; equals ``x`` in the first layer."""


@dataclass(frozen=True, slots=True)
class Constant(_Operators):
    """A fixed number in every coordinate: the 1 of ``x + 1``, the -3 of ``2 x - 3``.

    Attributes:
        value: the number.
        width: how many coordinates, as a multiple of d.
    """

    value: Fraction
    width: Fraction = _FULL


@dataclass(frozen=True, slots=True)
class Affine(_Operators):
    """``W of + b``; weight of shape ``(out, in)`` with ``out = width * d``.

    Attributes:
        name: parameter name of the weight, for instance ``W_a``.
        of: the argument.
        width: output width as a multiple of d.
        bias: whether the map adds its bias.
    """

    name: str
    of: Expr
    width: Fraction = _FULL
    bias: bool = True


@dataclass(frozen=True, slots=True)
class Bilinear(_Operators):
    """``y_k = left^T A_k right + b_k``; weight of shape ``(out, in, in)``."""

    name: str
    left: Expr
    right: Expr
    width: Fraction = _FULL
    bias: bool = True


@dataclass(frozen=True, slots=True)
class Scale(_Operators):
    """``alpha ⊙ of`` with a learned vector ``alpha`` that starts at ``initial``."""

    name: str
    of: Expr
    initial: float = 1.0


@dataclass(frozen=True, slots=True)
class Sum(_Operators):
    """Sum of expressions of one width."""

    terms: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Product(_Operators):
    """Hadamard product of expressions of one width."""

    factors: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Power(_Operators):
    """Element-wise integer power, exponent at least 1."""

    of: Expr
    exponent: int


@dataclass(frozen=True, slots=True)
class Multiple(_Operators):
    """``factor * of`` with a fixed rational factor."""

    factor: Fraction
    of: Expr


@dataclass(frozen=True, slots=True)
class Activation(_Operators):
    """Element-wise activation. ``prelu`` owns one learned scalar slope, named by `slope`; the others own nothing."""

    kind: ActivationKind
    of: Expr
    slope: str | None = None


@dataclass(frozen=True, slots=True)
class Concat(_Operators):
    """Concatenation along the coordinates."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class RowSum(_Operators):
    """``Σ_m of(θ_m)``, m = 1..rows: the Khatri-Rao part. Each row has its own copy of the parameters inside `of`."""

    rows: int
    of: Expr


@dataclass(frozen=True, slots=True)
class Slice(_Operators):
    """Block ``index`` (from 0) of ``blocks`` equal, contiguous blocks of the coordinates: a head of aligned QNN-α."""

    index: int
    blocks: int
    of: Expr


@dataclass(frozen=True, slots=True)
class HeadMajor(_Operators):
    """Fixed permutation of the coordinates, the released head layout of QNN-α.

    The input is read as ``(field, head, embedding_dim / heads)`` and laid out as ``(head, field, embedding_dim / heads)``.
    """

    heads: int
    embedding_dim: int
    of: Expr


Expr: TypeAlias = (
    Input
    | FirstInput
    | Constant
    | Affine
    | Bilinear
    | Scale
    | Sum
    | Product
    | Power
    | Multiple
    | Activation
    | Concat
    | RowSum
    | Slice
    | HeadMajor
)
NODE_TYPES: tuple[type, ...] = get_args(Expr)

x = Input()
x0 = FirstInput()


def constant(value: Number, *, width: Fraction = _FULL) -> Constant:
    """A fixed number in every coordinate, where no expression beside it tells the width: ``relu(constant(1))``."""
    return Constant(value=exact(value), width=Fraction(width))


def affine(name: str, of: Expr = x, *, width: Fraction = _FULL, bias: bool = True) -> Affine:
    """The affine map ``W of + b`` (the paper's ``W_a X``, with its bias)."""
    return Affine(name=name, of=_as_expr(of), width=Fraction(width), bias=bias)


def bilinear(name: str, left: Expr = x, right: Expr = x, *, width: Fraction = _FULL, bias: bool = True) -> Bilinear:
    """The full bilinear map ``left^T A_k right + b_k``, one matrix per output."""
    return Bilinear(name=name, left=_as_expr(left), right=_as_expr(right), width=Fraction(width), bias=bias)


def scale(name: str, of: Expr = x, *, initial: float = 1.0) -> Scale:
    """A learned vector times an expression."""
    return Scale(name=name, of=_as_expr(of), initial=initial)


def activation(kind: ActivationKind, of: Expr, *, slope: str | None = None) -> Activation:
    """An activation; for ``prelu`` the slope parameter is named ``slope`` unless told otherwise."""
    return Activation(kind=kind, of=_as_expr(of), slope=(slope or "slope") if kind == "prelu" else slope)


def relu(of: Expr) -> Activation:
    """``max(of, 0)``, element-wise."""
    return Activation(kind="relu", of=_as_expr(of))


def mean(*terms: Expr) -> Multiple:
    """The mean of expressions of one width."""
    return Multiple(factor=Fraction(1, len(terms)), of=Sum(terms=terms))


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions of a node, in reading order."""
    match expr:
        case Input() | FirstInput() | Constant():
            return ()
        case Sum(terms=parts) | Product(factors=parts) | Concat(parts=parts):
            return parts
        case Bilinear(left=left, right=right):
            return (left, right)
        case _:
            return (expr.of,)


def walk(expr: Expr) -> Iterator[Expr]:
    """All sub-expressions, the expression itself first."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def uses_activation(expr: Expr) -> bool:
    """Whether an activation occurs, that is, whether the format is not a polynomial."""
    return any(isinstance(node, Activation) for node in walk(expr))


def has_parameters(expr: Expr) -> bool:
    """Whether the expression owns parameters that a row sum copies, so that it differs from row to row."""
    return any(isinstance(node, Affine | Bilinear | Scale) for node in walk(expr))


def bias_name(name: str) -> str:
    """Name of the bias that belongs to a weight: ``W_a`` owns ``b_a``, ``A`` owns ``b_A``."""
    return "b" + name[1:] if name.startswith("W") else f"b_{name}"


def _as_expr(value: object) -> Expr:
    if is_number(value):
        raise TypeError(
            f"A number has the width of what it is added to, however: {value!r} stands alone; write constant({value!r})."
        )
    if not isinstance(value, NODE_TYPES):
        raise TypeError(f"An expression is built from the nodes of qnn_theory.grammar.expr, however: {value!r}.")
    return value  # type: ignore[return-value]


def _added(left: Expr, right: object) -> Expr:
    other = _beside(left, right)
    if other == Constant(Fraction(0), _width_of(left)):  # Python's sum() starts with 0
        return left
    if left == Constant(Fraction(0), _width_of(other)):
        return other
    return Sum(terms=(*_parts(left, Sum), *_parts(other, Sum)))


def _beside(expr: Expr, value: object) -> Expr:
    """What is added to an expression: a number gets its width."""
    return Constant(value=exact(value), width=_width_of(expr)) if is_number(value) else _as_expr(value)


def _multiple(factor: Fraction, of: Expr) -> Expr:
    """A number times an expression; a number in front of that is multiplied out."""
    match of:
        case Constant(value=value):
            return Constant(value=exact(factor * value), width=of.width)
        case Multiple(factor=inner, of=part):
            return _multiple(exact(factor * inner), part)
        case _:
            return of if factor == 1 else Multiple(factor=factor, of=of)


def _width_of(expr: Expr) -> Fraction:
    """The width of an expression whose operands fit; `widths.width` checks that they do."""
    match expr:
        case Affine() | Bilinear() | Constant():
            return expr.width
        case Concat(parts=parts):
            return sum(map(_width_of, parts), Fraction(0))
        case Slice(blocks=blocks, of=of):
            return _width_of(of) / max(blocks, 1)
        case _:
            first, *_ = *children(expr), x
            return _FULL if first is x else _width_of(first)


def _parts(value: object, kind: type[Sum | Product | Concat]) -> tuple[Expr, ...]:
    """The operands that `value` brings to a flattened n-ary node."""
    return children(value) if isinstance(value, kind) else (_as_expr(value),)
