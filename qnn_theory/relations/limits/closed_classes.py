"""Formats whose functions form a closed set at every d: each limit of them, uniform on compact sets, is one of them already.

Three kinds of outputs, part by part of a joined vector, where no map occurs in two parts or twice in one:

* *affine in its parameters*: the functions form an affine space of finite dimension;
* *one product*: a fixed polynomial g times powers of affine forms and of relus of affine forms. Scale each form to size 1: the
  scaled forms converge along a subsequence, to no zero form, so the number in front converges too, or all is zero;
* *a sum without cancelling*: g times terms of one sign, each an even power of an affine form or a power of its relu. Every term
  is bounded where the sum is, so that each form converges, or its relu is zero on every compact set from some member on.

Each may have a fixed polynomial added. Every output has rows of its own of each map, so outputs converge independently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from qnn_theory.grammar.expr import (
    Activation,
    Affine,
    Bilinear,
    Concat,
    Constant,
    Expr,
    Input,
    Multiple,
    Power,
    Product,
    Scale,
    Sum,
    has_parameters,
    uses_activation,
    walk,
)
from qnn_theory.grammar.widths import parameters
from qnn_theory.relations.containment.free_parameters import free_sets


def why_closed(expr: Expr) -> str | None:
    """Why the functions of a format, in normal form, form a closed set; None where that is not known."""
    parts = expr.parts if isinstance(expr, Concat) else (expr,)
    owners = Counter(name for part in parts for name in {p.name for p in parameters(part)})
    if any(count > 1 for count in owners.values()):
        return None
    reasons = [_reason(part) for part in parts]
    if any(reason is None for reason in reasons):
        return None
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))


def _reason(part: Expr) -> str | None:
    names = {p.name for p in parameters(part)}
    if not names:
        return "one function only"
    # A slope is learned too, though no map: relu(-x) is the limit of prelu(x) t at the slope -1/t, and no such function.
    if any(isinstance(node, Activation) and node.slope is not None for node in walk(part)):
        return None
    if not uses_activation(part) and names in free_sets(part, names):
        return "its functions form an affine space of finite dimension"
    maps = [node.name for node in walk(part) if isinstance(node, Affine | Bilinear | Scale)]
    if len(maps) != len(set(maps)):
        return None
    terms = part.terms if isinstance(part, Sum) else (part,)
    varying = [term for term in terms if has_parameters(term)]
    if len(varying) == 1 and _is_product(varying[0]):
        return "its outputs are one product of affine forms and relus of them, but for a fixed part"
    if len({_sign_and_factor(term) for term in _spread(varying)} - {None}) == 1 and all(
        _sign_and_factor(term) is not None for term in _spread(varying)
    ):
        return "its outputs are sums of terms of one sign that cannot cancel, but for a fixed part and factor"
    return None


def _is_form(expr: Expr) -> bool:
    return isinstance(expr, Affine) and isinstance(expr.of, Input)


def _is_relu(expr: Expr) -> bool:
    return isinstance(expr, Activation) and expr.kind == "relu" and _is_form(expr.of)


def _is_product(expr: Expr) -> bool:
    """Powers of affine forms and of their relus, fixed factors without activations, a learned number in front."""
    match expr:
        case Product(factors=factors):
            return all(map(_is_product, factors))
        case Power(of=of) | Multiple(of=of):
            return _is_product(of)
        case Scale(of=of):
            return not has_parameters(of) or _is_product(of)
        case _:
            return _is_form(expr) or _is_relu(expr) or not (has_parameters(expr) or uses_activation(expr))


def _spread(terms: Sequence[Expr]) -> list[Expr]:
    """The summands of sums that a fixed number or polynomial multiplies."""
    result: list[Expr] = []
    for term in terms:
        match term:
            case Sum(terms=inner):
                result += _spread(inner)
            case Multiple(factor=factor, of=Sum(terms=inner)):
                result += _spread([Multiple(factor=factor, of=t) for t in inner])
            case Multiple(factor=factor, of=Multiple(factor=other, of=of)):
                result += _spread([Multiple(factor=factor * other, of=of)])
            case Product(factors=factors) if len(sums := [f for f in factors if has_parameters(f)]) == 1:
                inner_terms, number = _terms(sums[0])
                others = tuple(f for f in factors if f is not sums[0])
                result += [Multiple(factor=number, of=Product(factors=(*others, t))) for t in inner_terms]
            case Multiple(factor=factor, of=Product(factors=factors)) if len(
                sums := [f for f in factors if has_parameters(f)]
            ) == 1 and isinstance(sums[0], Sum | Multiple):
                inner_terms, number = _terms(sums[0])
                others = tuple(f for f in factors if f is not sums[0])
                result += [Multiple(factor=factor * number, of=Product(factors=(*others, t))) for t in inner_terms]
            case _:
                result.append(term)
    return result


def _terms(expr: Expr) -> tuple[Sequence[Expr], Fraction]:
    number = Fraction(1)
    while isinstance(expr, Multiple):
        number, expr = number * expr.factor, expr.of
    return (expr.terms if isinstance(expr, Sum) else (expr,)), number


def _sign_and_factor(term: Expr) -> tuple[bool, tuple[Expr, ...]] | None:
    """The sign of a term that cannot cancel, and the fixed polynomial in front of it."""
    number = Fraction(1)
    while isinstance(term, Multiple):
        number, term = number * term.factor, term.of
    factors = term.factors if isinstance(term, Product) else (term,)
    fixed = tuple(f for f in factors if not has_parameters(f))
    (*more, core) = [f for f in factors if has_parameters(f)] or [Constant(Fraction(0))]
    if more or not number or any(uses_activation(f) or isinstance(f, Constant) for f in fixed):
        return None
    while isinstance(core, Multiple):
        number, core = number * core.factor, core.of
    exponent, base = (core.exponent, core.of) if isinstance(core, Power) else (1, core)
    if _is_relu(base) or (_is_form(base) and exponent % 2 == 0):
        return number > 0, tuple(sorted(fixed, key=repr))
    return None
