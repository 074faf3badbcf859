"""Loops over embedding tables; see `numba_loops`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qnn_models.kernels.numba_compiler import Floats, Ids, loop

__all__ = ["look_up", "look_up_gradient"]


@loop()
def look_up(table: Floats, ids: Ids, columns: NDArray[np.int64], starts: NDArray[np.int64], out: Floats) -> int:
    """Embeddings of the fields of some rows; a field of several columns is the mean over its ids but 0, or zero without any.

    Args:
        table: shape (ids of all fields, dim).
        ids: local ids, shape (batch, columns).
        columns: the table's row for id 0 of each column.
        starts: first column of each field, and the number of columns.
        out: written, shape (batch, fields, dim).

    Returns:
        The place in the flat ids of the first one that the table does not have, or -1.
    """
    batch, fields, dim = out.shape
    for b in range(batch):
        for f in range(fields):
            target = out[b, f]
            first, last = starts[f], starts[f + 1]
            present = 0
            for c in range(first, last):
                row = columns[c] + ids[b, c]
                if row < 0 or row >= table.shape[0]:
                    return b * ids.shape[1] + c
                if last - first > 1 and ids[b, c] == 0:
                    continue
                source = table[row]
                if present == 0:
                    for k in range(dim):
                        target[k] = source[k]
                else:
                    for k in range(dim):
                        target[k] += source[k]
                present += 1
            if present == 0:
                target[:] = table.dtype.type(0)
            elif present > 1:
                scale = table.dtype.type(1) / table.dtype.type(present)
                for k in range(dim):
                    target[k] *= scale
    return -1


@loop()
def look_up_gradient(
    grad: Floats, ids: Ids, columns: NDArray[np.int64], starts: NDArray[np.int64], grad_table: Floats
) -> None:
    """Gradient of `look_up`, added to `grad_table`."""
    batch, fields, dim = grad.shape
    for b in range(batch):
        for f in range(fields):
            source = grad[b, f]
            first, last = starts[f], starts[f + 1]
            present = 0
            for c in range(first, last):
                present += last - first == 1 or ids[b, c] != 0
            for c in range(first, last):
                if last - first == 1 or ids[b, c] != 0:
                    target = grad_table[columns[c] + ids[b, c]]
                    scale = grad.dtype.type(1) / grad.dtype.type(present)
                    for k in range(dim):
                        target[k] += source[k] * scale
