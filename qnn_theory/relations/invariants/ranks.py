"""Separation by rank: matrices of coefficients whose rank is bounded over a format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import flint

from qnn_theory.algebra.polynomials import PRIME, Polynomial, residue
from qnn_theory.feature_spaces.pieces import constant_piece, is_piecewise_polynomial, random_pieces
from qnn_theory.feature_spaces.tails import tail, tail_gates
from qnn_theory.grammar.expr import Expr
from qnn_theory.grammar.normal_form import unrolled_values
from qnn_theory.relations.invariants.pair import Entries, Pair, Separation, generic_point, of_every
from qnn_theory.relations.witness import nested

_MONOMIALS = 50_000


@dataclass(frozen=True, slots=True)
class _Shape:
    """A matrix whose entries are coefficients of the outputs."""

    kind: str
    name: str
    outputs: tuple[int, ...]
    build: Callable[[Sequence[Polynomial]], list[list[Any]]]
    data: Mapping[str, Any]


def by_rank(pair: Pair) -> Separation | None:
    """A matrix of coefficients whose rank is bounded over the target."""
    smooth = not (is_piecewise_polynomial(pair.a) and is_piecewise_polynomial(pair.b))
    if not pair.is_small(pair.dims(4, 6, 8, 10)[-1], _MONOMIALS) or _larger_rank(pair, pair.dims(8)[0]) is None:
        return None
    found: list[tuple[int, _Shape, int, int]] = []
    for dim in pair.dims(4, 6, 8, 10):
        hit = _larger_rank(pair, dim)
        if hit is not None and (not found or hit[0].kind == found[0][1].kind):
            found.append((dim, *hit))
        elif hit is not None:
            found = [(dim, *hit)]
        if len(found) == 3:
            break
    if len(found) < 2:
        return None
    dim, shape, ours, theirs = found[0]
    offset = constant_piece(pair.b, dim=dim)
    entries = pair.draw(dim, 0)

    def holds(some: Entries) -> bool:
        now = _polynomials(pair, some, dim)
        return now is not None and _rank(shape, now, offset) > theirs

    shown = pair.shown(entries, holds, dim, shape.outputs)
    now = _polynomials(pair, dict(shown.entries), dim)
    ours = ours if now is None else _rank(shape, now, offset)
    fixed = ", after its fixed part is subtracted from the outputs," if any(offset[i] for i in shape.outputs) else ""
    bounds = ", ".join(f"{r} at d = {d}" for d, _, _, r in found)
    where = f"{of_every(pair.b)} of {pair.target.id}"
    if smooth:
        where = (
            f"far out in almost every direction, a function of {pair.target.id} is polynomials but for a rest that vanishes "
            "exponentially, and there"
        )
    rule = f"{where}{fixed or ','} {shape.name} has rank at most {theirs} (largest rank: {bounds})"
    finding = f"the witness has rank {ours}"
    data = None if smooth or not shape.data else {"matrix": dict(shape.data), "bound": theirs, "rank": ours}
    dims, grows = [d for d, *_ in found], len({bound for *_, bound in found}) > 1
    return pair.separation("rank", rule, finding, shown, dims, closed=not smooth, grows=grows, data=data)


def _larger_rank(pair: Pair, dim: int) -> tuple[_Shape, int, int] | None:
    polynomials = _polynomials(pair, pair.draw(dim, 0), dim)
    if polynomials is None:
        return None
    offset = constant_piece(pair.b, dim=dim)
    for shape, theirs in zip(_shapes(dim, len(offset)), _largest_ranks(pair.b, dim), strict=True):
        ours = _rank(shape, polynomials, offset)
        if ours > theirs:
            return shape, ours, theirs
    return None


def _polynomials(pair: Pair, entries: Entries, dim: int) -> list[Polynomial] | None:
    """A piece of the source's function; with smooth gates on either side, its tail."""
    if is_piecewise_polynomial(pair.a) and is_piecewise_polynomial(pair.b):
        return pair.piece(entries, dim)
    values = unrolled_values(pair.source.expr, nested(pair.source.expr, entries, dim=dim))
    return tail(pair.a, dim=dim, values=values, direction=generic_point(dim))


@cache
def _largest_ranks(expr: Expr, dim: int) -> tuple[int, ...]:
    """The rank that each matrix has for a random member of the format's pieces and tails, which is the largest one."""
    offset = constant_piece(expr, dim=dim)
    members = [random_pieces(expr, dim=dim, seed=f"rank{k}", gates=tail_gates) for k in range(2)]
    return tuple(max(_rank(shape, m, offset) for m in members) for shape in _shapes(dim, len(offset)))


def _rank(shape: _Shape, polynomials: Sequence[Polynomial], offset: Sequence[Polynomial]) -> int:
    shifted: list[Polynomial] = list(polynomials)
    for i in shape.outputs:
        shifted[i] = {m: residue(polynomials[i].get(m, 0)) - offset[i].get(m, 0) for m in {*polynomials[i], *offset[i]}}
    rows = [[int(c) % PRIME for c in row] for row in shape.build(shifted)]
    return int(flint.nmod_mat(len(rows), len(rows[0]), [c for row in rows for c in row], PRIME).rank())


@cache
def _shapes(dim: int, outputs: int) -> tuple[_Shape, ...]:
    """The matrices that ranks are compared of, the easiest to grasp first."""
    found: list[_Shape] = []
    for i in sorted({0, 1, outputs // 2}):
        others = [j for j in range(dim) if j != i]
        half = len(others) // 2 + 1
        y = f"y_{i + 1}"
        homogeneous: list[int | None] = [None, *range(dim)]
        own: list[int | None] = [i] if i < dim else []
        found += [
            _shape(dim, "form", f"the matrix of the quadratic form in {y}", i, list(range(dim)), list(range(dim))),
            _shape(
                dim, "homogeneous form", f"the matrix of {y} as a quadratic form in (1, x)", i, homogeneous, homogeneous
            ),
            _off_diagonal(dim, f"the matrix of the quadratic form in {y}", i, others[:half], [*own, *others[half:]]),
            _off_diagonal(
                dim,
                f"the matrix of {y} as a quadratic form in (1, x)",
                i,
                [None, *others[: half - 1]],
                [*own, *others[half - 1 :]],
            ),
        ]
        if i < dim:
            found.append(
                _shape(
                    dim,
                    "factor",
                    f"the matrix of the factor of x_{i + 1} in {y}, as a quadratic form in (1, x),",
                    i,
                    homogeneous,
                    homogeneous,
                    factor=i,
                )
            )
    if outputs == dim:
        found.append(
            _Shape(
                "gates",
                "the matrix with the coefficient of x_i*x_j in y_i at (i, j)",
                tuple(range(dim)),
                lambda f: [[f[i].get(_monomial(dim, i, j), 0) for j in range(dim)] for i in range(dim)],
                {"kind": "gates"},
            )
        )
    if outputs > 1:
        found += [_multiples(dim, 0, outputs // 2), _multiples(dim, outputs // 2, 0)]
    for block in (range(outputs), range(max(outputs // 2, 1)), range(outputs // 2, outputs)):
        product = _monomial(dim, 0, 1)
        found.append(_shared(block, [_monomial(dim, 0, 0), product, _monomial(dim, 1, 1)], "x_1^2, x_1*x_2 and x_2^2"))
        found.append(_shared(block, [_monomial(dim, 0), product, _monomial(dim, 1)], "x_1, x_1*x_2 and x_2"))
    if outputs > 1:
        found.append(_all_but_constants(outputs))
    linear = [_monomial(dim, j) for j in range(dim)]
    found.append(_shared(range(outputs), linear, f"x_1, ..., x_{dim}"))
    return tuple(found)


def _shape(
    dim: int,
    kind: str,
    name: str,
    output: int,
    rows: Sequence[int | None],
    columns: Sequence[int | None],
    *,
    factor: int | None = None,
) -> _Shape:
    """The block of the symmetric matrix of an output, or of what one input multiplies in it; None is the index of 1."""

    def build(polynomials: Sequence[Polynomial]) -> list[list[Any]]:
        f = polynomials[output]

        def entry(j: int | None, k: int | None) -> Any:
            exponents = [0] * dim
            for index in (j, k, factor):
                if index is not None:
                    exponents[index] += 1
            value = f.get(tuple(exponents), 0)
            return 2 * value if j == k else value

        return [[entry(j, k) for k in columns] for j in rows]

    data = {"kind": "form", "output": output, "rows": list(rows), "columns": list(columns), "factor": factor}
    return _Shape(kind, name, (output,), build, data)


def _off_diagonal(
    dim: int, name: str, output: int, rows: Sequence[int | None], columns: Sequence[int | None]
) -> _Shape:
    """A block without diagonal entries, which squares x_j^2 and constants do not enter."""
    return _shape(
        dim,
        "block",
        f"the block with rows {_indices(rows)} and columns {_indices(columns)} of {name}",
        output,
        rows,
        columns,
    )


def _shared(outputs: Sequence[int], monomials: Sequence[tuple[int, ...]], names: str) -> _Shape:
    """Whether several outputs are combinations of fewer forms: a matrix with a row for each output."""
    return _Shape(
        "shared forms",
        f"the matrix of the coefficients of {names} in y_{outputs[0] + 1}, ..., y_{outputs[-1] + 1}",
        tuple(outputs),
        lambda f: [[f[i].get(m, 0) for m in monomials] for i in outputs],
        {"kind": "shared forms", "outputs": list(outputs), "monomials": [list(m) for m in monomials]},
    )


def _all_but_constants(outputs: int) -> _Shape:
    """How many outputs are independent up to constants: at most as many as the narrowest map that they all pass through."""

    def build(polynomials: Sequence[Polynomial]) -> list[list[Any]]:
        monomials = sorted({m for f in polynomials for m in f if any(m)}) or [()]
        return [[f.get(m, 0) for m in monomials] for f in polynomials]

    return _Shape(
        "independent outputs",
        f"the matrix of the coefficients of all monomials but 1 in y_1, ..., y_{outputs}",
        tuple(range(outputs)),
        build,
        {},  # of a kind that the checker does not know
    )


def _multiples(dim: int, output: int, by: int) -> _Shape:
    """Whether one output is another one times an affine form."""

    def build(polynomials: Sequence[Polynomial]) -> list[list[Any]]:
        factor = polynomials[by]
        rows = [factor] + [
            {tuple(e + (k == j) for k, e in enumerate(m)): c for m, c in factor.items()} for j in range(dim)
        ]
        rows.append(polynomials[output])
        monomials = sorted({m for row in rows for m in row}) or [(0,) * dim]
        return [[row.get(m, 0) for m in monomials] for row in rows]

    y, z = f"y_{output + 1}", f"y_{by + 1}"
    name = f"the matrix with the rows {z}, x_1*{z}, ..., x_{dim}*{z}, {y}"
    return _Shape("multiple", name, (output, by), build, {"kind": "multiple", "output": output, "by": by})


def _monomial(dim: int, *indices: int) -> tuple[int, ...]:
    return tuple(sum(k == j for k in indices) for j in range(dim))


def _indices(indices: Sequence[int | None]) -> str:
    return "{" + ", ".join("0" if j is None else str(j + 1) for j in indices) + "}"
