"""Separation by rank: matrices of coefficients whose rank is bounded over a format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import flint

from qnn_theory.algebra.monomials import Monomial
from qnn_theory.algebra.polynomials import PRIME, Polynomial, residue
from qnn_theory.feature_spaces.pieces import constant_piece, is_piecewise_polynomial, random_pieces
from qnn_theory.feature_spaces.tails import tail, tail_gates
from qnn_theory.grammar.expr import Expr
from qnn_theory.grammar.normal_form import unrolled_values
from qnn_theory.relations.invariants.pair import Entries, Pair, Separation, generic_point, germ_at, of_every
from qnn_theory.relations.witness import nested

_MONOMIALS = 50_000


@dataclass(frozen=True)
class _Shape:
    """A matrix of coefficients: at row (output, shift) and column m stands that of x^(m + shift) in the output.

    Attributes:
        kind: what is compared.
        name: the matrix in words.
        rows: the rows.
        columns: the columns; None are all monomials at which a row is not zero, but 1 if `constants` is False.
        form: for a quadratic form times x^form, whose entries with shift = m + form are doubled.
        constants: whether the monomial 1 is a column.
    """

    kind: str
    name: str
    rows: tuple[tuple[int, Monomial], ...]
    columns: tuple[Monomial, ...] | None
    form: Monomial | None = None
    constants: bool = True

    @property
    def outputs(self) -> tuple[int, ...]:
        """The outputs that the matrix is about."""
        return tuple(dict.fromkeys(output for output, _ in self.rows))

    def columns_of(self, polynomials: Sequence[Polynomial]) -> tuple[Monomial, ...]:
        """The columns of the matrix of some outputs."""
        if self.columns is not None:
            return self.columns
        found = {
            tuple(e - s for e, s in zip(m, shift, strict=True))
            for output, shift in self.rows
            for m, c in polynomials[output].items()
            if c
        }
        return tuple(sorted(m for m in found if self.constants or any(m)))

    @cached_property
    def _fixed_places(self) -> list[list[tuple[int, Monomial, int]]]:
        return self._places(self.columns or ())

    def _places(self, columns: Sequence[Monomial]) -> list[list[tuple[int, Monomial, int]]]:
        """For every entry the output, the monomial and the factor."""

        def place(output: int, shift: Monomial, m: Monomial) -> tuple[int, Monomial, int]:
            doubled = self.form is not None and _plus(m, self.form) == shift
            return output, _plus(m, shift), 1 + doubled

        return [[place(output, shift, m) for m in columns] for output, shift in self.rows]

    def build(self, polynomials: Sequence[Polynomial], columns: Sequence[Monomial]) -> list[list[int]]:
        """The matrix of some outputs, coefficients modulo `PRIME`."""
        places = self._fixed_places if columns is self.columns else self._places(columns)
        return [[factor * polynomials[i].get(m, 0) for i, m, factor in row] for row in places]


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
    data = None if now is None else _data(pair, shape, now, offset, far=smooth)
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
    members = _members(expr, dim)
    return tuple(max(_rank(shape, m, offset) for m in members) for shape in _shapes(dim, len(offset)))


@cache
def _members(expr: Expr, dim: int) -> tuple[list[Polynomial], ...]:
    return tuple(random_pieces(expr, dim=dim, seed=f"rank{k}", gates=tail_gates) for k in range(2))


def _rank(
    shape: _Shape,
    polynomials: Sequence[Polynomial],
    offset: Sequence[Polynomial],
    columns: Sequence[Monomial] | None = None,
) -> int:
    shifted: list[Polynomial] = list(polynomials)
    for i in shape.outputs:
        known = {m: residue(polynomials[i].get(m, 0)) - offset[i].get(m, 0) for m in {*polynomials[i], *offset[i]}}
        shifted[i] = {m: c % PRIME for m, c in known.items() if c % PRIME}
    columns = shape.columns_of(shifted) if columns is None else columns
    if not columns:
        return 0
    rows = [[c % PRIME for c in row] for row in shape.build(shifted, columns)]
    return int(flint.nmod_mat(len(rows), len(rows[0]), [c for row in rows for c in row], PRIME).rank())


def _data(
    pair: Pair, shape: _Shape, now: Sequence[Polynomial], offset: Sequence[Polynomial], *, far: bool
) -> dict[str, Any]:
    """The matrix for the checker; with the witness's columns, its bound may be smaller."""
    dim = len(shape.rows[0][1])
    columns = shape.columns_of(now)
    bound = max(_rank(shape, m, offset, columns) for m in _members(pair.b, dim))
    return {
        "rule": "rank",
        "germs": [germ_at(shape.outputs, generic_point(dim), far=far)],
        "rows": [[output, list(shift)] for output, shift in shape.rows],
        "columns": [list(m) for m in columns],
        "form": None if shape.form is None else list(shape.form),
        "bound": bound,
        "rank": _rank(shape, now, offset, columns),
    }


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
                tuple((i, _monomial(dim, i)) for i in range(dim)),
                tuple(_monomial(dim, j) for j in range(dim)),
            )
        )
    if outputs > 1:
        found += [_multiples(dim, 0, outputs // 2), _multiples(dim, outputs // 2, 0)]
    for block in (range(outputs), range(max(outputs // 2, 1)), range(outputs // 2, outputs)):
        product = _monomial(dim, 0, 1)
        found.append(
            _shared(dim, block, [_monomial(dim, 0, 0), product, _monomial(dim, 1, 1)], "x_1^2, x_1*x_2 and x_2^2")
        )
        found.append(_shared(dim, block, [_monomial(dim, 0), product, _monomial(dim, 1)], "x_1, x_1*x_2 and x_2"))
    if outputs > 1:
        found.append(_all_but_constants(dim, outputs))
    linear = [_monomial(dim, j) for j in range(dim)]
    found.append(_shared(dim, range(outputs), linear, f"x_1, ..., x_{dim}"))
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
    base = _monomial(dim, *([] if factor is None else [factor]))
    shifts = [_plus(base, _monomial(dim, *([] if j is None else [j]))) for j in rows]
    shown = tuple(_monomial(dim, *([] if k is None else [k])) for k in columns)
    return _Shape(kind, name, tuple((output, shift) for shift in shifts), shown, base)


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


def _shared(dim: int, outputs: Sequence[int], monomials: Sequence[Monomial], names: str) -> _Shape:
    """Whether several outputs are combinations of fewer forms: a matrix with a row for each output."""
    name = f"the matrix of the coefficients of {names} in y_{outputs[0] + 1}, ..., y_{outputs[-1] + 1}"
    return _Shape("shared forms", name, tuple((i, _monomial(dim)) for i in outputs), tuple(monomials))


def _all_but_constants(dim: int, outputs: int) -> _Shape:
    """How many outputs are independent up to constants: at most as many as the narrowest map that they all pass through."""
    name = f"the matrix of the coefficients of all monomials but 1 in y_1, ..., y_{outputs}"
    rows = tuple((i, _monomial(dim)) for i in range(outputs))
    return _Shape("independent outputs", name, rows, None, constants=False)


def _multiples(dim: int, output: int, by: int) -> _Shape:
    """Whether one output is another one times an affine form."""
    y, z = f"y_{output + 1}", f"y_{by + 1}"
    name = f"the matrix with the rows {z}, x_1*{z}, ..., x_{dim}*{z}, {y}"
    turned = [tuple(-e for e in _monomial(dim, j)) for j in range(dim)]
    rows = [(by, _monomial(dim)), *((by, shift) for shift in turned), (output, _monomial(dim))]
    return _Shape("multiple", name, tuple(rows), None)


def _plus(m: Monomial, shift: Monomial) -> Monomial:
    return tuple(a + b for a, b in zip(m, shift, strict=True))


def _monomial(dim: int, *indices: int) -> tuple[int, ...]:
    return tuple(sum(k == j for k in indices) for j in range(dim))


def _indices(indices: Sequence[int | None]) -> str:
    return "{" + ", ".join("0" if j is None else str(j + 1) for j in indices) + "}"
