"""The proof that a one-parameter family makes one format a limit of another.

As `containment.proof`, with `Series` in t in place of numbers: every negative power of t must cancel, the coefficient of t^0 must
be the source's output, and the rest must be O(t). All of it is uniform on compact sets of inputs, whatever the parameters are.
"""

from __future__ import annotations

import math
from typing import Any

import flint

from qnn_theory.algebra.deadline import check
from qnn_theory.algebra.modular import PRIME, Residues, to_fraction, to_residue
from qnn_theory.algebra.polynomials import to_flint
from qnn_theory.grammar.evaluate import ParameterValues, evaluate
from qnn_theory.grammar.expr import Expr
from qnn_theory.grammar.format import Format
from qnn_theory.grammar.normal_form import normal_form
from qnn_theory.grammar.widths import divisor
from qnn_theory.relations.containment.indeterminates import Indeterminates
from qnn_theory.relations.containment.proof import MapProof, can_prove, gate_degree, polynomial_degree, symbolic_dims
from qnn_theory.relations.containment.sample import Sample, equal
from qnn_theory.relations.limits.family import Family
from qnn_theory.relations.limits.series import Series, activation_of_series, as_series

_POINTS = 256
_SEED = 20250519


def prove_family(source: Format, target: Format, family: Family) -> MapProof:
    """Prove that `target` at the family's parameters tends to `source` as t → 0.

    Raises:
        ValueError: it does not, or the formats are too large to multiply out.
    """
    if not can_prove(source, target):
        raise ValueError(
            f"A family is proved where it can be multiplied out, however: {target.id} is too large for that."
        )
    a, b = normal_form(source.expr), normal_form(target.expr)
    step = math.lcm(divisor(a), divisor(b))
    for dim in symbolic_dims(a, b):
        check()
        unknown = Indeterminates(a, b, dim=dim)
        values = family.apply(unknown.values, dim=dim, constant=to_flint)
        rule = activation_of_series(unknown.activate, _sign, to_flint)
        ours = unknown.evaluate(a, unknown.values)
        theirs = _outputs(b, unknown.inputs, values, rule, to_flint)
        differences = [d for own, found in zip(ours, theirs, strict=True) for d in _differences(own, found, target)]
        if not unknown.vanish(differences):
            raise _refuted(source, target, family, dim)
    check()
    large = max(3 * step, step * -(-6 // step))
    sample = Sample(a, large, points=_POINTS, seed=_SEED)
    theirs = series_outputs(b, sample, family.apply(sample.values, dim=large, constant=to_residue))
    for own, found in zip(sample.outputs, theirs, strict=True):
        if not all(equal(difference, 0) for difference in _differences(own, found, target, minus=PRIME - 1)):
            raise _refuted(source, target, family, large)
    degree = max(polynomial_degree(a), max(family.entry_degree, 1) * polynomial_degree(b))
    hit = (1 - degree / (PRIME - 1)) / 2 ** max(gate_degree(a), gate_degree(b))
    return MapProof(symbolic_dims=symbolic_dims(a, b), modular_dims=(large,), error_bound=(1 - hit) ** _POINTS)


def series_outputs(expr: Expr, sample: Sample, values: ParameterValues) -> list[Series]:
    """The outputs of a format at the sample's inputs and at parameters that are series with residues as coefficients."""
    rule = activation_of_series(sample.activate, _sign_of_residues, to_residue)
    return _outputs(expr, sample.inputs, values, rule, to_residue)


def _outputs(expr: Expr, inputs: Any, values: ParameterValues, rule: Any, constant: Any) -> list[Series]:
    found = evaluate(expr, [as_series(value) for value in inputs], values, activation=rule, constant=constant)
    return [as_series(value) for value in found]


def _differences(own: Any, found: Series, target: Format, *, minus: int = -1) -> list[Any]:
    """What must vanish: the coefficients of negative powers, and that of t^0 minus the source's output."""
    if found.order is not None and found.order < 1:
        raise ValueError(f"A family must have a limit, however: {target.id} is known up to O(t^{found.order}) only.")
    terms = {k: c for k, c in found.coefficients.items() if k < 0}
    return [*terms.values(), own + minus * found.coefficients[0] if 0 in found.coefficients else own]


def _refuted(source: Format, target: Format, family: Family, dim: int) -> ValueError:
    return ValueError(
        f"A family must make {target.id} tend to {source.id}, however: it does not at d={dim} under {'; '.join(family.lines)}."
    )


def _sign(value: Any) -> int | None:
    if isinstance(value, int | flint.fmpq):
        return 1 if value > 0 else -1
    if not value.is_constant():
        return None
    return 1 if value.leading_coefficient() > 0 else -1


def _sign_of_residues(value: Any) -> int | None:
    if isinstance(value, Residues):
        first = int(value.values[0])
        number = to_fraction(first) if (value.values == first).all() else None
    else:
        number = to_fraction(value % PRIME)
    return None if number is None else 1 if number > 0 else -1
