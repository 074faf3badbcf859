"""The fused lookup is the plain one: values, gradients, and an error for an id that is not there."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn_models import embedding as module
from qnn_models.data.encoded import FieldLayout
from qnn_models.embedding import FieldEmbedding

FIELDS = st.lists(st.tuples(st.integers(2, 6), st.integers(1, 4)), min_size=1, max_size=4)


@given(fields=FIELDS, dim=st.integers(1, 5), batch=st.integers(0, 6), wide=st.booleans(), seed=st.integers(0, 2**32))
def test_fused_lookup_equals_plain_operations(
    fields: list[tuple[int, int]], dim: int, batch: int, wide: bool, seed: int
) -> None:
    sizes, lengths = zip(*fields, strict=True)
    layout = FieldLayout(names=tuple(f"f{k}" for k in range(len(fields))), vocabulary_sizes=sizes, lengths=lengths)
    fused = FieldEmbedding(layout, dim=dim, std=1.0, seed=seed).double()
    plain = copy.deepcopy(fused)
    generator = torch.Generator().manual_seed(seed)
    columns = [torch.randint(size, (batch, length), generator=generator) for size, length in fields]
    ids = torch.cat(columns, 1).to(torch.int64 if wide else torch.int32)
    out = fused(ids)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "loops_serve", lambda *_: False)
        expected = plain(ids)
    torch.testing.assert_close(out, expected)
    slope = torch.randn(out.shape, generator=generator, dtype=out.dtype)
    (out * slope).sum().backward()
    (expected * slope).sum().backward()
    torch.testing.assert_close(fused.weight.grad, plain.weight.grad)


@pytest.mark.parametrize("wrong", [-3, 5])
def test_an_id_beyond_the_table_is_named(wrong: int) -> None:
    layout = FieldLayout(names=("a", "b"), vocabulary_sizes=(2, 3), lengths=(1, 1))
    ids = torch.tensor([[0, 0], [1, wrong]])
    with pytest.raises(IndexError, match=f"id {wrong} in column 1 of row 1"):
        FieldEmbedding(layout, dim=2)(ids)
