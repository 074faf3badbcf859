"""One battery for every registered model: sizes, shapes, gradients, seeds, pairs of passes, learning, wrong options."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from qnn_models.data.planted import Planted, planted_dataset
from qnn_models.evaluation.metrics import auc, log_loss
from qnn_models.layers.dropout import Dropout, seed_dropout
from qnn_models.layers.layer import QuadraticLayer
from qnn_models.models.registry import build, model_class, model_names
from qnn_models.training.config import TrainConfig
from qnn_models.training.loop import train
from tests.qnn_models.models.cases import BATTERY, CASES, IDS, Case, E, Fields, make, scale_up


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_every_registered_model_has_a_case() -> None:
    assert set(CASES) == set(model_names())
    assert all(CASES.values())


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_parameters_are_those_of_the_formula(name: str, case: Case) -> None:
    assert sum(parameter.numel() for parameter in make(name, case).parameters()) == case.parameters


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_logits_have_one_number_a_row_and_rows_do_not_mix(name: str, case: Case) -> None:
    model = make(name, case).double().eval()
    with torch.no_grad():
        scale_up(model)
        logits = model(IDS)
        assert logits.shape == (5,)
        assert logits.unique().numel() > 1
        torch.testing.assert_close(model(IDS[[3, 1]]), logits[[3, 1]])


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_every_parameter_gets_a_finite_gradient_that_is_not_zero(name: str, case: Case) -> None:
    model = make(name, case).double().train()
    scale_up(model)
    first, second = model.forward_pair(IDS)
    own = model.regularisation(IDS)
    (first.square().sum() + (second - 1).square().sum() + (0 if own is None else own)).backward()
    # The statistics of BatchNorm take away the bias before it.
    cancelled = {
        f"{layer}.b"
        for layer, module in model.named_modules()
        if isinstance(module, QuadraticLayer) and hasattr(module, "norm_0")
    }
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert torch.isfinite(parameter.grad).all(), parameter_name
        if parameter_name in cancelled:
            assert parameter.grad.abs().max() < 1e-9, parameter_name
        else:
            assert parameter.grad.any(), parameter_name


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_start_values_follow_the_seed_alone(name: str, case: Case) -> None:
    def values(noise: int, seed: int | None) -> Tensor:
        torch.manual_seed(noise)
        return torch.cat([parameter.detach().flatten() for parameter in make(name, case, seed=seed).parameters()])

    assert torch.equal(values(1, seed=5), values(2, seed=5))
    assert not torch.equal(values(1, seed=5), values(1, seed=6))
    assert torch.equal(values(3, seed=None), values(3, seed=None))


@pytest.mark.parametrize(("name", "case"), BATTERY)
def test_a_pair_without_dropout_is_one_pass_twice(name: str, case: Case) -> None:
    parts = (name == "final" and case.options.get("blocks", 2) == 2) or case.options.get("growth") == "both"
    model = make(name, case, **({} if name in ("lr", "fm") else {"dropout": 0.0})).double()
    scale_up(model)
    first, second = model.forward_pair(IDS)
    logits = model(IDS)
    if parts:
        assert not torch.equal(first, second), "a pair is the pair of networks"
        torch.testing.assert_close((first + second) / 2, logits)
    else:
        torch.testing.assert_close(first, logits)
        torch.testing.assert_close(second, logits)


@pytest.mark.parametrize(
    ("name", "case"), [entry for entry in BATTERY if not entry.id.startswith(("lr", "fm", "dnn-2"))]
)
def test_dropout_makes_two_passes_differ_and_evaluation_repeatable(name: str, case: Case) -> None:
    model = make(name, case, dropout=0.5).double()
    scale_up(model)
    seed_dropout(model, 0)
    assert any(isinstance(module, Dropout) and module.p == 0.5 for module in model.modules())
    first, second = model.forward_pair(IDS)
    assert not torch.equal(first, second)
    model.eval()
    assert torch.equal(model(IDS), model(IDS))


@dataclass(frozen=True)
class Truth:
    planted: Planted
    auc: float
    logloss: float


@pytest.fixture(scope="module")
def truth() -> Truth:
    """A planted pair, and what the true probabilities reach on its test rows."""
    planted = planted_dataset(rows=(5_000, 1_500, 2_000), vocabulary_sizes=(5, 5, 5, 5), pairs=[(0, 1)])
    labels, logits = planted.dataset.split("test").labels, torch.logit(torch.tensor(planted.probabilities["test"]))
    return Truth(planted, auc(labels, logits), log_loss(labels, logits))


@pytest.mark.parametrize(("name", "case"), [entry for entry in BATTERY if entry.id != "dnn-2"])
def test_a_planted_interaction_is_learnt(name: str, case: Case, truth: Truth) -> None:
    dataset = truth.planted.dataset
    size = {} if name == "lr" else {"embedding_dim": E}
    model = build(name, dataset.layout, seed=0, **size, **case.options)
    result = train(model, dataset, TrainConfig(batch_size=250, learning_rate=1e-2, max_epochs=6), device="cpu")
    missed = (truth.auc - result.test_auc, result.test_logloss - truth.logloss)
    if name == "lr":  # the control: a model without interactions misses twice as much as the others may
        assert min(missed) > 0.14
    else:
        assert max(missed) < 0.07


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("dnn", {"hidden_units": 0}, "hidden_units=0"),
    ("deepfm", {"deep": "cnn"}, "deep='cnn'"),
    ("dcn", {"cross_layers": 0}, "cross_layers=0"),
    ("dcnv2", {"cross_layers": 0}, "layers=0"),
    ("xdeepfm", {"cin_maps": 0}, "cin_maps=0"),
    ("autoint", {"heads": 0}, "heads=0"),
    ("afn", {"neurons": 0}, "neurons=0"),
    ("edcn", {"temperature": 0.0}, "temperature=0.0"),
    ("masknet", {"structure": "both"}, "'both'"),
    ("masknet", {"reduction": 0.0}, "reduction=0.0"),
    ("finalmlp", {"hidden_units": 10, "heads": 3}, "heads=3"),
    ("finalmlp", {"hidden_layers": 0}, "hidden_layers=0"),
    ("final", {"blocks": 3}, "blocks=3"),
    ("ecn", {"growth": "cubic"}, "'cubic'"),
    ("cl4ctr", {"alpha": -1.0}, "alpha=-1.0"),
    ("cl4ctr", {"encoder_layers": 0}, "encoder_layers=0"),
    ("eulernet", {"neurons": 0}, "neurons=0"),
    ("rfm", {"attention_layers": 0}, "attention_layers=0"),
    ("rfm", {"heads": 3}, "heads=3, attention_units=32"),
    ("rfm", {"group": 7}, "group=7, hidden_units=128"),
    ("dnn", {"hidden": 3}, "however: 'hidden'; the nearest is 'hidden_units'"),
    ("lr", {"embedding_dim": 3}, r"options \(none\), however: 'embedding_dim'; leave it out"),
]


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_impossible_options_are_named(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(name, Fields(), **options)


def test_odd_widths_and_unknown_names_are_named() -> None:
    @dataclass(frozen=True)
    class One:
        names: tuple[str, ...] = ("id",)
        vocabulary_sizes: tuple[int, ...] = (5,)
        lengths: tuple[int, ...] = (1,)

    for name in ("ecn", "final"):
        with pytest.raises(ValueError, match="d must be even, however: d=3"):
            build(name, One(), embedding_dim=3)
    with pytest.raises(KeyError, match="the nearest is 'dcnv2'"):
        model_class("DCN-v2")
