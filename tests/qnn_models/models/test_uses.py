"""Whole models under the uses that torch allows: any leading dimensions, no rows, derivatives, checkpoints, seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, hessian, vmap
from torch.utils.checkpoint import checkpoint

from qnn_models import QNNAlpha, QuadraticLayer
from qnn_models.data.planted import Planted
from qnn_models.layers.dropout import Dropout, seed_dropout
from qnn_models.layers.embedding import FieldEmbedding
from qnn_models.models.network import CTRModel, QNNAlphaNetwork
from qnn_models.models.registry import build, model_names
from qnn_models.training.batched import train_many
from qnn_models.training.loop import TrainConfig, train
from tests.qnn_models.models.test_network import IDS, Fields

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def model(name: str) -> CTRModel:
    return build(name, Fields(), seed=0, **({} if name == "lr" else {"embedding_dim": 2})).double()


@pytest.mark.parametrize("name", model_names())
def test_ids_have_any_leading_dimensions(name: str) -> None:
    network = model(name).eval()
    expected = network(IDS)
    torch.testing.assert_close(network(IDS[0]), expected[0])
    torch.testing.assert_close(network(IDS.unsqueeze(1).expand(-1, 3, -1)), expected.unsqueeze(1).expand(-1, 3))
    assert [logits.shape for logits in network.forward_pair(IDS.expand(4, -1, -1))] == [(4, *expected.shape)] * 2
    assert network(IDS[:0]).shape == (0,)
    assert network(IDS.expand(0, -1, -1)).shape == (0, len(IDS))
    network(IDS[:0]).sum().backward()


@pytest.mark.parametrize("name", model_names())
def test_rows_of_ids_go_through_vmap_and_through_checkpoints(name: str) -> None:
    network = model(name)
    torch.testing.assert_close(vmap(network.eval())(IDS), network(IDS))
    network.train()
    grads = []
    for call in (network, lambda ids: checkpoint(network, ids, use_reentrant=False)):
        network.zero_grad()
        torch.manual_seed(3)
        call(IDS).square().sum().backward()
        grads.append([parameter.grad for parameter in network.parameters()])
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("ids", [torch.zeros(2, 8, dtype=torch.long), torch.zeros(1, dtype=torch.long)])
def test_ids_of_another_width_are_refused_on_every_path(ids: Tensor) -> None:
    for call in (model("lr"), vmap(model("lr"))):
        with pytest.raises(ValueError, match=r"ids have shape \(\*, 9\), however: "):
            call(ids if ids.dim() == 2 else ids.expand(3, -1))
    with pytest.raises(ValueError, match="a single number"):
        model("lr")(torch.tensor(3))


def test_the_hessian_of_a_trained_qnn_alpha_is_that_of_finite_differences(planted: Planted) -> None:
    network = QNNAlphaNetwork(planted.dataset.layout, embedding_dim=4, rows=2, seed=0)
    train(network, planted.dataset, TrainConfig(batch_size=100, learning_rate=1e-2, max_epochs=3), device="cpu")
    alpha = network.core.double().eval()
    x = network.embedding(planted.dataset.split("test").ids[:1]).flatten(1).double()

    def logit(x: Tensor) -> Tensor:
        return alpha(x).sum()

    def gradient(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        return torch.autograd.grad(logit(x), x)[0].flatten()

    step = 1e-5
    units = torch.eye(x.numel(), dtype=torch.float64)
    differences = torch.stack([(gradient(x + step * u) - gradient(x - step * u)) / (2 * step) for u in units])
    assert differences.abs().max() > 1e-3
    for found in (torch.autograd.functional.hessian(logit, x.detach()), hessian(logit)(x.detach())):
        torch.testing.assert_close(found.view_as(differences), differences, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_gradient_penalty_trains_as_with_plain_operations(batch_norm: bool) -> None:
    alpha = QNNAlpha(num_fields=3, embedding_dim=2, rows=2, dropout=0.3, batch_norm=batch_norm, seed=0).double()
    x = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    names, parameters = zip(*alpha.named_parameters(), strict=True)

    def penalty(*parameters: Tensor) -> Tensor:
        torch.manual_seed(4)
        logits = functional_call(alpha, dict(zip(names, parameters, strict=True)), (x,))
        (grad,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        return grad.square().sum()

    assert torch.autograd.gradcheck(penalty, parameters, fast_mode=True)


@pytest.mark.parametrize("ids", [IDS, IDS[:1]])
def test_the_embedding_has_second_derivatives(ids: Tensor) -> None:
    table = FieldEmbedding(Fields(), dim=2, std=1.0, seed=0).double()

    def look_up(weight: Tensor) -> Tensor:
        return functional_call(table, {"weight": weight}, (ids,))

    assert torch.autograd.gradgradcheck(look_up, (table.weight,))
    loss = table(ids).pow(3).sum()
    (grad,) = torch.autograd.grad(loss, table.weight, create_graph=True)
    assert grad.sum().requires_grad


def test_training_leaves_the_users_generator_and_the_models_masks_as_they_were(planted: Planted) -> None:
    config = TrainConfig(batch_size=200, max_epochs=1)
    networks = [QNNAlphaNetwork(planted.dataset.layout, embedding_dim=2, seed=seed) for seed in range(3)]
    seed_dropout(networks[1], 9)
    before, own = torch.get_rng_state(), networks[1].core.stack.layers[0].dropout_0.source.position
    train(networks[0], planted.dataset, config, device="cpu")
    train_many(networks[1:], planted.dataset, [config, config], device="cpu")
    assert torch.equal(torch.get_rng_state(), before)
    sources = [[m.source for m in network.modules() if isinstance(m, Dropout)] for network in networks]
    assert not any(sources[0] + sources[2])
    assert {source.position for source in sources[1]} == {own}


def cumulative(layer: nn.Module) -> None:
    layer.norm_0.momentum = None


def untracked(layer: nn.Module) -> None:
    layer.norm_0 = nn.BatchNorm1d(layer.norm_0.num_features, track_running_stats=False)


def not_affine(layer: nn.Module) -> None:
    layer.norm_0 = nn.BatchNorm1d(layer.norm_0.num_features, affine=False)


def watched(layer: nn.Module) -> list[int]:
    calls: list[int] = []
    layer.norm_0.register_forward_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize("change", [cumulative, untracked, not_affine, watched])
def test_norms_of_another_kind_are_themselves_in_one_pass_and_in_two(change: Callable[[nn.Module], Any]) -> None:
    x = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    two_passes, passes = (
        QuadraticLayer("QNN-alpha", dim=6, gate_norm=True, gate_dropout=0.3, seed=0) for _ in range(2)
    )
    calls = [change(layer) for layer in (two_passes, passes)]
    for _ in range(2):
        two_passes.forward_pair(x)
    for _ in range(4):
        passes(x)
    torch.manual_seed(1)
    pair = two_passes.forward_pair(x)
    torch.manual_seed(1)
    torch.testing.assert_close(pair[0], passes(x))
    passes(x)
    for ours, theirs in zip(two_passes.buffers(), passes.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert calls[0] == calls[1]
