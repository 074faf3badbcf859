"""Functions of formats: the one that a certificate states, exactly, and random ones of the other format, modulo p."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import flint

from qnn_theory.checking.evaluation import (
    Atom,
    NotCheckedError,
    RejectedError,
    activations,
    entries_of,
    filled,
    outputs,
    size,
)
from qnn_theory.checking.maps import PRIME, RANDOM
from qnn_theory.checking.reading import listed, rational, whole
from qnn_theory.grammar.expr import Activation, Bilinear, Expr, Power, Product, children, walk
from qnn_theory.grammar.widths import divisor, parameters, width

Polynomial: TypeAlias = dict[tuple[int, ...], Any]
_MONOMIALS = 60_000
_DIM = 64


def q(number: Fraction) -> Any:
    """A rational number as flint computes with it."""
    return flint.fmpq(number.numerator, number.denominator)


def piecewise(expr: Expr) -> bool:
    """Whether the functions are polynomials in pieces."""
    return all(node.kind in ("relu", "relu6", "prelu") for node in activations(expr))


def affine_relus(expr: Expr) -> bool:
    """Whether every activation is a relu of an affine form of x."""
    curved = (Product, Power, Activation, Bilinear)
    return all(n.kind == "relu" and not any(isinstance(m, curved) for m in walk(n.of)) for n in activations(expr))


class Witness:
    """The function that a certificate states.

    Args:
        source: its format.
        data: the certificate's ``witness``: d, entries that are not zero, and outputs.
        target: the other format, whose d it must share.
    """

    def __init__(self, source: Expr, target: Expr, data: Mapping[str, Any]) -> None:
        self.source = source
        self.dim = whole(data["dim"], 1, _DIM, "the witness's d")
        if self.dim % math.lcm(divisor(source), divisor(target)):
            raise RejectedError(f"the two formats do not both exist at d = {self.dim}")
        self.count = int(width(source) * self.dim)
        small(source, self.dim)
        own = entries_of(source, self.dim)
        copied = {p.name for p in parameters(source) if p.rows is not None}
        known: dict[tuple[str, tuple[int, ...]], Fraction] = {}
        if not isinstance(data["entries"], list):
            raise RejectedError("the entries of a witness are a list")
        for entry in data["entries"]:
            name, at, value = listed(entry, 3, "an entry of the witness: [name, index, number]")
            if not isinstance(name, str) or not isinstance(at, list) or (name in copied and not at):
                raise RejectedError(f"an entry of the witness is [name, index, number], however: {str(entry)[:60]}")
            index = tuple(whole(i, 0, 10_000, "an index") for i in at)
            if name in copied:
                name, index = f"{name}[{index[0] + 1}]", index[1:]
            shape = own.get(name)
            if shape is None or len(shape) != len(index) or any(i >= n for i, n in zip(index, shape, strict=True)):
                raise RejectedError(f"the source has no parameter entry {name[:40]} {list(index)} at d = {self.dim}")
            if (name, index) in known or not rational(value):
                raise RejectedError(f"the entry {name} {list(index)} is given twice, or as zero")
            known[name, index] = rational(value)
        self.values = {
            name: filled(shape, lambda i, name=name: known.get((name, i), Fraction(0)))  # type: ignore[misc]
            for name, shape in own.items()
        }

    def point(self, data: Any) -> list[Fraction]:
        """D rational numbers."""
        return [rational(number) for number in listed(data, self.dim, "a point")]

    def numbers(self, change: Callable[[Fraction], Any]) -> dict[str, Any]:
        """The parameters as other scalars."""

        def visit(value: Any) -> Any:
            return [visit(v) for v in value] if isinstance(value, list) else change(value)

        return {name: visit(value) for name, value in self.values.items()}

    def at(self, point: Sequence[Fraction]) -> list[Fraction]:
        """The outputs at a point."""

        def rule(atom: Atom, u: Fraction, values: Mapping[str, Any]) -> Fraction:
            upper = Fraction(6) if atom[0].kind == "relu6" else u
            return (
                min(u, upper) if u > 0 else u * values[str(atom[0].slope)] if atom[0].kind == "prelu" else Fraction(0)
            )

        return outputs(self.source, point, self.values, rule, lambda f: f)

    def piece(
        self, point: Sequence[Fraction], step: Sequence[Fraction] | None = None, on: Any = None
    ) -> list[Polynomial]:
        """The polynomials that the outputs are around a point, or from a point on into a direction.

        Raises:
            RejectedError: the point is on a kink; with `step`, on one other than the hyperplane that `on` is zero on.
        """
        ring = flint.fmpq_mpoly_ctx.get([f"x_{i + 1}" for i in range(self.dim)], "degrevlex")
        zero = 0 * ring.gens()[0]
        surface = None if on is None else ring.from_dict({m: q(c) for m, c in on.items() if c})

        def rule(atom: Atom, u: Any, values: Mapping[str, Any]) -> Any:
            u = u + zero
            height = u(*map(q, point))
            if (height == 0 and u != 0) or (atom[0].kind == "relu6" and height == 6):
                if step is None or surface is None or divmod(u, surface)[1] != 0:
                    raise RejectedError(f"x = ({', '.join(map(str, point))[:200]}) is on a kink")
                height = sum((q(s) * u.derivative(i)(*map(q, point)) for i, s in enumerate(step)), start=q(Fraction(0)))
            if height > 0:
                return zero + 6 if atom[0].kind == "relu6" and height > 6 else u
            return u * values[str(atom[0].slope)] if atom[0].kind == "prelu" else zero

        found = outputs(self.source, list(ring.gens()), self.numbers(q), rule, q)
        return [_plain(f + zero) for f in found]

    def along(self, point: Sequence[Fraction], step: Sequence[Fraction], side: int) -> list[Any]:
        """The outputs at point + t step as polynomials in t, for small t > 0 or, where `side` is -1, small t < 0."""
        t = flint.fmpq_poly([0, 1])

        def rule(atom: Atom, u: Any, values: Mapping[str, Any]) -> Any:
            u = u + 0 * t

            def sign(value: Any) -> int:
                k = next((k for k, c in enumerate(value.coeffs()) if c != 0), None)
                return 0 if k is None else (1 if value[k] > 0 else -1) * (side if k % 2 else 1)

            if sign(u) > 0:
                return 0 * t + 6 if atom[0].kind == "relu6" and sign(u - 6) > 0 else u
            return u * values[str(atom[0].slope)] if atom[0].kind == "prelu" else 0 * t

        x = [q(p) + q(s) * t for p, s in zip(point, step, strict=True)]
        return [f + 0 * t for f in outputs(self.source, x, self.numbers(q), rule, q)]


class Family:
    """Random members of a family of polynomials, modulo p, that holds all pieces of all functions of a format.

    An activation is g u (+ h for relu6) with free g and h. What random members have the generic one has, up to the chance that a
    polynomial of the stated degree vanishes at a random point.
    """

    def __init__(self, expr: Expr, dim: int) -> None:
        if not piecewise(expr):
            raise NotCheckedError("a rule about polynomial pieces where the target has a smooth activation")
        small(expr, dim)
        self.expr, self.dim = expr, dim
        self.ring = flint.nmod_mpoly_ctx.get([f"x_{i + 1}" for i in range(dim)], modulus=PRIME, ordering="degrevlex")
        self.shapes = entries_of(expr, dim)
        self.degree = size(expr, dim).degree
        self.atoms: dict[Atom, None] = {}
        self.member()

    def draw(self) -> dict[str, Any]:
        """Random parameters."""
        return {name: filled(shape, lambda at: RANDOM.randrange(PRIME)) for name, shape in self.shapes.items()}

    def gates(self) -> dict[Atom, int]:
        """A random g for every activation."""
        return {atom: RANDOM.randrange(PRIME) for atom in self.atoms}

    def member(
        self, values: Mapping[str, Any] | None = None, gate: Callable[[Atom, Any], Any] | None = None
    ) -> list[Polynomial]:
        """One member; its parameters and what its activations do are random where they are not given."""
        free: dict[Atom, tuple[int, int]] = {}
        zero = 0 * self.ring.gens()[0]

        def rule(atom: Atom, u: Any, _: Any) -> Any:
            self.atoms.setdefault(atom)
            if gate is not None:
                return gate(atom, u + zero) + zero
            k, h = free.setdefault(atom, (RANDOM.randrange(PRIME), RANDOM.randrange(PRIME)))
            return k * (u + zero) + (h if atom[0].kind == "relu6" else 0)

        found = outputs(self.expr, list(self.ring.gens()), values or self.draw(), rule, residue)
        return [{m: int(c) for m, c in _plain(f + zero).items()} for f in found]

    def fixed_part(self) -> list[Polynomial]:
        """The member at all parameters zero."""
        zeros = {name: filled(shape, lambda at: 0) for name, shape in self.shapes.items()}
        return self.member(zeros, lambda atom, u: 0 * u)

    def relus_of(self, output: int) -> list[Atom]:
        """The activations that an output depends on."""
        found = []
        for atom in list(self.atoms):
            values, gates = self.draw(), self.gates()

            def rule(at: Atom, u: Any, k: int, atom: Atom = atom, gates: dict[Atom, int] = gates) -> Any:
                return (k if at == atom else gates[at]) * u

            on, off = (self.member(values, lambda at, u, k=k: rule(at, u, k)) for k in (1, 0))  # type: ignore[misc]
            if on[output] != off[output]:
                found.append(atom)
        return found


def residue(number: Fraction | int) -> int:
    """A rational number modulo p."""
    return number.numerator * pow(number.denominator, -1, PRIME) % PRIME


def small(expr: Expr, dim: int) -> None:
    """Raise `NotCheckedError` where polynomials in d inputs could have too many terms."""
    degree = sum_degree(expr)
    if math.comb(dim + min(degree, 200), dim) > _MONOMIALS:
        raise NotCheckedError(f"a rule about polynomials of degree {degree} in d = {dim} inputs")


def sum_degree(expr: Expr) -> int:
    """An upper bound of the degree in x."""
    match expr:
        case Product(factors=parts):
            return sum(map(sum_degree, parts))
        case Power(of=of, exponent=exponent):
            return exponent * sum_degree(of)
        case Bilinear(left=left, right=right):
            return sum_degree(left) + sum_degree(right)
    return max(map(sum_degree, children(expr)), default=1)


def rank(rows: Sequence[Sequence[Any]]) -> int:
    """The rank modulo p of a matrix of rational numbers or residues."""
    if not rows or not rows[0]:
        return 0
    return int(flint.nmod_mat(len(rows), len(rows[0]), [residue(c) for row in rows for c in row], PRIME).rank())


def _plain(polynomial: Any) -> Polynomial:
    def number(c: Any) -> Any:
        return Fraction(int(c.p), int(c.q)) if isinstance(c, flint.fmpq) else int(c)

    return {tuple(map(int, m)): number(c) for m, c in polynomial.to_dict().items()}
