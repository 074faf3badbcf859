"""Serving code gives the trained network's logits: exactly up to rounding in float32, closely in bfloat16 and int8."""

from __future__ import annotations

import copy

import pytest
import torch

from qnn_models import QNNAlphaNetwork
from qnn_models.serving.inference import for_inference
from tests.qnn_models.models.test_network import Fields


def trained(*, embedding_dim: int = 4, **options) -> tuple[QNNAlphaNetwork, torch.Tensor]:
    """A network whose embedding, norms and statistics are far from their start values."""
    generator = torch.Generator().manual_seed(0)
    model = QNNAlphaNetwork(Fields(), embedding_dim=embedding_dim, seed=0, **options)
    columns = [s for s, n in zip(Fields().vocabulary_sizes, Fields().lengths, strict=True) for _ in range(n)]
    ids = torch.stack([torch.randint(0, s, (600,), generator=generator) for s in columns], 1)
    with torch.no_grad():
        model.embedding.weight.normal_(std=0.5, generator=generator)
        for parameter in model.core.stack.parameters():
            parameter.mul_(torch.rand(parameter.shape, generator=generator) + 0.5).add_(0.01)
        model.train()
        for _ in range(20):
            model(ids)
    return model.eval(), ids


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_norm": False},
        {"heads": 2},
        {"heads": 2, "head_layout": "released"},
        {"mid_activation": None, "batch_norm": False},
        {"residual": False},
        {"embedding_dim": 16, "rows": 2},
    ],
)
@pytest.mark.parametrize("batch", [1, 40, 600])
def test_logits_are_those_of_the_network(monkeypatch, options, batch) -> None:
    monkeypatch.setattr("qnn_models.serving.inference._CHUNK_ELEMENTS", 4096)
    model, ids = trained(**options)
    with torch.no_grad():
        expected = model(ids[:batch])
        torch.testing.assert_close(for_inference(model)(ids[:batch]), expected, rtol=1e-4, atol=1e-4)
        spread = expected.std() if batch > 1 else model(ids).std()
        for weights in ("bfloat16", "int8"):
            close = for_inference(model, weights=weights)(ids[:batch])
            assert (close - expected).abs().max() < 0.1 * spread


def test_the_network_is_left_alone_and_weights_shrink() -> None:
    model, _ = trained()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sizes = {}
    for weights in ("float32", "bfloat16", "int8"):
        served = for_inference(model, weights=weights)
        sizes[weights] = sum(gate.weight.nbytes for gate in served.gates)
        assert not any(p.requires_grad for p in served.parameters())
    assert sizes["float32"] == 2 * sizes["bfloat16"] == 4 * sizes["int8"]
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_what_cannot_be_served_is_named() -> None:
    model, _ = trained(mid_activation="gelu")
    with pytest.raises(ValueError, match="with ReLU or none, however: gelu"):
        for_inference(model)
    with pytest.raises(ValueError, match="one of float32, bfloat16, int8, however: 'int4'"):
        for_inference(model, weights="int4")


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_serving_needs_no_mode_and_no_rows(weights) -> None:
    model, ids = trained()
    served = for_inference(model, weights=weights)
    for batch in (0, 1, 40):
        logits = served(ids[:batch])
        assert logits.shape == (batch,)
        assert not logits.requires_grad


@pytest.mark.parametrize("batch", [1, 600])
def test_loaded_weights_are_served(batch) -> None:
    first, ids = trained()
    second, _ = trained()
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.mul_(1.5)
        expected = second(ids[:batch])
    served = copy.deepcopy(for_inference(first))
    served.load_state_dict(for_inference(second).state_dict())
    torch.testing.assert_close(served(ids[:batch]), expected, rtol=1e-4, atol=1e-4)


def test_gradient_of_the_embedded_fields_is_the_network_s() -> None:
    model, ids = trained()
    grads = []
    for scoring in (model, for_inference(model)):
        embedded = model.embed(ids[:40]).detach().requires_grad_()
        scoring.score(embedded).sum().backward()
        grads.append(embedded.grad)
    torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)
