"""Rows whose logit is a known sum of pure interactions, drawn afresh as many as are asked for; the best possible AUC is exact.

Every field j has a sign σ_j for each of its tokens, half of them +1, and tokens are uniform. A term over the set T of fields is

    strength · Π_{j in T} σ_j(t_j)

With balanced signs its mean over any one of its fields is zero, so it is an interaction of order |T| and has no part of a lower
one: a model that cannot join |T| fields ranks the rows no better than by chance. Terms over different sets are orthogonal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from qnn_models.data.layout import RESERVED_IDS, FieldLayout, Split
from qnn_models.runtime.seeds import derive


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One pure interaction.

    Attributes:
        fields: the fields that it joins, by position.
        strength: its size; it adds or takes away so much of the logit.
    """

    fields: tuple[int, ...]
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PureInteractions:
    """The law of the rows.

    Attributes:
        signs: σ, of -1 and +1, float32, shape ``(fields, vocabulary)``.
        terms: what the logit is the sum of.
    """

    signs: Tensor
    terms: tuple[Term, ...]

    @property
    def layout(self) -> FieldLayout:
        """The fields as a model sees them; token k has id k + 2."""
        fields, vocabulary = self.signs.shape
        return FieldLayout(
            names=tuple(f"f{number}" for number in range(fields)),
            vocabulary_sizes=(vocabulary + RESERVED_IDS,) * fields,
            lengths=(1,) * fields,
        )

    def rows(self, count: int, generator: torch.Generator) -> Split:
        """So many fresh rows: ids and labels drawn from Bernoulli(sigmoid(logit))."""
        fields, vocabulary = self.signs.shape
        ids = torch.randint(RESERVED_IDS, vocabulary + RESERVED_IDS, (count, fields), generator=generator)
        chance = torch.rand(count, generator=generator)
        return Split(ids, (chance < self.parts(ids).sum(1).sigmoid()).float())

    def parts(self, ids: Tensor) -> Tensor:
        """The terms' values; ids ``(rows, fields)`` -> ``(rows, terms)``, whose sum over the terms is the logit."""
        sign = self.signs[torch.arange(self.signs.shape[0]), ids.long() - RESERVED_IDS]
        return torch.stack([term.strength * sign[:, list(term.fields)].prod(1) for term in self.terms], dim=1)

    @property
    def bayes_auc(self) -> float:
        """AUC of the true probabilities over all rows there are: no model can expect more. Exact, over the patterns of signs."""
        patterns = np.array(list(product((-1.0, 1.0), repeat=self.signs.shape[0])))
        logits = sum(term.strength * patterns[:, list(term.fields)].prod(axis=1) for term in self.terms)
        values, frequency = np.unique(1 / (1 + np.exp(-np.asarray(logits))), return_counts=True)
        positive, negative = frequency * values, frequency * (1 - values)
        below = np.cumsum(negative) - negative
        return float(np.sum(positive * (below + negative / 2)) / (positive.sum() * negative.sum()))


def pure_interactions(
    terms: Sequence[Term], *, fields: int = 6, vocabulary: int = 16, seed: int = 0
) -> PureInteractions:
    """Draw the signs of all tokens.

    Args:
        terms: the interactions that make up the logit.
        fields: number of fields.
        vocabulary: tokens of each field, an even number.
        seed: of the signs.

    Raises:
        ValueError: an odd vocabulary, no term, or one that names a field twice or one that is not there.
    """
    if vocabulary < 2 or vocabulary % 2:
        raise ValueError(
            f"Signs are balanced, so the vocabulary is even and at least 2, however: vocabulary={vocabulary}."
        )
    if not terms:
        raise ValueError("The logit is the sum of at least one term, however: none.")
    for term in terms:
        if (
            not term.fields
            or len(set(term.fields)) < len(term.fields)
            or not all(0 <= field < fields for field in term.fields)
        ):
            raise ValueError(f"A term joins distinct fields from 0 to {fields - 1}, however: {term.fields}.")
    if len({frozenset(term.fields) for term in terms}) < len(terms):
        raise ValueError(
            f"Each set of fields has one term, however: {[term.fields for term in terms]}; add their strengths."
        )
    generator = np.random.default_rng(derive(seed, "signs"))
    half = np.repeat([-1.0, 1.0], vocabulary // 2)
    signs = np.stack([generator.permutation(half) for _ in range(fields)])
    return PureInteractions(signs=torch.tensor(signs, dtype=torch.float32), terms=tuple(terms))


def random_term(order: int, *, fields: int = 6, strength: float = 2.0, seed: int = 0) -> Term:
    """A term over fields that are drawn.

    Args:
        order: how many fields it joins.
        fields: how many there are.
        strength: its size.
        seed: of the choice.

    Raises:
        ValueError: fewer than one field or more than there are.
    """
    if not 1 <= order <= fields:
        raise ValueError(f"An interaction joins 1 to {fields} fields, however: order={order}.")
    chosen = np.random.default_rng(derive(seed, "term", order)).choice(fields, size=order, replace=False)
    return Term(fields=tuple(sorted(int(field) for field in chosen)), strength=strength)
