"""Layouts, splits in memory, and batches streamed from row groups."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from qnn_models.data.encoding.encoded import EncodedDataset
from qnn_models.data.layout import FieldLayout, Split
from qnn_models.data.planted import planted_dataset
from qnn_models.data.reading.prefetch import mapped, prefetched
from qnn_models.data.registry import prepare
from tests.qnn_models.data_files import criteo_rows, write_criteo_raw


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> EncodedDataset:
    folder = tmp_path_factory.mktemp("criteo")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qnn_models.data.encoding.encode.ROW_GROUP_ROWS", 50)
        return prepare(
            "criteo", source=write_criteo_raw(folder / "raw", criteo_rows(600)), cache_dir=folder, progress=False
        )


def _joined(batches: list[Split]) -> torch.Tensor:
    return torch.cat([torch.cat([batch.ids, batch.labels[:, None].int()], dim=1) for batch in batches])


def _sorted(rows: torch.Tensor) -> list[list[int]]:
    return sorted(rows.tolist())


def test_layout_places_fields_in_one_table() -> None:
    layout = FieldLayout(names=("a", "s", "b"), vocabulary_sizes=(5, 7, 3), lengths=(1, 2, 1))
    assert (layout.num_fields, layout.columns, layout.offsets, layout.total_ids) == (3, 4, (0, 5, 12), 15)
    assert layout.column_names == ("a", "s.0", "s.1", "b")
    with pytest.raises(ValueError, match="2, 1 and 1"):
        FieldLayout(names=("a", "b"), vocabulary_sizes=(3,), lengths=(1,))


def test_ids_stay_below_their_vocabulary(stored: EncodedDataset) -> None:
    ids = stored.split("train").ids
    assert ids.dtype == torch.int32
    assert ids.is_contiguous()
    assert stored.split("train").labels.dtype == torch.float32
    assert (ids.amax(dim=0) < torch.tensor(stored.layout.vocabulary_sizes)).all()
    assert ids.amin() >= 1


@pytest.mark.parametrize("batch_size", [1, 7, 50, 64, 1000])
def test_batches_in_order_are_the_split(stored: EncodedDataset, batch_size: int) -> None:
    batches = list(stored.batches("train", batch_size=batch_size, buffer_row_groups=2))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    split = stored.split("train")
    assert torch.equal(_joined(batches), _joined([split]))


def test_shuffled_batches_hold_every_row_once(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qnn_models.data.encoding.encode.ROW_GROUP_ROWS", 50)
        source = write_criteo_raw(tmp_path / "raw", criteo_rows(600, seed=1))
        stored = prepare("criteo", source=source, cache_dir=tmp_path, progress=False)

    def shuffled(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return _joined(list(stored.batches("train", batch_size=64, generator=generator, buffer_row_groups=3)))

    one, again, other = shuffled(0), shuffled(0), shuffled(1)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    plain = _joined([stored.split("train")])
    assert _sorted(one) == _sorted(other) == _sorted(plain)
    assert not torch.equal(one, plain)


def test_batches_of_a_data_set_in_memory() -> None:
    dataset = planted_dataset(rows=(100, 10, 10)).dataset
    batches = list(dataset.batches("train", batch_size=32, generator=torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in batches] == [32, 32, 32, 4]
    assert _sorted(_joined(batches)) == _sorted(_joined([dataset.split("train")]))


def test_wrong_names_and_sizes_are_refused(stored: EncodedDataset) -> None:
    with pytest.raises(ValueError, match=r"one of train, valid, test, however: 'dev'"):
        stored.split("dev")
    with pytest.raises(ValueError, match="batch_size=0"):
        next(stored.batches("train", batch_size=0))


def test_reading_ahead_keeps_order_errors_and_ends() -> None:
    def failing():  # type: ignore[no-untyped-def]
        yield from range(3)
        raise ValueError("broken at 3")

    assert list(prefetched(iter(range(100)), ahead=3)) == list(range(100))
    reader = prefetched(failing())
    assert [next(reader) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken at 3"):
        next(reader)
    endless = prefetched(iter(int, 1))
    assert next(endless) == 0
    endless.close()


def test_mapping_in_threads_keeps_order_and_errors() -> None:
    def invert(number: int) -> float:
        time.sleep(0.002 * (number % 3))
        return 6 / number

    assert list(mapped(invert, range(1, 20), threads=3)) == [6 / number for number in range(1, 20)]
    results = mapped(invert, [1, 2, 0, 3], threads=2)
    assert [next(results), next(results)] == [6, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert list(results) == []
