"""The yardstick: QNN-α built from plain `nn.Module`s in the manner of the reference implementation (li2025qnn-code).

Rows that a `DataLoader` collates one by one in a process of its own, as in FuxiCTR (zhu2021open), one `nn.Embedding` a field, a
dictionary of columns per batch, `nn.Dropout`, an einsum over the rows, two full passes for the self-ensemble loss, unfused dense
Adam, and the embedding's L2 term as part of the loss. Written from the paper's description; it computes the same function as
`QNNAlphaNetwork`, which the tests check.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, default_collate

from qnn_models.data.layout import Split


class PlainGate(nn.Module):
    """One layer: ``x • dropout(relu(BN(W x))) + x``, the rows multiplied out and summed by einsum."""

    def __init__(self, dim: int, rows: int, dropout: float, batch_norm: bool) -> None:
        super().__init__()
        self.rows = rows
        self.linear = nn.Linear(dim, dim * rows)
        nn.init.xavier_normal_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.norm = nn.BatchNorm1d(dim * rows) if batch_norm else nn.Identity()
        self.activation = nn.ReLU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, dim) -> (batch, dim)``."""
        gate = self.dropout(self.activation(self.norm(self.linear(x))))
        return torch.einsum("bd,bmd->bd", x, gate.view(x.shape[0], self.rows, -1)) + x


class PlainQNNAlpha(nn.Module):
    """QNN-α over a dictionary of columns.

    Args:
        vocabulary_sizes: ids per field.
        lengths: columns per field; a sequence is mean-pooled with a mask.
        embedding_dim: width e of each embedding.
        layers: number of layers L.
        rows: rows M.
        dropout: dropout probability, on the gate and after each layer.
        batch_norm: BatchNorm on the gate channels.
    """

    def __init__(
        self,
        vocabulary_sizes: Sequence[int],
        lengths: Sequence[int],
        *,
        embedding_dim: int = 16,
        layers: int = 2,
        rows: int = 4,
        dropout: float = 0.1,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        self.lengths = tuple(lengths)
        self.embeddings = nn.ModuleDict(
            {f"field_{k}": nn.Embedding(size, embedding_dim, padding_idx=0) for k, size in enumerate(vocabulary_sizes)}
        )
        for embedding in self.embeddings.values():
            nn.init.normal_(embedding.get_parameter("weight"), std=1e-4)
        dim = len(self.lengths) * embedding_dim
        self.gates = nn.ModuleList(PlainGate(dim, rows, dropout, batch_norm) for _ in range(layers))
        self.dropouts = nn.ModuleList(nn.Dropout(dropout) for _ in range(layers))
        self.head = nn.Linear(dim, 1)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Probabilities ``(batch, 1)``."""
        parts = []
        for (name, embedding), length in zip(self.embeddings.items(), self.lengths, strict=True):
            ids = batch[name].long()
            embedded = embedding(ids)
            if length > 1:
                mask = (ids != 0).float()
                embedded = (embedded * mask.unsqueeze(-1)).sum(1) / (mask.sum(1, keepdim=True) + 1e-12)
            parts.append(embedded)
        x = torch.stack(parts, dim=1).flatten(1)
        for gate, dropout in zip(self.gates, self.dropouts, strict=True):
            x = dropout(gate(x))
        return torch.sigmoid(self.head(x))


def columns(ids: Tensor, lengths: Sequence[int]) -> dict[str, Tensor]:
    """A batch as the dictionary of columns that the model takes."""
    result, start = {}, 0
    for k, length in enumerate(lengths):
        result[f"field_{k}"] = ids[:, start] if length == 1 else ids[:, start : start + length]
        start += length
    return result


class RowDataset(Dataset[NDArray[Any]]):
    """The rows of a split, label last, one at a time."""

    def __init__(self, split: Split) -> None:
        self.rows = np.column_stack([split.ids.numpy(), split.labels.numpy()])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.rows[index]


def row_loader(split: Split, lengths: Sequence[int], *, batch_size: int, shuffle: bool) -> DataLoader[Any]:
    """Batches as ``(dictionary of columns, labels)``, collated from single rows by one process beside this one."""
    return DataLoader(
        RowDataset(split),
        batch_size=batch_size,
        shuffle=shuffle,
        collate_fn=partial(_collate, tuple(lengths)),
        num_workers=1,
        persistent_workers=True,  # its start is no part of an epoch
    )


def _collate(lengths: Sequence[int], rows: list[NDArray[Any]]) -> tuple[dict[str, Tensor], Tensor]:
    batch = default_collate(rows)
    return columns(batch[:, :-1], lengths), batch[:, -1].float()


class PlainTrainer:
    """One training step at a time, in the reference's order of operations.

    Args:
        model: the model.
        embedding_l2: λ of the term λ/2·‖E‖² over all embedding tables.
        learning_rate: of Adam.
        clip_norm: bound of the gradient's norm.
        self_ensemble: two passes and the self-ensemble loss; otherwise one pass and BCE.
    """

    def __init__(
        self,
        model: PlainQNNAlpha,
        *,
        embedding_l2: float,
        learning_rate: float = 1e-3,
        clip_norm: float = 10.0,
        self_ensemble: bool = True,
    ) -> None:
        self.model, self.embedding_l2, self.clip_norm, self.self_ensemble = (
            model,
            embedding_l2,
            clip_norm,
            self_ensemble,
        )
        self.optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=False, foreach=False)

    def step(self, batch: dict[str, Tensor], labels: Tensor) -> float:
        """One step; returns the loss."""
        self.model.train()
        self.optimizer.zero_grad()
        target = labels.view(-1, 1)
        first = self.model(batch)
        if self.self_ensemble:
            second = self.model(batch)
            mean = (first + second) / 2
            fixed = mean.detach()
            loss = F.binary_cross_entropy(mean, target)
            loss = loss + F.binary_cross_entropy(first, fixed) + F.binary_cross_entropy(second, fixed)
        else:
            loss = F.binary_cross_entropy(first, target)
        for embedding in self.model.embeddings.values():
            loss = loss + self.embedding_l2 / 2 * embedding.get_parameter("weight").pow(2).sum()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.optimizer.step()
        return float(loss.detach())
