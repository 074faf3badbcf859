"""The embedding table, QNN-α and the networks: shapes, published sizes, pooling, shared passes, wrong inputs."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources

import pytest
import torch
from torch import nn

import qnn_theory as qt
from qnn_models import FieldEmbedding, QNNAlpha, QNNAlphaNetwork, QuadraticNetwork, QuadraticStack
from qnn_models.layers.dropout import seed_dropout
from qnn_models.models.network import count_parameters
from qnn_theory.grammar.widths import divisor


@dataclass(frozen=True)
class Fields:
    names: tuple[str, ...] = ("user", "item", "genres", "tags", "city")
    vocabulary_sizes: tuple[int, ...] = (5, 7, 4, 6, 3)
    lengths: tuple[int, ...] = (1, 1, 3, 3, 1)


IDS = torch.tensor([[1, 2, 3, 2, 0, 5, 0, 0, 1], [4, 6, 1, 0, 0, 0, 0, 0, 2]], dtype=torch.int32)


def test_embedding_is_one_table_with_offsets_and_masked_means() -> None:
    embedding = FieldEmbedding(Fields(), dim=2, seed=0)
    assert [tuple(p.shape) for p in embedding.parameters()] == [(25, 2)]
    table = embedding.weight
    out = embedding(IDS)
    assert out.shape == (2, 5, 2)
    torch.testing.assert_close(out[0, 0], table[1])
    torch.testing.assert_close(out[0, 1], table[5 + 2])
    torch.testing.assert_close(out[0, 2], (table[12 + 3] + table[12 + 2]) / 2)
    torch.testing.assert_close(out[0, 3], table[16 + 5])
    torch.testing.assert_close(out[1, 2], table[12 + 1])
    assert torch.equal(out[1, 3], torch.zeros(2)), "an empty sequence is the zero vector"
    torch.testing.assert_close(out[1, 4], table[22 + 2])


def test_padding_gets_no_gradient() -> None:
    embedding = FieldEmbedding(Fields(), dim=2, seed=0)
    embedding(IDS).sum().backward()
    grad = embedding.weight.grad
    assert grad is not None
    assert not grad[[12, 16]].any()
    assert grad[12 + 3].tolist() == [0.5, 0.5]


def test_embedding_starts_small_with_zero_padding() -> None:
    weight = FieldEmbedding(Fields(), dim=500, seed=0).weight
    assert not weight[[0, 5, 12, 16, 22]].any()
    assert weight[1:5].std().item() == pytest.approx(1e-4, rel=0.1)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.zeros(2, 8, dtype=torch.int32), r"shape \(batch, 9\), however: \(2, 8\)"),
        (IDS + 10, r"Ids of field user lie in 0..4, however: 11..14"),
        (IDS - 2, r"Ids of field user lie in 0..4, however: -1..2"),
    ],
)
def test_foreign_ids_are_named(ids: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FieldEmbedding(Fields(), dim=2).check_ids(ids)


def test_embedding_needs_fields() -> None:
    with pytest.raises(ValueError, match="at least one field"):
        FieldEmbedding(Fields((), (), ()), dim=2)


@pytest.mark.parametrize("format", qt.formats(), ids=lambda f: f.id)
@pytest.mark.parametrize("post", [None, "relu"])
def test_every_format_makes_a_network(format: qt.Format, post) -> None:
    assert 10 % divisor(format.expr) == 0
    model = QuadraticNetwork(Fields(), format, embedding_dim=2, layers=2, post_activation=post, seed=0)
    seed_dropout(model, 0)
    logits = model(IDS)
    assert logits.shape == (2,)
    first, second = model.forward_pair(IDS)
    (first + second).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def published_networks() -> list[tuple[str, int, nn.Module]]:
    """Every released run of a format network or of plain QNN-α, with its parameters outside the embedding."""
    fields = {
        "Criteo_x4_10_h5": 39,
        "Frappe_x1_h5": 10,
        "ML_1M_7_x1": 7,
        "Tenrec_x1": 15,
        "iPinYou_x1": 16,
        "KKBox_x1": 13,
    }
    cases = []
    with (resources.files("qnn_theory") / "published" / "published_runs.csv").open() as file:
        for row in csv.DictReader(file):
            count = int(row["num_parameters"]) - int(row["embedding_params"])
            f = fields[row["dataset"]]
            e = int(row["embedding_dim"])
            with torch.device("meta"):
                if row["arm"] == "QNN_alpha":
                    model: nn.Module = QNNAlpha(
                        num_fields=f,
                        embedding_dim=e,
                        layers=int(row["num_layers"]),
                        rows=int(row["num_rows"]),
                        heads=int(row["num_heads"]),
                        batch_norm=row["batch_norm_present_in_params"] == "True",
                        head_layout="released",
                    )
                elif row["neuron_type"].startswith("T"):
                    bilinear = row["neuron_type"] in ("T1", "T2", "T6")
                    dim = 100 if bilinear else f * e
                    parts = [nn.Linear(f * e, 100, bias=False)] if bilinear else []
                    stack = QuadraticStack(
                        row["neuron_type"],
                        dim=dim,
                        layers=int(row["num_layers"]),
                        post_activation="relu" if row["arm"] == "post_act_ReLU" else None,
                        post_norm=row["batch_norm_present_in_params"] == "True",
                    )
                    model = nn.Sequential(*parts, stack, nn.Linear(dim, 1))
                else:
                    continue
            cases.append((row["log_file"], count, model))
    return cases


def test_published_parameter_counts_to_the_unit() -> None:
    cases = published_networks()
    assert len(cases) > 55
    wrong = {log: (sum(p.numel() for p in m.parameters()), n) for log, n, m in cases}
    assert all(ours == theirs for ours, theirs in wrong.values()), wrong


@pytest.mark.parametrize("layout", ["aligned", "released"])
def test_qnn_alpha_is_its_formula(layout) -> None:
    model = QNNAlpha(num_fields=3, embedding_dim=4, layers=1, rows=2, heads=2, dropout=0.0, head_layout=layout, seed=0)
    x = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    layer = model.stack.layers[0]
    if layout == "aligned":
        gate = torch.cat(
            [
                sum(
                    torch.relu(x @ w.T + b)
                    for w, b in zip(layer.get_parameter(f"W_{h}"), layer.get_parameter(f"b_{h}"), strict=True)
                )
                for h in (1, 2)
            ],
            dim=1,
        )
        factor = x
    else:
        gate = sum(
            torch.relu(x @ w.T + b) for w, b in zip(layer.get_parameter("W"), layer.get_parameter("b"), strict=True)
        )
        factor = x.view(5, 3, 2, 2).transpose(1, 2).reshape(5, 12)
    expected = (factor * gate + x) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(x), expected)


def test_qnn_alpha_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="heads must divide embedding_dim, however: heads=3"):
        QNNAlpha(num_fields=2, embedding_dim=4, heads=3)
    with pytest.raises(ValueError, match="at least 1 layer, however: layers=0"):
        QNNAlpha(num_fields=2, embedding_dim=4, layers=0)


def test_shared_passes_are_two_passes_in_distribution_and_statistics() -> None:
    """The means over many masks agree, and BatchNorm's running statistics move as two separate passes move them."""
    shared, separate = (QNNAlphaNetwork(Fields(), embedding_dim=4, dropout=0.3, seed=0) for _ in range(2))
    for model in (shared, separate):
        with torch.no_grad():
            model.embedding.weight.normal_(generator=torch.Generator().manual_seed(1))
    ids = torch.stack(
        [torch.randint(0, s, (512,), generator=torch.Generator().manual_seed(s)) for s in (5, 7, 4, 4, 4, 6, 6, 6, 3)],
        1,
    )

    def mean(model: QNNAlphaNetwork, seed: int, *, pair: bool) -> torch.Tensor:
        seed_dropout(model, seed)
        total = torch.zeros(512)
        with torch.no_grad():
            for _ in range(60):
                total += sum(model.forward_pair(ids)) if pair else model(ids) + model(ids)
        return total / 120

    ours, theirs, again = mean(shared, 0, pair=True), mean(separate, 1, pair=False), mean(separate, 2, pair=False)
    noise = (theirs - again).abs().mean()
    assert (ours - theirs).abs().mean() < 1.5 * noise
    mean(shared, 3, pair=True)  # as many batches as the other has seen
    first = "core.stack.layers.0.norm_0.running_var"
    torch.testing.assert_close(shared.get_buffer(first), separate.get_buffer(first))
    shared.eval()
    one, two = shared.forward_pair(ids)
    assert torch.equal(one, two)


def test_same_seed_same_network() -> None:
    one, two, other = (QNNAlphaNetwork(Fields(), embedding_dim=4, seed=s) for s in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert count_parameters(one)["embedding"] == 25 * 4
