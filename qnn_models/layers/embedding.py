"""One embedding table for all fields of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from qnn_models.kernels.dispatch import loops_serve, loops_serve_ids
from qnn_models.layers.derivatives import plain_gradients, wants_plain
from qnn_models.layers.operations import as_rows

EMBEDDING_STD = 1e-4  # li2025qnn-code: embeddings start N(0, (1e-4)²)


class Layout(Protocol):
    """What a model must know of a data set; `qnn_models.data.encoding.encoded.FieldLayout` is one.

    Attributes:
        names: field names.
        vocabulary_sizes: ids per field, id 0 (padding) and id 1 (out of vocabulary) included.
        lengths: columns per field: 1, or the maximum length of a sequence.
    """

    @property
    def names(self) -> Sequence[str]:  # noqa: D102
        ...

    @property
    def vocabulary_sizes(self) -> Sequence[int]:  # noqa: D102
        ...

    @property
    def lengths(self) -> Sequence[int]:  # noqa: D102
        ...


class FieldEmbedding(nn.Module):
    """One table for all fields: field k owns the rows from ``offsets[k]`` on. A sequence is the mean of its ids but 0.

    **Shape:** ids ``(*, columns)`` -> ``(*, fields, dim)``; an empty sequence is the zero vector.

    Args:
        layout: names, vocabulary sizes and lengths of the fields.
        dim: width of each embedding.
        std: standard deviation of the start values; the rows of padding start at zero.
        seed: seed of the start values; drawn from torch's global generator when left out.

    Raises:
        ValueError: no field, or sizes that are not positive.
    """

    columns: Tensor
    starts: Tensor

    def __init__(self, layout: Layout, *, dim: int, std: float = EMBEDDING_STD, seed: int | None = None) -> None:
        super().__init__()
        sizes, lengths = tuple(layout.vocabulary_sizes), tuple(layout.lengths)
        if not sizes or len(sizes) != len(lengths) or min((*sizes, *lengths)) < 1 or dim < 1:
            raise ValueError(
                f"An embedding needs at least one field, and positive sizes, however: vocabulary_sizes={sizes}, "
                f"lengths={lengths}, dim={dim}."
            )
        self.names, self.vocabulary_sizes, self.lengths, self.dim = tuple(layout.names), sizes, lengths, dim
        offsets = torch.tensor([0, *sizes]).cumsum(0)[:-1]
        self.weight = nn.Parameter(torch.empty(sum(sizes), dim))
        self.register_buffer("columns", offsets.repeat_interleave(torch.tensor(lengths)), persistent=False)
        self.register_buffer("starts", torch.tensor([0, *lengths]).cumsum(0), persistent=False)
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        with torch.no_grad():
            nn.init.normal_(self.weight, std=std, generator=generator)
            self.weight[offsets] = 0

    @property
    def num_fields(self) -> int:
        """Number of fields f."""
        return len(self.vocabulary_sizes)

    def forward(self, ids: Tensor) -> Tensor:
        """Embed local ids of shape ``(*, columns)``.

        Raises:
            IndexError: an id that the table does not have.
            ValueError: ids with another number of columns.
        """
        if ids.dim() != 2:
            return as_rows(self.forward, ids)
        if ids.shape[1] != sum(self.lengths):
            raise ValueError(f"ids have shape (*, {sum(self.lengths)}), however: {tuple(ids.shape)}.")
        if loops_serve(self.weight) and loops_serve_ids(ids):
            return _Lookup.apply(self.weight, ids, self)
        return self._plain(self.weight, ids)

    def _plain(self, weight: Tensor, ids: Tensor) -> Tensor:
        embedded = nn.functional.embedding(ids + self.columns, weight)
        return embedded if max(self.lengths) == 1 else self._pool(embedded, ids)

    def _pool(self, embedded: Tensor, ids: Tensor) -> Tensor:
        """Masked mean over the columns of each sequence: ``(batch, columns, dim) -> (batch, fields, dim)``."""
        parts, start = [], 0
        for length, run in _runs(self.lengths):
            stop = start + length * run
            part = embedded[:, start:stop]
            if length > 1:
                present = (ids[:, start:stop] != 0).unflatten(1, (run, length)).to(embedded.dtype)
                weights = present / present.sum(-1, keepdim=True).clamp(min=1)
                part = (part.unflatten(1, (run, length)) * weights.unsqueeze(-1)).sum(2)
            parts.append(part)
            start = stop
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    def check_ids(self, ids: Tensor) -> None:
        """Reject ids that are not of this layout; meant for the edge of the program, not for every batch.

        Raises:
            ValueError: wrong number of columns, or an id outside its field's vocabulary.
        """
        if ids.dim() != 2 or ids.shape[1] != sum(self.lengths):
            raise ValueError(f"ids have shape (batch, {sum(self.lengths)}), however: {tuple(ids.shape)}.")
        start = 0
        for name, size, length in zip(self.names, self.vocabulary_sizes, self.lengths, strict=True):
            part = ids[:, start : start + length]
            if part.numel() and (int(part.min()) < 0 or int(part.max()) >= size):
                raise ValueError(
                    f"Ids of field {name} lie in 0..{size - 1}, however: {int(part.min())}..{int(part.max())}; "
                    f"encode the rows with the data set's own encoder."
                )
            start += length

    def extra_repr(self) -> str:
        """Sizes, for `repr`."""
        return f"fields={self.num_fields}, ids={sum(self.vocabulary_sizes)}, dim={self.dim}"


def looked_up(weight: Tensor, ids: Tensor, columns: Tensor, starts: Tensor) -> Tensor:
    """Rows of the table, sequences averaged, without a gradient: ``(batch, columns) -> (batch, fields, dim)``.

    Args:
        weight: the table.
        ids: shape ``(batch, columns)``, contiguous.
        columns: the table's row for id 0 of each column.
        starts: first column of each field, and the number of columns.

    Raises:
        IndexError: an id that the table does not have.
        ValueError: ids with another number of columns, which the loop would read beyond the end of.
    """
    from qnn_models.kernels import numba_tables as kernels

    if ids.dim() != 2 or ids.shape[1] != len(columns):
        raise ValueError(f"ids have shape (batch, {len(columns)}), however: {tuple(ids.shape)}.")
    out = weight.new_empty(ids.shape[0], len(starts) - 1, weight.shape[1])
    wrong = kernels.look_up(weight.detach().numpy(), ids.numpy(), columns.numpy(), starts.numpy(), out.numpy())
    if wrong >= 0:
        row, column = divmod(wrong, ids.shape[1])
        raise IndexError(
            f"Ids are rows of the embedding table, however: id {int(ids[row, column])} in column {column} of row {row} of a "
            "batch; encode the rows with the data set's own encoder."
        )
    return out


class _Lookup(torch.autograd.Function):
    """Rows of the table, sequences averaged, in one walk over the ids."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, embedding: FieldEmbedding) -> Tensor:
        ids = ids.contiguous()
        out = looked_up(weight, ids, embedding.columns, embedding.starts)
        ctx.save_for_backward(ids)
        ctx.embedding, ctx.size = embedding, weight.shape[0]
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, None, None]:
        from qnn_models.kernels import numba_tables as kernels

        (ids,), embedding = ctx.saved_tensors, ctx.embedding
        table = torch.zeros(ctx.size, grad.shape[-1], dtype=grad.dtype)
        if wants_plain(grad):  # at a table of zeros, as a linear map has one derivative everywhere
            at = table.requires_grad_()
            (found,) = plain_gradients(lambda weight: (embedding._plain(weight, ids),), (at,), (grad,))
            return found, None, None
        columns, starts = embedding.columns.numpy(), embedding.starts.numpy()
        kernels.look_up_gradient(grad.contiguous().numpy(), ids.numpy(), columns, starts, table.numpy())
        return table, None, None


def _runs(lengths: tuple[int, ...]) -> list[tuple[int, int]]:
    """Runs of equal length: ``(1, 1, 5) -> [(1, 2), (5, 1)]``."""
    runs: list[tuple[int, int]] = []
    for length in lengths:
        if runs and runs[-1][0] == length:
            runs[-1] = (length, runs[-1][1] + 1)
        else:
            runs.append((length, 1))
    return runs
