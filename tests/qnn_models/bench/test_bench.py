"""The baseline computes what our network computes, so that comparing their speed is fair."""

from __future__ import annotations

import pytest
import torch

from qnn_models.bench.baseline import PlainTrainer, columns, row_loader
from qnn_models.bench.cases import all_cases
from qnn_models.bench.shapes import CRITEO, ML_100K
from qnn_models.bench.worker import Worker
from qnn_models.training.losses import paired_loss


def paired_networks(shape):
    """Ours and the baseline's with the same weights."""
    ours, plain = shape.ours(), shape.plain()
    with torch.no_grad():
        ours.embedding.weight.normal_(std=0.3, generator=torch.Generator().manual_seed(0))
        table, start = ours.embedding.weight, 0
        for size, embedding in zip(shape.layout.vocabulary_sizes, plain.embeddings.values(), strict=True):
            table[start] = 0
            embedding.weight.copy_(table[start : start + size])
            start += size
        for layer, gate in zip(ours.core.stack.layers, plain.gates, strict=True):
            gate.linear.weight.copy_(layer.get_parameter("W").flatten(0, 1))
            gate.linear.bias.copy_(layer.get_parameter("b").flatten())
        plain.head.load_state_dict(ours.core.head.state_dict())
    return ours, plain


def test_logits_agree() -> None:
    ours, plain = paired_networks(ML_100K)
    ids = ML_100K.split(300).ids
    ids[5, -3:] = 0  # a shorter sequence
    ours.eval(), plain.eval()
    expected = torch.logit(plain(columns(ids, ML_100K.layout.lengths)).double()).squeeze(1).float()
    torch.testing.assert_close(ours(ids), expected, rtol=1e-3, atol=1e-3)


def test_a_step_minimises_the_same_loss() -> None:
    """Without dropout: the loss is equal, L2 term aside, and so is the sum of all gradients' directions."""
    ours, plain = paired_networks(ML_100K)
    for gate in plain.gates:
        gate.dropout.p = 0.0
    for dropout in plain.dropouts:
        dropout.p = 0.0
    for module in ours.modules():
        if type(module).__name__ == "Dropout":
            module.p = 0.0
    split = ML_100K.split(512)
    first, second = ours(split.ids), ours(split.ids)
    loss = paired_loss("self_ensemble", first, second, split.labels)
    trainer = PlainTrainer(plain, embedding_l2=0.0)
    assert trainer.step(columns(split.ids, ML_100K.layout.lengths), split.labels) == pytest.approx(
        loss.item(), rel=1e-4
    )
    loss.backward()
    weight = ours.core.stack.layers[0].get_parameter("W").grad
    norm = torch.nn.utils.get_total_norm([p.grad for p in ours.parameters()])
    clip = min(1.0, 10 / norm.item())
    torch.testing.assert_close(plain.gates[0].linear.weight.grad, weight.flatten(0, 1) * clip, rtol=1e-2, atol=1e-5)


def test_the_loader_gives_every_row_once() -> None:
    split = ML_100K.split(300)
    loader = row_loader(split, ML_100K.layout.lengths, batch_size=128, shuffle=False)
    batches = list(loader)
    assert [len(labels) for _, labels in batches] == [128, 128, 44]
    expected = columns(split.ids, ML_100K.layout.lengths)
    for name, column in expected.items():
        assert torch.equal(torch.cat([batch[name] for batch, _ in batches]).long(), column.long())
    assert torch.equal(torch.cat([labels for _, labels in batches]), split.labels)


def test_criteo_has_the_papers_size() -> None:
    assert sum(CRITEO.layout.vocabulary_sizes) == 910_747
    assert len(CRITEO.layout.lengths) == 39
    assert sum(p.numel() for p in CRITEO.ours().core.parameters()) == 22_372_577 - 14_571_952


def test_cases_have_distinct_names() -> None:
    names = [case.name for case in all_cases()]
    assert len(set(names)) == len(names)


def test_a_worker_trains_in_its_own_process_and_tells_seconds_and_memory() -> None:
    worker = Worker("ours", "ml-100k", "cpu")
    first, second = worker(), worker()
    assert 0 < second.seconds < 60
    assert 1 < first.mib <= second.mib < 4096
