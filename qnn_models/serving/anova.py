"""How the variance of a model's logit is shared out among sets of fields: functional ANOVA, its effects and its orders.

Let the fields of a row be independent, each distributed as it is among some given rows (the product of the marginals). Then the
logit has one decomposition ``F(u) = Σ_A F_A(u_A)`` whose terms have mean zero in each of their fields,

    F_A(u_A) = Σ_{B ⊆ A} (-1)^(|A| - |B|) E[F | u_B],        Var F = Σ_{A ≠ ∅} V_A,        V_A = E[F_A²]

(Hoeffding, Sobol). A pair's effect is what the two fields say together beyond what each says by itself; no constant and no main
effect hides in it, as it does in a monomial ``x_i y_i`` of fields whose means are not zero (`qnn_models.serving.explain`).

**Exact** where enumeration is possible: any model over few combinations of values, and a polynomial of degree t over all
combinations of up to t fields, as it is a sum of functions of t fields each. **Estimated** otherwise, with standard errors: for
independent rows u and w, and contexts z and z' for the fields outside A, the mixed difference

    Δ(z) = Σ_{B ⊆ A} (-1)^|B| F(u_(A - B), w_B, z)        has        E[Δ(z) Δ(z')] = 2^|A| V_A,

as it cancels all terms that do not have all of A, and the independent contexts those that have more. Its noise is of the size of
the effects of A and more fields, not of the whole variance as with plain pick-freeze products.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb, hypot, inf, sqrt
from typing import NamedTuple

import torch
from torch import Tensor

from qnn_models.models.network import CTRModel
from qnn_models.runtime.seeds import derive
from qnn_models.serving.explain import FieldSet, field_sets
from qnn_models.serving.independent_fields import IndependentFields, Progress, mean_and_error

_NORMAL_95 = 1.96
_EACH = 16
"""Draws that a set gets at least, where all sets of an order are taken; and of an order where they are drawn."""

__all__ = ["Anova", "Effect", "OrderShares", "anova", "order_shares"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a set of fields adds to the logit beyond what its subsets add.

    Attributes:
        fields: positions, ascending.
        names: names of the same fields.
        variance: V_A, in units of the logit squared; an estimate of a small one may fall below zero.
        error: its standard error; 0 where it is exact.
        value: F_A at the row that was asked for, or None.
        value_error: its standard error; 0 where it is exact.
    """

    fields: FieldSet
    names: tuple[str, ...]
    variance: float
    error: float
    value: float | None = None
    value_error: float = 0.0

    @property
    def strength(self) -> float:
        """The effect's standard deviation, in units of the logit."""
        return sqrt(max(self.variance, 0.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Anova:
    """The effects of all sets of up to `order` fields.

    Attributes:
        names: names of the fields, by position.
        order: the largest number of fields in a set.
        exact: whether the numbers are exact or estimates.
        mean: the mean logit under the product of the marginals.
        mean_error: its standard error.
        variance: the variance of the logit.
        variance_error: its standard error.
        effects: the strongest first; ties in the order of the fields.
        logit: of the row that was asked for, or None.
    """

    names: tuple[str, ...]
    order: int
    exact: bool
    mean: float
    mean_error: float
    variance: float
    variance_error: float
    effects: tuple[Effect, ...]
    logit: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShares:
    """Shares of the logit's variance by the number of fields that interact.

    Attributes:
        exact: whether they are exact or estimates.
        variance: the variance of the logit.
        variance_error: its standard error.
        shares: of order 1, 2, ..., in this order. Estimates are unbiased up to the division: a small one may fall below zero.
        errors: their standard errors.
        rest: share of all larger sets together; 0 where there can be none.
        rest_error: its standard error.
    """

    exact: bool
    variance: float
    variance_error: float
    shares: tuple[float, ...]
    errors: tuple[float, ...]
    rest: float
    rest_error: float


def anova(
    model: CTRModel,
    ids: Tensor,
    *,
    order: int = 2,
    at: Tensor | None = None,
    draws: int = 500,
    seed: int = 0,
    progress: Progress = iter,
) -> Anova:
    """Effects of all sets of up to `order` fields, in double precision.

    Args:
        model: a trained model; it is read in evaluation mode and left as it is.
        ids: rows whose fields have the marginals that are meant, shape (rows, columns), at least one.
        order: largest set.
        at: a row, shape (1, columns), whose own effects are wanted; its values need not be among those of `ids`.
        draws: where an effect is estimated, how often; at least 2.
        seed: seed of the estimates.
        progress: wraps the iteration over the sets, for a progress bar.

    Raises:
        ValueError: an order outside 1..f, no rows, or fewer than 2 draws.
    """
    fields = model.embedding.num_fields
    if not 1 <= order <= fields:
        raise ValueError(f"Sets have 1 to {fields} fields, as many as the data, however: order={order}.")
    _check(ids, draws)
    rows = IndependentFields(model, ids, at)
    names = tuple(model.embedding.names)
    tables = rows.tables(progress)
    logit = None if at is None else float(rows.logits(rows.at[None]))
    if tables is not None:
        effects = [
            Effect(
                fields=chosen,
                names=tuple(names[field] for field in chosen),
                variance=rows.mean_square(chosen, tables[chosen]) if chosen in tables else 0.0,
                error=0.0,
                value=None if at is None else rows.value_at(chosen, tables) if chosen in tables else 0.0,
            )
            for chosen in field_sets(fields, order=order)[1:]
        ]
        mean, mean_error, variance, variance_error = float(tables[()]), 0.0, rows.variance(tables), 0.0
    else:
        mean, mean_error, variance, variance_error = rows.estimated_moments(derive(seed, "variance"))
        values = rows.estimated_values(order, draws, derive(seed, "values")) if at is not None else {}
        effects = []
        for chosen in progress(field_sets(fields, order=order)[1:]):
            generator = rows.generator(derive(seed, "set", *chosen))
            found, _ = rows.products(torch.tensor([chosen] * draws), generator)
            value, value_error = (None, 0.0) if at is None else mean_and_error(values[chosen])
            variance_of, error = mean_and_error(found)
            effects.append(
                Effect(
                    fields=chosen,
                    names=tuple(names[field] for field in chosen),
                    variance=variance_of,
                    error=error,
                    value=value,
                    value_error=value_error,
                )
            )
    ranked = sorted(effects, key=lambda effect: (-effect.variance, effect.fields))
    return Anova(
        names=names,
        order=order,
        exact=tables is not None,
        mean=mean,
        mean_error=mean_error,
        variance=variance,
        variance_error=variance_error,
        effects=tuple(ranked),
        logit=logit,
    )


def order_shares(
    model: CTRModel, ids: Tensor, *, order: int = 4, draws: int = 20_000, seed: int = 0, progress: Progress = iter
) -> OrderShares:
    """Shares of the logit's variance by order, in double precision.

    Where they are estimated, sets are drawn at random, or all taken equally often where there are few enough; the spread among
    them is part of the error. Where few of very many sets carry an order, none of them may be drawn; their variance is then found
    in `rest`. That is what the total variance leaves, or lies between 0 and a bound where the same draws give one that is
    narrower.

    Args:
        model: a trained model; it is read in evaluation mode and left as it is.
        ids: rows whose fields have the marginals that are meant, shape (rows, columns).
        order: the largest order with a share of its own; all fields where there are fewer.
        draws: draws for order 1, at 4 forward passes of a row each. One of order k costs ``2^(k + 1)``, and each order is given
            the same number of passes.
        seed: seed of the estimates.
        progress: wraps the iteration over the sets of an exact computation, for a progress bar.

    Raises:
        ValueError: no rows, an order below 1 too few draws, or a logit that is the
            same for all rows.
    """
    if order < 1:
        raise ValueError(f"The largest order is at least 1, however: order={order}.")
    fields = model.embedding.num_fields
    order = min(order, fields)
    _check(ids, draws, least=_EACH << order + 1)
    rows = IndependentFields(model, ids, None)
    complete = order >= (fields if rows.order is None else rows.order)
    tables = rows.tables(progress)
    if tables is not None:
        exact = [0.0] * (fields + 1)
        for chosen, table in tables.items():
            exact[len(chosen)] += rows.mean_square(chosen, table)
        _check_variance(sum(exact[1:]))
        larger_sets = Estimate(0.0 if complete else sum(exact[order + 1 :]), 0.0)
        return _shares([Estimate(value, 0.0) for value in exact[1 : order + 1]], larger_sets, exact=True)
    _, _, variance, variance_error = rows.estimated_moments(derive(seed, "variance"))
    _check_variance(variance)
    of_orders: list[Estimate] = []
    base, larger = 0, Estimate(inf, inf)
    for size in range(1, order + 1):
        generator, given = rows.generator(derive(seed, "order", size)), 2 * draws >> size
        if _EACH * comb(fields, size) <= given:
            own, larger = _of_all_sets(rows, size, given, generator)
            base = size
        else:
            own = _of_drawn_sets(rows, size, given, generator)
        of_orders.append(own)
    whole = Estimate(variance, variance_error)
    rest = Estimate(0.0, 0.0) if complete else _minus(whole, *of_orders)
    if base and not complete:
        # `larger` counts a set of m > b fields C(m, b) times, the known orders above b among them.
        known = [part.times(comb(size, base)) for size, part in enumerate(of_orders, 1) if size > base]
        counted = [(part.value, part.error) for part in (larger, _minus(larger, *known))]
        most = min(max(value, 0.0) + _NORMAL_95 * error for value, error in counted) / comb(order + 1, base)
        bounded = Estimate(most / 2, most / 2 / _NORMAL_95)
        rest = min(rest, bounded, key=lambda estimate: estimate.error)
    found = [_shares(of_orders, rest, exact=False, of=whole)]
    if hypot(rest.error, *(part.error for part in of_orders)) < variance / 4:  # else their sum may be anything
        found.append(_shares(of_orders, rest, exact=False))
    return min(found, key=lambda shares: max(*shares.errors, shares.rest_error))


class Estimate(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float

    def times(self, factor: float) -> Estimate:
        """A multiple of it."""
        return Estimate(self.value * factor, self.error * factor)


def _minus(whole: Estimate, *parts: Estimate) -> Estimate:
    """What independent parts leave."""
    return Estimate(
        whole.value - sum(part.value for part in parts), hypot(whole.error, *(part.error for part in parts))
    )


def _shares(of_orders: list[Estimate], rest: Estimate, *, exact: bool, of: Estimate | None = None) -> OrderShares:
    """Shares of a variance, or of the sum of the parts; errors of all but the rest are independent of each other and of it."""
    parts = [*of_orders, rest]
    squares = sum(part.error**2 for part in parts)
    whole = of or Estimate(sum(part.value for part in parts), sqrt(squares))
    shares = [part.value / whole.value for part in parts]
    if of is None:
        spread = [(1 - 2 * s) * part.error**2 + s**2 * squares for s, part in zip(shares, parts, strict=True)]
    else:
        spread = [part.error**2 + (s * of.error) ** 2 for s, part in zip(shares, parts, strict=True)]
    errors = [sqrt(square) / whole.value for square in spread]
    return OrderShares(
        exact=exact,
        variance=whole.value,
        variance_error=whole.error,
        shares=tuple(shares[:-1]),
        errors=tuple(errors[:-1]),
        rest=shares[-1],
        rest_error=errors[-1],
    )


def _of_all_sets(
    rows: IndependentFields, size: int, draws: int, generator: torch.Generator
) -> tuple[Estimate, Estimate]:
    """Sums over all sets A of one size: of V_A, and of V_B for all larger sets B that hold A."""
    count = comb(rows.fields, size)
    each = draws // count
    sets = torch.tensor(list(combinations(range(rows.fields), size))).repeat_interleave(each, 0)
    found = [part.view(count, each) for part in rows.products(sets, generator)]
    own, larger = (Estimate(float(p.mean(1).sum()), sqrt(float(p.var(1).sum()) / each)) for p in found)
    return own, larger


def _of_drawn_sets(rows: IndependentFields, size: int, draws: int, generator: torch.Generator) -> Estimate:
    """The sum of V_A over all sets of one size, from random ones."""
    order = torch.rand(draws, rows.fields, generator=generator, device=generator.device).argsort(1)
    found, _ = rows.products(order[:, :size].cpu(), generator)
    return Estimate(*mean_and_error(found * comb(rows.fields, size)))


def _check_variance(variance: float) -> None:
    if not variance > 0:
        raise ValueError(
            f"Shares are of the logit's variance, however: it is {variance:g}; the model gives all rows one logit, or there is "
            f"one row only."
        )


def _check(ids: Tensor, draws: int, *, least: int = 2) -> None:
    if not len(ids):
        raise ValueError(
            "Effects are of fields as they are among some rows, however: there are none; give at least one."
        )
    if draws < least:
        raise ValueError(f"An estimate takes at least {least} draws here, however: draws={draws}; give more.")
