"""Functional ANOVA of the logit: against its definition, summed row by row, and estimates against exact values."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from math import prod, sqrt
from typing import Any

import pytest
import torch

import qnn_models.serving.anova
from qnn_models.layers.embedding import FieldEmbedding
from qnn_models.models.network import CTRModel
from qnn_models.models.registry import build
from qnn_models.serving import independent_fields
from qnn_models.serving.anova import anova, order_shares


@dataclass(frozen=True)
class Fields:
    names: tuple[str, ...] = ("user", "item", "city", "hour")
    vocabulary_sizes: tuple[int, ...] = (4, 5, 3, 3)
    lengths: tuple[int, ...] = (1, 2, 1, 1)


# Two of the users and two of the items (a sequence, in this order) are more frequent than others.
IDS = torch.tensor(
    [[1, 2, 4, 1, 1], [3, 1, 0, 2, 1], [2, 3, 3, 1, 2], [1, 2, 2, 2, 2], [1, 2, 4, 1, 1], [3, 4, 2, 2, 2]],
    dtype=torch.int32,
)
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "one layer": ("quadratic", {"format": "T9", "layers": 1}),
    "two layers": ("quadratic", {"format": "T23", "layers": 2}),
    "cubic": ("quadratic", {"format": "T16", "layers": 1}),
    "reads its first input": ("quadratic", {"format": "CrossNetV2", "layers": 2}),
    "post-activation": ("quadratic", {"format": "T5", "layers": 2, "post_activation": "relu"}),
    "QNN-alpha": ("qnn-alpha", {"layers": 2, "rows": 2}),
    "fm": ("fm", {}),
    "dnn": ("dnn", {"hidden_units": 5}),
}


def made(name: str, *, scale: float = 0.6) -> CTRModel:
    """A model far from its start, whose embeddings have means that are not zero."""
    kind, options = MODELS[name]
    model = build(kind, Fields(), embedding_dim=4, seed=0, **options)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale + 0.2)
    return model.eval()


def by_definition(model: CTRModel, ids: torch.Tensor) -> tuple[dict[tuple[int, ...], float], dict[Any, float]]:
    """V_A, and F_A at all values: the sums over independent fields, written out row by row."""
    columns = [[tuple(row.tolist()) for row in part] for part in ids.split(list(Fields().lengths), 1)]
    weights = [{value: own.count(value) / len(own) for value in own} for own in columns]
    rows = list(product(*weights))
    chance = {row: prod(own[value] for own, value in zip(weights, row, strict=True)) for row in rows}
    tensor = torch.tensor([[token for value in row for token in value] for row in rows], dtype=torch.int32)
    with torch.no_grad():
        logit = dict(zip(rows, model.double()(tensor).tolist(), strict=True))
    fields = range(len(columns))
    sets = [chosen for size in range(len(columns) + 1) for chosen in combinations(fields, size)]
    effects: dict[Any, float] = {}
    variances = {}
    for chosen in sets:
        for values in product(*(weights[field] for field in chosen)):
            agreeing = [row for row in rows if all(row[f] == v for f, v in zip(chosen, values, strict=True))]
            mean = sum(chance[row] * logit[row] for row in agreeing) / sum(chance[row] for row in agreeing)
            inner = (
                effects[subset, tuple(values[chosen.index(field)] for field in subset)]
                for size in range(len(chosen))
                for subset in combinations(chosen, size)
            )
            effects[chosen, values] = mean - sum(inner)
        variances[chosen] = sum(
            chance[row] * effects[chosen, tuple(row[field] for field in chosen)] ** 2 for row in rows
        )
    return variances, effects


@pytest.mark.parametrize("name", MODELS)
def test_effects_are_those_of_the_definition(name: str) -> None:
    model = made(name)
    variances, effects = by_definition(made(name), IDS)
    found = anova(model, IDS, order=4, at=IDS[1:2])
    scale = sum(variances.values())
    assert found.exact
    assert found.mean == pytest.approx(effects[(), ()], rel=1e-9)
    assert {effect.fields for effect in found.effects} == variances.keys() - {()}
    row = [tuple(part[0].tolist()) for part in IDS[1:2].split(list(Fields().lengths), 1)]
    for effect in found.effects:
        assert effect.variance == pytest.approx(variances[effect.fields], rel=1e-9, abs=1e-12 * scale)
        expected = effects[effect.fields, tuple(row[field] for field in effect.fields)]
        assert effect.value == pytest.approx(expected, abs=1e-9 * sqrt(scale))
    assert found.variance == pytest.approx(sum(variances[chosen] for chosen in variances if chosen), rel=1e-9)
    assert found.logit is not None
    assert found.mean + sum(effect.value or 0 for effect in found.effects) == pytest.approx(
        found.logit, abs=1e-9 * scale
    )
    shares = order_shares(model, IDS)
    for size in range(1, 5):
        part = sum(value for chosen, value in variances.items() if len(chosen) == size)
        assert shares.shares[size - 1] == pytest.approx(part / found.variance, abs=1e-9)
    assert (shares.exact, shares.rest, sum(shares.errors)) == (True, 0.0, 0.0)


@pytest.mark.parametrize("name", ["one layer", "cubic", "reads its first input"])
def test_a_polynomial_needs_combinations_of_few_fields_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(name)
    whole = anova(model, IDS, order=4, at=IDS[1:2])
    monkeypatch.setattr(independent_fields, "_MOST_EVALUATIONS", 60 if name == "one layer" else 71)
    parts = anova(model, IDS, order=4, at=IDS[1:2])
    assert parts.exact
    by_set = {effect.fields: effect for effect in parts.effects}
    for effect in whole.effects:
        assert by_set[effect.fields].variance == pytest.approx(effect.variance, rel=1e-8, abs=1e-12 * whole.variance)
        assert by_set[effect.fields].value == pytest.approx(effect.value, abs=1e-9 * sqrt(whole.variance))
    assert order_shares(model, IDS, order=3).rest == 0
    monkeypatch.setattr(independent_fields, "_MOST_EVALUATIONS", 20)
    assert not anova(model, IDS, draws=2).exact


@pytest.mark.parametrize("name", ["two layers", "QNN-alpha", "dnn"])
def test_estimates_and_their_errors_agree_with_the_exact_values(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = made(name, scale=0.4)
    exact, exact_shares = anova(model, IDS, order=3, at=IDS[1:2]), order_shares(model, IDS, order=3)
    monkeypatch.setattr(independent_fields, "_MOST_EVALUATIONS", 0)
    found = anova(model, IDS, order=3, at=IDS[1:2], draws=2000)
    assert not found.exact
    by_set = {effect.fields: effect for effect in exact.effects}
    deviations = []
    for effect in found.effects:
        truth = by_set[effect.fields]
        deviations.append((effect.variance - truth.variance) / effect.error)
        deviations.append((effect.value - truth.value) / effect.value_error)
    deviations.append((found.mean - exact.mean) / found.mean_error)
    deviations.append((found.variance - exact.variance) / found.variance_error)
    found_shares = order_shares(model, IDS, order=3, draws=8000)
    for share, error, truth in zip(found_shares.shares, found_shares.errors, exact_shares.shares, strict=True):
        deviations.append((share - truth) / error)
        assert error < 0.05
    deviations.append((found_shares.rest - exact_shares.rest) / found_shares.rest_error)
    spread = torch.tensor(deviations)
    assert float(spread.abs().max()) < 4.5
    assert 0.5 < float(spread.square().mean().sqrt()) < 1.6
    assert found_shares == order_shares(model, IDS, order=3, draws=8000)


def test_sets_are_drawn_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("dnn", scale=0.4)
    exact = order_shares(model, IDS, order=2)
    monkeypatch.setattr(independent_fields, "_MOST_EVALUATIONS", 0)
    whole = order_shares(model, IDS, order=2, draws=8000)
    monkeypatch.setattr(qnn_models.serving.anova, "_EACH", 700)  # 4000 draws of a pair are too few for 6 pairs
    drawn = order_shares(model, IDS, order=2, draws=8000)
    assert drawn.shares[0] == pytest.approx(whole.shares[0], rel=1e-3)
    assert drawn.shares[1] != whole.shares[1]
    assert abs(drawn.shares[1] - exact.shares[1]) < 4.5 * drawn.errors[1] < exact.shares[1]


class OneSet(torch.nn.Module):
    """A logit that is one product of the signs of four of twelve fields, so that nearly all sets have no effect."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = FieldEmbedding(Signs(), dim=1, std=1.0, seed=0)
        with torch.no_grad():
            self.embedding.weight.copy_(torch.tensor([-1.0, 1.0] * 12)[:, None])

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        return self.embedding(ids)

    def score(self, embedded: torch.Tensor) -> torch.Tensor:
        return embedded[:, 2:6, 0].prod(1) + 0.1 * embedded[:, 0, 0]


@dataclass(frozen=True)
class Signs:
    names: tuple[str, ...] = tuple(f"f{k}" for k in range(12))
    vocabulary_sizes: tuple[int, ...] = (2,) * 12
    lengths: tuple[int, ...] = (1,) * 12


def test_a_set_that_was_not_drawn_is_in_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.tensor([[0] * 12, [1] * 12], dtype=torch.int32)
    model: Any = OneSet()
    exact = order_shares(model, ids, order=4)
    assert exact.shares == pytest.approx((0.01 / 1.01, 0, 0, 1 / 1.01), abs=1e-12)
    monkeypatch.setattr(independent_fields, "_MOST_EVALUATIONS", 0)
    found = order_shares(model, ids, order=4, draws=5000)
    error = found.errors[3] + found.rest_error
    assert found.shares[3] + found.rest == pytest.approx(0.99, abs=4 * error)
    for seed in range(5):
        part = order_shares(model, ids, order=3, draws=5000, seed=seed)
        assert part.rest == pytest.approx(0.99, abs=4 * part.rest_error)
        assert part.rest_error < 0.5


def test_a_pair_holds_neither_constants_nor_main_effects() -> None:
    """All pairs of FM are products of vectors; where one of the two never changes, all that is left is a main effect."""
    model = made("fm")
    ids = IDS.clone()
    ids[:, 3] = 2
    effects = {effect.names: effect for effect in anova(model, ids).effects}
    assert effects["user", "city"].variance < 1e-20 < 1e-3 < effects["user",].variance
    assert effects["city",].variance == 0
    assert effects["user", "item"].strength > 1e-3


def test_the_model_is_left_as_it_is_and_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    model = made("QNN-alpha").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    monkeypatch.setattr(independent_fields, "_MOST_EVALUATIONS", 0)
    whole = anova(model, IDS, draws=50)
    monkeypatch.setattr(independent_fields, "_CHUNK_ROWS", 64)
    assert model.training
    assert next(model.parameters()).dtype == torch.float32
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    cut = anova(model, IDS, draws=50)
    assert cut.variance == pytest.approx(whole.variance, rel=1e-9)


def test_a_row_may_have_values_of_its_own() -> None:
    model = made("two layers")
    row = torch.tensor([[2, 1, 1, 0, 0]], dtype=torch.int32)
    found = anova(model, IDS, order=4, at=row)
    plain = anova(model, IDS, order=4)
    assert [effect.variance for effect in found.effects] == pytest.approx([effect.variance for effect in plain.effects])
    with torch.no_grad():
        assert found.logit == pytest.approx(float(model.double()(row)))
    assert found.mean + sum(effect.value or 0 for effect in found.effects) == pytest.approx(found.logit)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 5}, "1 to 4 fields, as many as the data, however: order=5"),
        ({"order": 0}, "however: order=0"),
        ({"draws": 1}, "at least 2 draws here, however: draws=1"),
        ({"ids": IDS[:0]}, "there are none"),
    ],
)
def test_what_cannot_be_computed_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        anova(made("fm"), **{"ids": IDS, **options})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 0}, "at least 1, however: order=0"),
        ({"draws": 511}, "at least 512 draws here, however: draws=511"),
        ({"ids": IDS[:0]}, "there are none"),
        ({"ids": IDS[:1]}, "however: it is 0; the model gives all rows one logit, or there is one row only"),
    ],
)
def test_shares_of_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        order_shares(made("fm"), **{"ids": IDS, **options})
