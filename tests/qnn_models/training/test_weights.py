"""A row of weight two is two rows: in the losses, in a training, in what stops it, and in the start of the bias."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.layout import Split
from qnn_models.data.planted import Planted
from qnn_models.models.network import QNNAlphaNetwork
from qnn_models.training.batched import train_many
from qnn_models.training.batches import Batches
from qnn_models.training.config import TrainConfig
from qnn_models.training.loop import train
from qnn_models.training.losses import LOSS_NAMES, bce, is_paired, paired_loss

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = TrainConfig(batch_size=5000, max_epochs=3, learning_rate=1e-2)


def with_splits(planted: Planted, splits: dict[str, Split]) -> EncodedDataset:
    return EncodedDataset(
        "weighted",
        encoder=planted.dataset.encoder,
        content_hash="",
        rows={name: len(split) for name, split in splits.items()},
        splits=splits,
    )


@pytest.fixture(scope="module")
def both(planted: Planted) -> tuple[EncodedDataset, EncodedDataset]:
    """Rows with whole weights, and the same rows repeated."""
    weighted, repeated = {}, {}
    for name in ("train", "valid", "test"):
        split = planted.dataset.split(name)
        times = torch.arange(len(split)).remainder(4)
        weighted[name] = replace(split, weights=times / times.float().mean())
        repeated[name] = split.part(torch.arange(len(split)).repeat_interleave(times))
    return with_splits(planted, weighted), with_splits(planted, repeated)


def model(planted: Planted) -> QNNAlphaNetwork:
    return QNNAlphaNetwork(planted.dataset.layout, embedding_dim=4, dropout=0.0, batch_norm=False, seed=0)


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_losses_are_weighted_means_of_their_rows(name) -> None:
    generator = torch.Generator().manual_seed(0)
    first, second, weights = torch.randn(3, 7, generator=generator, dtype=torch.float64)
    labels, weights = torch.tensor([0.0, 1, 1, 0, 1, 0, 0], dtype=torch.float64), weights.abs()

    def loss(rows: slice, *own) -> torch.Tensor:
        if is_paired(name):
            return paired_loss(name, first[rows], second[rows], labels[rows], *own)
        return bce(first[rows], labels[rows], *own)

    alone = torch.stack([loss(slice(row, row + 1)) for row in range(7)])
    torch.testing.assert_close(loss(slice(7), weights), (alone * weights).mean())
    torch.testing.assert_close(loss(slice(7), torch.ones_like(weights)), loss(slice(7)))


@pytest.mark.parametrize("change", [{}, {"loss": "self_ensemble"}, {"chunk_rows": 130}, {"monitor": "auc-logloss"}])
def test_a_training_with_weights_is_one_with_repeated_rows(both, planted: Planted, change: dict) -> None:
    found, expected = model(planted), model(planted)
    results = [
        train(one, dataset, replace(CONFIG, **change), device="cpu")
        for one, dataset in zip((found, expected), both, strict=True)
    ]
    for left, right in zip(found.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-3, atol=1e-5)
    for key in ("valid_auc", "valid_logloss", "constant_logloss", "test_auc", "test_mean_label"):
        assert getattr(results[0], key) == pytest.approx(getattr(results[1], key), rel=1e-3), key
    unweighted = train(model(planted), planted.dataset, replace(CONFIG, **change), device="cpu")
    assert abs(unweighted.valid_logloss - results[0].valid_logloss) > 1e-4


def test_the_share_of_labels_is_by_weight(both) -> None:
    weighted, repeated = (Batches(dataset, CONFIG, torch.device("cpu")).label_rate("train") for dataset in both)
    assert weighted == pytest.approx(repeated, rel=1e-6)
    assert not math.isclose(weighted, float(both[0].split("train").labels.mean()), rel_tol=1e-4)


@pytest.mark.parametrize("streamed", [False, True])
def test_weights_stay_with_their_rows(both, planted: Planted, streamed: bool) -> None:
    """In shuffled batches, the last of which is of a single row and joined to the one before it."""
    whole = both[0].split("train")
    rows = replace(whole, weights=torch.arange(len(whole)).float())
    dataset = with_splits(planted, dict.fromkeys(("train", "valid", "test"), rows))
    config = replace(CONFIG, batch_size=len(rows) - 1, memory_gib=1e-9 if streamed else 4.0)
    (batch,) = Batches(dataset, config, torch.device("cpu")).shuffled(1)
    assert sorted(batch.weights.tolist()) == rows.weights.tolist()
    assert torch.equal(batch.ids, rows.ids[batch.weights.long()])
    assert torch.equal(batch.labels, rows.labels[batch.weights.long()])


def test_models_trained_together_refuse_weights(both, planted: Planted) -> None:
    with pytest.raises(ValueError, match="take rows that count alike, however: these have weights"):
        train_many([model(planted)], both[0], [CONFIG], device="cpu")
