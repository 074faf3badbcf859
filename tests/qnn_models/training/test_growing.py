"""More ids change nothing for the ids that there were: not their embeddings, not the logits, not Adam's state."""

from __future__ import annotations

import pytest
import torch

from qnn_models.data.layout import FieldLayout
from qnn_models.data.planted import Planted
from qnn_models.models.registry import build, model_names
from qnn_models.training.config import TrainConfig
from qnn_models.training.growing import grow_model, grow_optimizer
from qnn_models.training.loop import train, train_pass

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = FieldLayout(names=("a", "b", "tags"), vocabulary_sizes=(5, 4, 6), lengths=(1, 1, 2))
LARGE = FieldLayout(names=("a", "b", "tags"), vocabulary_sizes=(7, 4, 9), lengths=(1, 1, 2))
CONFIG = TrainConfig(batch_size=128, max_epochs=2, learning_rate=1e-2)


@pytest.mark.parametrize("name", model_names())
def test_old_ids_keep_their_logits(name: str) -> None:
    small, large = build(name, SMALL, seed=0), build(name, LARGE, seed=1)
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.add_(torch.rand(parameter.shape, generator=torch.Generator().manual_seed(0)), alpha=0.1)
    generator = torch.Generator().manual_seed(0)
    ids = torch.stack([torch.randint(1, n, (50,), generator=generator) for n in (5, 4, 6, 6)], 1)
    before = large.state_dict()["embedding.weight"][[5, 6, 17, 19]].clone()
    grow_model(small, large)
    with torch.no_grad():
        torch.testing.assert_close(large.eval()(ids), small.eval()(ids))
    assert torch.equal(large.embedding.weight[[5, 6, 17, 19]], before)


def test_adams_state_grows_by_zeros(planted: Planted) -> None:
    layout = planted.dataset.layout
    sizes = tuple(size + more for size, more in zip(layout.vocabulary_sizes, (2, 0, 1), strict=True))
    model, large = build("fm", layout, seed=0), build("fm", FieldLayout(layout.names, sizes, layout.lengths), seed=1)
    state = train_pass(model, planted.dataset, CONFIG, device="cpu")
    grown = grow_optimizer(state, model, large)
    assert grown.keys() == state.keys()
    parameters = list(large.parameters())
    old = [row for start, n in zip((0, 9, 16), layout.vocabulary_sizes, strict=True) for row in range(start, start + n)]
    assert sizes == (9, 7, 8)
    tables = 0
    for key, tensor in grown.items():
        shape = parameters[int(key.split(".")[0])].shape
        assert tensor.shape in (shape, ())
        if tensor.shape != state[key].shape:
            tables += 1
            assert torch.equal(tensor[old], state[key])
            assert not tensor[[row for row in range(len(tensor)) if row not in old]].any()
    assert tables >= 2


def test_a_pass_goes_on_where_the_state_was_left(planted: Planted) -> None:
    """Two passes, the second with the state of the first, are two epochs of the same batches."""
    model, twin = build("fm", planted.dataset.layout, seed=0), build("fm", planted.dataset.layout, seed=0)
    state = train_pass(model, planted.dataset, CONFIG, device="cpu")
    train_pass(model, planted.dataset, CONFIG, device="cpu", optimizer_state=state)
    optimizer = torch.optim.Adam(twin.parameters(), lr=CONFIG.learning_rate)
    from qnn_models.training.batches import Batches
    from qnn_models.training.losses import bce

    for _ in range(2):
        for batch in Batches(planted.dataset, CONFIG, torch.device("cpu")).shuffled(1):
            optimizer.zero_grad()
            bce(twin(batch.ids), batch.labels).backward()
            optimizer.step()
    for left, right in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


def test_a_training_leaves_the_state_of_its_best_epoch(planted: Planted, tmp_path) -> None:
    state: dict[str, torch.Tensor] = {}
    config = TrainConfig(batch_size=128, max_epochs=4, learning_rate=0.3, patience=4)
    result = train(
        build("fm", planted.dataset.layout, seed=0), planted.dataset, config, device="cpu", optimizer_state=state
    )
    assert result.best_epoch < 4
    assert {float(tensor) for key, tensor in state.items() if key.endswith(".step")} == {5.0 * result.best_epoch}
    with pytest.raises(ValueError, match="keeps no optimizer's state of the best epoch"):
        train(build("fm", planted.dataset.layout), planted.dataset, CONFIG, checkpoint=tmp_path, optimizer_state=state)


def test_what_differs_in_more_does_not_grow() -> None:
    with pytest.raises(ValueError, match="grows by rows of its embeddings alone, however"):
        grow_model(build("dnn", SMALL, hidden_units=8), build("dnn", LARGE, hidden_units=4))
