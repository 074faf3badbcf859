"""Trained together, each model is what it would be alone."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

import qnn_theory as qt
from qnn_models.data.planted import Planted
from qnn_models.models.baselines.perceptrons.dnn import DNN
from qnn_models.models.network import CTRModel, QNNAlphaNetwork, QuadraticNetwork
from qnn_models.training.batched import OWN_SETTINGS, train_many
from qnn_models.training.config import TrainConfig, TrainResult
from qnn_models.training.loop import train

CONFIG = TrainConfig(batch_size=128, max_epochs=3, loss="self_ensemble", learning_rate=1e-2)
THREE = [
    replace(CONFIG, seed=0),
    replace(CONFIG, seed=1, learning_rate=3e-2, max_epochs=8, embedding_l2=1e-3, patience=1),
    replace(CONFIG, seed=2, learning_rate=0.3, max_epochs=5, gradient_clip=0.1, learning_rate_decay=0.5),
]


pytestmark = pytest.mark.usefixtures("one_thread")


def qnn_alpha(planted: Planted, *, dropout: float = 0.2, batch_norm: bool = True, seed: int = 0) -> QNNAlphaNetwork:
    layout = planted.dataset.layout
    built = QNNAlphaNetwork(
        layout, embedding_dim=4, layers=2, rows=2, dropout=dropout, batch_norm=batch_norm, seed=seed
    )
    return built.double()


def assert_as_alone(build: Callable[[int], CTRModel], planted: Planted, configs: list[TrainConfig]) -> None:
    """In double precision: batched products round otherwise, which BatchNorm and Adam enlarge to 1e-7 at most."""
    alone, together = ([build(seed) for seed in range(len(configs))] for _ in range(2))
    results = train_many(together, planted.dataset, configs, device="cpu")
    for model, twin, config, result in zip(alone, together, configs, results, strict=True):
        expected = train(model, planted.dataset, config, device="cpu")
        assert isinstance(result, TrainResult)
        assert (result.best_epoch, len(result.history)) == (expected.best_epoch, len(expected.history))
        for entry, record in zip(result.history, expected.history, strict=True):
            assert entry.learning_rate == record.learning_rate
            assert entry.train_loss == pytest.approx(record.train_loss, rel=1e-6)
            assert entry.valid_auc == pytest.approx(record.valid_auc, abs=1e-9)
        assert result.test_auc == pytest.approx(expected.test_auc, abs=1e-9)
        assert result.test_logloss == pytest.approx(expected.test_logloss, rel=1e-6)
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(twin.state_dict()[name], tensor, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("loss", ["bce", "self_ensemble"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_each_ends_as_if_trained_alone(planted: Planted, batch_norm: bool, loss: str) -> None:
    configs = [replace(config, loss=loss) for config in THREE]
    assert_as_alone(lambda seed: qnn_alpha(planted, batch_norm=batch_norm, seed=seed), planted, configs)


def test_the_three_end_at_different_epochs(planted: Planted) -> None:
    results = train_many([qnn_alpha(planted, seed=seed) for seed in range(3)], planted.dataset, THREE, device="cpu")
    assert len({len(result.history) for result in results if isinstance(result, TrainResult)}) == 3


@pytest.mark.parametrize("setting", [{"chunk_rows": 50}, {"memory_gib": 1e-9}])
def test_chunks_and_streams(planted: Planted, setting: dict[str, float]) -> None:
    configs = [replace(config, max_epochs=2, **setting) for config in THREE]  # type: ignore[arg-type]
    assert_as_alone(lambda seed: qnn_alpha(planted, batch_norm=False, seed=seed), planted, configs)


@pytest.mark.parametrize("format", [format.id for format in qt.formats()])
def test_every_format(planted: Planted, format: str) -> None:
    def build(seed: int) -> CTRModel:
        layout = planted.dataset.layout
        built = QuadraticNetwork(layout, format, layers=2, embedding_dim=4, dropout=0.1, gate_dropout=0.1, seed=seed)
        return built.double()

    configs = [replace(CONFIG, max_epochs=1, batch_size=300, learning_rate=1e-3, seed=seed) for seed in range(2)]
    assert_as_alone(build, planted, configs)


def test_a_model_that_diverges_leaves_the_others_alone(planted: Planted) -> None:
    configs = [replace(CONFIG, seed=0), replace(CONFIG, seed=1, learning_rate=1e200), replace(CONFIG, seed=2)]
    models = [qnn_alpha(planted, batch_norm=False, seed=seed) for seed in range(3)]
    first, second, third = train_many(models, planted.dataset, configs, device="cpu")
    assert isinstance(second, FloatingPointError)
    assert "seed=1" in str(second)
    with pytest.raises(FloatingPointError) as alone:
        train(qnn_alpha(planted, batch_norm=False, seed=1), planted.dataset, configs[1], device="cpu")
    assert str(second).partition("in epoch")[2] == str(alone.value).partition("in epoch")[2]
    for index, result in ((0, first), (2, third)):
        expected = train(
            qnn_alpha(planted, batch_norm=False, seed=index), planted.dataset, configs[index], device="cpu"
        )
        assert isinstance(result, TrainResult)
        assert result.test_auc == pytest.approx(expected.test_auc, abs=1e-9)


def test_models_keep_no_part_of_the_stack(planted: Planted) -> None:
    models = [qnn_alpha(planted, seed=seed) for seed in range(2)]
    train_many(models, planted.dataset, [replace(CONFIG, max_epochs=1, seed=seed) for seed in range(2)], device="cpu")
    for tensor in (tensor for model in models for tensor in model.state_dict().values()):
        assert tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    pointers = {tensor.data_ptr() for model in models for tensor in model.state_dict().values()}
    assert len(pointers) == sum(len(model.state_dict()) for model in models)


def test_one_model_is_a_group_too(planted: Planted) -> None:
    assert_as_alone(lambda seed: qnn_alpha(planted, seed=seed), planted, [CONFIG])


def refused(planted: Planted, models: list[nn.Module], configs: list[TrainConfig]) -> str:
    with pytest.raises(ValueError, match=r", however: ") as error:
        train_many(models, planted.dataset, configs, device="cpu")  # type: ignore[arg-type]
    return str(error.value)


def test_what_does_not_go_together_is_named(planted: Planted) -> None:
    two = [qnn_alpha(planted, seed=seed) for seed in range(2)]
    assert "2 models, 1 settings" in refused(planted, list(two), [CONFIG])
    assert "0 models, 0 settings" in refused(planted, [], [])
    assert "one model is given twice" in refused(planted, [two[0], two[0]], [CONFIG, CONFIG])
    assert "batch_size=128 and 64" in refused(planted, list(two), [CONFIG, replace(CONFIG, batch_size=64)])
    assert "compile=True" in refused(planted, list(two), [replace(CONFIG, compile=True)] * 2)
    assert "same options" in refused(planted, [two[0], qnn_alpha(planted, dropout=0.3)], [CONFIG, CONFIG])
    baseline = DNN(planted.dataset.layout, seed=0)
    assert "however: DNN; train it alone" in refused(planted, [baseline], [CONFIG])


@pytest.mark.parametrize(("left", "right"), [("T19", "T23"), ("T9", "T21")])
def test_other_formats_are_other_architectures(planted: Planted, left: str, right: str) -> None:
    models = [QuadraticNetwork(planted.dataset.layout, format, embedding_dim=4, seed=0) for format in (left, right)]
    assert "same options" in refused(planted, list(models), [CONFIG, CONFIG])


def test_the_settings_that_may_differ_exist() -> None:
    assert all(hasattr(CONFIG, name) for name in OWN_SETTINGS)
