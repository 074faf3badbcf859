"""The fused lookup is the plain one: values, gradients, and an error for an id that is not there."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qnn_models.data.layout import FieldLayout
from qnn_models.layers import embedding as module
from qnn_models.layers.embedding import FieldEmbedding

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


@pytest.mark.parametrize("shape", [(4, 1), (4, 2), (4, 4), (2,), (2, 2, 1)])
def test_ids_of_another_width_are_refused(shape: tuple[int, ...]) -> None:
    layout = FieldLayout(names=("a", "b"), vocabulary_sizes=(2, 3), lengths=(1, 2))
    with pytest.raises(ValueError, match=r"shape \(\*, 3\), however: \("):
        FieldEmbedding(layout, dim=2)(torch.zeros(shape, dtype=torch.int64))


def test_transforms_of_torch_func_see_the_lookup() -> None:
    layout = FieldLayout(names=("a", "b"), vocabulary_sizes=(4, 3), lengths=(1, 2))
    table = FieldEmbedding(layout, dim=2, std=1.0, seed=0)
    ids = torch.randint(3, (5, 3), generator=torch.Generator().manual_seed(0))

    def total(weight: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return (torch.func.functional_call(table, {"weight": weight}, (ids,)) ** 2).sum()

    total(table.weight, ids).backward()
    by_row = torch.vmap(torch.func.grad(total), (None, 0))(table.weight.detach(), ids.unsqueeze(1))
    torch.testing.assert_close(by_row.sum(0), table.weight.grad)
