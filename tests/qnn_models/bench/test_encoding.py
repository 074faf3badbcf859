"""Encoding and training at scale: made-up Criteo text is well formed, and memory does not grow with the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from qnn_models.bench.encoding import CARDINALITIES, measure, measure_training, write_criteo_like
from qnn_models.data.registry import prepare


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


def test_training_is_measured_along_its_epoch(tmp_path: Path) -> None:
    write_criteo_like(tmp_path / "train.txt", rows=5000)
    encoded = measure(tmp_path)
    figures = measure_training(tmp_path)
    assert (encoded.rows, figures.rows) == (5000, 4000)
    assert figures.total_ids == encoded.total_ids
    assert figures.rows_per_second == pytest.approx(4000 / figures.seconds)
    assert len(figures.epoch_mib) == 10
    assert figures.base_mib <= figures.opened_mib <= min(figures.epoch_mib)
    assert max(figures.epoch_mib) <= figures.epoch_peak_mib <= figures.peak_mib < 2048
    # The table, a layer and a head on 39 embeddings of 4 numbers, BatchNorm of 156: five copies of 4 bytes a number.
    parameters = 4 * figures.total_ids + 156 * 156 + 156 + 157 + 2 * 156
    assert figures.state_mib == pytest.approx(5 * 4 * parameters / 2**20)


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
    training = measure_training(tmp_path)
    assert training.rows == 3_200_000
    # Three windows of rows are there from the start on and give way to the next ones; at the end, one of them is left.
    assert max(training.epoch_mib) < 1.05 * training.epoch_mib[0]
    assert training.epoch_mib[-1] < training.epoch_mib[0]
    assert training.peak_mib - training.opened_mib < 1024
