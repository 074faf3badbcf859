"""One direction of a certificate: a map, maps one after another, a separation, or one that maps carry over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import flint

from qnn_theory.checking.maps import check_map
from qnn_theory.checking.reading import NotCheckedError, RejectedError, exact_keys, many, rational, read_formula
from qnn_theory.checking.separations import check_separation
from qnn_theory.checking.smooth import ball, value_at
from qnn_theory.grammar import expr as g
from qnn_theory.grammar.widths import divisor, parameters, width

VERDICTS = ("contained", "not contained", "open")
_NESTED = 3
_SMOOTH = ("sigmoid", "silu", "tanh", "gelu", "mish")


def verdict_of(entry: Any) -> str:
    """What a direction states."""
    verdict = entry.get("verdict") if isinstance(entry, dict) else None
    if not isinstance(verdict, str) or verdict not in VERDICTS:
        raise RejectedError(f"a verdict is one of {', '.join(VERDICTS)}, however: {str(verdict)[:40]!r}")
    return verdict


def check_direction(entry: Any, source: g.Expr, target: g.Expr, *, nested: int = 0) -> str:
    """How the direction was checked.

    Raises:
        RejectedError: it proves nothing.
        NotCheckedError: it is open, or the checker cannot decide.
    """
    if nested > _NESTED:
        raise RejectedError("directions are nested too deeply")
    match verdict_of(entry):
        case "contained" if "links" in entry:
            exact_keys(entry, {"verdict", "links"}, "a chain of maps has exactly its keys")
            return _check_links(entry["links"], source, target, nested)
        case "contained" if "free" in entry:
            exact_keys(entry, {"verdict", "map", "free"}, "a map with free parameters has exactly its keys")
            free = many(entry["free"], "free parameters")
            if not all(isinstance(name, str) for name in free) or len({*free}) != len(free):
                raise RejectedError("free parameters are different names")
            return f"with free parameters: {check_map(source, target, entry['map'], free)}"
        case "contained" if "gates" in entry:
            exact_keys(entry, {"verdict", "map", "gates"}, "a map with constant gates has exactly its keys")
            return _check_gated(entry, source, target)
        case "contained":
            exact_keys(entry, {"verdict", "map"}, "a map has exactly its keys")
            return check_map(source, target, entry["map"])
        case "not contained" if "separation" in entry:
            exact_keys(entry, {"verdict", "below", "above", "separation"}, "a carried separation has exactly its keys")
            return _check_carried(entry, source, target, nested)
        case "not contained":
            exact_keys(entry, {"verdict", "rule", "data", "witness"}, "a separation has exactly its keys")
            return check_separation(source, target, entry["rule"], entry["data"], entry["witness"])
        case _:
            exact_keys(entry, {"verdict"}, "an open direction has exactly its keys")
            raise NotCheckedError("it is open")


def _check_links(links: Any, source: g.Expr, target: g.Expr, nested: int) -> str:
    """Source ⊆ m1 ⊆ ... ⊆ target; each m exists at every d at which both ends do."""
    found, last = [], source
    for link in many(links, "links"):
        exact_keys(link, {"formula", "proof"}, "a link has a formula and a proof")
        formula, proof = link["formula"], link["proof"]
        between = read_formula(formula, "the formula of a link")
        _needs_no_other_dim(between, source, target)
        if verdict_of(proof) != "contained":
            raise RejectedError("a link is a containment")
        found.append(check_direction(proof, last, between, nested=nested + 1))
        last = between
    if last != target:
        raise RejectedError("the last link does not end at the target")
    return f"{len(found)} maps: {'; '.join(found)}"


def _check_carried(entry: Mapping[str, Any], source: g.Expr, target: g.Expr, nested: int) -> str:
    """S ⊆ source, s ⊄ t and target ⊆ t: then the source has a function that the target lacks."""
    s, t, found = source, target, []
    if entry["below"] is None and entry["above"] is None:
        raise RejectedError("a carried separation has a map below, above or both")
    for key in ("below", "above"):
        if entry[key] is None:
            continue
        link = exact_keys(entry[key], {"formula", "proof"}, "a link has a formula and a proof")
        expr = read_formula(link["formula"], "the formula of a link")
        _needs_no_other_dim(expr, source, target)
        if verdict_of(link["proof"]) != "contained":
            raise RejectedError("a link is a containment")
        ends = (expr, source) if key == "below" else (target, expr)
        found.append(check_direction(link["proof"], *ends, nested=nested + 1))
        s, t = (expr, t) if key == "below" else (s, expr)
    inner = entry["separation"]
    if verdict_of(inner) != "not contained":
        raise RejectedError("what is carried over is a separation")
    found.append(check_direction(inner, s, t, nested=nested + 1))
    witness = inner.get("witness")
    step = math.lcm(divisor(source), divisor(target))
    if isinstance(witness, dict) and witness["dim"] % step:
        raise NotCheckedError(f"a separation at d = {witness['dim']} where the formats need multiples of {step}")
    return f"carried over: {'; '.join(found)}"


def _needs_no_other_dim(between: g.Expr, source: g.Expr, target: g.Expr) -> None:
    if math.lcm(divisor(source), divisor(target)) % divisor(between):
        raise RejectedError("a format in between does not exist at every d at which the two formats do")


def _check_gated(entry: Mapping[str, Any], source: g.Expr, target: g.Expr) -> str:
    """Smooth gates whose argument is a constant, at which the gate takes a rational value: the target with that value there."""
    special = target
    maps = set()
    for gate in many(entry["gates"], "gates"):
        exact_keys(gate, {"kind", "map", "value", "low", "high"}, "a gate has exactly its keys")
        value, low, high = (rational(gate[name]) for name in ("value", "low", "high"))
        kind, name = gate["kind"], gate["map"]
        if kind not in _SMOOTH or not isinstance(name, str) or name in maps:
            raise RejectedError(f"a gate has a smooth activation and a map of its own, however: {str(gate)[:80]}")
        with flint.ctx.workprec(400):
            below, above = (value_at(kind, end) - ball(value) for end in (low, high))
        if not (below < 0 < above) or high - low != Fraction(1, 10**20):
            raise RejectedError(f"{kind} does not pass {value} between two neighbouring decimals {low} and {high}")
        special = _with_constant(special, kind, name, value)
        if special == target or any(isinstance(n, g.Affine | g.Bilinear) and n.name == name for n in g.walk(special)):
            raise RejectedError(f"the map {name[:40]} is not only the argument of {kind}")
        maps.add(name)
    own = {p.name for p in parameters(special)}
    left_out = {p.name for p in parameters(target)} - {n for name in maps for n in (name, g.bias_name(name))}
    data = exact_keys(entry["map"], left_out, "a map with constant gates sets the other parameters")
    return f"with constant gates, {check_map(source, special, {name: data[name] for name in own})}"


def _with_constant(expr: g.Expr, kind: str, name: str, value: Fraction) -> g.Expr:
    """The expression with a number in the place of every kind(affine map of this name, with its bias)."""
    match expr:
        case g.Activation(kind=own, of=g.Affine(name=inner, bias=True)) if own == kind and inner == name:
            return g.Constant(value=value, width=width(expr))
        case g.Input() | g.FirstInput() | g.Constant():
            return expr
        case g.Sum(terms=parts):
            return g.Sum(terms=tuple(_with_constant(p, kind, name, value) for p in parts))
        case g.Product(factors=parts):
            return g.Product(factors=tuple(_with_constant(p, kind, name, value) for p in parts))
        case g.Concat(parts=parts):
            return g.Concat(parts=tuple(_with_constant(p, kind, name, value) for p in parts))
        case g.Bilinear(left=left, right=right):
            sides = (_with_constant(side, kind, name, value) for side in (left, right))
            return replace(expr, left=next(sides), right=next(sides))
        case _:
            return replace(expr, of=_with_constant(expr.of, kind, name, value))
