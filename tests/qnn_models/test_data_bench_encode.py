"""Encoding at scale: made-up Criteo text is well formed, memory does not grow with the rows, and a guard on the rate."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnn_models.data import prepare
from qnn_models.data.bench_encode import CARDINALITIES, measure, write_criteo_like


def test_made_up_text_is_like_criteos(tmp_path: Path) -> None:
    write_criteo_like(tmp_path / "train.txt", rows=3000)
    dataset = prepare("criteo", source=tmp_path, cache_dir=tmp_path, progress=False)
    assert sum(dataset.num_rows(split) for split in ("train", "valid", "test")) == 3000
    assert dataset.split("train").labels.mean().item() == pytest.approx(0.25, abs=0.05)
    small = [size for size in CARDINALITIES if size < 20]
    sizes = dict(zip(dataset.layout.names, dataset.layout.vocabulary_sizes, strict=True))
    assert [sizes[f"C{1 + CARDINALITIES.index(size)}"] for size in small] == [size + 2 for size in small]
    write_criteo_like(tmp_path / "again.txt", rows=3000)
    assert (tmp_path / "again.txt").read_bytes() == (tmp_path / "train.txt").read_bytes()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    write_criteo_like(tmp_path / "train.txt", rows=500_000)
    text = (tmp_path / "train.txt").read_bytes()
    grown = []
    for copies in (2, 8):
        (tmp_path / "train.txt").write_bytes(text * copies)
        figures = measure(tmp_path)
        assert figures.rows == 500_000 * copies
        grown.append(figures.peak_mib - figures.base_mib)
    # The same tokens four times as often: a byte a row more, and what allocators do.
    assert grown[1] < 1.25 * grown[0]
    assert grown[1] < 1024
