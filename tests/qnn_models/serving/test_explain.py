"""Contributions of fields: against the polynomials themselves, expanded exactly by code that shares nothing with torch."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import pytest
import sympy
import torch
from torch import nn

import qnn_theory as qt
from qnn_models import QuadraticNetwork
from qnn_models.data.planted import planted_dataset
from qnn_models.layers.layer import QuadraticLayer
from qnn_models.models.network import CTRModel
from qnn_models.models.registry import build
from qnn_models.serving.explain import contributions, field_sets, interactions, reading_of
from qnn_models.training.config import TrainConfig
from qnn_models.training.loop import train
from qnn_theory.grammar.evaluate import evaluate
from qnn_theory.grammar.format import with_mid_activation
from qnn_theory.registry import get_format


@dataclass(frozen=True)
class Fields:
    names: tuple[str, ...] = ("user", "item", "city")
    vocabulary_sizes: tuple[int, ...] = (4, 5, 3)
    lengths: tuple[int, ...] = (1, 2, 1)


IDS = torch.tensor([[1, 2, 4, 1], [3, 0, 0, 2], [2, 3, 3, 1], [0, 1, 2, 2]], dtype=torch.int32)


def perturbed(model: CTRModel, *, seed: int = 0) -> CTRModel:
    """The model in double precision with dyadic weights far from the start values, statistics of its norms included."""
    generator = torch.Generator().manual_seed(seed)
    model.double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randint(-6, 7, parameter.shape, generator=generator) / 8)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.copy_(torch.randint(-3, 4, module.running_mean.shape, generator=generator) / 8)
                module.running_var.copy_(torch.randint(1, 9, module.running_var.shape, generator=generator) / 4)
    return model


def exact_groups(model: QuadraticNetwork, sample: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Contributions at one embedded sample: the logit expanded over QQ, its monomials grouped by the fields they touch.

    Activations keep the piece they are on at the sample; their argument's sign is found by exact evaluation.
    """
    dim = model.embedding.dim
    point = [Fraction(float(value)) for value in sample.flatten()]
    ring, *symbols = sympy.polys.rings.ring([f"x{i}" for i in range(len(point))], sympy.QQ)

    def exact(tensor: torch.Tensor) -> Any:
        if tensor.dim() == 0:
            return sympy.QQ.from_sympy(sympy.Rational(Fraction(float(tensor))))
        return [exact(part) for part in tensor]

    def piece(node, u, own):
        at = u.evaluate(list(zip(symbols, [sympy.QQ(p.numerator, p.denominator) for p in point], strict=True)))
        if node.kind == "relu6" and at >= 6:
            return ring(6)
        if at > 0:
            return u
        return u * own[str(node.slope)] if node.kind == "prelu" else ring(0)

    values = list(symbols)
    for layer in model.stack.layers:
        assert isinstance(layer, QuadraticLayer)
        own = {name: exact(parameter.detach()) for name, parameter in layer.named_parameters()}
        values = evaluate(
            layer.format.expr,
            values,
            own,
            x0=symbols,
            activation=piece,
            constant=lambda factor: sympy.QQ(factor.numerator, factor.denominator),
        )
    weights = exact(model.head.weight.detach()[0])
    logit = sum((w * v for w, v in zip(weights, values, strict=True)), ring(0)) + exact(model.head.bias.detach()[0])
    groups = {fields: Fraction(0) for fields in field_sets(len(Fields().names), order=len(Fields().names))}
    for monomial, coefficient in ring(logit).terms():
        term = Fraction(int(coefficient.numerator), int(coefficient.denominator))
        for value, exponent in zip(point, monomial, strict=True):
            term *= value**exponent
        groups[tuple(sorted({i // dim for i, exponent in enumerate(monomial) if exponent}))] += term
    return {fields: float(value) for fields, value in groups.items()}


def check_against_expansion(model: QuadraticNetwork) -> None:
    perturbed(model)
    with torch.no_grad():
        model.embedding.weight.mul_(4)  # arguments on both sides of the kinks, above 6 too
    found = contributions(model, IDS, order=3)
    embedded = model.embed(IDS).detach()
    for row in range(len(IDS)):
        for fields, expected in exact_groups(model, embedded[row]).items():
            assert float(found.by_set[fields][row]) == pytest.approx(expected, rel=1e-9, abs=1e-9), (fields, row)


@pytest.mark.parametrize("format", qt.formats(), ids=lambda format: format.id)
def test_contributions_are_the_groups_of_monomials(format: qt.Format) -> None:
    check_against_expansion(QuadraticNetwork(Fields(), format, layers=1, embedding_dim=2))


@pytest.mark.parametrize("kind", ["relu", "relu6", "prelu"])
@pytest.mark.parametrize("post", [False, True])
def test_activations_keep_the_piece_they_are_on(kind: Any, post: bool) -> None:
    format = get_format("T9") if post else with_mid_activation(get_format("T26"), kind)
    model = QuadraticNetwork(Fields(), format, layers=2, embedding_dim=2, post_activation=kind if post else None)
    assert reading_of(model) == "local"
    check_against_expansion(model)


def test_a_deeper_polynomial_that_reads_its_first_input() -> None:
    model = QuadraticNetwork(Fields(), "CrossNetV2", layers=3, embedding_dim=2)
    assert reading_of(model) == "polynomial"
    check_against_expansion(model)


MODELS = {
    "no activation": ("quadratic", {"format": "T9", "layers": 3}),
    "post-activation and its norm": ("quadratic", {"format": "T9", "post_activation": "relu", "post_norm": True}),
    "projection": ("quadratic", {"format": "T2", "projection": 5}),
    "QNN-alpha": ("qnn-alpha", {"layers": 2, "rows": 3}),
    "QNN-alpha, two heads": ("qnn-alpha", {"heads": 2, "head_layout": "released"}),
    "QNN-alpha with gelu": ("qnn-alpha", {"mid_activation": "gelu", "batch_norm": False}),
    "QNN-alpha without activation": ("qnn-alpha", {"mid_activation": None}),
    "deepfm": ("deepfm", {"hidden_units": 6}),
    "autoint": ("autoint", {}),
}


@pytest.mark.parametrize("name", MODELS)
def test_all_contributions_together_are_the_logit(name: str) -> None:
    kind, options = MODELS[name]
    model = perturbed(build(kind, Fields(), embedding_dim=4, seed=0, **options))
    with torch.no_grad():
        expected = model(IDS)
    found = contributions(model, IDS, order=3)
    torch.testing.assert_close(found.logits, expected, rtol=1e-12, atol=1e-12)
    scale = max(1.0, *(float(values.abs().max()) for values in found.by_set.values()))
    torch.testing.assert_close(sum(found.by_set.values()), expected, rtol=0, atol=1e-12 * scale)
    assert float(found.rest.abs().max()) <= 1e-12 * scale
    part = contributions(model, IDS, order=1)
    assert part.by_set.keys() == {(), (0,), (1,), (2,)}
    torch.testing.assert_close(
        part.rest, sum(values for fields, values in found.by_set.items() if len(fields) > 1), rtol=0, atol=1e-12 * scale
    )


def test_a_model_is_left_as_it_is_and_rows_do_not_depend_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("qnn-alpha", Fields(), embedding_dim=4, seed=0)
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    whole = contributions(model, IDS, order=2)
    monkeypatch.setattr("qnn_models.serving.explain._CHUNK_ROWS", 3)
    cut = contributions(model, IDS, order=2)
    for fields, values in whole.by_set.items():
        torch.testing.assert_close(cut.by_set[fields], values)
    assert model.training
    assert next(model.parameters()).dtype == torch.float32
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_readings() -> None:
    def own(kind: str, **options: Any) -> str:
        return reading_of(build(kind, Fields(), embedding_dim=4, seed=0, **options))

    assert own("quadratic", format="T9") == "polynomial"
    assert own("quadratic", format="T9", post_activation="relu") == "local"
    assert own("quadratic", format="T9", post_activation="gelu") == "anchored"
    assert own("qnn-alpha") == "local"
    assert own("qnn-alpha", mid_activation=None) == "polynomial"
    assert own("dnn") == "anchored"


def test_the_anchored_terms_of_a_gated_model_vanish_with_a_field() -> None:
    model = perturbed(build("qnn-alpha", Fields(), embedding_dim=4, seed=0))
    with torch.no_grad():
        model.embedding.weight[4] = 0  # item 0, so that row 1 has a field at zero
    ids = IDS.clone()
    ids[1, 1:3] = 0
    found = contributions(model, ids, order=3, reading="anchored")
    assert found.reading == "anchored"
    for fields, values in found.by_set.items():
        if 1 in fields:
            assert abs(float(values[1])) < 1e-12
    assert any(float(values.abs().max()) > 1e-3 for fields, values in found.by_set.items() if 1 in fields)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": 4}, "1 to 3 fields, as many as the data, however: order=4"),
        ({"order": 0}, "however: order=0"),
        ({"reading": "local"}, "readings of this model are: anchored, however: local is asked for"),
        ({"ids": IDS[:0]}, "there are none"),
    ],
)
def test_what_cannot_be_explained_is_named(options: dict[str, Any], message: str) -> None:
    model = build("dnn", Fields(), embedding_dim=2, seed=0, hidden_units=3)
    with pytest.raises(ValueError, match=message):
        contributions(model, **{"ids": IDS, **options})


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("quadratic", {"format": "T9", "layers": 1}),
        ("qnn-alpha", {"layers": 1, "rows": 2}),
    ],
)
def test_planted_pairs_are_found(kind: str, options: dict[str, Any]) -> None:
    pairs = ((0, 3), (1, 4))
    planted = planted_dataset(
        rows=(16_000, 2_000, 2_000), vocabulary_sizes=(8,) * 5, pairs=pairs, interaction_scale=2.0, seed=2
    )
    model = build(kind, planted.dataset.layout, embedding_dim=6, seed=1, **options)
    train(model, planted.dataset, TrainConfig(max_epochs=12, batch_size=500, learning_rate=0.01, seed=1))
    found = contributions(model, planted.dataset.split("test").ids[:500], order=2)
    ranked = [interaction for interaction in interactions(found) if len(interaction.fields) == 2]
    assert {interaction.fields for interaction in ranked[: len(pairs)]} == set(pairs)
    assert ranked[len(pairs) - 1].strength > 2 * ranked[len(pairs)].strength
    assert len(ranked) == len(list(combinations(range(5), 2)))


def test_strength_and_mean_by_hand() -> None:
    model = perturbed(build("fm", Fields(), embedding_dim=2, seed=0))
    found = contributions(model, IDS, order=2)
    table = {interaction.names: interaction for interaction in interactions(found)}
    assert table.keys() == {
        *((name,) for name in Fields().names),
        ("user", "item"),
        ("user", "city"),
        ("item", "city"),
    }
    embedded = model.embed(IDS).detach()[..., :-1]
    product = (embedded[:, 0] * embedded[:, 2]).sum(-1)  # FM's interaction is the dot product
    assert table["user", "city"].mean == pytest.approx(float(product.mean()))
    assert table["user", "city"].strength == pytest.approx(float((product**2).mean() ** 0.5))
    strengths = [interaction.strength for interaction in interactions(found)]
    assert strengths == sorted(strengths, reverse=True)
