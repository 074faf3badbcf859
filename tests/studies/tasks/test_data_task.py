"""The task that counts a data set, against numpy over its arrays and against the printed table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qnn_models.data.registry import get_schema, load
from qnn_models.data.schema import SPLITS
from studies.declaring.load import load_config, with_changes
from studies.declaring.plan import plan
from studies.declaring.published import DATASETS
from studies.judging.collect import collect
from studies.judging.tables import study_table
from studies.running.execute import Call, execute
from studies.running.record import Store


def test_counts_are_those_of_the_arrays(tmp_path: Path) -> None:
    config = with_changes(load_config("datasets"), dataset="planted")
    (spec,) = plan(config)
    (record,) = execute(Call(specs=(spec,), attempts=(1,)))
    assert record.status == "done", record.details
    splits = {split: load("planted").split(split) for split in SPLITS}
    labels = np.concatenate([part.labels.numpy() for part in splits.values()])
    assert record.metrics["instances"] == len(labels)
    assert record.metrics["click_share"] == pytest.approx(labels.mean())
    assert record.metrics["fields"] == splits["train"].ids.shape[1], "no sequences there"
    assert record.metrics["features"] == sum(load("planted").layout.vocabulary_sizes)
    assert record.metrics["train_rows_share"] == len(splits["train"]) / len(labels)
    store = Store(tmp_path / "records")
    store.write(record)
    table = study_table(config, collect(config, store, tmp_path))
    assert f"{len(labels):,}" in table
    assert "no row is shown" not in table


@pytest.mark.parametrize("dataset", ["criteo", "ml-1m", "frappe", "kkbox", "ipinyou", "tenrec"])
def test_the_published_counts_stand_beside_ours(dataset: str, tmp_path: Path) -> None:
    config = with_changes(load_config("datasets"), dataset=dataset)
    row = collect(config, Store(tmp_path / "records"), tmp_path).runs.row(0, named=True)
    assert row["published_dataset"] == DATASETS[dataset]
    assert row["published_fields"] == len(get_schema(dataset).fields)
    assert row["published_instances"] > 100_000
