"""Rows whose fields are independent, each distributed as among given rows: a model's logit there, tabulated or drawn.

`qnn_models.serving.anova` asks it for the terms of the logit's decomposition: exact, as tables over all combinations of values,
or estimated.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from math import comb, prod, sqrt
from typing import TypeAlias

import torch
from torch import Tensor

from qnn_models.layers.layer import QuadraticLayer
from qnn_models.models.network import CTRModel
from qnn_models.serving.explain import FieldSet, field_sets, reading_of
from qnn_theory.feature_spaces.degrees import degree_bound

__all__ = ["IndependentFields", "Progress", "mean_and_error", "polynomial_order"]

Progress: TypeAlias = Callable[[Iterable[FieldSet]], Iterable[FieldSet]]

_CHUNK_ROWS = 4096
_MOST_EVALUATIONS = 1 << 21
_MOST_SETS = 1 << 13
_VARIANCE_DRAWS = 80_000


def polynomial_order(model: CTRModel) -> int | None:
    """The most fields that one monomial of the logit can touch; None for a model that is no polynomial."""
    if reading_of(model) != "polynomial":
        return None
    layers = [module for module in model.modules() if isinstance(module, QuadraticLayer)]
    return min(degree_bound(layers[0].format.expr, depth=len(layers)), model.embedding.num_fields)


class IndependentFields:
    """A model in double precision, and the values that its fields have in some rows, with their frequencies."""

    def __init__(self, model: CTRModel, ids: Tensor, at: Tensor | None) -> None:
        # Effects are differences of nearly equal numbers, so all arithmetic is in double precision, on a copy.
        self.model = copy.deepcopy(model).eval().double()
        self.device = self.model.embedding.weight.device
        self.fields = model.embedding.num_fields
        self.order = polynomial_order(model)
        joined = (ids if at is None else torch.cat([ids, at.to(ids)])).to(self.device)
        columns = joined.split(list(model.embedding.lengths), 1)
        self.sizes: list[int] = []
        self.frequencies: list[Tensor] = []
        codes, vectors = [], []
        for field, own in enumerate(columns):
            values, code = own.unique(dim=0, return_inverse=True)
            first = torch.full((len(values),), len(joined), device=self.device)
            first.scatter_reduce_(0, code, torch.arange(len(joined), device=self.device), "amin")
            with torch.no_grad():
                vectors.append(
                    torch.cat([self.model.embed(part)[:, field] for part in joined[first].split(_CHUNK_ROWS)])
                )
            counts = torch.bincount(code[: len(ids)], minlength=len(values)).double()
            self.frequencies.append(counts / len(ids))
            codes.append(code + sum(self.sizes))
            self.sizes.append(len(values))
        # One table for all fields; its last row is the field that is left out, zero.
        self.vectors = torch.cat([*vectors, torch.zeros_like(vectors[0][:1])])
        codes_of_rows = torch.stack(codes, 1)
        self.codes, self.at = codes_of_rows[: len(ids)], codes_of_rows[-1]
        self.starts = [sum(self.sizes[:field]) for field in range(self.fields)]

    def generator(self, seed: int) -> torch.Generator:
        """A generator on the model's device."""
        return torch.Generator(self.device).manual_seed(seed)

    def logits(self, codes: Tensor) -> Tensor:
        """Logits (n,) of rows of codes (n, fields)."""
        with torch.no_grad():
            return torch.cat([self.model.score(self.vectors[part]) for part in codes.split(_CHUNK_ROWS)])

    def draw(self, generator: torch.Generator, *shape: int) -> Tensor:
        """Rows of codes, shape (*shape, fields), whose fields are independent."""
        where = torch.randint(len(self.codes), (*shape, self.fields), generator=generator, device=self.device)
        return self.codes.gather(0, where.view(-1, self.fields)).view(*shape, self.fields)

    # Exact: tables over the combinations of values of a set, one axis a field.

    def tables(self, progress: Progress) -> dict[FieldSet, Tensor] | None:
        """F_A of all sets that may have one; None where there are too many combinations of values."""
        terms = self._terms()
        if terms is None:
            return None
        found: dict[FieldSet, Tensor] = {}
        added: dict[FieldSet, Tensor] = {}
        for chosen in progress(terms):
            grid = self._grid(chosen)
            table = self.logits(grid).view([self.sizes[field] for field in chosen])
            if (
                len(terms) > 1
            ):  # what the fields add to the logit where others are zero, so that the terms sum to the logit
                for size in range(len(chosen)):
                    for inner in combinations(chosen, size):
                        table = table - self._spread(added[inner], inner, chosen)
                added[chosen] = table
            for kept, part in self._centred(chosen, table).items():
                found[kept] = found[kept] + part if kept in found else part
        return found

    def _terms(self) -> list[FieldSet] | None:
        """Sets of fields such that the logit is a sum of functions of one of them each, subsets before their supersets."""
        whole = tuple(range(self.fields))
        if prod(self.sizes) <= _MOST_EVALUATIONS and 2**self.fields <= _MOST_SETS:
            return [whole]
        if self.order is None or self.order == self.fields:
            return None
        sets = sum(comb(self.fields, size) for size in range(self.order + 1))
        evaluations = [1] + [0] * self.order  # elementary symmetric polynomials of the numbers of values
        for number in self.sizes:
            for size in range(self.order, 0, -1):
                evaluations[size] += evaluations[size - 1] * number
        if sets > _MOST_SETS or sum(evaluations) > _MOST_EVALUATIONS:
            return None
        return field_sets(self.fields, order=self.order)

    def _grid(self, chosen: FieldSet) -> Tensor:
        """Codes of all combinations of values of these fields, the others left out."""
        axes = [torch.arange(self.sizes[field], device=self.device) + self.starts[field] for field in chosen]
        grid = torch.full((prod(len(axis) for axis in axes), self.fields), len(self.vectors) - 1, device=self.device)
        if axes:
            grid[:, list(chosen)] = torch.stack([axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij")], 1)
        return grid

    def _spread(self, table: Tensor, inner: FieldSet, chosen: FieldSet) -> Tensor:
        return table.view([self.sizes[field] if field in inner else 1 for field in chosen])

    def _centred(self, chosen: FieldSet, table: Tensor) -> dict[FieldSet, Tensor]:
        """The ANOVA of a table: for each subset, the part that is centred in its fields and averaged over the others."""
        parts: dict[FieldSet, Tensor] = {(): table}
        for axis, field in enumerate(chosen):
            weights = self.frequencies[field].view([-1 if at == axis else 1 for at in range(len(chosen))])
            split: dict[FieldSet, Tensor] = {}
            for kept, part in parts.items():
                mean = (part * weights).sum(axis, keepdim=True)
                split[kept], split[(*kept, field)] = mean, part - mean
            parts = split
        return {kept: part.reshape([self.sizes[field] for field in kept]) for kept, part in parts.items()}

    def mean_square(self, chosen: FieldSet, table: Tensor) -> float:
        """V_A from F_A."""
        square = table.square()
        for field in reversed(chosen):
            square = square @ self.frequencies[field]
        return float(square)

    def variance(self, tables: Mapping[FieldSet, Tensor]) -> float:
        """The variance of the logit from all F_A."""
        return sum(self.mean_square(chosen, table) for chosen, table in tables.items() if chosen)

    def value_at(self, chosen: FieldSet, tables: Mapping[FieldSet, Tensor]) -> float:
        """F_A at the row that was asked for."""
        return float(tables[chosen][tuple(int(self.at[field]) - self.starts[field] for field in chosen)])

    # Estimates.

    def products(self, sets: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Unbiased estimates for each row of `sets` (n, k), from independent draws.

        Returns:
            Of V_A, shape (n,); and of the sum of V_B over all larger sets B that hold A, shape (n,).
        """
        size = sets.shape[1]
        found = []
        for part in sets.to(self.device).split(max(1, _CHUNK_ROWS >> (size + 1))):
            u, w, *contexts = self.draw(generator, 4, len(part))
            bits = torch.arange(2**size, device=self.device)[:, None] >> torch.arange(size, device=self.device) & 1
            corners = torch.where(bits.bool(), u.gather(1, part)[:, None], w.gather(1, part)[:, None])  # (n, 2^k, k)
            rows = torch.stack(contexts, 1)[:, :, None].repeat(1, 1, 2**size, 1)
            rows.scatter_(3, part[:, None, None].expand(-1, 2, 2**size, -1), corners[:, None].expand(-1, 2, -1, -1))
            logits = self.logits(rows.view(-1, self.fields)).view(len(part), 2, 2**size)
            difference = (logits * (1 - 2 * (bits.sum(1) % 2))).sum(-1)
            found.append(difference / 2 ** (size / 2))
        first, second = torch.cat(found).unbind(1)
        return first * second, (first - second).square() / 2

    def estimated_moments(self, seed: int) -> tuple[float, float, float, float]:
        """Mean and variance of the logit, each followed by its standard error."""
        logits = self.logits(self.draw(self.generator(seed), _VARIANCE_DRAWS))
        centred = (logits - logits.mean()).square() * (len(logits) / (len(logits) - 1))
        return *mean_and_error(logits), *mean_and_error(centred)

    def estimated_values(self, order: int, draws: int, seed: int) -> dict[FieldSet, Tensor]:
        """Estimates of F_A at the row that was asked for, shape (draws,) each; all sets share the draws of their contexts."""
        contexts = self.draw(self.generator(seed), draws)
        found: dict[FieldSet, Tensor] = {}
        for chosen in field_sets(self.fields, order=order):
            rows = contexts.clone()
            rows[:, list(chosen)] = self.at[list(chosen)]
            value = self.logits(rows)
            for size in range(len(chosen)):
                for inner in combinations(chosen, size):
                    value = value - found[inner]
            found[chosen] = value
        return found


def mean_and_error(values: Tensor) -> tuple[float, float]:
    """Mean and standard error."""
    return float(values.mean()), float(values.std()) / sqrt(len(values))
