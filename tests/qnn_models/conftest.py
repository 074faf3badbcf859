"""What several tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from qnn_models.data.planted import Planted, planted_dataset


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Sums in one order, so that bits can be compared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def planted() -> Planted:
    """Three fields, the first two of which interact."""
    return planted_dataset(rows=(600, 300, 300), vocabulary_sizes=(5, 5, 5), pairs=[(0, 1)])
